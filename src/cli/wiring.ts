/** Makes the parts that a configuration names. What a command opens here, it closes by disposing of the stack. */
import { createHash } from "node:crypto";
import { destinationName, serverIdentity } from "../change/formats/destination.ts";
import { type Config, type IngesterConfig, tableSettings } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { DeadLetterStore } from "../dead-letters/store.ts";
import type { CheckpointStore, TableName } from "../ingester/checkpoint.ts";
import { systemClock } from "../ingester/clock.ts";
import { Ingester } from "../ingester/ingester.ts";
import { Outage } from "../ingester/outage.ts";
import type { LockStore } from "../locks/lock.ts";
import { openLockStore } from "../locks/registry.ts";
import { Router } from "../router/router.ts";
import { parseConnectionString, type SqlServerTarget } from "../sources/sqlserver/connection-string.ts";
import type { SqlServerSource } from "../sources/sqlserver/source.ts";
import { createLogger, LOG_LEVELS, type Logger, type LogLevel } from "../telemetry/logger.ts";
import { SUBSCRIPTION } from "../transports/entities.ts";
import { openTransport } from "../transports/registry.ts";
import type { Endpoint } from "../transports/settings.ts";
import type { Entity, Transport } from "../transports/transport.ts";
import { UsageError } from "./usage-error.ts";

export interface CommonOptions {
  config: string;
  logLevel?: string;
}

export async function configure(options: CommonOptions): Promise<{ config: Config; logger: Logger }> {
  checkLogLevel(options);
  const config = await loadConfig(options.config, process.env);
  return { config, logger: loggerFor(options, config.log) };
}

/** The flag goes before the configuration. */
export function loggerFor(options: { logLevel?: string }, { level, format }: Config["log"]): Logger {
  checkLogLevel(options);
  return createLogger((options.logLevel as LogLevel | undefined) ?? level, format);
}

function checkLogLevel({ logLevel: level }: { logLevel?: string }): void {
  if (level !== undefined && !(LOG_LEVELS as readonly string[]).includes(level))
    throw new UsageError(`--log-level ${level}: use one of ${LOG_LEVELS.join(", ")}.`);
}

export function targetOf(config: Config): SqlServerTarget {
  return parseConnectionString(config.ingester.connectionString);
}

/** `start` replaces the configuration's, for commands that look for one position. */
export async function openSource(
  { ingester }: Config,
  logger: Logger,
  stack: AsyncDisposableStack,
  { start, format = "row" }: { start?: IngesterConfig["start"]; format?: "row" | "envelope" } = {},
): Promise<SqlServerSource> {
  const { SqlServerSource } = await import("../sources/sqlserver/source.ts");
  const { values, bigints, decimals, binary } = ingester;
  const source = new SqlServerSource({
    target: parseConnectionString(ingester.connectionString),
    tables: ingester.tables,
    ingestQueue: ingester.queue.name,
    destination: ingester.destination,
    ordering: ingester.ordering,
    values: { values, bigints, decimals, binary },
    format,
    tableOptions: (table) => ({ ...tableSettings(ingester, table), ...(start && { start }) }),
    maxConcurrentTables: ingester.maxConcurrentTables,
    logger,
  });
  stack.defer(() => source.close());
  return source;
}

export async function openCheckpoints(config: Config, stack: AsyncDisposableStack): Promise<CheckpointStore> {
  const { ingester } = config;
  const { checkpoints } = ingester;
  let store: CheckpointStore;
  if (checkpoints.type === "file") {
    const { FileCheckpointStore } = await import("../sources/sqlserver/file-checkpoint-store.ts");
    store = new FileCheckpointStore(checkpoints.path);
  } else if (checkpoints.type === "kafka") {
    const { KafkaCheckpointStore } = await import("../transports/kafka/checkpoints/store.ts");
    const { hosts, database } = targetOf(config);
    const queue = queueEntity(ingester.queue.name);
    const scope = `${serverIdentity(hosts[0]!.server)}/${database}`;
    store = new KafkaCheckpointStore({ ...checkpoints, queue, scope });
  } else {
    const { SqlServerCheckpointStore } = await import("../sources/sqlserver/checkpoint-store.ts");
    store = new SqlServerCheckpointStore(parseConnectionString(ingester.connectionString), checkpoints.table);
  }
  stack.defer(() => store.close());
  return store;
}

export async function openLocks(config: Config, logger: Logger, stack: AsyncDisposableStack): Promise<LockStore> {
  const { locks: settings } = config.ingester;
  const locks =
    settings.type === "sqlserver"
      ? await sqlServerLocks(config, settings.connectionString, logger)
      : await openLockStore(settings, logger);
  stack.defer(() => locks.close());
  return locks;
}

async function sqlServerLocks(
  config: Config,
  connectionString: string | undefined,
  logger: Logger,
): Promise<LockStore> {
  const { SqlServerLockStore } = await import("../sources/sqlserver/lock-store.ts");
  const target = connectionString === undefined ? targetOf(config) : parseConnectionString(connectionString);
  return new SqlServerLockStore({ target, logger });
}

