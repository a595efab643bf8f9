/**
 * The line between the wire and the engine. The TDS server makes one `SqlSession` a connection and gives each request a
 * `ResultSink`; it knows nothing of SQL. The engine knows nothing of packets.
 */
import type { RowBlock } from "./row-block.ts";
import type { SqlType, Value } from "./values.ts";

export interface ResultColumn {
  name: string;
  type: SqlType;
  nullable: boolean;
  identity?: boolean;
  computed?: boolean;
}

/** The tables behind a result set, and of each column: its table (counted from 1, 0 for none) and its name there, if another. */
export interface BrowseInfo {
  tables: string[][];
  columns: { table: number; expression?: boolean; key?: boolean; hidden?: boolean; name?: string }[];
}

/** An ERROR (severity over 10) or INFO (up to 10) token. */
export interface ServerMessage {
  number: number;
  state: number;
  severity: number;
  message: string;
  procedure?: string;
  line: number;
  /** The connection ends when the response has been sent. */
  closes?: boolean;
  /** It does not wait for what comes after it: RAISERROR … WITH NOWAIT. */
  atOnce?: boolean;
}

export type EnvironmentChange =
  | { kind: "database" | "language"; from: string; to: string }
  | { kind: "begin_transaction"; descriptor: bigint }
  | { kind: "commit_transaction" | "rollback_transaction"; descriptor: bigint };

/**
 * Where a request's results go, in order. Methods that return a promise ask for it to be awaited before the next call:
 * the client reads slowly (backpressure). After the abort signal of the request nothing more need be written; the
 * server ends the response itself.
 */
export interface ResultSink {
  /**
   * Begins a result set. `order`: the columns by which it is sorted, from 1; `browse`: where its columns come from, which only
   * cursors tell.
   */
  columns(columns: ResultColumn[], browse?: BrowseInfo, order?: readonly number[]): void;
  /** A row of the current result set, one value a column. */
  row(values: readonly Value[]): void | Promise<void>;
  /** Many rows in one piece; whoever has it not gets them one by one. */
  block?(block: RowBlock): void | Promise<void>;
  /**
   * A statement has ended. `rowCount` is absent where SQL Server sends none (SET, DECLARE, NOCOUNT). `select` says that it
   * ended a result set. `command` names what changed rows, since JDBC takes update counts by it (absent: an UPDATE).
   * Inside an RPC it becomes DONEINPROC.
   */
  statementDone(done: {
    rowCount?: number;
    select?: boolean;
    command?: "insert" | "update" | "delete" | "merge";
    error?: boolean;
  }): void;
  message(message: ServerMessage): void;
  environment(change: EnvironmentChange): void;
  /** An output parameter of an RPC, after the results. */
  output(name: string, type: SqlType, value: Value): void;
  /** A procedure's return status. */
  returnStatus(status: number): void;
}

export interface RpcParameter {
  /** With its @, or "" for a positional one. */
  name: string;
  type: SqlType;
  value: Value;
  output: boolean;
  /** The client asked for the parameter's default. */
  default?: boolean;
  /** A table-valued parameter: `type` and `value` say nothing then. */
  table?: TableValue;
}

export interface TableValue {
  /** As the client named the type: either may be "". */
  schema: string;
  name: string;
  /** `default`: the rows have no value for it. No columns: a NULL table. */
  columns: { type: SqlType; default: boolean }[];
  /** One value for each column that is not left to its default. */
  rows: Value[][];
}

/** The rows that a client sends behind an INSERT BULK. */
export interface BulkLoad {
  /** In the order of the values, which is that of INSERT BULK's own columns. */
  columns: { name: string; type: SqlType }[];
  /** Can be gone through once. */
  rows: Iterable<Value[]>;
}

export interface Login {
  user: string;
  password: string;
  /** "" for the login's default. */
  database: string;
  application: string;
  host: string;
  clientInterface: string;
  language: string;
  readOnlyIntent: boolean;
  /** All of the connection is, not the login alone. */
  encrypted?: boolean;
  /** The login is to have this one from now on. */
  newPassword?: string;
}

export interface SqlEngine {
  /** Error 18456 on a wrong password, 4060 on a database that cannot be opened: thrown as SqlError. */
  login(login: Login): Promise<SqlSession>;
}

export interface SqlSession {
  /** The session id, @@SPID. */
  readonly spid: number;
  readonly database: string;
  /** e.g. "SQL_Latin1_General_CP1_CI_AS": for the ENVCHANGE of the login answer. */
  readonly collation: string;
  /** "us_english": for the ENVCHANGE of the login answer. */
  readonly language: string;
  /**
   * Runs a batch's text. Server errors go to the sink; the promise rejects only on a fault of the engine itself. An aborted
   * `signal` (ATTENTION, disconnect) ends it as SQL Server does: the running statement is undone, the transaction stays.
   */
  batch(text: string, sink: ResultSink, signal: AbortSignal): Promise<void>;
  /** A procedure by name, or by the well-known number of MS-TDS 2.2.6.6 (10 = sp_executesql, 11 sp_prepare, 12 sp_execute, 13 sp_prepexec, 15 sp_unprepare …). */
  rpc(procedure: string | number, parameters: RpcParameter[], sink: ResultSink, signal: AbortSignal): Promise<void>;
  /** What the INSERT BULK before it announced: MS-TDS 2.2.6.1. */
  bulkLoad(load: BulkLoad, sink: ResultSink, signal: AbortSignal): Promise<void>;
  /** The transaction manager's requests. Isolation: MS-TDS 2.2.6.9, 0 leaves it as it is. */
  transaction(
    request:
      | { kind: "begin"; name: string; isolation: number }
      | { kind: "commit"; name: string; begin?: { name: string; isolation: number } }
      | { kind: "rollback"; name: string; begin?: { name: string; isolation: number } }
      | { kind: "save"; name: string },
    sink: ResultSink,
  ): Promise<void>;
  /** sp_reset_connection (RESETCONNECTION bit). `keepTransaction` for RESETCONNECTIONSKIPTRAN. */
  reset(keepTransaction: boolean): Promise<void>;
  /** The connection is gone: rolls back, releases locks. */
  close(): void;
  /** Set by the server: called when the session is killed, and its connection is to end. */
  onKill?: (() => void) | undefined;
}

/**
 * From this severity on an error ends the connection:
 * https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-error-severities
 */
export const FATAL_SEVERITY = 20;

/** A server error: goes to the client as an ERROR token. */
export class SqlError extends Error {
  readonly number: number;
  readonly severity: number;
  readonly state: number;
  line: number;
  procedure: string | undefined;
  /** The connection ends with it, as it does with every error of severity 20 and more. */
  closes = false;
  /** Arose while a statement ran, though its number is one of those that compiling gives. */
  atRunTime = false;
  constructor(number: number, message: string, severity = 16, state = 1, line = 1) {
    super(message);
    this.name = "SqlError";
    this.number = number;
    this.severity = severity;
    this.state = state;
    this.line = line;
  }
}

export function messageOf(error: SqlError): ServerMessage {
  const { number, state, severity, message, line, procedure } = error;
  const closes = error.closes || severity >= FATAL_SEVERITY;
  return {
    number,
    state,
    severity,
    message,
    line,
    ...(procedure === undefined ? {} : { procedure }),
    ...(closes ? { closes } : {}),
  };
}
