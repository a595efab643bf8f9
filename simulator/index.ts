/**
 * A SQL Server for tests, demos and benchmarks: it speaks TDS, runs T-SQL and captures changes.
 *
 *     const simulator = await SqlServerSimulator.start({ databases: ["TestDB"], captureInterval: "immediate" });
 *     await simulator.query("EXEC sys.sp_cdc_enable_db", "TestDB");
 *     connect(simulator.connectionStringFor("TestDB"));
 *     await simulator.close();
 */
import { installCatalog } from "./catalog/install.ts";
import { type DatabaseSnapshot, restoreSnapshot, takeSnapshot } from "./catalog/restore.ts";
import type { CaptureInterval } from "./cdc/capture-job.ts";
import type { CommandIdColumn } from "./cdc/captured-row.ts";
import { CdcDatabase } from "./cdc/cdc-database.ts";
import { type Fill, type Filled, fillChangeTable } from "./cdc/fill.ts";
import { installCdc } from "./cdc/install.ts";
import { NightlyCleanup } from "./cdc/nightly-cleanup.ts";
import { Engine, type EngineOptions } from "./engine/engine.ts";
import { type ResultColumn, type ResultSink, type ServerMessage, SqlError } from "./engine/session.ts";
import type { Database } from "./engine/storage.ts";
import type { Session } from "./engine/user-session.ts";
import type { Value } from "./engine/values.ts";
import { Faults } from "./faults/faults.ts";
import { registerFaultProcedures } from "./faults/procedures.ts";
import type { FileJournal } from "./persistence/file-journal.ts";
import { openDataFile } from "./persistence/open.ts";
import { splitOnGo } from "./sql/go-splitter.ts";
import { TdsServer, type TdsServerOptions } from "./tds/server.ts";

export type { DatabaseSnapshot } from "./catalog/restore.ts";
export type { CaptureInterval } from "./cdc/capture-job.ts";
export type { CommandIdColumn } from "./cdc/captured-row.ts";
export type { Fill, Filled, FilledOperation } from "./cdc/fill.ts";
export type { ResultColumn, ServerMessage } from "./engine/session.ts";
export { SqlError } from "./engine/session.ts";
export type { SqlType, Value } from "./engine/values.ts";
export type { FailOver, Faults, LoginFault, StatementFault, StatementSeen } from "./faults/faults.ts";
export { SERVER_ERRORS, type ServerErrorNumber } from "./faults/server-errors.ts";
export type { NetworkFaults } from "./tds/faults.ts";

export interface SimulatorOptions {
  /** 0 by default: a free one. */
  port?: number;
  /** 127.0.0.1 by default. */
  host?: string;
  /** Of the login sa. "Simulator!1" by default. */
  password?: string;
  /** As the TDS server's: "off" by default, which encrypts when the client asks for it. */
  encryption?: TdsServerOptions["encryption"];
  /**
   * How often changes are captured, in milliseconds, or "immediate": a change is in its change table when its commit
   * returns. 5000 by default, as SQL Server's.
   */
  captureInterval?: CaptureInterval;
  /** Where clients with ApplicationIntent=ReadOnly are sent on to: to another simulator, for one. */
  readOnlyRouting?: TdsServerOptions["readOnlyRouting"];
  /** What time the server has. */
  clock?: () => Date;
  /** Makes what the server draws at random (NEWID, RAND, job ids) repeatable. */
  seed?: number;
  /** IANA or Windows name, or minutes east of UTC; UTC by default. */
  timeZone?: string | number;
  /** @@SERVERNAME */
  serverName?: string;
  /** ProductVersion, "16.0.4175.1" (SQL Server 2022) by default. */
  version?: string;
  /** Of the server and of databases made without one. */
  collation?: string;
  /** Databases to make at start. */
  databases?: string[];
  /**
   * Where the data is kept: a SQLite file, or a folder for one. A simulator that is started on it again, after a close or a kill at any
   * moment, goes on with every committed transaction. Data is in memory alone by default.
   */
  file?: string;
  /** Hears of connections that were closed because what came was not TDS, and of faults of the engine. */
  onProblem?: (problem: Error) => void;
}

/** What a query gave: its last result set; empty where it had none. */
export interface QueryResult {
  columns: ResultColumn[];
  rows: (readonly Value[])[];
  /** PRINT, RAISERROR below severity 11 and warnings. */
  messages: ServerMessage[];
}

