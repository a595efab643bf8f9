/** One connection's session: its database, options, transaction and variables between requests, and how requests run. */
import type { Engine, ServerLogin } from "./engine.ts";
import type { Principal } from "./principals.ts";
import type { Login, ResultSink, RpcParameter, SqlSession } from "./session.ts";
import type { Database } from "./storage.ts";
import type { Isolation, Transaction } from "./transactions.ts";

export interface SessionOptions {
  nocount: boolean;
  xactAbort: boolean;
  implicitTransactions: boolean;
  /** Milliseconds; -1 for ever. */
  lockTimeout: number;
  deadlockPriority: number;
  rowCount: number;
  dateFirst: number;
  dateFormat: string;
  language: string;
  textSize: number;
  ansiNulls: boolean;
  ansiPadding: boolean;
  ansiWarnings: boolean;
  arithAbort: boolean;
  concatNullYieldsNull: boolean;
  quotedIdentifier: boolean;
  numericRoundAbort: boolean;
}

export class Session implements SqlSession {
  readonly engine: Engine;
  readonly spid: number;
  readonly login: ServerLogin;
  readonly application: string;
  readonly host: string;
  readonly clientInterface: string;
  readonly loginTime: Date;
  readonly options: SessionOptions;
  isolation: Isolation = "read committed";
  currentTransaction: Transaction | null = null;
  /** CONTEXT_INFO() */
  contextInfo: Buffer | null = null;
  /** SESSION_CONTEXT() */
  readonly sessionContext = new Map<string, unknown>();
  currentDatabase: Database;

  constructor(engine: Engine, spid: number, login: ServerLogin, database: Database, from?: Login) {
    this.engine = engine;
    this.spid = spid;
    this.login = login;
    this.currentDatabase = database;
    this.application = from?.application ?? "";
    this.host = from?.host ?? "";
    this.clientInterface = from?.clientInterface ?? "";
    this.loginTime = engine.now();
    this.options = defaultOptions();
  }

  /** Whether the login has a user in the database, or needs none. */
  static mayUse(database: Database, login: ServerLogin): boolean {
    return login.sysadmin || database.id <= 3 || database.principals.userOfLogin(login.name) !== undefined;
  }

  get database(): string {
    return this.currentDatabase.name;
  }

  get collation(): string {
    return this.currentDatabase.collation;
  }

  /** The user that the session is in a database: dbo for sysadmins. */
  principalIn(database: Database): Principal {
    const { principals } = database;
    if (this.login.sysadmin) return principals.find("dbo")!;
    return principals.userOfLogin(this.login.name) ?? principals.find("guest")!;
  }

  async batch(_text: string, _sink: ResultSink, _signal: AbortSignal): Promise<void> {
    throw new Error("not yet");
  }

  async rpc(
    _procedure: string | number,
    _parameters: RpcParameter[],
    _sink: ResultSink,
    _signal: AbortSignal,
  ): Promise<void> {
    throw new Error("not yet");
  }

  async transaction(): Promise<void> {}

  async reset(_keepTransaction: boolean): Promise<void> {}

  close(): void {
    this.engine.sessions.delete(this.spid);
  }
}

export function defaultOptions(): SessionOptions {
  return {
    nocount: false,
    xactAbort: false,
    implicitTransactions: false,
    lockTimeout: -1,
    deadlockPriority: 0,
    rowCount: 0,
    dateFirst: 7,
    dateFormat: "mdy",
    language: "us_english",
    textSize: 2_147_483_647,
    ansiNulls: true,
    ansiPadding: true,
    ansiWarnings: true,
    arithAbort: true,
    concatNullYieldsNull: true,
    quotedIdentifier: true,
    numericRoundAbort: false,
  };
}
