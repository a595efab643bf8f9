/** From settings to the configuration: environment variables and embedded defaults put in, endpoints checked, paths absolute. */
import { dirname, resolve } from "node:path";
import { ConnectionStringError, parseConnectionString } from "../sources/sqlserver/connection-string.ts";
import type { LogLevel } from "../telemetry/logger.ts";
import { type BrokerEndpoint, type BrokerType, brokerSettings, type Endpoint } from "../transports/settings.ts";
import type { Config, IngesterConfig, LocksConfig, TableOverride } from "./config.ts";
import type { Environment, Note } from "./hcl/document.ts";
import { type FileSettings, logLevels } from "./schema.ts";
import type { Path, Settings } from "./settings.ts";
import {
  type Built,
  type LockType,
  lockTypes,
  type TransportRole,
  type TransportType,
  transportTypes,
} from "./types.ts";

const LIST = new Intl.ListFormat("en-GB");

export interface Surroundings {
  /** Path of the configuration file. */
  file: string;
  env: Environment;
  built: Built;
}

/** The configuration, if nothing was noted here or before. */
export function resolveConfig(
  settings: Settings,
  { file, env, built }: Surroundings,
  note: Note,
  hasProblems: () => boolean,
): Config | undefined {
  const dir = dirname(resolve(file));
  const { ingester, router } = settings.values;
  const endpoints = new Endpoints(settings, dir, env, built, note);
  const locks = ingester === undefined ? undefined : endpoints.locks(["ingester", "locks"], locksOf(settings));
  if (locks?.type === "azure_blob") endpoints.blobs = locks.connectionString;
  const queuePath = ["ingester", "queue"];
  const queueEndpoint = endpoints.transport("queue", queuePath, ingester?.queue, "DSTREAM_INGEST_CONNECTION_STRING");
  const connectionString = endpoints.database();
  const checkpoints = endpoints.checkpoints(queueEndpoint);

  const { source } = router ?? {};
  const sourceEndpoint =
    source === undefined
      ? queueEndpoint
      : endpoints.source(["router", "source"], source, ingester?.queue?.type, queueEndpoint);
  const output = endpoints.transport(
    "output",
    ["router", "output"],
    router?.output,
    "DSTREAM_PUBLISHER_CONNECTION_STRING",
  );
  const level = endpoints.logLevel();
  if (hasProblems()) return undefined;

  // Nothing was noted, so nothing is missing.
  const all = settings.values as FileSettings;
  const { ingester: from } = all;
  return {
    file: resolve(file),
    dir,
    ingester: {
      dbType: from.db_type,
      connectionString: connectionString!,
      tables: from.tables,
      overrides: from.tables_overrides.overrides.map(tableOverride),
      pollIntervalMs: from.poll_interval_defaults.poll_interval,
      maxPollIntervalMs: from.poll_interval_defaults.max_poll_interval,
      queue: { endpoint: queueEndpoint!, name: from.queue.name, messages: from.queue.messages },
      locks: locks!,
      checkpoints: checkpoints!,
      start: from.start,
      onGap: from.on_gap,
      before: from.before,
      onOversize: from.on_oversize,
      ordering: from.ordering,
      destination: from.destination,
      values: from.values,
      bigints: from.bigints,
      decimals: from.decimals,
      binary: from.binary,
      maxConcurrentTables: from.max_concurrent_tables,
      maxBatchRows: from.max_batch_rows,
      maxBatchBytes: from.max_batch_bytes,
      maxInFlightBytes: from.max_in_flight_bytes,
    },
    router: {
      source: { endpoint: sourceEndpoint!, name: all.router.source?.name ?? from.queue.name },
      output: output!,
      onPoison: all.router.on_poison,
    },
    deadLetters: { path: resolve(dir, all.dead_letters.path ?? ".dstream/dead-letters") },
    log: { level, format: all.log.format },
  };
}

/** The file's level, or else the environment's. */
export function logLevelOf(
  given: LogLevel | undefined,
  env: Environment,
  note: (message: string, suggestion: string) => void,
): LogLevel {
  const variable = env["DSTREAM_LOG_LEVEL"];
  if (given !== undefined || variable === undefined || variable === "") return given ?? "info";
  const level = logLevels.find((known) => known === variable.toLowerCase());
  if (level === undefined) note("DSTREAM_LOG_LEVEL is no log level", `Levels are ${logLevels.join(", ")}.`);
  return level ?? "info";
}

/** A type that is left out follows the queue: several machines need locks that all of them see. */
function locksOf({ values, given }: Settings): (EndpointSettings & { type?: string | undefined }) | undefined {
  const { locks, queue, checkpoints } = values.ingester ?? {};
  // It is noted as wrong already.
  if (locks?.type !== undefined || given(["ingester", "locks", "type"])) return locks;
  // A database whose checkpoints are kept elsewhere may not be written to.
  const oneMachine = queue?.type === "embedded" || checkpoints?.type === "file";
  return { ...locks, type: oneMachine ? "embedded" : "sqlserver" };
}

