/** Plays all scenarios with one client, under every encryption that it offers. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { SqlServerSimulator } from "../../simulator/index.ts";
import type { Client } from "./client.ts";
import { compare } from "./compare.ts";
import { allScenarios } from "./scenarios/all.ts";

/** Where the client's tools are missing: which, and how to get them. */
export class MissingTool {
  readonly advice: string;
  constructor(advice: string) {
    this.advice = advice;
  }
}

const PASSWORD = "Secret-€1 ü";

/**
 * A client that is not there is one skipped test that says how to get it; where DSTREAM_CI_NO_SKIP is set, as CI sets it, that is a
 * failure.
 */
export function skipped(name: string, { advice }: MissingTool): void {
  if (!process.env["DSTREAM_CI_NO_SKIP"]) test(name, { skip: advice });
  else
    test(name, () => {
      throw new Error(advice);
    });
}

export function conformance(name: string, found: Client | MissingTool): void {
  if (found instanceof MissingTool) {
    skipped(name, found);
    return;
  }
  const client = found;
  describe(name, () => {
    const folder = mkdtempSync(join(tmpdir(), "dstream-conformance-"));
    const certificate = join(folder, "server.pem");
    const problems: string[] = [];
    let simulator: SqlServerSimulator;
    before(async () => {
      simulator = await SqlServerSimulator.start({
        password: PASSWORD,
        captureInterval: "immediate",
        serverName: "SIMULATOR",
        timeZone: "UTC",
        onProblem: (problem) => problems.push(problem.stack ?? problem.message),
      });
      writeFileSync(certificate, simulator.server.certificate.cert);
    });
    after(async () => {
      await client.close();
      await simulator.close();
      rmSync(folder, { recursive: true });
    });

    let databases = 0;
    for (const encryption of client.encryptions) {
      describe(`encryption: ${encryption}`, () => {
        for (const scenario of allScenarios(client, encryption)) {
          test(scenario.name, async () => {
            const database = `Play${++databases}`;
            simulator.engine.createDatabase(database);
            const { host, port } = simulator;
            const target = { host, port, user: "sa", password: PASSWORD, database, encryption, certificate };
            const played = await client.play(scenario, { ...target, ...scenario.login });
            compare(scenario, played, client);
            const problem = problems.splice(0).join("\n");
            if (problem) throw new Error(`the simulator had a problem: ${problem}`);
          });
        }
      });
    }
  });
}
