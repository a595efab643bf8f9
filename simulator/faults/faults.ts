/**
 * What goes wrong on demand: `simulator.faults` in code, EXEC simulator.… in T-SQL (procedures.ts). Faults stay until they have
 * struck as often as was asked, or `heal` takes them all away.
 *
 *     simulator.faults.failStatements({ error: 1205, after: 2 });        // the third statement from now on
 *     simulator.faults.failStatements({ error: 40197, when: ({ text }) => text.includes("cdc_offsets") });
 *     simulator.faults.failLogins({ error: 40613, times: 3 });
 *     simulator.faults.network({ dropAfter: 20_000 });
 *     simulator.faults.failOver({ milliseconds: 500 });
 *     await simulator.faults.heal();
 */
import { newId } from "../cdc/cdc-database.ts";
import type { Engine } from "../engine/engine.ts";
import { type Login, SqlError } from "../engine/session.ts";
import type { Session } from "../engine/user-session.ts";
import type { NetworkFaults } from "../tds/faults.ts";
import type { TdsServer } from "../tds/server.ts";
import { type ErrorPlace, type ServerErrorNumber, serverError } from "./server-errors.ts";

/** A statement that is about to run. */
export interface StatementSeen {
  spid: number;
  login: string;
  database: string;
  application: string;
  /** "query", "insert", "update", "delete", "merge", "execute", "commit", "create_table" … */
  kind: string;
  /** Of the whole batch, or of sp_executesql's and sp_prepare's statement, or the name of a procedure that is called. */
  text: string;
}

interface Fault<Seen> {
  /** One of SERVER_ERRORS, with its own text and severity, or any error. */
  error: ServerErrorNumber | SqlError;
  /** Only what this says yes to is counted and hit; everything by default. */
  when?: (seen: Seen) => boolean;
  /** How many to let pass first; 0 by default. */
  after?: number;
  /** How many to hit then; 1 by default. */
  times?: number;
}

export interface StatementFault extends Fault<StatementSeen> {
  /** The connection ends after the error; as the error itself does by default. */
  closes?: boolean;
}
export type LoginFault = Fault<Login>;

export interface FailOver {
  /** How long the server lets nobody in; until `heal` by default. */
  milliseconds?: number;
  /** What logins are told meanwhile; 40613 by default. */
  error?: ServerErrorNumber | SqlError;
}

/** Statements that only steer others, or set the session up, are not counted. */
const UNCOUNTED = new Set(
  "if while block try break continue goto label return declare declare_table set_variable set_option set_isolation use".split(
    " ",
  ),
);
/** What takes faults away is never hit by one. */
const OWN = /\bsimulator\s*\.\s*\w/i;

