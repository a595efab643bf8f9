/**
 * A random workload of several sessions in T-SQL: every kind of change, keys that move, MERGE, savepoints, rollbacks, statements
 * that fail half-way, transactions that overlap. The same seed gives the same statements.
 */
import type { Client } from "../engine/client.ts";
import type { SqlFixture } from "./sql-fixture.ts";

/** mulberry32 */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  /** 0 to below `limit`. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

/** Key columns and other columns of the tables, and their capture instances. */
export const TABLES = [
  { name: "accounts", key: ["id"], columns: ["id", "v", "note"], instance: "accounts" },
  { name: "orders", key: ["a", "b"], columns: ["a", "b", "v", "t"], instance: "orders" },
  { name: "heap", key: ["id"], columns: ["id", "v"], instance: "heap" },
  { name: "commits", key: ["n"], columns: ["n"], instance: "commits" },
] as const;

export async function prepare({ sql }: SqlFixture): Promise<void> {
  await sql.run(`CREATE TABLE accounts (id int NOT NULL PRIMARY KEY, v int NULL, note nvarchar(20) NULL);
    CREATE TABLE orders (a int NOT NULL, b varchar(5) NOT NULL, v int NULL, t datetime2(3) NULL, PRIMARY KEY (a, b));
    CREATE TABLE heap (id int IDENTITY(1, 1) NOT NULL, v int NULL);
    CREATE TABLE commits (n int NOT NULL PRIMARY KEY);
    EXEC sys.sp_configure 'clr enabled', 1; RECONFIGURE;
    EXEC sys.sp_cdc_enable_db;`);
  for (const { name } of TABLES)
    await sql.run(
      `EXEC sys.sp_cdc_enable_table N'dbo', N'${name}', @capture_instance = N'${name}', @role_name = NULL, @supports_net_changes = ${name === "heap" ? 0 : 1}`,
    );
  await sql.run(`EXEC sys.sp_cdc_enable_table N'dbo', N'accounts', @capture_instance = N'accounts_narrow', @role_name = NULL,
    @captured_column_list = N'[id], [v]'`);
}

const STATEMENTS: ((r: Random) => string)[] = [
  (r) => `INSERT accounts VALUES (${r.below(30)}, ${r.below(9)}, N'n${r.below(5)}')`,
  (r) => `INSERT accounts (id, v) SELECT TOP (3) id + ${1 + r.below(20)}, v FROM accounts ORDER BY id DESC`,
  (r) => `UPDATE accounts SET v = ${r.below(9)} WHERE id % ${2 + r.below(4)} = 0`,
  (r) => `UPDATE accounts SET v = v WHERE id < ${r.below(30)}`,
  (r) => `UPDATE accounts SET note = N'N${r.below(3)}' WHERE id > ${r.below(30)}`,
  (r) => `UPDATE accounts SET id = ${r.below(40)} WHERE id = ${r.below(30)}`,
  (r) => `UPDATE accounts SET id = id + 1, v = ${r.below(9)} WHERE id BETWEEN ${r.below(15)} AND ${15 + r.below(15)}`,
  () => "UPDATE accounts SET id = 39 - id",
  (r) => `DELETE TOP (2) FROM accounts WHERE id > ${r.below(30)}`,
  (
    r,
  ) => `MERGE accounts AS t USING (VALUES (${r.below(15)}, ${r.below(9)}), (${15 + r.below(9)}, NULL), (${24 + r.below(9)}, 1)) AS s (id, v)
    ON t.id = s.id WHEN MATCHED AND s.v IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET v = s.v, note = N'merged'
    WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, s.v);`,
  (r) =>
    `INSERT orders VALUES (${r.below(6)}, '${r.pick(["x", "y", "z"])}', ${r.below(9)}, '2026-01-01T00:00:00.${100 + r.below(9)}')`,
  (r) => `UPDATE o SET v = a.v, t = NULL FROM orders AS o JOIN accounts AS a ON a.id = o.a WHERE o.a < ${r.below(6)}`,
  (r) => `UPDATE orders SET b = CASE b WHEN 'x' THEN 'y' WHEN 'y' THEN 'x' ELSE b END WHERE a = ${r.below(6)}`,
  (r) => `UPDATE orders SET b = UPPER(b) WHERE a = ${r.below(6)}`,
  (r) => `DELETE orders OUTPUT deleted.a WHERE v = ${r.below(9)}`,
  (r) => `INSERT heap (v) VALUES (${r.below(9)}), (NULL)`,
  (r) => `UPDATE heap SET v = ${r.below(9)} WHERE id % 3 = ${r.below(3)}`,
  (r) => `DELETE heap WHERE v = ${r.below(9)}`,
  (r) =>
    `SET IDENTITY_INSERT heap ON; INSERT heap (id, v) VALUES (${10_000 + r.below(1_000_000)}, 1); SET IDENTITY_INSERT heap OFF`,
  () => "TRUNCATE TABLE heap",
];

/** Runs `steps` statements over three sessions. `between` gets its turn before each. Gives the numbers of commits, in their order. */
export async function runWorkload(
  f: SqlFixture,
  random: Random,
  steps: number,
  between: (step: number) => Promise<void> = async () => {},
): Promise<number[]> {
  const sessions = await Promise.all([f.another(), f.another(), f.another()]);
  // Whoever meets another's lock gives up at once: one test cannot wait for itself.
  for (const session of sessions) await session.run("SET LOCK_TIMEOUT 0");
  const commits: number[] = [];
  for (let step = 0; step < steps; step++) {
    await between(step);
    await advance(random.pick(sessions), random, commits, step);
  }
  for (const session of sessions) await end(session, "ROLLBACK");
  return commits;
}

/** One step of a session: it begins or ends a transaction, or changes something. */
async function advance(session: Client, random: Random, commits: number[], step: number): Promise<void> {
  const open = (await session.value("@@TRANCOUNT")) === 1;
  const dice = random.below(12);
  const statement = random.pick(STATEMENTS)(random);
  if (!open && dice < 5) await session.run("BEGIN TRAN");
  else if (open && dice === 0) await end(session, "ROLLBACK");
  else if (open && dice < 3) {
    await session.run(`INSERT commits VALUES (${step})`);
    await end(session, "COMMIT");
    commits.push(step);
  } else if (open && dice === 3) await session.run("SAVE TRAN point");
  // Without such a savepoint: error 6401.
  else if (open && dice === 4) await session.attempt("ROLLBACK TRAN point");
  // Duplicate keys (2627), locks (1222), tracked tables that cannot be truncated (4711) are part of it.
  else await session.attempt(statement);
}

async function end(session: Client, how: "COMMIT" | "ROLLBACK"): Promise<void> {
  await session.run(`IF @@TRANCOUNT > 0 ${how}`);
}