/** The capture and cleanup of one database. */
export interface CdcControl {
  readonly running: boolean;
  /** Starts the capture job, as sp_cdc_start_job does. */
  start(): void;
  /** Stops it: changes pile up in the log. Before there is one: it will not start by itself. */
  stop(): void;
  /** One cycle of the capture job, running or not. Returns the number of transactions taken from the log. */
  run(): number;
  /**
   * Cleans up, by retention or up to an LSN. `raised` is awaited between raising the low watermark and deleting rows. Resolves
   * to the number of change rows deleted.
   */
  runCleanup(request?: { lowWatermark?: bigint; raised?: () => Promise<void> }): Promise<number>;
  /**
   * What __$command_id is in change tables made from now on: "current", "missing" as on servers of 2016 and before, or "null" as on
   * those after an upgrade.
   */
  commandId: CommandIdColumn;
}

const DEFAULT_PASSWORD = "Simulator!1";

export class SqlServerSimulator {
  readonly engine: Engine;
  readonly server: TdsServer;
  /** What goes wrong on demand. */
  readonly faults: Faults;
  /** When cleanup jobs run. Started where the clock is the machine's; with one of your own, start it, or run cleanups yourself. */
  readonly nightlyCleanup: NightlyCleanup;
  readonly host: string;
  readonly #password: string;
  readonly #databases: string[];
  readonly #journal: FileJournal | undefined;
  /** It began without data: there is no file, or it was empty. */
  readonly fresh: boolean;
  #port = 0;