function tableOverride(from: FileSettings["ingester"]["tables_overrides"]["overrides"][number]): TableOverride {
  return {
    table: from.table_name,
    ...(from.poll_interval === undefined ? {} : { pollIntervalMs: from.poll_interval }),
    ...(from.max_poll_interval === undefined ? {} : { maxPollIntervalMs: from.max_poll_interval }),
    ...(from.start === undefined ? {} : { start: from.start }),
    ...(from.on_gap === undefined ? {} : { onGap: from.on_gap }),
    ...(from.before === undefined ? {} : { before: from.before }),
    ...(from.columns_include === undefined ? {} : { columnsInclude: from.columns_include }),
    ...(from.columns_exclude === undefined ? {} : { columnsExclude: from.columns_exclude }),
    ...(from.columns_mask === undefined ? {} : { columnsMask: from.columns_mask }),
  };
}

interface EndpointSettings {
  type?: string | undefined;
  connection_string?: string | undefined;
  path?: string | undefined;
  table?: string | undefined;
  container_name?: string | undefined;
  topic?: string | undefined;
}

/** What a queue, source or output may hold besides: a block for each messaging system. */
type BrokerBlocks = { [T in BrokerType]?: object | undefined };

class Endpoints {
  private readonly settings: Settings;
  private readonly dir: string;
  private readonly env: Environment;
  private readonly built: Built;
  private readonly note: Note;
  /** A storage account, for what says none of its own. */
  blobs: string | undefined;

  constructor(settings: Settings, dir: string, env: Environment, built: Built, note: Note) {
    this.settings = settings;
    this.dir = dir;
    this.env = env;
    this.built = built;
    this.note = note;
  }

  transport(
    role: TransportRole,
    path: Path,
    from: (EndpointSettings & BrokerBlocks) | undefined,
    variable: string,
  ): Endpoint | undefined {
    const type = from?.type as TransportType | undefined;
    if (type === undefined || !this.usable(role, path, type)) return undefined;
    this.allowBlocks(path, type, from);
    if (type === "embedded") {
      this.allow(path, type, from, ["path"]);
      return { type, path: resolve(this.dir, from?.path ?? ".dstream/queue.db") };
    }
    if (type === "console") {
      this.allow(path, type, from, []);
      return { type };
    }
    this.allow(path, type, from, ["connection_string"]);
    const connectionString = this.connectionString(path, from, variable);
    if (connectionString === undefined) return undefined;
    const settings = from?.[type] ?? brokerSettings[type].parse({});
    const endpoint = { type, connectionString, settings } as BrokerEndpoint;
    return endpoint.type === "eventhubs" ? this.withBlobs(role, path, endpoint) : endpoint;
  }

  /** Event Hubs' readers keep in Blob Storage what Event Hubs does not keep; what is sent to needs none. */
  private withBlobs(
    role: TransportRole,
    path: Path,
    endpoint: BrokerEndpoint<"eventhubs">,
  ): BrokerEndpoint<"eventhubs"> | undefined {
    const variable = "DSTREAM_BLOB_CONNECTION_STRING";
    const own = endpoint.settings.blob_connection_string ?? (this.env[variable]?.trim() || this.blobs);
    const given = this.settings.given([...path, "eventhubs", "blob_connection_string"]);
    if (own === undefined && role !== "output" && !given) {
      const what = "blob_connection_string is missing: Event Hubs itself does not keep how far it was read";
      this.note(this.settings.place([...path, "eventhubs"]), what, `Give it in eventhubs { … }, or set ${variable}.`);
      return undefined;
    }
    return {
      ...endpoint,
      settings: { ...endpoint.settings, ...(own !== undefined && { blob_connection_string: own }) },
    };
  }

  /** Where a source block is silent, it means the ingest queue, if that is of the same type. */
  source(
    path: Path,
    from: EndpointSettings & BrokerBlocks,
    queueType: TransportType | undefined,
    queue: Endpoint | undefined,
  ): Endpoint | undefined {
    if (this.settings.given([...path, "type"]) && from.type === undefined) return undefined;
    const variable = "DSTREAM_PUBLISHER_CONNECTION_STRING";
    const type = (from.type as TransportType | undefined) ?? queueType;
    if (queue === undefined || queue.type !== type) return this.transport("source", path, { ...from, type }, variable);
    const inherited: EndpointSettings & BrokerBlocks = {};
    if (queue.type === "embedded") inherited.path = queue.path;
    if ("connectionString" in queue) {
      inherited[queue.type] = queue.settings;
      if (!this.env[variable]?.trim()) inherited.connection_string = queue.connectionString;
    }
    const own = Object.fromEntries(Object.entries(from).filter(([, value]) => value !== undefined));
    return this.transport("source", path, { ...inherited, ...own, type }, variable);
  }

