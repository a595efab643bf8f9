/** sp_table_privileges and sp_column_privileges. */
import type { EngineContext } from "../engine/engine.ts";
import type { Table } from "../engine/table.ts";
import type { Value } from "../engine/values.ts";
import type { RowObject } from "./define.ts";
import { matcher, namedTable } from "./driver-names.ts";

type Args = Map<string, Value>;

export const TABLE_PRIVILEGES = `TABLE_QUALIFIER sysname, TABLE_OWNER sysname, TABLE_NAME sysname, GRANTOR sysname, GRANTEE sysname,
  PRIVILEGE varchar(32), IS_GRANTABLE varchar(3)`;
export const COLUMN_PRIVILEGES = `TABLE_QUALIFIER sysname, TABLE_OWNER sysname, TABLE_NAME sysname, COLUMN_NAME sysname, GRANTOR sysname,
  GRANTEE sysname, PRIVILEGE varchar(32), IS_GRANTABLE varchar(3)`;

const OF_TABLES = ["DELETE", "INSERT", "REFERENCES", "SELECT", "UPDATE"];
const OF_COLUMNS = OF_TABLES.filter((privilege) => privilege !== "DELETE");

function privileges({ database }: EngineContext, table: Table, kinds: string[]): RowObject[] {
  const common = { TABLE_QUALIFIER: database.name, TABLE_OWNER: table.schema, TABLE_NAME: table.name, GRANTOR: "dbo" };
  const owners = kinds.map((PRIVILEGE) => ({ ...common, GRANTEE: "dbo", PRIVILEGE, IS_GRANTABLE: "YES" }));
  const granted = database.principals.permissions
    .filter(
      ({ state, majorId, permission }) => state === "grant" && majorId === table.objectId && kinds.includes(permission),
    )
    .map(({ grantee, permission }) => ({
      ...common,
      GRANTEE: database.principals.find(grantee)?.name ?? grantee,
      PRIVILEGE: permission,
      IS_GRANTABLE: "NO",
    }));
  return [...owners, ...granted];
}

/** https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-table-privileges-transact-sql */
export function* tablePrivileges(context: EngineContext, args: Args): Generator<RowObject> {
  const [name, owner] = [matcher(args.get("@table_name")), matcher(args.get("@table_owner"))];
  for (const table of context.database.tables.values())
    if (!table.temporary && name(table.name) && owner(table.schema)) yield* privileges(context, table, OF_TABLES);
}

/** https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-column-privileges-transact-sql */
export function* columnPrivileges(context: EngineContext, args: Args): Generator<RowObject> {
  const table = namedTable(context, args);
  const wanted = matcher(args.get("@column_name"));
  for (const column of table?.columns ?? [])
    if (wanted(column.name))
      for (const row of privileges(context, table!, OF_COLUMNS)) yield { ...row, COLUMN_NAME: column.name };
}
