/**
 * Two tables, three instances: `orders` (id key, code, amount) is captured as dbo_orders and, without amount, as orders_v2;
 * `lines` (order_id, line key) as dbo_lines. At noon they are enabled; a minute later follow three transactions, a minute apart.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Results } from "../engine/client.ts";
import { type SqlFixture, sqlFixture } from "./sql-fixture.ts";

const NOON = Date.parse("2026-03-01T12:00:00Z");

export async function orders(): Promise<SqlFixture> {
  let now = NOON;
  const f = await sqlFixture({ clock: () => new Date(now), timeZone: "UTC" });
  const { sql } = f;
  await sql.run(`CREATE TABLE dbo.orders (id int NOT NULL PRIMARY KEY, code nvarchar(10) NOT NULL, amount decimal(9, 2) NULL);
    CREATE TABLE dbo.lines (order_id int NOT NULL, line smallint NOT NULL, PRIMARY KEY (order_id, line));
    CREATE TABLE dbo.untracked (id int);
    EXEC sys.sp_configure 'clr enabled', 1; RECONFIGURE;
    EXEC sys.sp_cdc_enable_db;
    EXEC sys.sp_cdc_enable_table N'dbo', N'orders', @role_name = N'cdc_reader', @supports_net_changes = 1;
    EXEC sys.sp_cdc_enable_table N'dbo', N'lines', @role_name = NULL, @supports_net_changes = 1;`);
  now += 1000;
  await sql.run(`EXEC sys.sp_cdc_enable_table N'dbo', N'orders', N'orders_v2', @role_name = NULL,
    @captured_column_list = N'id, code', @supports_net_changes = 0;`);
  now = NOON + 60_000;
  await sql.run("BEGIN TRAN; INSERT orders VALUES (1, N'A', 10), (2, N'B', 20); INSERT lines VALUES (1, 1); COMMIT");
  now += 60_000;
  await sql.run("UPDATE orders SET amount = 11 WHERE id = 1");
  now += 60_000;
  await sql.run("DELETE orders WHERE id = 2");
  return f;
}

/** Rows, or what looks at the results. */
export type Answer = unknown[][] | ((results: Results) => void);

/** A test a statement: who sends it, what it is, its answer. */
export function each(
  fixture: () => SqlFixture,
  statements: readonly (readonly [who: string, statement: string, answer: Answer])[],
): void {
  for (const [who, statement, answer] of statements)
    test(`${who}: ${statement.replace(/\s+/g, " ").slice(0, 90)}`, async () => {
      const results = await fixture().sql.run(statement);
      if (typeof answer === "function") answer(results);
      else assert.deepEqual(results.rows, answer);
    });
}

export function rows(count: number): Answer {
  return (results) => assert.equal(results.rows.length, count);
}

/** Of one column, by its name. */
export function column(name: string, values: unknown[], set = 0): Answer {
  return ({ sets }) => {
    const at = sets[set]!.columns.findIndex((one) => one.name === name);
    assert.deepEqual(
      sets[set]!.rows.map((row) => row[at]),
      values,
    );
  };
}
