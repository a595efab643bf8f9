/** Cursors of T-SQL. https://learn.microsoft.com/sql/t-sql/language-elements/declare-cursor-transact-sql */
import type { CursorReference, Query } from "../../sql/ast.ts";
import { Cursor, type CursorOptions, type FetchType } from "../cursors/cursor.ts";
import { SqlError } from "../session.ts";
import { convertValue } from "../types/conversion.ts";
import type { Kind } from "./changes.ts";
import type { Executor } from "./executor.ts";

export async function cursorStatement(
  executor: Executor,
  statement: Kind<"declare_cursor"> | Kind<"set_cursor"> | Kind<"cursor"> | Kind<"fetch">,
): Promise<void> {
  switch (statement.kind) {
    case "declare_cursor":
      declare(executor, statement);
      return;
    case "set_cursor": {
      const { activation } = executor;
      const key = variableKey(executor, statement.name);
      const { source } = statement;
      activation.cursorVariables.set(
        key,
        "query" in source ? made(executor, source.query, source.options) : findCursor(executor, source.cursor),
      );
      return;
    }
    case "cursor": {
      const cursor = findCursor(executor, statement.cursor);
      if (statement.action === "deallocate") deallocate(executor, statement.cursor);
      else if (statement.action === "close") cursor.close();
      else {
        await cursor.open(executor);
        executor.session.cursorRows = cursor.rowCount;
      }
      return;
    }
    case "fetch":
      await fetchRow(executor, statement);
  }
}

function declare(executor: Executor, statement: Kind<"declare_cursor">): void {
  const { session, activation } = executor;
  const { name, query, options } = statement;
  const key = name.toLowerCase();
  // https://learn.microsoft.com/sql/t-sql/statements/alter-database-transact-sql-set-options: CURSOR_DEFAULT is GLOBAL.
  const local =
    options.includes("LOCAL") ||
    (!options.includes("GLOBAL") && session.currentDatabase.options.get("CURSOR_DEFAULT") === "LOCAL");
  const cursors = local ? activation.cursors : session.cursors;
  if (cursors.has(key)) throw new SqlError(16915, `A cursor with the name '${name}' already exists.`, 16, 1);
  cursors.set(key, made(executor, query, options));
}

const CONFLICTS = [
  ["LOCAL", "GLOBAL"],
  ["FORWARD_ONLY", "SCROLL"],
  ["FAST_FORWARD", "SCROLL"],
  ["FAST_FORWARD", "FOR UPDATE"],
  ["FAST_FORWARD", "SCROLL_LOCKS"],
  ["FAST_FORWARD", "OPTIMISTIC"],
  ["READ_ONLY", "FOR UPDATE"],
  ["STATIC", "FOR UPDATE"],
] as const;

function made(executor: Executor, query: Query, options: string[]): Cursor {
  const words = options.map((option) => option.split(" OF ")[0]!);
  const has = (word: string) => words.includes(word);
  const clash = CONFLICTS.find(([one, other]) => has(one) && has(other));
  if (clash) throw new SqlError(1048, `Conflicting cursor options ${clash[0]} and ${clash[1]}.`, 15, 1);
  const listed = options.find((option) => option.startsWith("FOR UPDATE OF "));
  const chosen: CursorOptions = {
    // A FAST_FORWARD cursor is one that the server may make static, since nobody can tell.
    kind: has("STATIC") || has("INSENSITIVE") || has("FAST_FORWARD") ? "static" : has("KEYSET") ? "keyset" : "dynamic",
    // STATIC, KEYSET and DYNAMIC scroll unless told otherwise.
    scroll: has("SCROLL") || ((has("STATIC") || has("KEYSET") || has("DYNAMIC")) && !has("FORWARD_ONLY")),
    readOnly: has("READ_ONLY") || has("STATIC") || has("INSENSITIVE") || has("FAST_FORWARD"),
    concurrency: has("SCROLL_LOCKS") ? "scroll locks" : "optimistic",
    columns: listed === undefined ? null : listed.slice("FOR UPDATE OF ".length).split(", "),
  };
  return new Cursor(query, chosen, executor);
}

function variableKey({ activation }: Executor, name: string): string {
  const key = name.toLowerCase();
  if (!activation.cursorVariables.has(key))
    throw new SqlError(137, `Must declare the scalar variable "${name}".`, 15, 2);
  return key;
}

/** Error 16916 where there is none, 16950 for a variable that holds none. */
export function findCursor(executor: Executor, { name, global }: CursorReference): Cursor {
  const { session, activation } = executor;
  const key = name.toLowerCase();
  if (name.startsWith("@")) {
    const cursor = activation.cursorVariables.get(variableKey(executor, name));
    if (cursor) return cursor;
    throw new SqlError(16950, `The variable '${name}' does not currently have a cursor allocated to it.`, 16, 1);
  }
  const cursor = (global ? undefined : activation.cursors.get(key)) ?? session.cursors.get(key);
  if (!cursor) throw new SqlError(16916, `A cursor with the name '${name}' does not exist.`, 16, 1);
  return cursor;
}

/** A name or variable lets go of its cursor, which others may still hold. */
function deallocate({ session, activation }: Executor, { name, global }: CursorReference): void {
  const key = name.toLowerCase();
  if (name.startsWith("@")) activation.cursorVariables.set(key, null);
  else if (global || !activation.cursors.delete(key)) session.cursors.delete(key);
}

function refuseDirection(type: FetchType, { options }: Cursor, kind: string): void {
  const shown = type[0]!.toUpperCase() + type.slice(1);
  if (type !== "next" && !options.scroll)
    throw new SqlError(
      16911,
      `fetch: The fetch type ${shown.toLowerCase()} cannot be used with forward only cursors.`,
      16,
      1,
    );
  if (type === "absolute" && kind === "dynamic")
    throw new SqlError(16912, "fetch: The fetch type absolute cannot be used with dynamic cursors.", 16, 1);
}

async function fetchRow(executor: Executor, statement: Kind<"fetch">): Promise<void> {
  const { session, activation, sink } = executor;
  const cursor = findCursor(executor, statement.cursor);
  const { columns } = cursor;
  refuseDirection(statement.direction, cursor, cursor.kind);
  if (statement.into.length > 0 && statement.into.length !== columns.length)
    throw new SqlError(
      16924,
      "Cursorfetch: The number of variables declared in the INTO list must match that of selected columns.",
      16,
      1,
    );
  const n = statement.n ? Number((await executor.value(statement.n, { id: "int" })) ?? 0) : 0;
  const [fetched] = await cursor.fetch(executor, statement.direction, 1, n);
  const row = fetched && !fetched.missing ? fetched.values : undefined;
  session.fetchStatus = row ? 0 : fetched ? -2 : -1;
  session.rowCount = row ? 1 : 0;
  if (statement.into.length === 0) {
    sink.columns(columns);
    if (row) await sink.row(row);
    sink.statementDone({ rowCount: row ? 1 : 0, select: true });
    return;
  }
  if (!row) return;
  for (const [i, name] of statement.into.entries()) {
    const variable = activation.variable(name);
    variable.value = convertValue(row[i]!, columns[i]!.type, variable.type, {
      implicit: true,
      dateFormat: session.options.dateFormat,
    });
  }
}
