/**
 * INSTEAD OF triggers of views. The statement runs on a table that stands in for the view, with the view's columns and rows, so that
 * any view can be written to, whatever its query; what the statement does there is shown to the trigger and then undone.
 * https://learn.microsoft.com/sql/t-sql/statements/create-trigger-transact-sql
 */
import type { Query, TableSource, Target } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import { unsupported } from "../errors.ts";
import { compileQuery } from "../query/query.ts";
import { lookUp } from "../query/sources.ts";
import { PAUSE } from "../run.ts";
import { SqlError } from "../session.ts";
import type { Executor } from "../statements/executor.ts";
import type { Database, TriggerEvent, View } from "../storage.ts";
import type { Table } from "../table.ts";
import { tableOf } from "./rows.ts";

/** What a view's name means in the statement that an INSTEAD OF trigger of it will take the place of. */
export interface StandIn {
  view: View;
  table: Table;
}

/** Runs a statement that writes to `target`; where that is a view with such a trigger, on what stands in for it. */
export async function throughView(
  executor: Executor,
  target: Target,
  from: readonly TableSource[],
  events: TriggerEvent[],
  work: () => Promise<void>,
  merges = false,
): Promise<void> {
  const found = target.kind === "table" ? viewOf(executor, target.name.parts, from) : undefined;
  const triggers = found ? [...found.database.triggers.values()] : [];
  const running = executor.activation.firing?.trigger.objectId;
  const fired = triggers.some(
    ({ tableId, objectId, disabled, events: on }) =>
      tableId === found!.view.objectId &&
      objectId !== running &&
      !disabled &&
      events.some((event) => on.includes(event)),
  );
  if (!found || !fired) return work();
  if (merges) throw unsupported("MERGE into a view with INSTEAD OF triggers");
  const { view, database } = found;
  executor.compiler().require(events[0]!.toUpperCase(), database, view);
  executor.standIn = { view, table: standInOf(executor, view, database) };
  try {
    await work();
  } finally {
    executor.standIn = null;
  }
}

/** The target by its name, or by its alias in the FROM clause. */
function viewOf(
  executor: Executor,
  parts: string[],
  from: readonly TableSource[],
): { view: View; database: Database } | undefined {
  const aliased = parts.length === 1 ? named(from, parts[0]!.toLowerCase()) : undefined;
  const found = lookUp(aliased ?? parts, executor.compiler());
  return found?.kind === "view" ? found : undefined;
}

function named(sources: readonly TableSource[], alias: string): string[] | undefined {
  for (const source of sources) {
    if (source.kind === "table" && source.alias?.toLowerCase() === alias) return source.name.parts;
    if (source.kind !== "join" && source.kind !== "apply") continue;
    const inner = named([source.left, source.right], alias);
    if (inner) return inner;
  }
  return undefined;
}

function standInOf(executor: Executor, view: View, database: Database): Table {
  const all: Query = {
    ctes: [],
    body: {
      kind: "select",
      distinct: false,
      items: [{ kind: "star" }],
      from: [{ kind: "table", name: { parts: [database.name, view.schema, view.name] }, hints: [] }],
      groupBy: [],
    },
    orderBy: [],
    options: [],
  };
  // Who may change it need not be allowed to read it.
  const plan = compileQuery(all, null, executor.compiler().inside(database));
  const rows = executor.evaluating((run) => [...plan.open(null, run)].filter((row) => row !== PAUSE));
  const columns = plan.columns.map(({ name, type }, i) => ({ name, type, nullable: true, columnId: i + 1 }));
  const required = plan.columns.flatMap(({ nullable }, i) => (nullable ? [] : [i]));
  const table = tableOf({ database, columns, createDate: view.createDate }, view.name, rows);
  table.standsFor = { objectId: view.objectId, database, required };
  return table;
}

/**
 * "An INSERT statement that is referencing a view that has an INSTEAD OF INSERT trigger must supply values for every view column that
 * does not allow nulls": https://learn.microsoft.com/previous-versions/sql/sql-server-2008-r2/ms175089(v=sql.105)
 */
export function refuseNulls(table: Table, rows: readonly Row[]): void {
  const missing = table.standsFor?.required.find((i) => rows.some((row) => row[i] === null));
  if (missing === undefined) return;
  const { name } = table.columns[missing]!;
  throw new SqlError(233, `The column '${name}' in table '${table.name}' cannot be null.`, 16, 1);
}
