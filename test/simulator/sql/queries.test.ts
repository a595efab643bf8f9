import assert from "node:assert/strict";
import { test } from "node:test";
import type { Query, SelectCore, TableSource } from "../../../simulator/sql/ast.ts";
import { column, int, one, string, variable } from "./trees.ts";

function queryOf(text: string): Query {
  const statement = one(text);
  if (statement.kind !== "query") throw new Error(statement.kind);
  return statement.query;
}

function select(text: string): SelectCore {
  const { body } = queryOf(text);
  if (body.kind !== "select") throw new Error(body.kind);
  return body;
}

/** Joins as text: who stands where. */
function shape(source: TableSource): string {
  switch (source.kind) {
    case "table":
      return [source.name.parts.join("."), source.alias, ...source.hints].filter(Boolean).join(" ");
    case "join":
      return `(${shape(source.left)} ${source.join} ${shape(source.right)})`;
    case "apply":
      return `(${shape(source.left)} ${source.outer ? "outer" : "cross"} apply ${shape(source.right)})`;
    case "function":
      return `${source.name.parts.join(".")}() ${source.alias ?? ""}`.trim();
    default:
      return `${source.kind} ${source.alias ?? ""}`;
  }
}

function from(text: string): string {
  return select(`SELECT * FROM ${text}`).from.map(shape).join(", ");
}

test("select items: stars, aliases in all five spellings, assignments", () => {
  assert.deepEqual(
    select("SELECT *, t.*, a.b.*, x AS y, x y, x AS 'y', x 'y', y = x, [y] = x, @v = x, @v += 1").items,
    [
      { kind: "star" },
      { kind: "star", qualifier: ["t"] },
      { kind: "star", qualifier: ["a", "b"] },
      ...Array.from({ length: 6 }, () => ({ kind: "expr", expr: column("x"), alias: "y" })),
      { kind: "assign", variable: "@v", op: "=", expr: column("x") },
      { kind: "assign", variable: "@v", op: "+=", expr: int(1) },
    ],
  );
});

test("words that are not reserved are names: a table of columns called after keywords", () => {
  const core = select(
    "SELECT name, type, date, value, state, source, target, row_number, c.precision FROM sys.columns c",
  );
  assert.deepEqual(
    core.items.map((item) => item.kind === "expr" && item.expr.kind === "column" && item.expr.parts.at(-1)),
    ["name", "type", "date", "value", "state", "source", "target", "row_number", "precision"],
  );
});

test("the clauses of a select in their places", () => {
  const core = select(
    "SELECT DISTINCT TOP (@n) PERCENT WITH TIES a INTO #t FROM t WHERE b = 1 GROUP BY a, b + 1 HAVING COUNT(*) > 1",
  );
  assert.equal(core.distinct, true);
  assert.deepEqual(core.top, { count: variable("@n"), percent: true, ties: true });
  assert.deepEqual(core.into, { parts: ["#t"] });
  assert.equal(core.groupBy.length, 2);
  assert.equal(core.having?.kind, "compare");
  assert.deepEqual(select("SELECT TOP 5 * FROM t").top, { count: int(5), percent: false, ties: false });
});

test("ORDER BY, OFFSET and FETCH, FOR XML, OPTION belong to the whole query", () => {
  const query = queryOf(
    "SELECT a FROM t ORDER BY a DESC, 2 OFFSET 10 ROWS FETCH NEXT @n ROWS ONLY OPTION (RECOMPILE, MAXRECURSION 0, USE HINT ('x'))",
  );
  assert.deepEqual(query.orderBy, [
    { expr: column("a"), descending: true },
    { expr: int(2), descending: false },
  ]);
  assert.deepEqual([query.offset, query.fetch], [int(10), variable("@n")]);
  assert.deepEqual(query.options, ["RECOMPILE", "MAXRECURSION 0", "USE HINT ( 'x' )"]);
  assert.deepEqual(queryOf("SELECT a FROM t FOR XML PATH('r'), TYPE, ROOT('rs')").forClause, {
    kind: "xml",
    mode: "PATH",
    name: "r",
    options: ["TYPE", "ROOT ( 'rs' )"],
  });
  assert.deepEqual(queryOf("SELECT a FROM t FOR JSON AUTO, WITHOUT_ARRAY_WRAPPER").forClause, {
    kind: "json",
    mode: "AUTO",
    options: ["WITHOUT_ARRAY_WRAPPER"],
  });
});

