/**
 * What capture makes of DDL on a source table: an entry in cdc.ddl_history for each of its instances, and, where a captured
 * column's type changed, the same change of the change table. New columns are ignored, dropped ones stay and turn NULL.
 * https://learn.microsoft.com/sql/relational-databases/system-tables/cdc-capture-instance-ct-transact-sql ("Data Definition
 * Language Modifications")
 */
import { type Column, type LoggedTransaction, lsnToBuffer } from "../engine/database.ts";
import { SqlError } from "../engine/session.ts";
import type { Database } from "../engine/storage.ts";
import type { SystemTransaction } from "../engine/transactions.ts";
import { isText } from "../engine/types/comparison.ts";
import { convertValue, textWidth } from "../engine/types/conversion.ts";
import type { Value } from "../engine/values.ts";
import { capturedType } from "./captured-row.ts";
import type { CaptureInstance, CdcTables } from "./instances.ts";
import type { Layouts } from "./layouts.ts";
import { LEADING_COLUMNS } from "./metadata-tables.ts";
import { toDatetime } from "./server-time.ts";

export interface DdlInput {
  database: Database;
  tables: CdcTables;
  layouts: Layouts;
  system: SystemTransaction;
  instances: CaptureInstance[];
  ddl: LoggedTransaction["ddl"][number];
}

/** The number of instances that the change was noted for. */
export function applyDdl({ database, tables, layouts, system, instances, ddl }: DdlInput): number {
  const source = database.tables.get(ddl.objectId);
  if (!source) return 0;
  const before = layouts.before(source, ddl.lsn);
  const after = layouts.at(source, ddl.lsn);
  let noted = 0;
  for (const instance of instances) {
    if (instance.sourceObjectId !== ddl.objectId) continue;
    const changed = changedTypes(instance, before, after);
    for (const [ordinal, column] of changed) retype(system, tables, instance, ordinal, column);
    system.insert(tables.ddlHistory, [
      instance.sourceObjectId,
      instance.objectId,
      changed.size > 0,
      ddl.command,
      lsnToBuffer(ddl.lsn),
      toDatetime(database.engine, ddl.time),
    ]);
    noted++;
  }
  return noted;
}

/** By ordinal, the captured columns that have another type now. */
function changedTypes(
  instance: CaptureInstance,
  before: readonly Column[],
  after: readonly Column[],
): Map<number, Column> {
  const changed = new Map<number, Column>();
  for (const [i, { columnId }] of instance.columns.entries()) {
    const was = before.find((column) => column.columnId === columnId);
    const is = after.find((column) => column.columnId === columnId);
    if (was && is && JSON.stringify(was.type) !== JSON.stringify(is.type)) changed.set(i + 1, is);
  }
  return changed;
}

/** Error 2628 or 8115 where a value in the change table does not fit: the scan fails, and sys.dm_cdc_errors says so. */
function retype(
  system: SystemTransaction,
  tables: CdcTables,
  instance: CaptureInstance,
  ordinal: number,
  source: Column,
): void {
  const at = LEADING_COLUMNS + ordinal - 1;
  const { changeTable } = instance;
  const { collation, name: database } = changeTable.database;
  const from = changeTable.columns[at]!;
  const to = { ...from, type: capturedType(source.type) };
  const convert = (value: Value): Value => convertValue(value, from.type, to.type, { collation, implicit: true });
  const room = to.type.length ?? -1;
  for (const row of changeTable.rows(system.snapshot)) {
    const value = row[at]!;
    convert(value);
    const text = typeof value === "string" && isText(to.type) && room >= 0;
    if (
      text
        ? textWidth(value.trimEnd(), to.type, collation) > room
        : Buffer.isBuffer(value) && room >= 0 && value.length > room
    )
      throw new SqlError(
        2628,
        `String or binary data would be truncated in table '${database}.${changeTable.qualifiedName}', column '${from.name}'. Truncated value: '${text ? (value as string).slice(0, room) : ""}'.`,
        16,
        1,
      );
  }
  changeTable.columns = changeTable.columns.map((column, i) => (i === at ? to : column));
  changeTable.rebuild((row) => row.map((value, i) => (i === at ? convert(value) : value)));
  for (const { entry, row } of tables.capturedColumns.entries(system.snapshot)) {
    if (row[0] !== instance.objectId || row[4] !== ordinal) continue;
    const retyped = [...row];
    retyped[3] = source.declaredType ?? source.type.id;
    system.update(tables.capturedColumns, entry, retyped);
  }
}