  locks(path: Path, from: EndpointSettings | undefined): LocksConfig | undefined {
    const type = from?.type as LockType | undefined;
    if (type === undefined || !this.usable("locks", path, type)) return undefined;
    switch (type) {
      case "embedded":
        this.allow(path, type, from, ["path"]);
        return { type, path: resolve(this.dir, from?.path ?? ".dstream/locks.db") };
      case "none":
        this.allow(path, type, from, []);
        return { type };
      case "sqlserver":
        this.allow(path, type, from, ["connection_string"]);
        return { type, connectionString: from?.connection_string };
    }
    this.allow(
      path,
      type,
      from,
      type === "azure_blob" ? ["connection_string", "container_name"] : ["connection_string"],
    );
    const variable = type === "azure_blob" ? "DSTREAM_BLOB_CONNECTION_STRING" : undefined;
    const connectionString = this.connectionString(path, from, variable);
    if (connectionString === undefined) return undefined;
    if (type === "azure_blob") return { type, connectionString, containerName: from?.container_name ?? "locks" };
    return { type, connectionString };
  }

  checkpoints(queue: Endpoint | undefined): IngesterConfig["checkpoints"] | undefined {
    const { checkpoints: from, queue: queueSettings } = this.settings.values.ingester ?? {};
    const type = from?.type;
    if (type === undefined) return undefined;
    const path = ["ingester", "checkpoints"];
    this.allow(path, type, from, [{ file: "path", sqlserver: "table", kafka: "topic" }[type]]);
    if (type === "file") return { type, path: resolve(this.dir, from?.path ?? ".dstream/checkpoints.json") };
    if (type === "sqlserver") return { type, table: from?.table ?? "cdc_offsets" };
    if (queue === undefined) return undefined;
    if (queue.type === "kafka")
      return { type, topic: from?.topic ?? `${queueSettings?.name}.checkpoints`, endpoint: queue };
    this.note(
      this.settings.place([...path, "type"]),
      `checkpoints are kept in the ingest queue's Kafka, and the queue is of type "${queue.type}"`,
      'Set queue { type = "kafka" }, or keep checkpoints elsewhere: "sqlserver" or "file".',
    );
    return undefined;
  }

  database(): string | undefined {
    if (this.settings.values.ingester === undefined) return undefined;
    const path = ["ingester"];
    const variable = "DSTREAM_DB_CONNECTION_STRING";
    const text = this.connectionString(path, this.settings.values.ingester, variable, "db_connection_string");
    if (text === undefined) return undefined;
    try {
      parseConnectionString(text);
    } catch (error) {
      if (!(error instanceof ConnectionStringError)) throw error;
      const given = this.settings.given([...path, "db_connection_string"]);
      const at = this.settings.place([...path, "db_connection_string"]);
      const [what, advice] = [given ? "db_connection_string" : variable, error.advice];
      for (const problem of error.problems) this.note(at, `${what}: ${problem}`, advice);
    }
    return text;
  }

  logLevel(): LogLevel {
    const { level } = this.settings.values.log ?? {};
    if (this.settings.given(["log", "level"])) return level ?? "info";
    return logLevelOf(level, this.env, (message, advice) => this.note(this.settings.place(["log"]), message, advice));
  }

  private connectionString(
    path: Path,
    from: { connection_string?: string | undefined; db_connection_string?: string | undefined } | undefined,
    variable: string | undefined,
    key: "connection_string" | "db_connection_string" = "connection_string",
  ): string | undefined {
    const given = from?.[key];
    if (given !== undefined || this.settings.given([...path, key])) return given;
    const fallback = variable === undefined ? undefined : this.env[variable];
    if (fallback !== undefined && fallback.trim() !== "") return fallback;
    const advice = variable === undefined ? undefined : `Give it, or set ${variable}.`;
    this.note(this.settings.place(path), `${key} is missing in ${path.at(-1)}`, advice);
    return undefined;
  }

  private usable(role: TransportRole | "locks", path: Path, type: TransportType | LockType): boolean {
    if (this.built(role, type)) return true;
    const at = this.settings.place([...path, "type"]);
    const what = this.settings.secret([...path, "type"]) ? "this type" : `type "${type}"`;
    const known = role === "locks" || transportTypes[type as TransportType].roles.includes(role);
    const types = role === "locks" ? Object.keys(lockTypes) : Object.keys(transportTypes);
    const ready = types.filter((name) => this.built(role, name as TransportType | LockType)).map((name) => `"${name}"`);
    this.note(
      at,
      known ? `${what} is not built yet` : `${what} cannot be a ${role}`,
      ready.length === 1 ? `Only ${ready[0]} is built.` : `Built are ${LIST.format(ready)}.`,
    );
    return false;
  }

  private allowBlocks(path: Path, type: string, from: BrokerBlocks | undefined): void {
    for (const name of Object.keys(brokerSettings) as BrokerType[]) {
      if (name === type || from?.[name] === undefined) continue;
      this.note(
        this.settings.place([...path, name]),
        `block ${name} has no meaning for type "${type}"`,
        "Leave it out.",
      );
    }
  }

  /** Settings that go with another type were meant to have an effect, and have none. */
  private allow(path: Path, type: string, from: EndpointSettings | undefined, keys: readonly string[]): void {
    for (const key of ["connection_string", "path", "table", "container_name", "topic"] as const) {
      if (from?.[key] === undefined || keys.includes(key) || !this.settings.given([...path, key])) continue;
      this.note(this.settings.place([...path, key]), `${key} has no meaning for type "${type}"`, "Leave it out.");
    }
  }
}