test("INTERSECT binds tighter than UNION and EXCEPT, which go from left to right", () => {
  const { body } = queryOf("SELECT 1 UNION ALL SELECT 2 EXCEPT SELECT 3 INTERSECT (SELECT 4 ORDER BY 1)");
  assert.ok(body.kind === "set" && body.op === "except");
  assert.ok(body.kind === "set" && body.left.kind === "set" && body.left.op === "union_all");
  assert.ok(body.kind === "set" && body.right.kind === "set" && body.right.op === "intersect");
  assert.ok(body.kind === "set" && body.right.kind === "set" && body.right.right.kind === "nested");
});

test("common tables, also several and recursive", () => {
  const query = queryOf(
    "WITH a (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a), b AS (SELECT * FROM a) SELECT * FROM b",
  );
  assert.deepEqual(
    query.ctes.map((cte) => [cte.name, cte.columns, cte.query.body.kind]),
    [
      ["a", ["x"], "set"],
      ["b", [], "select"],
    ],
  );
});

test("joins nest as they are written, with hints dropped", () => {
  assert.equal(from("a JOIN b ON 1=1 LEFT OUTER JOIN c ON 1=1"), "((a inner b) left c)");
  assert.equal(from("a INNER JOIN b LEFT JOIN c ON 1=1 ON 1=1"), "(a inner (b left c))");
  assert.equal(from("a INNER HASH JOIN b ON 1=1 FULL OUTER MERGE JOIN c ON 1=1"), "((a inner b) full c)");
  assert.equal(from("a CROSS JOIN b, c RIGHT JOIN (d CROSS JOIN e) ON 1=1"), "(a cross b), (c right (d cross e))");
  assert.equal(
    from("a OUTER APPLY f(a.x) AS y CROSS APPLY (SELECT 1 z) w"),
    "((a outer apply f() y) cross apply derived w)",
  );
});

test("table hints with and without WITH, before and behind the alias", () => {
  assert.equal(
    from("dbo.t WITH (NOLOCK, INDEX(ix), INDEX = 2, FORCESEEK (ix (a)))"),
    "dbo.t nolock index(ix) index(2) forceseek(ix(a))",
  );
  assert.equal(
    from("t (nolock), t AS a (NOLOCK), t a WITH (UPDLOCK HOLDLOCK)"),
    "t nolock, t a nolock, t a updlock holdlock",
  );
});

test("names of several parts, with the middle left out", () => {
  assert.equal(from("tempdb..#t, srv.db.dbo.t, [a.b]..[c d] x"), "tempdb..#t, srv.db.dbo.t, a.b..c d x");
});

test("table functions, VALUES, derived tables, table variables, OPENJSON with columns, PIVOT", () => {
  assert.deepEqual(select("SELECT * FROM cdc.[fn_cdc_get_all_changes_dbo_t](@a, @b, N'all') AS c").from, [
    {
      kind: "function",
      name: { parts: ["cdc", "fn_cdc_get_all_changes_dbo_t"] },
      args: [variable("@a"), variable("@b"), { kind: "literal", type: "nstring", text: "all" }],
      alias: "c",
      columns: [],
    },
  ]);
  assert.deepEqual(select("SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v (n, s)").from, [
    {
      kind: "values",
      rows: [
        [int(1), string("a")],
        [int(2), string("b")],
      ],
      alias: "v",
      columns: ["n", "s"],
    },
  ]);
  assert.deepEqual(select("SELECT * FROM @t AS x").from, [
    { kind: "table_variable", name: "@t", alias: "x", hints: [] },
  ]);
  const [json] = select("SELECT * FROM OPENJSON(@j, '$.a') WITH (id int '$.id', n nvarchar(10)) AS j").from;
  assert.deepEqual(json?.kind === "function" && json.withColumns, [
    { name: "id", type: { name: "int", args: [] }, path: "$.id" },
    { name: "n", type: { name: "nvarchar", args: [10] } },
  ]);
  const [pivot] = select("SELECT * FROM (SELECT a, b FROM t) s PIVOT (SUM(a) FOR b IN ([1], [2])) p").from;
  assert.deepEqual(pivot?.kind === "pivot" && [pivot.column, pivot.values, pivot.alias], ["b", ["1", "2"], "p"]);
});

test("a parenthesis in FROM is a derived table, a union of two, or a join", () => {
  assert.equal(from("((SELECT 1 a) UNION (SELECT 2)) d"), "derived d");
  assert.equal(from("((SELECT 1 a) x JOIN t ON 1=1)"), "(derived x inner t)");
});
