/** sp_rename, sp_addrolemember, sp_set_session_context. */

import { unsupported } from "../errors.ts";
import { lookUp } from "../query/sources.ts";
import { SqlError } from "../session.ts";
import { mentions } from "../statements/alter-table.ts";
import { type Argument, type Caller, parseName } from "../statements/calls.ts";
import { inTransaction } from "../statements/changes.ts";
import { Executor } from "../statements/executor.ts";
import { changeMembership } from "../statements/security.ts";
import type { Table } from "../table.ts";
import { Arguments } from "./arguments.ts";

export async function addRoleMember(caller: Caller, args: Argument[]): Promise<number> {
  return membership(caller, args, "add");
}

export async function dropRoleMember(caller: Caller, args: Argument[]): Promise<number> {
  return membership(caller, args, "drop");
}

function membership({ session }: Caller, args: Argument[], action: "add" | "drop"): number {
  const given = new Arguments(`sp_${action}rolemember`, ["rolename", "membername"], args, session);
  const database = session.currentDatabase;
  if (!session.login.sysadmin && !database.principals.isMember(session.principalIn(database), "db_owner"))
    throw new SqlError(15247, "User does not have permission to perform this action.", 16, 1);
  changeMembership(database, given.text("rolename") ?? "", given.text("membername") ?? "", action);
  return 0;
}

export async function setSessionContext({ session }: Caller, args: Argument[]): Promise<number> {
  const given = new Arguments("sp_set_session_context", ["key", "value", "read_only"], args, session);
  const value = given.value("value", { id: "sql_variant" }, null);
  session.sessionContext.set((given.text("key") ?? "").toLowerCase(), value);
  return 0;
}

/** Tables, columns and indexes. https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-rename-transact-sql */
export async function rename(caller: Caller, args: Argument[]): Promise<number> {
  const { session, activation, sink, signal } = caller;
  const given = new Arguments("sp_rename", ["objname", "newname", "objtype"], args, session);
  const parts = parseName(given.text("objname") ?? "");
  const newName = given.text("newname") ?? "";
  const asked = given.text("objtype", null)?.toUpperCase();
  const executor = new Executor(session, activation, sink, signal);
  await inTransaction(executor, async (transaction) => {
    const kind = asked ?? kindOf(parts, executor);
    const found = lookUp(kind === "OBJECT" ? parts : parts.slice(0, -1), executor.compiler());
    if (found?.kind !== "table")
      throw new SqlError(
        15225,
        `No item by the name of '${parts.join(".")}' could be found in the current database '${session.database}', given that @itemtype was input as '${asked ?? "(null)"}'.`,
        11,
        1,
      );
    const { table, database } = found;
    await session.lock(table, transaction, "X", signal);
    const old = parts[parts.length - 1]!;
    if (kind === "OBJECT") {
      if (database.findObjectId(table.schema, newName) !== undefined)
        throw new SqlError(
          15335,
          `Error: The new name '${newName}' is already in use as a OBJECT name and would cause a duplicate that is not permitted.`,
          11,
          1,
        );
      const change = (name: string) => {
        database.removeTable(table);
        table.name = name;
        database.addTable(table);
      };
      change(newName);
      transaction.onRollback(() => change(old));
    } else if (kind === "COLUMN") renameColumn(table, old, newName, (undo) => transaction.onRollback(undo));
    else if (kind === "INDEX") {
      const index = table.indexes.find(({ name }) => name.toLowerCase() === old.toLowerCase());
      if (!index)
        throw new SqlError(
          15248,
          "Either the parameter @objname is ambiguous or the claimed @objtype (INDEX) is wrong.",
          11,
          1,
        );
      index.name = newName;
      transaction.onRollback(() => {
        index.name = old;
      });
    } else throw unsupported(`sp_rename of ${kind}`);
    database.engine.schemaVersion++;
    const command = `sp_rename '${parts.join(".")}', '${newName}', '${kind}'`;
    if (kind === "COLUMN")
      for (const hook of database.hooks.afterAlterTable)
        hook({ table, command, session, transaction, change: { kind: "rename", before: old, after: newName } });
    for (const hook of database.hooks.onDdl) hook({ command, objectId: table.objectId, session, transaction });
  });
  sink.message({
    number: 15477,
    state: 1,
    severity: 0,
    message: "Caution: Changing any part of an object name could break scripts and stored procedures.",
    line: 1,
    procedure: "sp_rename",
  });
  return 0;
}

/** Without @objtype the name may be an object's, or that of a column or an index of a table. */
function kindOf(parts: string[], executor: Executor): string {
  if (lookUp(parts, executor.compiler()) || parts.length < 2) return "OBJECT";
  const owner = lookUp(parts.slice(0, -1), executor.compiler());
  if (owner?.kind !== "table") return "OBJECT";
  const name = parts[parts.length - 1]!.toLowerCase();
  if (owner.table.columnIndex(name) >= 0) return "COLUMN";
  return owner.table.indexes.some((index) => index.name.toLowerCase() === name) ? "INDEX" : "OBJECT";
}

function renameColumn(table: Table, old: string, name: string, onUndo: (undo: () => void) => void): void {
  const place = table.columnIndex(old);
  if (place < 0)
    throw new SqlError(
      15248,
      "Either the parameter @objname is ambiguous or the claimed @objtype (COLUMN) is wrong.",
      11,
      1,
    );
  if (table.columnIndex(name) >= 0)
    throw new SqlError(
      15335,
      `Error: The new name '${name}' is already in use as a COLUMN name and would cause a duplicate that is not permitted.`,
      11,
      1,
    );
  const column = table.columns[place]!;
  // https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
  if (
    table.checks.some(({ text }) => mentions(text, column)) ||
    table.columns.some(({ computed }) => computed && mentions(computed.text, column))
  )
    throw new SqlError(
      15336,
      `Object '${table.schema}.${table.name}.${old}' cannot be renamed because the object participates in enforced dependencies.`,
      16,
      1,
    );
  const { columns } = table;
  table.columns = columns.map((column, i) => (i === place ? { ...column, name } : column));
  table.schemaVersion++;
  onUndo(() => {
    table.columns = columns;
    table.schemaVersion++;
  });
}
