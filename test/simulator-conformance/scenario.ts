/**
 * What every client is made to do, and what SQL Server answers to it.
 *
 * A scenario is data: each client has a small program that plays its steps through the client's own API and tells what it
 * saw as text, and one comparison (compare.ts) judges them all. What is expected was worked out by hand or taken from Microsoft's
 * documentation; it is never the simulator's own answer written down.
 */

export interface Scenario {
  name: string;
  /** What a client must be able to do to play it. */
  needs?: Ability[];
  /** Other than sa with its right password in the scenario's own database. */
  login?: { user?: string; password?: string; database?: string };
  /** The login is turned away with this error, and there are no steps. */
  refused?: ExpectedError;
  steps: Step[];
}

/**
 * - parameters: statements with typed parameters (sp_executesql or sp_prepexec)
 * - prepared: one statement prepared, executed often
 * - calls: procedures as RPC, with output parameters and a return status
 * - cancel: a statement that runs or waits, by ATTENTION
 * - cancel rows: between two rows of its result
 * - transactions: the client's own begin, commit and rollback
 * - messages: tells PRINT's and RAISERROR's messages below severity 11
 * - several errors: tells every error of a batch and the results between them
 * - bulk: bulk copy; "bulk options" with the options of INSERT BULK
 * - tables: table-valued parameters
 * - describe: the types of a statement's parameters, before it runs
 * - server cursors: results that scroll and can be changed, by cursors of the server
 */
export type Ability =
  | "parameters"
  | "prepared"
  | "calls"
  | "cancel"
  | "cancel rows"
  | "transactions"
  | "messages"
  | "several errors"
  | "bulk"
  | "bulk options"
  | "tables"
  | "describe"
  | "server cursors";

export type Step =
  | { do: "batch"; sql: string; parameters?: Parameter[]; expect?: Expected }
  | { do: "begin"; isolation?: "read committed" | "repeatable read" | "serializable" | "snapshot" }
  | { do: "commit" }
  | { do: "rollback" }
  /**
   * Starts it, and cancels it when its first row or message is there. A client that hears of neither while it waits asks again
   * and again until it ends: an early request for what has not begun is lost.
   */
  | { do: "cancel"; sql: string }
  | { do: "prepared"; sql: string; runs: { parameters: Parameter[]; expect: Expected }[] }
  | ({ do: "bulk"; table: string; options?: BulkOption[]; expect: Expected } & Rows)
  /** Of each parameter its type's name, precision and scale, as one set. */
  | { do: "describe"; sql: string; expect: Expected }
  /** After each move the row that it leads to, or [null] where there is none. Its `expect` has one set of them. */
  | { do: "scroll"; sql: string; cursor: "static" | "keyset" | "dynamic"; moves: Move[]; expect: Expected }
  | { do: "call"; procedure: string; arguments: Argument[]; expect: Expected };

/** In statements `@p1`, `@p2`, in this order and each once; clients with other marks put them in their place. */
export interface Parameter {
  name: string;
  /** "decimal(38,10)" */
  type: string;
  text: string | null;
  /** A table-valued one, whose type is "table" then. */
  table?: { name: string } & Rows;
}

/** Rows that a client sends; `type` as a parameter's. */
export interface Rows {
  columns: { name: string; type: string }[];
  rows: (string | null)[][];
}

/** "absolute 3", "relative -1"; "update name=x" and "insert 5,x" set the result's columns; "delete" leads to no row. */
export type Move = string;

export type BulkOption = "CHECK_CONSTRAINTS" | "KEEP_NULLS" | "TABLOCK";

/** Of a procedure; `name` is the procedure's own, without the @. */
export interface Argument extends Parameter {
  output?: boolean;
}

/** What is absent is not looked at; but an error that is not expected always fails. */
export interface Expected {
  sets?: ExpectedSet[];
  /** Of the last statement that changed rows. */
  affected?: number;
  error?: ExpectedError;
  /** More of them, for clients that tell several. */
  errors?: ExpectedError[];
  /** PRINT and RAISERROR below severity 11, in order. */
  messages?: string[];
  /** By name, typed as the argument. */
  outputs?: Record<string, string | null>;
  returned?: number;
}

export interface ExpectedSet {
  columns?: string[];
  /** Of each column; `int` and other exact texts where absent. */
  types?: string[];
  rows: Cell[][];
}

/** As formats.md writes values, but bit as 1 and 0, and binary as 0x00FF. A function judges what cannot be foretold. */
export type Cell = string | null | ((seen: string | null) => boolean);

export interface ExpectedError {
  number: number;
  state?: number;
  severity?: number;
  line?: number;
  message?: string | RegExp;
}

/** What a client's program tells of a step. */
export interface Seen {
  /** `columns` is null for a client that does not tell them. */
  sets: { columns: string[] | null; rows: (string | null)[][] }[];
  affected?: number | null;
  errors: SeenError[];
  messages?: string[];
  outputs?: Record<string, string | null>;
  returned?: number | null;
  /** Of a cancel step: that the client reported a cancellation and what came before it. */
  cancelled?: { rows: number };
}

export interface SeenError {
  /** null: an error of the client itself. */
  number: number | null;
  state?: number | null;
  severity?: number | null;
  line?: number | null;
  message: string;
}

/** What a client's program tells of a scenario. */
export interface Played {
  refused?: SeenError;
  steps: Seen[];
}
