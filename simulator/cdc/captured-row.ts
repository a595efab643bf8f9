/**
 * The rows of a change table for one change: which captured columns hold their value, and which are NULL.
 *
 * - Computed columns: always NULL. text, ntext, image: NULL in deletes and in the values before an update.
 * - varchar(max), nvarchar(max), varbinary(max), xml: NULL in the values before an update that left them alone.
 * - A column that the source table no longer has: NULL. timestamp: its eight bytes.
 * - An update that changed none of the captured columns leaves no row.
 * https://learn.microsoft.com/sql/relational-databases/system-tables/cdc-capture-instance-ct-transact-sql ("Large Object Data
 * Types", "Data Definition Language Modifications"); that xml behaves as the max types do is read from the product's own
 * replication of it, where it is stored the same way.
 */
import { type Column, lsnToBuffer, type Row } from "../engine/database.ts";
import type { SqlType, Value } from "../engine/values.ts";
import type { ChangeStep } from "./change-steps.ts";
import { fullMask, identical, updateMask } from "./update-mask.ts";

/** What __$command_id is in a change table: "missing" and "null" as upgraded old servers have it. */
export type CommandIdColumn = "current" | "missing" | "null";

export interface CapturedColumn {
  name: string;
  /** Of the source table. */
  columnId: number;
  computed: boolean;
}

export interface CaptureShape {
  columns: CapturedColumn[];
  commandId: CommandIdColumn;
}

const OLD_LARGE = new Set(["text", "ntext", "image"]);

function isLarge(type: SqlType): boolean {
  return type.length === -1 || type.id === "xml";
}

/** The change table's type of a source column. */
export function capturedType(type: SqlType): SqlType {
  return type.id === "timestamp" ? { id: "binary", length: 8 } : type;
}

/** None, one or two rows for the change table. `layout`: the source table's columns when the change was logged. */
export function changeRows(
  shape: CaptureShape,
  layout: readonly Column[],
  step: ChangeStep,
  commitLsn: bigint,
  commandId: number,
): Row[] {
  const sources = shape.columns.map((column) => layout.findIndex((source) => source.columnId === column.columnId));
  const row = (operation: number, mask: Buffer, values: Value[]): Row => {
    const head: Row = [lsnToBuffer(commitLsn), null, lsnToBuffer(step.lsn), operation, mask, ...values];
    if (shape.commandId !== "missing") head.push(shape.commandId === "null" ? null : commandId);
    return head;
  };
  const values = (source: Row, omit: (type: SqlType, ordinal: number) => boolean): Value[] =>
    shape.columns.map((column, i) => {
      const at = sources[i]!;
      if (at < 0 || column.computed || omit(layout[at]!.type, i + 1)) return null;
      return source[at] ?? null;
    });
  const count = shape.columns.length;
  if (step.kind === "insert")
    return [
      row(
        2,
        fullMask(count),
        values(step.after!, () => false),
      ),
    ];
  if (step.kind === "delete")
    return [
      row(
        1,
        fullMask(count),
        values(step.before!, (type) => OLD_LARGE.has(type.id)),
      ),
    ];
  const changed = new Set<number>();
  for (let i = 0; i < count; i++) {
    const at = sources[i]!;
    if (at >= 0 && !shape.columns[i]!.computed && !identical(step.before![at] ?? null, step.after![at] ?? null))
      changed.add(i + 1);
  }
  if (changed.size === 0) return [];
  const mask = updateMask(changed, count);
  const before = values(
    step.before!,
    (type, ordinal) => OLD_LARGE.has(type.id) || (isLarge(type) && !changed.has(ordinal)),
  );
  return [
    row(3, mask, before),
    row(
      4,
      mask,
      values(step.after!, () => false),
    ),
  ];
}
