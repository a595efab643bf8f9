/** An engine that does what a test says: one script a statement text or procedure, nothing of SQL. */
import {
  type Login,
  type ResultColumn,
  type ResultSink,
  type RpcParameter,
  type SqlEngine,
  SqlError,
  type SqlSession,
} from "../../../simulator/engine/session.ts";
import type { SqlType, Value } from "../../../simulator/engine/values.ts";

export type Script = (sink: ResultSink, signal: AbortSignal, parameters: RpcParameter[]) => void | Promise<void>;

export class ScriptedEngine implements SqlEngine {
  readonly scripts = new Map<string | number, Script>();
  readonly logins: Login[] = [];
  readonly sessions: ScriptedSession[] = [];
  database = "TestDB";
  collation = "SQL_Latin1_General_CP1_CI_AS";

  /** What a batch of this text, or a call of this procedure (by name or number), answers. */
  on(request: string | number, script: Script): this {
    this.scripts.set(request, script);
    return this;
  }

  async login(login: Login): Promise<SqlSession> {
    this.logins.push(login);
    if (login.password !== "Secret-€1") throw new SqlError(18456, `Login failed for user '${login.user}'.`, 14, 1);
    if (login.database === "Missing") {
      throw new SqlError(4060, `Cannot open database "Missing" requested by the login. The login failed.`, 11, 1);
    }
    const session = new ScriptedSession(this, 50 + this.sessions.length);
    this.sessions.push(session);
    return session;
  }
}

export class ScriptedSession implements SqlSession {
  readonly spid: number;
  readonly #engine: ScriptedEngine;
  database: string;
  /** What was asked of it, in order. */
  readonly log: string[] = [];
  #closed: (() => void)[] = [];
  isClosed = false;
  #transactions = 0n;
  #open: bigint | null = null;

  constructor(engine: ScriptedEngine, spid: number) {
    this.#engine = engine;
    this.spid = spid;
    this.database = engine.database;
  }

  get collation(): string {
    return this.#engine.collation;
  }

  get language(): string {
    return "us_english";
  }

  async batch(text: string, sink: ResultSink, signal: AbortSignal): Promise<void> {
    // What tedious sets up after a login and a reset.
    if (text.startsWith("set ansi_nulls on\n")) {
      sink.statementDone({});
      return;
    }
    this.log.push(`batch ${text}`);
    await this.#run(text, sink, signal, []);
  }

  async rpc(
    procedure: string | number,
    parameters: RpcParameter[],
    sink: ResultSink,
    signal: AbortSignal,
  ): Promise<void> {
    this.log.push(`rpc ${procedure}`);
    await this.#run(procedure, sink, signal, parameters);
  }

  async #run(
    request: string | number,
    sink: ResultSink,
    signal: AbortSignal,
    parameters: RpcParameter[],
  ): Promise<void> {
    const script = this.#engine.scripts.get(request);
    if (!script) throw new SqlError(2812, `Could not find stored procedure '${request}'.`, 16, 62);
    await script(sink, signal, parameters);
  }

  async bulkLoad(): Promise<void> {
    this.log.push("bulk load");
  }

  async transaction(request: Parameters<SqlSession["transaction"]>[0], sink: ResultSink): Promise<void> {
    this.log.push(`${request.kind} ${request.name}${request.kind === "begin" ? ` ${request.isolation}` : ""}`);
    if (request.kind === "save") return;
    if (request.kind !== "begin") {
      const kind = request.kind === "commit" ? "commit_transaction" : "rollback_transaction";
      sink.environment({ kind, descriptor: this.#open ?? 0n });
      this.#open = null;
    }
    if (request.kind === "begin" || request.begin) {
      this.#open = 0x0102030405060000n + ++this.#transactions;
      sink.environment({ kind: "begin_transaction", descriptor: this.#open });
    }
  }

  async reset(keepTransaction: boolean): Promise<void> {
    this.log.push(keepTransaction ? "reset, transaction kept" : "reset");
    this.database = this.#engine.database;
  }

  close(): void {
    this.isClosed = true;
    for (const resolve of this.#closed.splice(0)) resolve();
  }

  /** Resolves once the server has closed the session. */
  closed(): Promise<void> {
    return this.isClosed ? Promise.resolve() : new Promise((resolve) => this.#closed.push(resolve));
  }
}

export function column(name: string, type: SqlType, nullable = true): ResultColumn {
  return { name, type, nullable };
}

/** A script of one result set. */
export function select(columns: ResultColumn[], rows: Value[][]): Script {
  return async (sink) => {
    sink.columns(columns);
    for (const row of rows) await sink.row(row);
    sink.statementDone({ rowCount: rows.length, select: true });
  };
}