  private constructor(options: SimulatorOptions) {
    this.host = options.host ?? "127.0.0.1";
    this.#password = options.password ?? DEFAULT_PASSWORD;
    this.#databases = options.databases ?? [];
    const engineOptions: EngineOptions = { logins: [{ user: "sa", password: this.#password }] };
    for (const key of ["clock", "seed", "timeZone", "serverName", "version", "collation"] as const)
      if (options[key] !== undefined) Object.assign(engineOptions, { [key]: options[key] });
    this.engine = new Engine(engineOptions);
    installCatalog(this.engine);
    installCdc(this.engine, options.captureInterval === undefined ? {} : { captureInterval: options.captureInterval });
    const tds: TdsServerOptions = { serverName: this.engine.serverName, serverVersion: this.engine.version };
    if (options.encryption !== undefined) tds.encryption = options.encryption;
    if (options.readOnlyRouting !== undefined) tds.readOnlyRouting = options.readOnlyRouting;
    if (options.onProblem !== undefined) tds.onProblem = options.onProblem;
    this.server = new TdsServer(this.engine, tds);
    this.faults = new Faults(this.engine, this.server);
    registerFaultProcedures(this.engine, this.faults);
    if (options.file !== undefined) this.#journal = openDataFile(this.engine, options.file);
    this.nightlyCleanup = new NightlyCleanup(this.engine);
    if (options.clock === undefined) this.nightlyCleanup.start();
    this.fresh = this.#journal?.fresh ?? true;
    for (const name of this.#databases) if (!this.engine.database(name)) this.engine.createDatabase(name);
    this.#keep();
  }

  /** What was changed here and not by a session. */
  #keep(): void {
    this.#journal?.definitionsChanged();
    this.#journal?.settle();
  }

  static async start(options: SimulatorOptions = {}): Promise<SqlServerSimulator> {
    const simulator = new SqlServerSimulator(options);
    try {
      const { port } = await simulator.server.listen(options.port ?? 0, simulator.host);
      simulator.#port = port;
    } catch (error) {
      await simulator.close();
      throw error;
    }
    return simulator;
  }

  get port(): number {
    return this.#port;
  }

  /** "127.0.0.1:50123" */
  get address(): string {
    return `${this.host}:${this.#port}`;
  }

  get password(): string {
    return this.#password;
  }

  /** For the first of the databases made at start, or master, without encryption. */
  get connectionString(): string {
    return this.connectionStringFor(this.#databases[0] ?? "master");
  }

  /** sqlserver://sa:…@127.0.0.1:50123?database=…; with `encrypt`, over TLS with the simulator's own certificate. */
  connectionStringFor(database: string, options: { encrypt?: boolean } = {}): string {
    const url = new URL(`sqlserver://${this.address}`);
    url.username = "sa";
    url.password = encodeURIComponent(this.#password);
    url.searchParams.set("database", database);
    url.searchParams.set("encrypt", String(options.encrypt === true));
    if (options.encrypt) url.searchParams.set("trustServerCertificate", "true");
    return url.href;
  }

  /** All that are not the server's own. */
  get userDatabases(): string[] {
    return [...this.engine.databases.values()].filter(({ id }) => id > 4).map(({ name }) => name);
  }

  /** Error if there is none of that name. */
  database(name: string): Database {
    const found = this.engine.database(name);
    if (!found) throw new Error(`the simulator has no database ${name}`);
    return found;
  }

  /** Runs a batch as sa without the wire. The first error that the batch raises is thrown as SqlError. */
  async query(sql: string, database: string = this.#databases[0] ?? "master"): Promise<QueryResult> {
    const session = this.engine.openSession(this.engine.logins.get("sa")!, this.database(database));
    try {
      return await run(session, sql);
    } finally {
      session.close();
    }
  }

  /**
   * Runs a script of batches between lines of GO, as sqlcmd does, in one session. It ends at the first error that is raised; its line
   * is the script's.
   */
  async runScript(script: string, database: string = this.#databases[0] ?? "master"): Promise<ServerMessage[]> {
    const session = this.engine.openSession(this.engine.logins.get("sa")!, this.database(database));
    const messages: ServerMessage[] = [];
    try {
      for (const { text, line, count } of splitOnGo(script))
        for (let i = 0; i < count; i++) messages.push(...(await run(session, text, line)).messages);
    } finally {
      session.close();
    }
    return messages;
  }

  cdc(database: string): CdcControl {
    const cdc = CdcDatabase.of(this.database(database));
    const keep = () => this.#keep();
    return {
      get running() {
        return cdc.capture.running;
      },
      start() {
        cdc.start();
        keep();
      },
      stop() {
        cdc.stop();
        keep();
      },
      run: () => cdc.run(),
      runCleanup: (request) => cdc.runCleanup(request),
      get commandId() {
        return cdc.commandId;
      },
      set commandId(column) {
        cdc.commandId = column;
        keep();
      },
    };
  }

  /**
   * Adds changes to a change table by the million, as if they had been captured, in a moment and in the memory of a few: for
   * benchmarks. Their values repeat the rows of `values`, a query that gives columns of the source table by their names; by
   * default those of the source table itself, up to 1000. What waits in the log is captured first. The source table stays.
   *
   *     await simulator.fillChangeTable("TestDB", "dbo_Persons", { changes: 5_000_000, changesPerTransaction: 100 });
   */
  async fillChangeTable(database: string, captureInstance: string, fill: Fill & { values?: string }): Promise<Filled> {
    const values = fill.values === undefined ? undefined : await this.query(fill.values, database);
    const filled = fillChangeTable(this.database(database), captureInstance, fill, values);
    this.#keep();
    return filled;
  }

  /** What is committed in a database now. */
  snapshot(database: string): DatabaseSnapshot {
    return takeSnapshot(this.database(database));
  }

  /**
   * Back to a snapshot, as RESTORE does: later commits are gone, their LSNs are given again to other changes, and
   * recovery_fork_guid is another. Sessions stay.
   */
  restore(snapshot: DatabaseSnapshot): void {
    restoreSnapshot(snapshot);
    this.#keep();
  }

  /** Ends all connections and jobs. */
  async close(): Promise<void> {
    for (const database of this.engine.databases.values()) CdcDatabase.of(database).capture.stop();
    this.nightlyCleanup.stop();
    await this.server.close();
    this.#journal?.close();
  }
}

/** A batch; `line` is where it stands in its script. */
async function run(session: Session, sql: string, line = 1): Promise<QueryResult> {
  const { sink, result, error } = collector();
  await session.batch(sql, sink, new AbortController().signal);
  const raised = error();
  if (!raised) return result;
  if (raised.procedure === undefined) raised.line += line - 1;
  throw raised;
}

/** Keeps what a batch sends. */
function collector(): { sink: ResultSink; result: QueryResult; error: () => SqlError | undefined } {
  const result: QueryResult = { columns: [], rows: [], messages: [] };
  let error: SqlError | undefined;
  const sink: ResultSink = {
    columns(columns) {
      result.columns = columns;
      result.rows = [];
    },
    row(values) {
      result.rows.push([...values]);
    },
    message(message) {
      if (message.severity <= 10) result.messages.push(message);
      else {
        error ??= new SqlError(message.number, message.message, message.severity, message.state, message.line);
        error.procedure ??= message.procedure;
      }
    },
    statementDone() {},
    environment() {},
    output() {},
    returnStatus() {},
  };
  return { sink, result, error: () => error };
}
