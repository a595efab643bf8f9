import assert from "node:assert/strict";
import { test } from "node:test";
import type { Cond, Expr } from "../../../simulator/sql/ast.ts";
import { parseExpression, parseParameterDeclarations, parseTypeName } from "../../../simulator/sql/parser.ts";
import { column, int, one, string, variable } from "./trees.ts";

/** An expression with all its parentheses. */
function shape(e: Expr): string {
  switch (e.kind) {
    case "literal":
    case "variable":
      return e.kind === "literal" ? e.text : e.name;
    case "column":
      return e.parts.join(".");
    case "unary":
      return `(${e.op}${shape(e.operand)})`;
    case "binary":
      return `(${shape(e.left)}${e.op}${shape(e.right)})`;
    case "collate":
      return `(${shape(e.operand)} collate ${e.collation})`;
    default:
      return e.kind;
  }
}

function conditionShape(c: Cond): string {
  switch (c.kind) {
    case "and":
    case "or":
      return `(${conditionShape(c.left)} ${c.kind} ${conditionShape(c.right)})`;
    case "not":
      return `(not ${conditionShape(c.operand)})`;
    case "compare":
      return `${shape(c.left)}${c.op}${shape(c.right)}`;
    default:
      return c.kind;
  }
}

function where(text: string): Cond {
  const statement = one(`SELECT 1 WHERE ${text}`);
  assert.equal(statement.kind, "query");
  if (statement.kind !== "query" || statement.query.body.kind !== "select") throw new Error("no select");
  return statement.query.body.where!;
}

test("operators bind as in Microsoft's precedence table", () => {
  assert.equal(shape(parseExpression("a + b * c - d % 2")), "((a+(b*c))-(d%2))");
  assert.equal(shape(parseExpression("~a & b | c ^ d")), "((((~a)&b)|c)^d)");
  assert.equal(shape(parseExpression("(a + b) * c")), "((a+b)*c)");
  assert.equal(shape(parseExpression("a + b COLLATE Latin1_General_BIN")), "(a+(b collate Latin1_General_BIN))");
});

test("a sign binds less than multiplication, so that -100.0/-100.0*10.0 is 0.1 as on SQL Server", () => {
  assert.equal(shape(parseExpression("-100.0/-100.0*10.0")), "(-(100.0/(-(100.0*10.0))))");
});

test("NOT, AND and OR bind in this order, and parentheses may hold conditions or values", () => {
  assert.equal(conditionShape(where("NOT a = 1 AND b <> 2 OR c >= 3")), "(((not a=1) and b<>2) or c>=3)");
  assert.equal(conditionShape(where("((a) = 1 AND (b + 1) * 2 > 3) OR ((c < 4))")), "((a=1 and ((b+1)*2)>3) or c<4)");
  assert.equal(
    conditionShape(where("a != 1 AND b !< 2 AND c !> 3 AND d > = 4 AND e < > 5")),
    "((((a<>1 and b>=2) and c<=3) and d>=4) and e<>5)",
  );
});

test("every predicate and its negation", () => {
  assert.deepEqual(where("a IS NOT NULL"), { kind: "is_null", operand: column("a"), not: true });
  assert.deepEqual(where("a IS NOT DISTINCT FROM b"), {
    kind: "is_distinct",
    left: column("a"),
    right: column("b"),
    not: true,
  });
  assert.deepEqual(where("a NOT LIKE 'x!_%' ESCAPE '!'"), {
    kind: "like",
    operand: column("a"),
    pattern: string("x!_%"),
    escape: string("!"),
    not: true,
  });
  assert.deepEqual(where("a LIKE 'x' {escape '\\'}"), {
    kind: "like",
    operand: column("a"),
    pattern: string("x"),
    escape: string("\\"),
    not: false,
  });
  assert.deepEqual(where("a BETWEEN 1 AND 2 + 3"), {
    kind: "between",
    operand: column("a"),
    low: int(1),
    high: { kind: "binary", op: "+", left: int(2), right: int(3) },
    not: false,
  });
  assert.deepEqual(where("a IN (1, @x)"), {
    kind: "in_list",
    operand: column("a"),
    list: [int(1), variable("@x")],
    not: false,
  });
  assert.equal(where("a NOT IN (SELECT b FROM t)").kind, "in_query");
  assert.equal(where("a IN ((SELECT b FROM t) UNION (SELECT 1))").kind, "in_query");
  assert.equal(where("EXISTS (SELECT * FROM t)").kind, "exists");
  const quantified = where("a >= ALL (SELECT b FROM t)");
  assert.ok(quantified.kind === "quantified" && quantified.quantifier === "all" && quantified.op === ">=");
});

