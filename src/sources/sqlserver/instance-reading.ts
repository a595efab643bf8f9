/** How the changes of one capture instance are asked for and encoded: compiled once, used for every batch. */
import type { ChangeQuery } from "./change-query.ts";
import type { RowDecoder } from "./row-decoder.ts";

export interface InstanceReading {
  readonly tableId: number;
  readonly query: ChangeQuery;
  /** The rows of operation 3 are read too. */
  readonly before: boolean;
  /** Of the server, where the query asks by it. */
  readonly zone: string | null;
  /** For one result. `clockOffset`: of the server's clock, in minutes. */
  decoder(clockOffset: number): RowDecoder;
}
