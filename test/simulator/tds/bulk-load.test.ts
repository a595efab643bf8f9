/** Bulk copy, as tedious does it: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds/ab4a7d62-cd1f-4db1-b67d-ecae58f493e3 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { Connection, Request, type RequestError, TYPES } from "tedious";
import { SqlServerSimulator } from "../../../simulator/index.ts";

let simulator: SqlServerSimulator;
let connection: Connection;
const problems: string[] = [];
let databases = 0;

before(async () => {
  simulator = await SqlServerSimulator.start({
    captureInterval: "immediate",
    onProblem: (problem) => problems.push(problem.message),
  });
});
after(() => simulator.close());

beforeEach(async () => {
  const database = `Bulk${++databases}`;
  simulator.engine.createDatabase(database);
  connection = new Connection({
    server: "127.0.0.1",
    authentication: { type: "default", options: { userName: "sa", password: simulator.password } },
    options: { port: simulator.port, database, encrypt: false },
  });
  await new Promise<void>((resolve, reject) => connection.connect((error) => (error ? reject(error) : resolve())));
});

afterEach(async () => {
  connection.close();
  await once(connection, "end");
  assert.deepEqual(problems.splice(0), []);
});

function run(sql: string): Promise<unknown[][]> {
  return new Promise((resolve, reject) => {
    const rows: unknown[][] = [];
    const request = new Request(sql, (error) => (error ? reject(error) : resolve(rows)));
    request.on("row", (columns: { value: unknown }[]) => rows.push(columns.map(({ value }) => value)));
    connection.execSqlBatch(request);
  });
}

type Column = [
  name: string,
  type: (typeof TYPES)[keyof typeof TYPES],
  options?: { length?: number; precision?: number; scale?: number },
];

/** Resolves to the number of rows, or to the number of the error. */
function load(
  table: string,
  columns: Column[],
  rows: unknown[][],
  options: { keepNulls?: boolean; checkConstraints?: boolean; lockTable?: boolean } = {},
): Promise<{ count: number } | { error: number | string }> {
  return new Promise((resolve) => {
    const bulk = connection.newBulkLoad(table, options, (error, count) =>
      resolve(error ? { error: (error as RequestError).number ?? error.message } : { count: count! }),
    );
    for (const [name, type, more] of columns) bulk.addColumn(name, type, { nullable: true, ...more });
    connection.execBulkLoad(bulk, rows);
  });
}

const int = (name: string): Column => [name, TYPES.Int];
const text = (name: string): Column => [name, TYPES.NVarChar, { length: 50 }];