test("functions: star, distinct, windows with frames, groups, and names of several parts", () => {
  assert.deepEqual(parseExpression("COUNT(*)"), { kind: "call", name: { parts: ["COUNT"] }, args: [], star: true });
  assert.deepEqual(parseExpression("count(DISTINCT a)"), {
    kind: "call",
    name: { parts: ["count"] },
    args: [column("a")],
    distinct: true,
  });
  assert.deepEqual(
    parseExpression("SUM(a) OVER (PARTITION BY b ORDER BY c DESC, d ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)"),
    {
      kind: "call",
      name: { parts: ["SUM"] },
      args: [column("a")],
      over: {
        partitionBy: [column("b")],
        orderBy: [
          { expr: column("c"), descending: true },
          { expr: column("d"), descending: false },
        ],
        frame: { unit: "rows", from: { kind: "preceding", offset: int(2) }, to: { kind: "current_row" } },
      },
    },
  );
  assert.deepEqual(parseExpression("STRING_AGG(a, ',') WITHIN GROUP (ORDER BY a)"), {
    kind: "call",
    name: { parts: ["STRING_AGG"] },
    args: [column("a"), string(",")],
    withinGroup: [{ expr: column("a"), descending: false }],
  });
  assert.deepEqual(parseExpression("[db].sys.fn_cdc_get_min_lsn('dbo_t')"), {
    kind: "call",
    name: { parts: ["db", "sys", "fn_cdc_get_min_lsn"] },
    args: [string("dbo_t")],
  });
  assert.deepEqual(parseExpression("COALESCE(NULLIF(a, 1), LEFT(b, 2))"), {
    kind: "call",
    name: { parts: ["COALESCE"] },
    args: [
      { kind: "call", name: { parts: ["NULLIF"] }, args: [column("a"), int(1)] },
      { kind: "call", name: { parts: ["LEFT"] }, args: [column("b"), int(2)] },
    ],
  });
  assert.deepEqual(parseExpression("CURRENT_TIMESTAMP"), {
    kind: "call",
    name: { parts: ["CURRENT_TIMESTAMP"] },
    args: [],
  });
});

test("CAST, CONVERT and their trying kin keep the type; PARSE becomes a call that names it", () => {
  assert.deepEqual(parseExpression("TRY_CAST(a AS decimal(12, 4))"), {
    kind: "cast",
    operand: column("a"),
    type: { name: "decimal", args: [12, 4] },
    try: true,
  });
  assert.deepEqual(parseExpression("CONVERT(nvarchar(max), a, 126)"), {
    kind: "convert",
    type: { name: "nvarchar", args: [-1] },
    operand: column("a"),
    style: int(126),
    try: false,
  });
  assert.deepEqual(parseExpression("PARSE(a AS decimal(5,2) USING 'de-DE')"), {
    kind: "call",
    name: { parts: ["PARSE"] },
    args: [column("a"), string("decimal(5,2)"), string("de-DE")],
  });
});

test("date functions have a bare part, which may be spelled as a word that is a name elsewhere", () => {
  assert.deepEqual(parseExpression("DATEDIFF(Day, a, GETDATE())"), {
    kind: "datecall",
    name: "DATEDIFF",
    part: "day",
    args: [column("a"), { kind: "call", name: { parts: ["GETDATE"] }, args: [] }],
  });
  assert.deepEqual(parseExpression("datepart(TZOFFSET, SYSDATETIMEOFFSET())").kind, "datecall");
});

