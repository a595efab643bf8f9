/**
 * Random queries on integers, compared with SQLite, which agrees with SQL Server on them: joins, three-valued conditions,
 * grouping, set operations, subqueries, window functions, and rows before and after changes.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import fc from "fast-check";
import { type Client, start } from "./client.ts";

/** An expression or condition, the same text in both dialects. */
const column = (aliases: string[]) =>
  fc.constantFrom(...aliases.flatMap((alias) => ["a", "b", "c"].map((name) => `${alias}.${name}`)));
const number = fc.integer({ min: -3, max: 6 }).map((n) => (n < 0 ? `(${n})` : `${n}`));

function scalar(aliases: string[]): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 4, arbitrary: column(aliases) },
    { weight: 2, arbitrary: number },
    {
      weight: 1,
      arbitrary: fc
        .tuple(column(aliases), fc.constantFrom("+", "-", "*"), number)
        .map(([x, op, y]) => `(${x} ${op} ${y})`),
    },
    { weight: 1, arbitrary: column(aliases).map((x) => `COALESCE(${x}, 0)`) },
    {
      weight: 1,
      arbitrary: fc.tuple(column(aliases), number).map(([x, y]) => `CASE WHEN ${x} > ${y} THEN ${x} ELSE ${y} END`),
    },
  );
}

function condition(aliases: string[]): fc.Arbitrary<string> {
  const { cond } = fc.letrec<{ cond: string }>((tie) => ({
    cond: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc
        .tuple(scalar(aliases), fc.constantFrom("=", "<>", "<", "<=", ">", ">="), scalar(aliases))
        .map(([x, op, y]) => `${x} ${op} ${y}`),
      fc.tuple(column(aliases), number).map(([x, y]) => `${x} = ${y}`),
      fc.tuple(column(aliases), fc.boolean()).map(([x, not]) => `${x} IS ${not ? "NOT " : ""}NULL`),
      fc
        .tuple(column(aliases), fc.boolean(), fc.array(number, { minLength: 1, maxLength: 7 }))
        .map(([x, not, list]) => `${x} ${not ? "NOT " : ""}IN (${list.join(", ")})`),
      fc.tuple(column(aliases), number, number).map(([x, low, high]) => `${x} BETWEEN ${low} AND ${high}`),
      fc
        .tuple(column(aliases), fc.constantFrom("EXISTS", "NOT EXISTS"), number)
        .map(([x, exists, y]) => `${exists} (SELECT 1 FROM u q WHERE q.a = ${x} AND q.b > ${y})`),
      fc
        .tuple(column(aliases), fc.boolean(), number)
        .map(([x, not, y]) => `${x} ${not ? "NOT " : ""}IN (SELECT q.b FROM t q WHERE q.c < ${y})`),
      fc.tuple(column(aliases), column(aliases)).map(([x, y]) => `${x} >= (SELECT MAX(q.c) FROM u q WHERE q.b = ${y})`),
      fc.tuple(tie("cond"), fc.constantFrom("AND", "OR"), tie("cond")).map(([x, op, y]) => `(${x} ${op} ${y})`),
      tie("cond").map((x) => `NOT (${x})`),
    ),
  }));
  return cond;
}

const joined = fc.oneof(
  fc.constant({ from: "t x", aliases: ["x"] }),
  fc.constant({ from: "u x", aliases: ["x"] }),
  fc
    .tuple(fc.constantFrom("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"), condition(["x", "y"]), fc.boolean())
    .map(([join, on, equal]) => ({
      from: `t x ${join} u y ON ${equal ? "x.a = y.a AND " : ""}${on}`,
      aliases: ["x", "y"],
    })),
  fc
    .tuple(fc.constantFrom("JOIN", "LEFT JOIN"), fc.constantFrom("JOIN", "LEFT JOIN"), condition(["x", "y", "z"]))
    .map(([first, second, on]) => ({
      from: `t x ${first} u y ON x.b = y.b ${second} t z ON z.a = y.c AND ${on}`,
      aliases: ["x", "y", "z"],
    })),
  condition(["x", "y"]).map((on) => ({
    from: `(SELECT a, b, c FROM t WHERE a > 0) x JOIN u y ON x.a = y.b WHERE ${on}`,
    aliases: ["x", "y"],
    filtered: true,
  })),
);

