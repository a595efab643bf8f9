/**
 * A configuration as the program uses it: checked, defaults filled in, names canonical, paths absolute, durations in
 * milliseconds, sizes in bytes. docs/configuration.md says what each setting means.
 */
import type { TableName } from "../ingester/checkpoint.ts";
import type { LogLevel } from "../telemetry/logger.ts";
import type { BrokerEndpoint, Endpoint } from "../transports/settings.ts";
import { matches, type TablePattern } from "./tables.ts";
import type { LockType } from "./types.ts";
import type { Start } from "./units.ts";

export interface Config {
  /** Absolute path of the configuration file. */
  file: string;
  /** Its folder, from which relative paths start. */
  dir: string;
  ingester: IngesterConfig;
  router: RouterConfig;
  deadLetters: { path: string };
  log: { level: LogLevel; format: "auto" | "pretty" | "json" };
}

export interface IngesterConfig extends TableSettings {
  dbType: "sqlserver";
  /** A secret. */
  connectionString: string;
  tables: TablePattern[];
  overrides: TableOverride[];
  queue: QueueConfig;
  locks: LocksConfig;
  checkpoints:
    | { type: "sqlserver"; table: string }
    | { type: "file"; path: string }
    /** In the Kafka of the ingest queue. */
    | { type: "kafka"; topic: string; endpoint: BrokerEndpoint<"kafka"> };
  values: "native" | "string";
  bigints: "number" | "string";
  decimals: "string" | "number";
  binary: "base64" | "hex";
  onOversize: "stop" | "dead_letter";
  ordering: "table" | "key";
  /** Template with {server}, {database}, {schema}, {table}; undefined: the rule of the documentation. */
  destination: string | undefined;
  maxConcurrentTables: number;
  maxBatchRows: number;
  maxBatchBytes: number;
  maxInFlightBytes: number;
}

/** What may differ from table to table. */
export interface TableSettings {
  pollIntervalMs: number;
  maxPollIntervalMs: number;
  start: Start;
  onGap: "fail" | "skip";
  before: boolean;
}

export interface TableOverride extends Partial<TableSettings> {
  table: TablePattern;
  columnsInclude?: string[] | undefined;
  columnsExclude?: string[] | undefined;
  columnsMask?: string[] | undefined;
}

export interface QueueConfig {
  endpoint: Endpoint;
  name: string;
  messages: "row" | "batch";
}

export type LocksConfig =
  | { type: "embedded"; path: string }
  | { type: "none" }
  | { type: "azure_blob"; connectionString: string; containerName: string }
  /** Without a connection string: the source database itself. */
  | { type: "sqlserver"; connectionString: string | undefined }
  | { type: Exclude<LockType, "embedded" | "none" | "azure_blob" | "sqlserver">; connectionString: string };

export interface RouterConfig {
  source: { endpoint: Endpoint; name: string };
  output: Endpoint;
  onPoison: "stop" | "dead_letter";
}

export interface EffectiveTableSettings extends TableSettings {
  columnsInclude: string[] | undefined;
  columnsExclude: string[] | undefined;
  columnsMask: string[] | undefined;
}

/** The settings of one table: the defaults, then every override that names it, patterns before its exact name. */
export function tableSettings(ingester: IngesterConfig, table: TableName): EffectiveTableSettings {
  const { pollIntervalMs, maxPollIntervalMs, start, onGap, before } = ingester;
  const settings: EffectiveTableSettings = {
    pollIntervalMs,
    maxPollIntervalMs,
    start,
    onGap,
    before,
    columnsInclude: undefined,
    columnsExclude: undefined,
    columnsMask: undefined,
  };
  const applying = ingester.overrides.filter((override) => matches(override.table, table));
  applying.sort((a, b) => Number(b.table.pattern) - Number(a.table.pattern));
  for (const { table: _, ...values } of applying) {
    const given = Object.entries(values).filter(([, value]) => value !== undefined);
    Object.assign(settings, Object.fromEntries(given));
  }
  return settings;
}
