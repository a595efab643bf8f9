/**
 * The running of one statement: what system objects may ask of it (EngineContext), its variables, and what it computed once
 * for all its rows. An `Activation` is one batch, procedure call or EXEC of a text: the place where its variables live.
 */

import type { Cursor } from "./cursors/cursor.ts";
import type { Row } from "./database.ts";
import type { Engine, EngineContext } from "./engine.ts";
import { undeclared } from "./errors.ts";
import { SqlError } from "./session.ts";
import type { Database } from "./storage.ts";
import type { Snapshot, Table } from "./table.ts";
import type { Firing } from "./triggers/firing.ts";
import type { Session } from "./user-session.ts";
import type { SqlType, Value } from "./values.ts";

export interface Variable {
  type: SqlType;
  value: Value;
}

export class Activation {
  readonly variables = new Map<string, Variable>();
  readonly tableVariables = new Map<string, Table>();
  /** LOCAL cursors, and variables of type cursor; by lower-case name. */
  readonly cursors = new Map<string, Cursor>();
  readonly cursorVariables = new Map<string, Cursor | null>();
  /** Of a trigger: the change that fired it. */
  firing: Firing | null = null;
  /** Table-valued parameters, by lower-case name: they are not written to. */
  readonly readOnlyTables = new Set<string>();
  /** The DECLARE of each variable, by lower-case name. */
  readonly declaredBy = new Map<string, object>();
  /** Temporary tables made in a procedure go when it ends. */
  readonly temporaryTables: Table[] = [];
  /** SCOPE_IDENTITY() */
  identity: bigint | null = null;
  readonly procedure: string | undefined;
  readonly nesting: number;
  readonly parent: Activation | null;

  constructor(parent: Activation | null, procedure?: string) {
    this.parent = parent;
    this.procedure = procedure;
    this.nesting = parent ? parent.nesting + 1 : 0;
  }

  declare(name: string, type: SqlType, value: Value = null): void {
    const key = name.toLowerCase();
    if (this.variables.has(key))
      throw new SqlError(
        134,
        `The variable name '${name}' has already been declared. Variable names must be unique within a query batch or stored procedure.`,
        15,
        2,
      );
    this.variables.set(key, { type, value });
  }

  variable(name: string): Variable {
    const found = this.variables.get(name.toLowerCase());
    if (!found) throw undeclared(name);
    return found;
  }
}

/** Given in place of a row: the statement has run for a while, let others have their turn. */
export const PAUSE: Row = [];

const SLICE_MS = 10;

export class Run implements EngineContext {
  readonly engine: Engine;
  readonly session: Session;
  readonly database: Database;
  readonly activation: Activation;
  readonly snapshot: Snapshot;
  readonly signal: AbortSignal;
  /** What is computed once a statement: uncorrelated subqueries, rows of views, hash tables, by the object that asks. */
  readonly cache = new Map<object, unknown>();
  /** Counts the rows that the statement makes: a sequence gives one number for each. */
  row = 0;
  /** An INSTEAD OF trigger will run in place of the changes: constraints are not looked at. */
  insteadOf = false;
  readonly #time: Date;
  #sliceEnd = performance.now() + SLICE_MS;

  constructor(
    session: Session,
    activation: Activation,
    snapshot: Snapshot,
    signal: AbortSignal,
    database?: Database,
    time?: Date,
  ) {
    this.session = session;
    this.engine = session.engine;
    this.activation = activation;
    this.snapshot = snapshot;
    this.signal = signal;
    this.database = database ?? session.currentDatabase;
    this.#time = time ?? session.engine.now();
  }

  now(): Date {
    return this.#time;
  }

  /** The same run as an object of another database sees it. */
  in(database: Database): EngineContext {
    if (database === this.database) return this;
    return new Run(this.session, this.activation, this.snapshot, this.signal, database, this.#time);
  }

  /** Whether it is time to let others run. */
  due(): boolean {
    return performance.now() >= this.#sliceEnd;
  }

  /** Lets timers and sockets have their turn. */
  async breathe(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#sliceEnd = performance.now() + SLICE_MS;
  }
}
