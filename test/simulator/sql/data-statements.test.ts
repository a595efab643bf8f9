import assert from "node:assert/strict";
import { test } from "node:test";
import { column, int, kindsOf, one, string, variable } from "./trees.ts";

test("INSERT: rows with DEFAULT, OUTPUT INTO, a query, a procedure, DEFAULT VALUES", () => {
  assert.deepEqual(
    one("INSERT INTO dbo.t WITH (TABLOCK) (a, [b c]) OUTPUT inserted.a INTO @o (x) VALUES (1, DEFAULT), (2, 'y')"),
    {
      line: 1,
      kind: "insert",
      ctes: [],
      target: { kind: "table", name: { parts: ["dbo", "t"] }, hints: ["tablock"] },
      columns: ["a", "b c"],
      output: {
        items: [{ kind: "expr", expr: column("inserted", "a") }],
        into: { target: { kind: "table_variable", name: "@o" }, columns: ["x"] },
      },
      source: {
        kind: "values",
        rows: [
          [int(1), "default"],
          [int(2), string("y")],
        ],
      },
    },
  );
  const sources = ["SELECT 1", "(SELECT 1 UNION SELECT 2)", "EXEC p 1", "EXEC ('x')", "DEFAULT VALUES"].map(
    (source) => {
      const statement = one(`INSERT t ${source}`);
      return statement.kind === "insert" && statement.source.kind;
    },
  );
  assert.deepEqual(sources, ["query", "query", "execute", "execute", "default_values"]);
});

test("UPDATE: columns, variables, both at once, through an alias of FROM", () => {
  const update = one(
    "UPDATE TOP (5) x SET x.a += 1, @v = b, @w = c = 2, d = DEFAULT OUTPUT deleted.a FROM t AS x WHERE x.b = 1 OPTION (MAXDOP 1)",
  );
  assert.ok(update.kind === "update");
  assert.deepEqual(update.target, { kind: "table", name: { parts: ["x"] }, hints: [] });
  assert.deepEqual(update.set, [
    { kind: "column", column: "a", op: "+=", value: int(1) },
    { kind: "variable", variable: "@v", op: "=", value: column("b") },
    { kind: "variable", variable: "@w", column: "c", op: "=", value: int(2) },
    { kind: "column", column: "d", op: "=", value: "default" },
  ]);
  assert.equal(update.from.length, 1);
  assert.equal(update.where?.kind, "compare");
});

test("DELETE: with and without FROM, with a second FROM", () => {
  const remove = one("DELETE TOP (10) FROM x OUTPUT deleted.* FROM t x JOIN s ON s.a = x.a WHERE s.b = 1");
  assert.ok(remove.kind === "delete");
  assert.deepEqual(remove.output?.items, [{ kind: "star", qualifier: ["deleted"] }]);
  assert.equal(remove.from[0]?.kind, "join");
  assert.deepEqual(kindsOf("DELETE t DELETE FROM dbo.t WHERE a = 1 DELETE @t"), ["delete", "delete", "delete"]);
});

test("common tables stand before INSERT, UPDATE, DELETE and MERGE too", () => {
  const kinds = kindsOf(
    "WITH c AS (SELECT 1 a) INSERT t SELECT * FROM c; WITH c AS (SELECT 1 a) UPDATE c SET a = 2; WITH c AS (SELECT 1 a) DELETE c; WITH c AS (SELECT 1 a) MERGE c USING c AS d ON 1=1 WHEN MATCHED THEN DELETE;",
  );
  assert.deepEqual(kinds, ["insert", "update", "delete", "merge"]);
});

