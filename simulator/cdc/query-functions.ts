/**
 * cdc.fn_cdc_get_all_changes_<instance> and cdc.fn_cdc_get_net_changes_<instance>.
 * https://learn.microsoft.com/sql/relational-databases/system-functions/cdc-fn-cdc-get-all-changes-capture-instance-transact-sql
 * https://learn.microsoft.com/sql/relational-databases/system-functions/cdc-fn-cdc-get-net-changes-capture-instance-transact-sql
 */
import { configuration } from "../catalog/databases.ts";
import { columnsOf } from "../catalog/define.ts";
import { lsnFromBuffer, type Row } from "../engine/database.ts";
import type { EngineContext } from "../engine/engine.ts";
import type { SystemTableFunction } from "../engine/registry.ts";
import { RowBlock, rowsOfPieces } from "../engine/row-block.ts";
import type { ResultColumn } from "../engine/session.ts";
import type { Database } from "../engine/storage.ts";
import type { Table } from "../engine/table.ts";
import { hashKeyOf } from "../engine/types/comparison.ts";
import type { Value } from "../engine/values.ts";
import { maySelectSource, passesGate } from "./access.ts";
import { CdcDatabase } from "./cdc-database.ts";
import { badRange, selectDenied } from "./errors.ts";
import { type CaptureInstance, findInstance } from "./instances.ts";
import { maximumLsn } from "./lsn-time-mapping.ts";
import { LEADING_COLUMNS } from "./metadata-tables.ts";

const PARAMETERS = [
  { id: "binary", length: 10 },
  { id: "binary", length: 10 },
  { id: "nvarchar", length: 30 },
] as const;

const SEQVAL = 2;
const OPERATION = 3;
const MASK = 4;

export function allChangesFunction(database: Database, name: string): SystemTableFunction<EngineContext> | undefined {
  const table = database.findTable("cdc", `${name}_CT`);
  if (!table) return undefined;
  function* changes(context: EngineContext, args: Value[]): Generator<Row | RowBlock> {
    const option = optionOf(args[2]!);
    const instance = check(context, name, "all", args, option === "all" || option === "all update old");
    const places = [0, SEQVAL, OPERATION, MASK, ...instance.columns.map((_, i) => LEADING_COLUMNS + i)];
    for (const piece of changesBetween(context, instance.changeTable, args)) {
      if (piece instanceof RowBlock) {
        const { patterns } = piece.series;
        const kept = option === "all" ? piece.pick((position) => patterns[position]![OPERATION] !== 3) : piece;
        yield kept.withColumns(places.map((at) => piece.columns[at]!));
      } else if (option !== "all" || piece[OPERATION] !== 3) yield places.map((at) => piece[at]!);
    }
  }
  return {
    schema: "cdc",
    name: `fn_cdc_get_all_changes_${name}`,
    parameters: [...PARAMETERS],
    columns: [
      ...columnsOf("__$start_lsn binary(10), __$seqval binary(10), __$operation int, __$update_mask varbinary(128)"),
      ...capturedResultColumns(table),
    ],
    rows: (context, args) => rowsOfPieces(changes(context, args)),
    blocks: (context, args) => (table.hasSeries ? changes(context, args) : null),
  };
}

/**
 * Masks, which "all with mask" asks for and updates alone have, are computed in the CLR: with "clr enabled" off they are NULL, as
 * message 22969 says when the table is enabled.
 */
export function netChangesFunction(database: Database, name: string): SystemTableFunction<EngineContext> | undefined {
  const table = database.findTable("cdc", `${name}_CT`);
  if (!table) return undefined;
  return {
    schema: "cdc",
    name: `fn_cdc_get_net_changes_${name}`,
    parameters: [...PARAMETERS],
    columns: [
      ...columnsOf("__$start_lsn binary(10), __$operation int, __$update_mask varbinary(128)"),
      ...capturedResultColumns(table),
    ],
    *rows(context, args) {
      const option = optionOf(args[2]!);
      const valid = option === "all" || option === "all with mask" || option === "all with merge";
      const instance = check(context, name, "net", args, valid);
      const masked = option === "all with mask" && configuration(context.engine, "clr enabled") !== 0;
      for (const { row, operation, mask } of netChanges(context, instance, args)) {
        const shown = option === "all with merge" && operation !== 1 ? 5 : operation;
        yield [row[0]!, shown, masked ? mask : null, ...captured(instance, row)];
      }
    },
  };
}