export class Faults {
  readonly #engine: Engine;
  readonly #server: TdsServer;
  #statements: Planned<StatementSeen>[] = [];
  #logins: Planned<Login>[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(engine: Engine, server: TdsServer) {
    this.#engine = engine;
    this.#server = server;
    engine.beforeStatement = (session, kind) => this.#statement(session, kind);
    engine.beforeLogin = (login) => this.#login(login);
  }

  /** Statements of all sessions are counted together, in the order in which they begin. */
  failStatements(fault: StatementFault): void {
    this.#statements.push(new Planned(fault, fault.closes));
  }

  /** Logins fail; the connection ends, as SQL Server ends it. */
  failLogins(fault: LoginFault): void {
    this.#logins.push(new Planned(fault, true));
  }

  /**
   * The network of all connections, open and new, or of one session's. Replaces what was set before; byte counts begin anew. After
   * `milliseconds`, if given, the network is well again.
   */
  network(faults: NetworkFaults, options: { spid?: number; milliseconds?: number } = {}): void {
    const { spid, milliseconds } = options;
    if (spid === undefined) this.#server.setFaults(faults);
    for (const connection of this.#server.connections)
      if (spid === undefined || connection.spid === spid) connection.setFaults(faults);
    if (milliseconds !== undefined)
      this.#later(milliseconds, () => this.network({}, spid === undefined ? {} : { spid }));
  }

  /** Nobody listens on the port any more; open connections stay. */
  refuseConnections(): Promise<void> {
    return this.#server.refuse(true);
  }

  acceptConnections(): Promise<void> {
    return this.#server.refuse(false);
  }

  /** As KILL does; false where there is no such session. */
  kill(spid: number): boolean {
    const session = this.#engine.sessions.get(spid);
    session?.kill();
    return session !== undefined;
  }

  /** All connections are gone at once, without a word; `but` that session's. */
  dropConnections(but?: number): void {
    for (const connection of this.#server.connections)
      if (but === undefined || connection.spid !== but) connection.reset();
  }

  /** All connections are dropped, open transactions are undone, and for a while logins fail. `but`: the session that stays. */
  failOver({ milliseconds, error = 40613 }: FailOver = {}, but?: number): void {
    const unavailable = new Planned<Login>({ error, times: Number.POSITIVE_INFINITY }, true);
    this.#logins.push(unavailable);
    this.dropConnections(but);
    if (milliseconds !== undefined)
      this.#later(milliseconds, () => {
        this.#logins = this.#logins.filter((planned) => planned !== unavailable);
      });
  }

  /** Everything works again. */
  async heal(): Promise<void> {
    this.#statements = [];
    this.#logins = [];
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.network({});
    await this.acceptConnections();
  }

  #later(milliseconds: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, milliseconds);
    timer.unref();
    this.#timers.add(timer);
  }

  #statement(session: Session, kind: string): void {
    if (this.#statements.length === 0 || UNCOUNTED.has(kind)) return;
    const { spid, login, database, application, requestText } = session;
    if (kind === "execute" && OWN.test(requestText)) return;
    const seen: StatementSeen = { spid, login: login.name, database, application, kind, text: requestText };
    const error = this.#strike(this.#statements, seen, { spid, database });
    this.#statements = this.#statements.filter((planned) => !planned.over);
    if (error) throw error;
  }

  #login(login: Login): void {
    const error = this.#strike(this.#logins, login, { spid: 0, database: login.database || "master" });
    this.#logins = this.#logins.filter((planned) => !planned.over);
    if (error) throw error;
  }

  #strike<Seen>(plans: Planned<Seen>[], seen: Seen, at: { spid: number; database: string }): SqlError | undefined {
    let struck: Planned<Seen> | undefined;
    for (const planned of plans) if (planned.counts(seen)) struck ??= planned;
    if (!struck) return undefined;
    const { serverName: server } = this.#engine;
    return struck.raise({ ...at, server, tracingId: newId(this.#engine) });
  }
}

/** A fault and how often it has been passed and has struck. */
class Planned<Seen> {
  readonly #fault: Fault<Seen>;
  readonly #closes: boolean | undefined;
  #pass: number;
  #left: number;

  constructor(fault: Fault<Seen>, closes: boolean | undefined) {
    this.#fault = fault;
    this.#closes = closes;
    this.#pass = fault.after ?? 0;
    this.#left = fault.times ?? 1;
  }

  get over(): boolean {
    return this.#left <= 0;
  }

  /** Counts it, and says whether it is to be hit. */
  counts(seen: Seen): boolean {
    if (this.over || this.#fault.when?.(seen) === false) return false;
    if (this.#pass > 0) {
      this.#pass--;
      return false;
    }
    this.#left--;
    return true;
  }

  raise(place: ErrorPlace): SqlError {
    const { error } = this.#fault;
    // Made anew: an error remembers where it was raised.
    const raised =
      error instanceof SqlError
        ? new SqlError(error.number, error.message, error.severity, error.state)
        : serverError(error, place);
    raised.closes = this.#closes ?? (error instanceof SqlError ? error.closes : raised.closes);
    return raised;
  }
}