describe("INSERT BULK", () => {
  test("puts the rows in, each value as it was sent", async () => {
    await run(`CREATE TABLE t (id int NOT NULL PRIMARY KEY, a nvarchar(50), b varbinary(max), c datetime2(3), d ntext,
      e bit, f decimal(10, 2), g varchar(10), h AS id * 2, v rowversion)`);
    const columns: Column[] = [
      int("id"),
      text("a"),
      ["b", TYPES.VarBinary, { length: Number.POSITIVE_INFINITY }],
      ["c", TYPES.DateTime2, { scale: 3 }],
      ["d", TYPES.NText],
      ["e", TYPES.Bit],
      ["f", TYPES.Decimal, { precision: 10, scale: 2 }],
      ["g", TYPES.VarChar, { length: 10 }],
    ];
    const rows = [
      [1, "ünï 😀", Buffer.from([0, 255]), new Date("2024-02-29T12:34:56.789Z"), "long".repeat(5000), true, 1.25, "x"],
      [2, null, null, null, null, null, null, null],
    ];
    assert.deepEqual(await load("dbo.t", columns, rows), { count: 2 });
    assert.deepEqual(await run("SELECT id, a, b, c, LEN(CAST(d AS nvarchar(max))), e, f, g, h FROM t ORDER BY id"), [
      [1, "ünï 😀", Buffer.from([0, 255]), new Date("2024-02-29T12:34:56.789Z"), "20000", true, 1.25, "x", 2],
      [2, null, null, null, null, null, null, null, 4],
    ]);
  });

  test("ten thousand rows arrive in one transaction, and CDC captures them in it", async () => {
    await run("EXEC sys.sp_cdc_enable_db");
    await run("CREATE TABLE t (id int NOT NULL PRIMARY KEY, a nvarchar(50))");
    await run("EXEC sys.sp_cdc_enable_table N'dbo', N't', @role_name = NULL");
    const rows = Array.from({ length: 10_000 }, (_, i) => [i, `row ${i}`]);
    assert.deepEqual(await load("t", [int("id"), text("a")], rows), { count: 10_000 });
    assert.deepEqual(await run("SELECT COUNT(*), COUNT(DISTINCT [__$start_lsn]) FROM cdc.dbo_t_CT"), [[10_000, 1]]);
  });

  test("a row that breaks a key undoes the whole load", async () => {
    await run("CREATE TABLE t (id int NOT NULL PRIMARY KEY)");
    assert.deepEqual(await load("t", [int("id")], [[1], [2], [1]]), { error: 2627 });
    assert.deepEqual(await load("t", [int("id")], [[1], [null]]), { error: 515 });
    assert.deepEqual(await run("SELECT COUNT(*) FROM t"), [[0]]);
  });

  test("NULL takes the column's default, unless KEEP_NULLS is asked for", async () => {
    await run("CREATE TABLE t (id int, n int DEFAULT 7)");
    await load("t", [int("id"), int("n")], [[1, null]]);
    await load("t", [int("id"), int("n")], [[2, null]], { keepNulls: true });
    assert.deepEqual(await run("SELECT id, n FROM t ORDER BY id"), [
      [1, 7],
      [2, null],
    ]);
  });

  test("constraints are passed over, unless CHECK_CONSTRAINTS is asked for", async () => {
    await run("CREATE TABLE p (id int PRIMARY KEY)");
    await run("CREATE TABLE t (id int CHECK (id > 0), p int REFERENCES p)");
    const columns = [int("id"), int("p")];
    assert.deepEqual(await load("t", columns, [[-1, 9]]), { count: 1 });
    assert.deepEqual(await load("t", columns, [[-2, null]], { checkConstraints: true }), { error: 547 });
    assert.deepEqual(await load("t", columns, [[2, 9]], { checkConstraints: true }), { error: 547 });
  });

  test("identity values are made, or kept where they come", async () => {
    await run("CREATE TABLE t (id int IDENTITY(10, 10) PRIMARY KEY, a nvarchar(50))");
    await load("t", [text("a")], [["made"], ["made"]]);
    await load("t", [int("id"), text("a")], [[55, "kept"]]);
    await load("t", [text("a")], [["made"]]);
    assert.deepEqual(await run("SELECT id, a FROM t ORDER BY id"), [
      [10, "made"],
      [20, "made"],
      [55, "kept"],
      [65, "made"],
    ]);
  });

  test("goes into the session's temporary tables and its transaction", async () => {
    await run("CREATE TABLE #t (id int)");
    await run("CREATE TABLE t (id int)");
    await load("#t", [int("id")], [[1], [2]], { lockTable: true });
    await run("BEGIN TRANSACTION");
    await load("t", [int("id")], [[3]]);
    await run("ROLLBACK");
    assert.deepEqual(await run("SELECT (SELECT COUNT(*) FROM #t), (SELECT COUNT(*) FROM t)"), [[2, 0]]);
  });

  test("tables, columns and types that are not there are refused before a row is sent", async () => {
    await run("CREATE TABLE t (id int, twice AS id * 2)");
    assert.deepEqual(await load("nosuch", [int("id")], [[1]]), { error: 208 });
    assert.deepEqual(await load("t", [int("nosuch")], [[1]]), { error: 207 });
    assert.deepEqual(await load("t", [int("twice")], [[1]]), { error: 271 });
    await assert.rejects(run("INSERT BULK t (id int) WITH (NOSUCH)"), /does not support INSERT BULK/);
    assert.deepEqual(await run("SELECT 1"), [[1]]);
  });
});

describe("SET FMTONLY ON", () => {
  test("describes results without running anything", async () => {
    await run("CREATE TABLE t (id int)");
    assert.deepEqual(
      await run("SET FMTONLY ON; INSERT t VALUES (1); SELECT * FROM t; DROP TABLE t; SET FMTONLY OFF"),
      [],
    );
    assert.deepEqual(await run("SELECT COUNT(*) FROM t"), [[0]]);
  });
});
