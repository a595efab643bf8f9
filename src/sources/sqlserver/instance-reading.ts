/** How the changes of one capture instance are asked for and encoded: compiled once, used for every batch. */
import type { RowLabels } from "../../change/encoded-run.ts";
import type { ChangeQuery } from "./change-query.ts";
import type { CompiledRows } from "./rows/compiled-rows.ts";

export interface InstanceReading {
  readonly tableId: number;
  readonly query: ChangeQuery;
  readonly rows: CompiledRows;
  readonly labels: RowLabels;
  /** The rows of operation 3 are read too. */
  readonly before: boolean;
  /** Of the server, where the query asks by it. */
  readonly zone: string | null;
}
