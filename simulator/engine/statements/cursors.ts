/** Cursors of T-SQL: the whole result is read when they are opened (STATIC), and only read. */
import type { Query } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import { unsupported } from "../errors.ts";
import { compileQuery } from "../query/query.ts";
import { Run } from "../run.ts";
import { SqlError } from "../session.ts";
import { convertValue } from "../types/conversion.ts";
import type { SqlType } from "../values.ts";
import type { Kind } from "./changes.ts";
import type { Executor } from "./executor.ts";
import { deliver } from "./queries.ts";

export interface Cursor {
  query: Query;
  rows: Row[] | null;
  types: SqlType[];
  columns: { name: string; type: SqlType; nullable: boolean }[];
  at: number;
}

export async function cursorStatement(
  executor: Executor,
  statement: Kind<"declare_cursor"> | Kind<"cursor"> | Kind<"fetch">,
): Promise<void> {
  switch (statement.kind) {
    case "declare_cursor": {
      if (statement.options.some((option) => option.toUpperCase().startsWith("FOR UPDATE")))
        throw unsupported("cursors FOR UPDATE");
      const cursors = executor.session.cursors;
      const key = statement.name.toLowerCase();
      if (cursors.has(key))
        throw new SqlError(16915, `A cursor with the name '${statement.name}' already exists.`, 16, 1);
      cursors.set(key, { query: statement.query, rows: null, types: [], columns: [], at: -1 });
      return;
    }
    case "cursor": {
      const cursor = find(executor, statement.name);
      if (statement.action === "deallocate") {
        executor.session.cursors.delete(statement.name.toLowerCase());
        return;
      }
      if (statement.action === "close") {
        if (!cursor.rows) throw notOpen();
        cursor.rows = null;
        return;
      }
      if (cursor.rows) throw new SqlError(16905, "The cursor is already open.", 16, 1);
      await open(executor, cursor);
      return;
    }
    case "fetch":
      await fetchRow(executor, statement);
  }
}

function find(executor: Executor, name: string): Cursor {
  const cursor = executor.session.cursors.get(name.toLowerCase());
  if (!cursor) throw new SqlError(16916, `A cursor with the name '${name}' does not exist.`, 16, 1);
  return cursor;
}

function notOpen(): SqlError {
  return new SqlError(16917, "Cursor is not open.", 16, 1);
}

async function open(executor: Executor, cursor: Cursor): Promise<void> {
  const { session, activation, signal } = executor;
  const plan = compileQuery(cursor.query, null, executor.compiler());
  const snapshot = session.openSnapshot(session.currentTransaction);
  const rows: Row[] = [];
  try {
    await deliver(executor, plan, new Run(session, activation, snapshot, signal), (row) => {
      rows.push(row);
    });
  } finally {
    session.closeSnapshot(snapshot);
  }
  Object.assign(cursor, { rows, columns: plan.columns, types: plan.columns.map(({ type }) => type), at: -1 });
}

async function fetchRow(executor: Executor, statement: Kind<"fetch">): Promise<void> {
  const { session, activation, sink } = executor;
  const cursor = find(executor, statement.cursor);
  const { rows } = cursor;
  if (!rows) throw notOpen();
  const target = { next: cursor.at + 1, prior: cursor.at - 1, first: 0, last: rows.length - 1 }[statement.direction];
  cursor.at = Math.max(-1, Math.min(rows.length, target));
  const row = rows[cursor.at];
  session.fetchStatus = row ? 0 : -1;
  session.rowCount = row ? 1 : 0;
  if (statement.into.length === 0) {
    sink.columns(cursor.columns);
    if (row) await sink.row(row);
    sink.statementDone({ rowCount: row ? 1 : 0, select: true });
    return;
  }
  if (statement.into.length !== cursor.types.length)
    throw new SqlError(
      16924,
      "Cursorfetch: The number of variables declared in the INTO list must match that of selected columns.",
      16,
      1,
    );
  if (!row) return;
  for (const [i, name] of statement.into.entries()) {
    const variable = activation.variable(name);
    variable.value = convertValue(row[i]!, cursor.types[i]!, variable.type, {
      implicit: true,
      dateFormat: session.options.dateFormat,
    });
  }
}
