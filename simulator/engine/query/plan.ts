/** What a query becomes: columns, and rows on demand. */
import type { Row } from "../database.ts";
import type { Frame } from "../expressions/compiled.ts";
import type { SourceColumn } from "../expressions/scope.ts";
import type { RowBlock } from "../row-block.ts";
import type { Run } from "../run.ts";
import type { Table } from "../table.ts";

export interface OrderColumn {
  column: number;
  descending: boolean;
}

/** A table whose stored rows a traced plan's rows come from. */
export interface Origin {
  table: Table;
  /** Where a row of the plan has the stored row's entry, behind its columns. */
  place: number;
  /** The table's column behind a column of the plan. */
  columns: Map<number, number>;
}

export interface Plan {
  columns: SourceColumn[];
  /** Of a plan that was asked to be traced, where its rows are stored rows: not aggregated, combined or made distinct. */
  origins?: Origin[];
  /** The columns by which ORDER BY sorts, from 1, where it sorts by columns of the result alone. */
  order?: readonly number[];
  /** The source of the FROM clause that each column is of: what FOR … AUTO nests by. */
  tables?: ({ slot: number; name: string } | undefined)[];
  /** How many blocks outwards it refers to; 0: to none, its rows are the same for the whole statement. */
  reach: number;
  /** Rows of the result; PAUSE among them where others should have their turn. */
  open(outer: Frame | null, run: Run): Iterable<Row>;
  /** The same rows, in blocks where it has them; null where it has none. */
  blocks?(outer: Frame | null, run: Run): Iterable<Row | RowBlock> | null;
  /** Asks for an order of output columns; true if the rows will come in it without being sorted. Before the first `open`. */
  orderBy?(columns: OrderColumn[]): boolean;
}
