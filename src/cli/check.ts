/** `dstream check`: connects to everything that the configuration names, changes nothing, and says what to do. */
import { existsSync } from "node:fs";
import type { Config } from "../config/config.ts";
import { DStreamError, describeError } from "../errors.ts";
import { silent } from "../telemetry/logger.ts";
import type { Endpoint } from "../transports/settings.ts";
import type { Entity } from "../transports/transport.ts";
import { type Finding, renderFindings } from "./findings.ts";
import {
  type CommonOptions,
  configure,
  knownDestinations,
  openEndpoint,
  openLocks,
  openSource,
  queueEntity,
  topicEntity,
} from "./wiring.ts";

export async function check(options: CommonOptions): Promise<number> {
  const { config } = await configure(options);
  const findings: Finding[] = [{ severity: "ok", subject: `configuration ${options.config}`, message: "reads well" }];
  findings.push(...(await checkSource(config)));
  findings.push(...(await checkLocks(config)));
  const { queue } = config.ingester;
  const { source, output } = config.router;
  findings.push(...(await checkEndpoint(queue.endpoint, "ingest queue", [queueEntity(queue.name)])));
  if (JSON.stringify(source) !== JSON.stringify({ endpoint: queue.endpoint, name: queue.name }))
    findings.push(...(await checkEndpoint(source.endpoint, "router source", [queueEntity(source.name)])));
  findings.push(...(await checkEndpoint(output, "output", knownDestinations(config).map(topicEntity))));
  process.stdout.write(`${renderFindings(findings, process.stdout.columns ?? 120)}\n`);
  return findings.some((finding) => finding.severity === "error") ? 1 : 0;
}

async function checkSource(config: Config): Promise<Finding[]> {
  await using stack = new AsyncDisposableStack();
  try {
    const source = await openSource(config, silent, stack);
    const { checkpoints } = config.ingester;
    return await source.check(checkpoints.type === "sqlserver" ? { checkpointTable: checkpoints.table } : {});
  } catch (error) {
    return [failure("database", error)];
  }
}

async function checkLocks(config: Config): Promise<Finding[]> {
  const { locks } = config.ingester;
  const subject = `locks (${locks.type})`;
  if (locks.type === "none")
    return [
      {
        severity: "warning",
        subject,
        message: "With no locks, two ingesters would read the same tables.",
        fix: 'locks { type = "embedded" }',
      },
    ];
  if (locks.type === "embedded" && !existsSync(locks.path))
    return [{ severity: "ok", subject, message: `${locks.path} will be made by the ingester` }];
  await using stack = new AsyncDisposableStack();
  try {
    await (await openLocks(config, silent, stack)).owner("dstream check");
    return [{ severity: "ok", subject, message: "can be asked" }];
  } catch (error) {
    return [failure(subject, error)];
  }
}

async function checkEndpoint(endpoint: Endpoint, role: string, entities: Entity[]): Promise<Finding[]> {
  const subject = `${role} (${endpoint.type})`;
  if (endpoint.type === "embedded" && !existsSync(endpoint.path))
    return [{ severity: "ok", subject, message: `${endpoint.path} will be made at start` }];
  await using stack = new AsyncDisposableStack();
  try {
    const transport = await openEndpoint(endpoint, silent, stack);
    const missing: Entity[] = [];
    for (const entity of entities) if (!(await transport.exists(entity))) missing.push(entity);
    const names = missing.map(({ name }) => name).join(", ");
    if (missing.length > 0 && transport.howToMake !== undefined) {
      const fix = missing.map((entity) => transport.howToMake!(entity)).join("\n");
      return [{ severity: "error", subject, message: `is missing, and others have to make it: ${names}`, fix }];
    }
    const message = missing.length === 0 ? "is there" : `will be made at start: ${names}`;
    return [{ severity: "ok", subject, message }];
  } catch (error) {
    return [failure(subject, error)];
  }
}

function failure(subject: string, error: unknown): Finding {
  const fix = error instanceof DStreamError ? error.advice : undefined;
  return { severity: "error", subject, message: describeError(error), fix };
}