const query = joined.chain((source) => {
  const { from } = source;
  const aliases: string[] = [...source.aliases];
  const where =
    "filtered" in source
      ? fc.constant("")
      : fc.option(condition(aliases)).map((cond) => (cond ? ` WHERE ${cond}` : ""));
  return fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .tuple(fc.array(scalar(aliases), { minLength: 1, maxLength: 3 }), where, fc.boolean())
        .map(
          ([items, filter, distinct]) => `SELECT ${distinct ? "DISTINCT " : ""}${named(items)} FROM ${from}${filter}`,
        ),
    },
    {
      weight: 3,
      arbitrary: fc
        .tuple(
          column(aliases),
          where,
          fc.constantFrom("COUNT(*)", "SUM", "MIN", "MAX", "COUNT", "COUNT(DISTINCT"),
          column(aliases),
          fc.option(number),
        )
        .map(([key, filter, fn, arg, having]) => {
          const value = fn === "COUNT(*)" ? fn : fn.includes("(") ? `${fn} ${arg})` : `${fn}(${arg})`;
          return `SELECT ${key} AS k, ${value} AS v FROM ${from}${filter} GROUP BY ${key}${having ? ` HAVING COUNT(*) > ${having}` : ""}`;
        }),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(column(aliases), where)
        .map(([arg, filter]) => `SELECT COUNT(*) AS n, SUM(${arg}) AS s, MIN(${arg}) AS m FROM ${from}${filter}`),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(
          fc.constantFrom("UNION", "UNION ALL", "EXCEPT", "INTERSECT"),
          scalar(["x"]),
          scalar(["x"]),
          condition(["x"]),
        )
        .map(
          ([op, left, right, filter]) => `SELECT ${left} AS v FROM t x ${op} SELECT ${right} FROM u x WHERE ${filter}`,
        ),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(
          fc.constantFrom(
            "ROW_NUMBER() OVER (PARTITION BY x.b ORDER BY x.id)",
            "RANK() OVER (ORDER BY x.b)",
            "DENSE_RANK() OVER (ORDER BY x.c, x.b)",
            "SUM(x.c) OVER (PARTITION BY x.a ORDER BY x.id)",
            "COUNT(*) OVER (PARTITION BY x.a)",
            "LAG(x.c, 1, 0) OVER (ORDER BY x.id)",
            "LEAD(x.c) OVER (PARTITION BY x.b ORDER BY x.id)",
            "SUM(x.a) OVER (ORDER BY x.id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING)",
            "FIRST_VALUE(x.c) OVER (PARTITION BY x.b ORDER BY x.id)",
            "MAX(x.a) OVER (ORDER BY x.b)",
            "NTILE(3) OVER (ORDER BY x.id)",
          ),
          condition(["x"]),
        )
        .map(([window, filter]) => `SELECT x.id, ${window} AS v FROM t x WHERE ${filter}`),
    },
  );
});

function named(items: string[]): string {
  return items.map((item, i) => `${item} AS c${i}`).join(", ");
}

const value = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: -2, max: 5 }) },
  { weight: 1, arbitrary: fc.constant(null) },
);
const table = fc.array(fc.tuple(value, value, value), { maxLength: 14 });

const change = fc.oneof(
  fc
    .tuple(fc.constantFrom("t", "u"), fc.constantFrom("a", "b", "c"), scalar(["t"]), condition(["t"]))
    .map(([name, set, to, where]) => `UPDATE ${name} SET ${set} = ${to} WHERE ${where}`.replaceAll("t.", `${name}.`)),
  fc
    .tuple(fc.constantFrom("t", "u"), condition(["t"]))
    .map(([name, where]) => `DELETE FROM ${name} WHERE ${where}`.replaceAll("t.", `${name}.`)),
  fc
    .tuple(value, value, value)
    .map(([a, b, c]) => `INSERT INTO t (id, a, b, c) SELECT COALESCE(MAX(id), 0) + 1, ${a}, ${b}, ${c} FROM t`),
);

const INDEXES = ["", "CREATE INDEX t_a ON t (a, b)", "CREATE INDEX u_b ON u (b)", "CREATE INDEX u_ab ON u (a, b DESC)"];

test("random queries answer as SQLite does, with any index, also after changes", async () => {
  const { sql } = await start();
  await fc.assert(
    fc.asyncProperty(
      table,
      table,
      fc.subarray(INDEXES),
      fc.array(change, { maxLength: 4 }),
      fc.array(query, { minLength: 1, maxLength: 5 }),
      async (t, u, indexes, changes, queries) => {
        const oracle = new DatabaseSync(":memory:");
        await sql.run("DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS u");
        const both = async (text: string) => {
          oracle.exec(text);
          await sql.run(text);
        };
        for (const [name, rows] of [
          ["t", t],
          ["u", u],
        ] as const) {
          await both(`CREATE TABLE ${name} (id int NOT NULL PRIMARY KEY, a int NULL, b int NULL, c int NULL)`);
          for (const [i, row] of rows.entries())
            await both(`INSERT INTO ${name} (id, a, b, c) VALUES (${[i, ...row.map((v) => v ?? "NULL")].join(", ")})`);
        }
        for (const index of indexes) if (index !== "") await both(index);
        for (const statement of changes) await both(statement);
        for (const text of queries) assert.deepEqual(await ours(sql, text), theirs(oracle, text), text);
        oracle.close();
      },
    ),
    { numRuns: 300 },
  );
});

async function ours(sql: Client, text: string): Promise<string[]> {
  return (await sql.rows(text))
    .map((row) => JSON.stringify(row.map((v) => (typeof v === "bigint" ? Number(v) : v))))
    .sort();
}

function theirs(oracle: DatabaseSync, text: string): string[] {
  return oracle
    .prepare(text)
    .all()
    .map((row) => JSON.stringify(Object.values(row)))
    .sort();
}
