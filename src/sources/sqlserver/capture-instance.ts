/** What the catalogue knows of tables under change data capture. */
import type { Lsn } from "../../change/position.ts";
import type { TableName } from "../../ingester/checkpoint.ts";
import type { ColumnType } from "./column-type.ts";

export interface CapturedTable extends TableName {
  /** sys.tables.object_id; capture instances are known by it, since their names can collide. */
  readonly objectId: number;
  /** Empty where there is none. */
  readonly primaryKey: readonly string[];
  /** One or two, the older first. */
  readonly instances: readonly CaptureInstance[];
}

export interface CaptureInstance {
  readonly name: string;
  /** object_id of the change table. */
  readonly objectId: number;
  /** `[cdc].[dbo_Persons_CT]` */
  readonly changeTable: string;
  /** As of when the catalogue was read: the low watermark. Null until the capture job has processed the instance. */
  readonly startLsn: Lsn | null;
  readonly roleName: string | null;
  readonly columns: readonly CapturedColumn[];
  /** The names of the change table's clustered index, in order. */
  readonly clusteredKey: readonly string[];
  /** "none" on change tables of old servers; "nullable" where rows may lack it. */
  readonly commandId: "none" | "nullable" | "always";
}

export interface CapturedColumn extends ColumnType {
  readonly name: string;
  /** Bit `ordinal - 1` of the update mask. */
  readonly ordinal: number;
  readonly computed: boolean;
  /** Of char, varchar and text: 1252, 932, 65001 …; null of all others. */
  readonly codePage: number | null;
  /** Null: the source table no longer has the column. */
  readonly sourceNullable: boolean | null;
}
