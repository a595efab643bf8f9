/** What a query becomes: columns, and rows on demand. */
import type { Row } from "../database.ts";
import type { Frame } from "../expressions/compiled.ts";
import type { SourceColumn } from "../expressions/scope.ts";
import type { Run } from "../run.ts";

export interface OrderColumn {
  column: number;
  descending: boolean;
}

export interface Plan {
  columns: SourceColumn[];
  /** How many blocks outwards it refers to; 0: to none, its rows are the same for the whole statement. */
  reach: number;
  /** Rows of the result; PAUSE among them where others should have their turn. */
  open(outer: Frame | null, run: Run): Iterable<Row>;
  /** Asks for an order of output columns; true if the rows will come in it without being sorted. Before the first `open`. */
  orderBy?(columns: OrderColumn[]): boolean;
}