test("CASE in both forms, IIF, subqueries, AT TIME ZONE and NEXT VALUE FOR", () => {
  const simple = parseExpression("CASE a WHEN 1 THEN 'x' ELSE NULL END");
  assert.ok(simple.kind === "case" && simple.operand !== undefined && simple.else !== undefined);
  assert.deepEqual(simple.operand, column("a"));
  assert.deepEqual(Object.values(simple.whens[0]!), [int(1), string("x")]);
  assert.deepEqual(simple.else, { kind: "literal", type: "null", text: "NULL" });
  const searched = parseExpression("CASE WHEN a > 1 OR b IS NULL THEN 1 END");
  assert.ok(searched.kind === "case" && searched.operand === undefined && searched.whens[0]!.when.kind === "or");
  assert.equal(parseExpression("IIF(a = 1, b, c)").kind, "iif");
  assert.equal(parseExpression("((SELECT 1))").kind, "subquery");
  assert.equal(parseExpression("((SELECT 1) + 1)").kind, "binary");
  assert.deepEqual(parseExpression("a AT TIME ZONE 'UTC' AT TIME ZONE @z"), {
    kind: "at_time_zone",
    operand: { kind: "at_time_zone", operand: column("a"), zone: string("UTC") },
    zone: variable("@z"),
  });
  assert.deepEqual(parseExpression("NEXT VALUE FOR dbo.s"), { kind: "next_value", sequence: { parts: ["dbo", "s"] } });
});

test("ODBC's escapes become T-SQL", () => {
  assert.deepEqual(parseExpression("{ts '2024-01-02 03:04:05.678'}"), {
    kind: "cast",
    operand: string("2024-01-02 03:04:05.678"),
    type: { name: "datetime", args: [] },
    try: false,
  });
  assert.deepEqual(parseExpression("{fn UCASE(a)}"), { kind: "call", name: { parts: ["UPPER"] }, args: [column("a")] });
  assert.deepEqual(parseExpression("{fn now()}"), { kind: "call", name: { parts: ["GETDATE"] }, args: [] });
  assert.deepEqual(parseExpression("{fn MOD(7, 2)}"), { kind: "binary", op: "%", left: int(7), right: int(2) });
  assert.deepEqual(parseExpression("{fn TIMESTAMPADD(SQL_TSI_DAY, 1, a)}"), {
    kind: "datecall",
    name: "DATEADD",
    part: "day",
    args: [int(1), column("a")],
  });
  assert.deepEqual(parseExpression("{fn EXTRACT(YEAR FROM a)}"), {
    kind: "datecall",
    name: "DATEPART",
    part: "year",
    args: [column("a")],
  });
});

test("types: synonyms of several words, schemas, max", () => {
  assert.deepEqual(parseTypeName("double precision"), { name: "float", args: [] });
  assert.deepEqual(parseTypeName("national character varying(10)"), { name: "nvarchar", args: [10] });
  assert.deepEqual(parseTypeName("char varying(5)"), { name: "varchar", args: [5] });
  assert.deepEqual(parseTypeName("INTEGER"), { name: "int", args: [] });
  assert.deepEqual(parseTypeName("[sys].[sysname]"), { name: "sysname", schema: "sys", args: [] });
  assert.deepEqual(parseTypeName("varbinary(MAX)"), { name: "varbinary", args: [-1] });
});

test("parameter declarations as sp_executesql and sp_prepare take them", () => {
  assert.deepEqual(parseParameterDeclarations("@P0 nvarchar(4000),@P1 int OUTPUT, @c AS bit = 1"), [
    { name: "@P0", type: { name: "nvarchar", args: [4000] }, output: false },
    { name: "@P1", type: { name: "int", args: [] }, output: true },
    { name: "@c", type: { name: "bit", args: [] }, default: int(1), output: false },
  ]);
  assert.deepEqual(parseParameterDeclarations("  "), []);
});

test("thousands of conditions in a chain nest no deeper than a few", () => {
  const parts = Array.from({ length: 10_000 }, (_, i) => `a=${i}`);
  for (const kind of ["and", "or"]) {
    let depth = 0;
    const seen: string[] = [];
    const visit = (c: Cond, level: number): void => {
      depth = Math.max(depth, level);
      if (c.kind !== "and" && c.kind !== "or") seen.push(conditionShape(c));
      else for (const side of [c.left, c.right]) visit(side, level + 1);
    };
    visit(where(parts.join(` ${kind} `)), 0);
    assert.deepEqual(seen, parts);
    assert.ok(depth < 200, `depth ${depth}`);
  }
});
