/** What a configuration says about tables, as the source needs it. */
import type { Start } from "../../config/units.ts";

export interface TableOptions {
  start: Start;
  /** Updates carry the old row. */
  before: boolean;
  /** Captured columns to send; all where undefined. */
  columnsInclude?: readonly string[] | undefined;
  columnsExclude?: readonly string[] | undefined;
  /** Columns whose values are not to be seen. */
  columnsMask?: readonly string[] | undefined;
}

export const defaultTableOptions: TableOptions = { start: { at: "low_watermark" }, before: false };