function capturedResultColumns(table: Table): ResultColumn[] {
  return table.columns
    .slice(LEADING_COLUMNS)
    .filter((column) => column.name !== "__$command_id")
    .map(({ name, type }) => ({ name, type, nullable: true }));
}

function captured(instance: CaptureInstance, row: Row): Value[] {
  return row.slice(LEADING_COLUMNS, LEADING_COLUMNS + instance.columns.length);
}

function optionOf(value: Value): string {
  return typeof value === "string" ? value.trim().toLowerCase() : "";
}

/**
 * Error 229 without access: on the function itself for those outside the gating role, on a placeholder that the function selects
 * from for those who may not SELECT all captured columns. 313 for what lies outside the validity interval, or an unknown option.
 */
function check(
  context: EngineContext,
  name: string,
  kind: "all" | "net",
  args: Value[],
  validOption: boolean,
): CaptureInstance {
  const { database, snapshot } = context;
  const { tables } = CdcDatabase.of(database);
  const instance = tables && findInstance(database, tables, snapshot, name);
  if (!tables || !instance) throw badRange(kind);
  const denied = (suffix: string) => selectDenied(`fn_cdc_get_${kind}_changes_${suffix}`, database.name, "cdc");
  if (!passesGate(context, instance)) throw denied(name);
  if (!maySelectSource(context, instance)) throw denied("...");
  const [from, to] = args;
  const maximum = maximumLsn(tables.lsnTimeMapping, snapshot);
  if (!validOption || !Buffer.isBuffer(from) || !Buffer.isBuffer(to)) throw badRange(kind);
  if (instance.startLsn === null || maximum === null) throw badRange(kind);
  if (lsnFromBuffer(from) < instance.startLsn || lsnFromBuffer(to) > maximum) throw badRange(kind);
  if (Buffer.compare(from, to) > 0) throw badRange(kind);
  return instance;
}

function changesBetween(context: EngineContext, table: Table, args: Value[]): Iterable<Row | RowBlock> {
  const range = {
    index: table.clusteredIndex!,
    from: { value: args[0]!, inclusive: true },
    to: { value: args[1]!, inclusive: true },
  };
  return table.pieces(context.snapshot, range);
}

interface NetChange {
  row: Row;
  operation: number;
  mask: Value;
}

/**
 * One row a key: its last change, and the operation that leads there from before the range. What was inserted and deleted within
 * the range is left out.
 */
function* netChanges(context: EngineContext, instance: CaptureInstance, args: Value[]): Generator<NetChange> {
  const table = instance.changeTable;
  const keyColumns = instance.keyColumns.map((column) => table.columnIndex(column));
  const keyHashes = keyColumns.map((at) => {
    const { type } = table.columns[at]!;
    return hashKeyOf(type, type.collation ?? context.database.collation);
  });
  const byKey = new Map<string, Row[]>();
  for (const row of rowsOfPieces(changesBetween(context, table, args))) {
    if (row[OPERATION] === 3) continue;
    const key = JSON.stringify(keyColumns.map((at, i) => (row[at] == null ? null : String(keyHashes[i]!(row[at])))));
    const list = byKey.get(key);
    if (list) list.push(row);
    else byKey.set(key, [row]);
  }
  for (const rows of byKey.values()) {
    const last = rows.at(-1)!;
    const operation = netOperation(rows[0]![OPERATION] as number, last[OPERATION] as number, rows.length);
    if (operation !== null) yield { row: last, operation, mask: operation === 4 ? union(rows) : null };
  }
}

function netOperation(first: number, last: number, count: number): number | null {
  if (count === 1) return last;
  if (first === 2) return last === 1 ? null : 2;
  return last === 1 ? 1 : 4;
}

function union(rows: Row[]): Buffer {
  const mask = Buffer.from(rows[0]![MASK] as Buffer);
  for (const row of rows) for (const [i, byte] of (row[MASK] as Buffer).entries()) mask[i]! |= byte;
  return mask;
}