export async function openEndpoint(
  endpoint: Endpoint,
  logger: Logger,
  stack: AsyncDisposableStack,
): Promise<Transport> {
  const transport = await openTransport(endpoint, logger);
  stack.defer(() => transport.close());
  return transport;
}

export function queueEntity(name: string): Entity {
  return { kind: "queue", name };
}

export function topicEntity(name: string): Entity {
  return { kind: "topic", name, subscription: SUBSCRIPTION };
}

export function openDeadLetterStore(config: Config): DeadLetterStore {
  return new DeadLetterStore(config.deadLetters.path);
}

/** The topics of the tables that the configuration names outright; those of patterns are made when a message first names them. */
export function knownDestinations(config: Config): string[] {
  const { hosts, database } = targetOf(config);
  const named = config.ingester.tables.filter((table) => !table.pattern);
  return named.map(({ schema, table }) =>
    destinationName({ host: hosts[0]!.server, database, schema, table }, config.ingester.destination),
  );
}

/** What commands that run on have and the others lack: until the signal aborts, they wait for what cannot be opened yet. */
export interface Patience {
  logger: Logger;
  signal: AbortSignal;
}

/** `what` as in "waiting for <what>", said once. Rejects with what waiting does not heal, or when the signal aborts. */
async function patiently<T>(what: string, { logger, signal }: Patience, open: () => Promise<T>): Promise<T> {
  return await new Outage(what, { logger, clock: systemClock, random: Math.random }).ride(open, signal);
}

export async function makeIngester(config: Config, patience: Patience, stack: AsyncDisposableStack): Promise<Ingester> {
  const { ingester, router } = config;
  const { logger } = patience;
  const locks = await patiently("the lock store", patience, () => openLocks(config, logger, stack));
  const queue = await patiently("the ingest queue", patience, () =>
    openEndpoint(ingester.queue.endpoint, logger, stack),
  );
  const output = await patiently("the output", patience, () => openEndpoint(router.output, logger, stack));
  return new Ingester({
    ...(await ingesterParts(config, logger, stack)),
    locks,
    transport: queue,
    destinations: { transport: output, entity: (table) => topicEntity(table.destination) },
  });
}

/** Changes go to a provider's standard output. */
export async function makeProviderIngester(
  config: Config,
  transport: Transport,
  format: "envelopes" | "rows",
  patience: Patience,
  stack: AsyncDisposableStack,
): Promise<Ingester> {
  const { logger } = patience;
  const locks = await patiently("the lock store", patience, () => openLocks(config, logger, stack));
  const parts = await ingesterParts(config, logger, stack, format === "rows" ? "row" : "envelope");
  return new Ingester({ ...parts, locks, transport });
}

/** What does not depend on where the changes go. */
async function ingesterParts(
  config: Config,
  logger: Logger,
  stack: AsyncDisposableStack,
  format: "row" | "envelope" = "row",
) {
  const { ingester } = config;
  return {
    source: await openSource(config, logger, stack, { format }),
    checkpoints: await openCheckpoints(config, stack),
    queue: queueEntity(ingester.queue.name),
    settings: {
      table: (table: TableName) => tableSettings(ingester, table),
      group: groupOf(ingester),
      timings: {
        sharingMs: Math.max(ingester.pollIntervalMs, SHORTEST_SHARING_MS),
        discoveryMs: ingester.tables.some(({ pattern }) => pattern) ? DISCOVERY_MS : null,
      },
      messages: ingester.queue.messages,
      onOversize: ingester.onOversize,
      maxConcurrentTables: ingester.maxConcurrentTables,
      maxBatchRows: ingester.maxBatchRows,
      maxBatchBytes: ingester.maxBatchBytes,
      maxInFlightBytes: ingester.maxInFlightBytes,
    },
    deadLetters: openDeadLetterStore(config),
    logger,
  };
}

/** However often tables are polled, the lock store is not asked more often than this who is there. */
const SHORTEST_SHARING_MS = 250;

/** One look at the catalogue; a table that CDC is switched on for is read from its first change on all the same. */
const DISCOVERY_MS = 30_000;

/** The same for every ingester with the same tables in its configuration, in whatever order they stand there. */
function groupOf({ tables }: IngesterConfig): string {
  const names = tables.map(({ schema, table, pattern }) => JSON.stringify([schema, table, pattern]).toLowerCase());
  return createHash("sha256").update(names.sort().join()).digest("hex").slice(0, 8);
}

export async function makeRouter(config: Config, patience: Patience, stack: AsyncDisposableStack): Promise<Router> {
  const { source, output, onPoison } = config.router;
  const { logger } = patience;
  return new Router({
    source: await patiently("the ingest queue", patience, () => openEndpoint(source.endpoint, logger, stack)),
    sourceEntity: queueEntity(source.name),
    output: await patiently("the output", patience, () => openEndpoint(output, logger, stack)),
    destinations: knownDestinations(config),
    onPoison,
    maxInFlightBytes: config.ingester.maxInFlightBytes,
    logger,
  });
}
