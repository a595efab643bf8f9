/**
 * How system objects come into the engine: views (sys.tables, cdc.change_tables where it is computed), procedures
 * (sys.sp_cdc_enable_db), scalar functions (sys.fn_cdc_get_max_lsn) and table functions. The catalogue and CDC register
 * theirs; the engine looks them up by name, case-insensitively. `Context` is what they may use of the engine (engine.ts).
 */
import type { RowBlock } from "./row-block.ts";
import type { ResultColumn, ResultSink } from "./session.ts";
import type { SqlType, Value } from "./values.ts";

export interface SystemView<Context> {
  schema: string;
  name: string;
  columns: ResultColumn[];
  /** Rows as of now. Called once a statement and reference. */
  rows(context: Context): Iterable<Value[]>;
}

export interface SystemParameter {
  /** With its @. */
  name: string;
  type: SqlType;
  /** Absent: required (error 201 where it is missing). */
  default?: Value;
  output?: boolean;
}

export interface SystemProcedure<Context> {
  schema: string;
  name: string;
  parameters: SystemParameter[];
  /**
   * `args` by parameter name (lower case, with @), converted to their types; a changed value of an output parameter is put
   * back there. Errors are thrown as SqlError. Resolves to the return status.
   */
  run(context: Context, args: Map<string, Value>, sink: ResultSink, signal: AbortSignal): number | Promise<number>;
}

export interface SystemFunction<Context> {
  /** undefined: callable without schema (DB_NAME). */
  schema?: string;
  name: string;
  parameters: SqlType[];
  /** Missing trailing arguments are allowed from this many on; absent: all are required. */
  minimum?: number;
  returns: SqlType;
  call(context: Context, args: Value[]): Value;
}

export interface SystemTableFunction<Context> {
  schema: string;
  name: string;
  parameters: SqlType[];
  columns: ResultColumn[];
  rows(context: Context, args: Value[]): Iterable<Value[]>;
  /** The same rows, in blocks where it has them; null where it has none. */
  blocks?(context: Context, args: Value[]): Iterable<Value[] | RowBlock> | null;
}
