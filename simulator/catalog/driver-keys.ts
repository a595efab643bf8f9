/** sp_fkeys and sp_special_columns: how tables refer to each other, and what tells their rows apart. */
import type { Index } from "../engine/database.ts";
import type { EngineContext } from "../engine/engine.ts";
import type { Table } from "../engine/table.ts";
import type { Value } from "../engine/values.ts";
import { foreignKey } from "./constraints.ts";
import type { RowObject } from "./define.ts";
import { namedTable, same } from "./driver-names.ts";
import { typeFacets } from "./driver-types.ts";
import { typeName } from "./system-types.ts";

type Args = Map<string, Value>;

export const FOREIGN_KEYS = `PKTABLE_QUALIFIER sysname, PKTABLE_OWNER sysname, PKTABLE_NAME sysname, PKCOLUMN_NAME sysname,
  FKTABLE_QUALIFIER sysname, FKTABLE_OWNER sysname, FKTABLE_NAME sysname, FKCOLUMN_NAME sysname, KEY_SEQ smallint,
  UPDATE_RULE smallint, DELETE_RULE smallint, FK_NAME sysname, PK_NAME sysname, DEFERRABILITY smallint`;

const RULES = ["cascade", "no action", "set null", "set default"];
const NOT_DEFERRABLE = 7;

/** https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-fkeys-transact-sql */
export function foreignKeys(context: EngineContext, args: Args): RowObject[] {
  const [pkName, pkOwner, fkName, fkOwner] = ["pktable_name", "pktable_owner", "fktable_name", "fktable_owner"].map(
    (name) => same(args.get(`@${name}`)),
  );
  const database = context.database.name;
  const rows: RowObject[] = [];
  for (const table of context.database.tables.values()) {
    if (table.temporary || !fkName!(table.name) || !fkOwner!(table.schema)) continue;
    for (const { name, objectId } of table.foreignKeys) {
      const key = foreignKey(context, table, objectId);
      if (!key || !pkName!(key.referenced.name) || !pkOwner!(key.referenced.schema)) continue;
      for (const [i, column] of key.columns.entries())
        rows.push({
          PKTABLE_QUALIFIER: database,
          PKTABLE_OWNER: key.referenced.schema,
          PKTABLE_NAME: key.referenced.name,
          PKCOLUMN_NAME: key.referencedColumns[i]!,
          FKTABLE_QUALIFIER: database,
          FKTABLE_OWNER: table.schema,
          FKTABLE_NAME: table.name,
          FKCOLUMN_NAME: column,
          KEY_SEQ: i + 1,
          UPDATE_RULE: RULES.indexOf(key.onUpdate ?? "no action"),
          DELETE_RULE: RULES.indexOf(key.onDelete ?? "no action"),
          FK_NAME: name,
          PK_NAME: keyOver(key.referenced, key.referencedColumns)?.name ?? null,
          DEFERRABILITY: NOT_DEFERRABLE,
        });
    }
  }
  const side = args.get("@fktable_name") == null ? "FK" : "PK";
  const order = (row: RowObject) => [row[`${side}TABLE_OWNER`], row[`${side}TABLE_NAME`], row["FK_NAME"]].join("\0");
  return rows
    .map((row, at) => ({ row, at, key: order(row) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.at - b.at))
    .map(({ row }) => row);
}

function keyOver(table: Table, names: string[]): Index | undefined {
  const wanted = names.map((name) => name.toLowerCase()).sort();
  return table.indexes.find(
    ({ unique, columns }) =>
      unique &&
      columns.length === wanted.length &&
      columns
        .map(({ column }) => table.columns[column]!.name.toLowerCase())
        .sort()
        .every((name, i) => name === wanted[i]),
  );
}

export const SPECIAL_COLUMNS = `SCOPE smallint, COLUMN_NAME sysname, DATA_TYPE smallint, TYPE_NAME sysname, PRECISION int, LENGTH int,
  SCALE smallint, PSEUDO_COLUMN smallint`;

const NOT_PSEUDO = 1;

/** https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-special-columns-transact-sql */
export function* specialColumns(context: EngineContext, args: Args): Generator<RowObject> {
  const table = namedTable(context, args);
  if (!table) return;
  const versions = String(args.get("@col_type") ?? "R").toUpperCase() === "V";
  const scope = String(args.get("@scope") ?? "T").toUpperCase() === "C" ? 0 : 1;
  const notNull = String(args.get("@nullable") ?? "U").toUpperCase() === "O";
  const found = versions
    ? table.columns.filter(({ type }) => type.id === "timestamp")
    : (bestKey(table, notNull)?.columns ?? []).map(({ column }) => table.columns[column]!);
  for (const column of found) {
    const facets = typeFacets(column.type, Number(args.get("@odbcver") ?? 2));
    const name = typeName(column.type, column.declaredType);
    yield {
      SCOPE: versions ? null : scope,
      COLUMN_NAME: column.name,
      DATA_TYPE: facets["DATA_TYPE"]!,
      TYPE_NAME: column.identity ? `${name} identity` : name,
      PRECISION: facets["PRECISION"]!,
      LENGTH: facets["LENGTH"]!,
      SCALE: facets["SCALE"]!,
      PSEUDO_COLUMN: NOT_PSEUDO,
    };
  }
}

/** The primary key, or else the first unique index, without NULLs if asked for. */
function bestKey(table: Table, notNull: boolean): Index | undefined {
  const fits = ({ unique, columns }: Index) =>
    unique && !(notNull && columns.some(({ column }) => table.columns[column]!.nullable));
  return table.indexes.find((index) => index.primaryKey) ?? table.indexes.find(fits);
}