test("MERGE in full", () => {
  const merge = one(`
    MERGE TOP (10) INTO dbo.Target WITH (HOLDLOCK) AS tgt
    USING (SELECT @id AS id, @v AS v) AS src ON tgt.id = src.id
    WHEN MATCHED AND src.v IS NULL THEN DELETE
    WHEN MATCHED THEN UPDATE SET v = src.v, tgt.n += 1
    WHEN NOT MATCHED BY TARGET THEN INSERT (id, v) VALUES (src.id, DEFAULT)
    WHEN NOT MATCHED BY SOURCE AND tgt.v = 1 THEN UPDATE SET v = NULL
    OUTPUT $action, inserted.id, deleted.id INTO @log (a, b, c);`);
  assert.ok(merge.kind === "merge");
  assert.equal(merge.line, 2);
  assert.deepEqual(merge.target, { kind: "table", name: { parts: ["dbo", "Target"] }, hints: ["holdlock"] });
  assert.equal(merge.alias, "tgt");
  assert.deepEqual(
    merge.whens.map((when) => [when.match, when.and?.kind, when.action.kind]),
    [
      ["matched", "is_null", "delete"],
      ["matched", undefined, "update"],
      ["not_matched", undefined, "insert"],
      ["not_matched_by_source", "compare", "update"],
    ],
  );
  assert.deepEqual(merge.output?.items[0], { kind: "expr", expr: column("$action") });
  assert.deepEqual(merge.output?.into?.columns, ["a", "b", "c"]);
});

test("INSERT BULK names the columns that a bulk copy client is about to send", () => {
  assert.deepEqual(one("insert bulk [dbo].[t]([id] int, [name] nvarchar(50)) with (KEEP_NULLS, ROWS_PER_BATCH = 10)"), {
    line: 1,
    kind: "insert_bulk",
    table: { parts: ["dbo", "t"] },
    columns: [
      { name: "id", type: { name: "int", args: [] } },
      { name: "name", type: { name: "nvarchar", args: [50] } },
    ],
    options: ["KEEP_NULLS", "ROWS_PER_BATCH = 10"],
  });
});

test("EXEC: named and positional arguments, OUTPUT, DEFAULT, a result, a variable's procedure, a text", () => {
  assert.deepEqual(
    one("EXECUTE @rc = [db].dbo.p 1, -2, abc, @x OUTPUT, @d = DEFAULT, @e = N'y', @f = NULL WITH RECOMPILE"),
    {
      line: 1,
      kind: "execute",
      returnVariable: "@rc",
      name: { parts: ["db", "dbo", "p"] },
      args: [
        { value: int(1), output: false },
        { value: { kind: "unary", op: "-", operand: int(2) }, output: false },
        { value: { kind: "literal", type: "nstring", text: "abc" }, output: false },
        { value: variable("@x"), output: true },
        { name: "@d", value: "default", output: false },
        { name: "@e", value: { kind: "literal", type: "nstring", text: "y" }, output: false },
        { name: "@f", value: { kind: "literal", type: "null", text: "NULL" }, output: false },
      ],
    },
  );
  const dynamic = one("EXEC @proc @a = 1");
  assert.deepEqual(dynamic.kind === "execute" && dynamic.name, { variable: "@proc" });
  assert.deepEqual(one("EXEC ('SELECT ' + @x)"), {
    line: 1,
    kind: "execute_text",
    text: { kind: "binary", op: "+", left: string("SELECT "), right: variable("@x") },
  });
});

test("a batch may begin with a procedure's bare name, and only begin", () => {
  assert.deepEqual(kindsOf("sp_who"), ["execute"]);
  assert.deepEqual(kindsOf("sys.sp_cdc_enable_db SELECT 1"), ["execute", "query"]);
  assert.deepEqual(kindsOf("exec ..sp_tablecollations_100 N'.[t]'"), ["execute"]);
  assert.throws(() => kindsOf("SELECT 1; sp_who"), { number: 102, message: "Incorrect syntax near 'sp_who'." });
});

test("the call escape of ODBC and JDBC", () => {
  assert.deepEqual(one("{? = call dbo.p(?, @x OUTPUT, 3)}"), {
    line: 1,
    kind: "execute",
    returnVariable: "?1",
    name: { parts: ["dbo", "p"] },
    args: [
      { value: variable("?2"), output: false },
      { value: variable("@x"), output: true },
      { value: int(3), output: false },
    ],
  });
  assert.deepEqual(kindsOf("{call sp_who} SELECT 1"), ["execute", "query"]);
});
