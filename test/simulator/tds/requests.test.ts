import assert from "node:assert/strict";
import { test } from "node:test";
import { ISOLATION_LEVEL, Request, TYPES } from "tedious";
import type { RpcParameter, TableValue } from "../../../simulator/engine/session.ts";
import { Decimal, type SqlType, Temporal, type Value, Variant } from "../../../simulator/engine/values.ts";
import { type Answer, ask, bench, collect, type Parameter } from "./clients.ts";
import { column, type Script, select } from "./scripted-engine.ts";

const ONE_ROW = select([column("x", { id: "int" })], [[1]]);

test("a batch of several statements answers with several result sets and counts", async () => {
  await using on = await bench();
  on.engine.on("several", async (sink, signal) => {
    sink.statementDone({});
    await ONE_ROW(sink, signal, []);
    sink.statementDone({ rowCount: 4, command: "insert" });
    await select([column("a", { id: "int" }), column("b", { id: "bit" })], [])(sink, signal, []);
  });
  const answer = await ask(await on.connect(), "several");
  assert.deepEqual(answer.sets, [["x"], ["a", "b"]]);
  assert.deepEqual(answer.rows, [[1]]);
  assert.deepEqual(answer.dones, ["done undefined more", "done 1 more", "done 4 more", "done 0"]);
});

test("an error has number, state, severity, procedure and line, and the statements behind it still run", async () => {
  await using on = await bench();
  on.engine.on("failing", async (sink, signal) => {
    const message = "Violation of PRIMARY KEY constraint 'PK'.";
    sink.message({ number: 2627, state: 1, severity: 14, message, procedure: "dbo.add_person", line: 70_000 });
    sink.statementDone({ error: true });
    await ONE_ROW(sink, signal, []);
  });
  const connection = await on.connect();
  const answer = await ask(connection, "failing");
  const { number, state, class: severity, procName, lineNumber, message } = answer.error!;
  assert.deepEqual([number, state, severity, procName, lineNumber], [2627, 1, 14, "dbo.add_person", 70_000]);
  assert.equal(message, "Violation of PRIMARY KEY constraint 'PK'.");
  assert.deepEqual(answer.rows, [[1]]);
  assert.equal((await ask(connection, "unknown")).error?.number, 2812);
});

test("PRINT arrives as information, USE as a change of the database", async () => {
  await using on = await bench();
  on.engine.on("use Other print 'hi'", (sink) => {
    sink.environment({ kind: "database", from: "TestDB", to: "Other" });
    sink.message({ number: 5701, state: 2, severity: 0, message: "Changed database context to 'Other'.", line: 1 });
    sink.message({ number: 0, state: 1, severity: 0, message: "hi", line: 1 });
  });
  const connection = await on.connect();
  const seen: string[] = [];
  connection.on("databaseChange", (name) => seen.push(name));
  connection.on("infoMessage", ({ number, message, serverName }) => seen.push(`${serverName} ${number} ${message}`));
  await ask(connection, "use Other print 'hi'");
  assert.deepEqual(seen, ["Other", "SIMULATED 5701 Changed database context to 'Other'.", "SIMULATED 0 hi"]);
});

/** Gives every parameter back: as a row of a result set, and as outputs. */
const echo =
  (seen: RpcParameter[]): Script =>
  async (sink, _signal, parameters) => {
    seen.push(...parameters);
    sink.columns(parameters.map(({ name, type }) => column(name, type)));
    await sink.row(parameters.map(({ value }) => value));
    sink.statementDone({ rowCount: 1, select: true });
    for (const { name, type, value, output } of parameters) if (output) sink.output(name, type, value);
    sink.returnStatus(7);
  };

const noon = new Date("2026-11-21T12:00:00.123Z");
const noonTicks = (12 * 3600 + 0.123) * 10_000_000;
const day = 719_162 + Date.parse("2026-11-21") / 86_400_000;
const collation = "SQL_Latin1_General_CP1_CI_AS";
const PARAMETERS: [Parameter["type"], unknown, SqlType, Value, Parameter["options"]?][] = [
  [TYPES.Bit, true, { id: "bit" }, true],
  [TYPES.TinyInt, 255, { id: "tinyint" }, 255],
  [TYPES.SmallInt, -32768, { id: "smallint" }, -32768],
  [TYPES.Int, -2147483648, { id: "int" }, -2147483648],
  [TYPES.BigInt, "-9223372036854775808", { id: "bigint" }, -9223372036854775808n],
  [TYPES.Real, 0.5, { id: "real" }, 0.5],
  [TYPES.Float, 0.1, { id: "float" }, 0.1],
  [
    TYPES.Decimal,
    -12.34,
    { id: "decimal", precision: 18, scale: 2 },
    new Decimal(-1234n, 2),
    { precision: 18, scale: 2 },
  ],
  [TYPES.Numeric, 5, { id: "numeric", precision: 38, scale: 0 }, new Decimal(5n, 0), { precision: 38, scale: 0 }],
  [TYPES.Money, -1.2345, { id: "money" }, new Decimal(-12345n, 4)],
  [TYPES.SmallMoney, 1.5, { id: "smallmoney" }, new Decimal(15000n, 4)],
  [TYPES.Date, noon, { id: "date" }, new Temporal(day, 0)],
  [TYPES.Time, noon, { id: "time", scale: 3 }, new Temporal(0, noonTicks), { scale: 3 }],
  [TYPES.DateTime, noon, { id: "datetime" }, new Temporal(day, 432_001_233_333)],
  [TYPES.SmallDateTime, new Date("2026-11-21T12:00:00Z"), { id: "smalldatetime" }, new Temporal(day, 432_000_000_000)],
  [TYPES.DateTime2, noon, { id: "datetime2", scale: 7 }, new Temporal(day, noonTicks), { scale: 7 }],
  [TYPES.Char, "ab", { id: "char", length: 2, collation }, "ab", { length: 2 }],
  [TYPES.VarChar, "naïve €", { id: "varchar", length: 50, collation }, "naïve €", { length: 50 }],
  [TYPES.NChar, "éß", { id: "nchar", length: 2, collation }, "éß", { length: 2 }],
  [TYPES.NVarChar, "", { id: "nvarchar", length: 10, collation }, "", { length: 10 }],
  [TYPES.NVarChar, "ü😀".repeat(9000), { id: "nvarchar", length: -1, collation }, "ü😀".repeat(9000)],
  [
    TYPES.UniqueIdentifier,
    "49fbedad-37b6-4870-bce3-3f713f46bcf5",
    { id: "uniqueidentifier" },
    "49FBEDAD-37B6-4870-BCE3-3F713F46BCF5",
  ],
  [TYPES.Binary, Buffer.of(1, 2), { id: "binary", length: 2 }, Buffer.of(1, 2), { length: 2 }],
  [TYPES.VarBinary, Buffer.of(0, 255), { id: "varbinary", length: 10 }, Buffer.of(0, 255), { length: 10 }],
  [TYPES.VarBinary, Buffer.alloc(20_000, 3), { id: "varbinary", length: -1 }, Buffer.alloc(20_000, 3)],
];

test("parameters of every type arrive exactly, and come back as rows and as output parameters", async () => {
  await using on = await bench();
  const seen: RpcParameter[] = [];
  on.engine.on("dbo.echo", echo(seen));
  const connection = await on.connect({ packetSize: 512 });
  const parameters = PARAMETERS.map(([type, value, , , options], i) => ({
    name: `p${i}`,
    type,
    value,
    output: true,
    ...(options ? { options } : {}),
  }));
  const answer = await ask(connection, "dbo.echo", "procedure", parameters);
  assert.equal(answer.error, null);
  seen.forEach((parameter, i) => {
    const [, , type, value] = PARAMETERS[i]!;
    assert.deepEqual([parameter.name, parameter.type, parameter.value], [`@p${i}`, type, value]);
  });
  assert.deepEqual(Object.values(answer.outputs), answer.rows[0]);
  assert.equal(answer.status, 7);
  assert.deepEqual(answer.dones, ["inProc 1 more", "proc undefined"]);
});

test("NULL parameters of every type arrive as NULL and come back as NULL", async () => {
  await using on = await bench();
  const seen: RpcParameter[] = [];
  on.engine.on("dbo.echo", echo(seen));
  const parameters = PARAMETERS.map(([type, , , , options], i) => ({
    name: `p${i}`,
    type,
    value: null,
    output: true,
    ...(options ? { options } : {}),
  }));
  const answer = await ask(await on.connect(), "dbo.echo", "procedure", parameters);
  assert.equal(answer.error, null);
  assert.deepEqual(
    seen.map(({ value }) => value),
    PARAMETERS.map(() => null),
  );
  assert.deepEqual(
    Object.values(answer.outputs),
    PARAMETERS.map(() => null),
  );
});

test("sp_executesql comes by its number, with statement and parameter list first", async () => {
  await using on = await bench();
  const seen: RpcParameter[] = [];
  on.engine.on(10, echo(seen));
  const parameters = [{ name: "id", type: TYPES.Int, value: 5 }];
  const answer = await ask(await on.connect(), "select @id", "sql", parameters);
  assert.equal(answer.error, null);
  assert.deepEqual(
    seen.map(({ name, value }) => [name, value]),
    [
      ["@statement", "select @id"],
      ["@params", "@id int"],
      ["@id", 5],
    ],
  );
});

test("a prepared statement's handle comes back from sp_prepare and goes into sp_execute", async () => {
  await using on = await bench();
  on.engine.on(11, (sink, _signal, parameters) => {
    // By the formal name of sp_prepare's parameter, whatever the client called it.
    assert.equal(parameters[0]!.output, true);
    sink.output(parameters[0]!.name, { id: "int" }, 42);
    sink.returnStatus(0);
  });
  const executed: Value[] = [];
  on.engine.on(12, async (sink, signal, parameters) => {
    executed.push(...parameters.map(({ value }) => value));
    await ONE_ROW(sink, signal, []);
  });
  const connection = await on.connect();
  const answer: Answer = { rows: [], sets: [], outputs: {}, dones: [], status: undefined, error: null };
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const request = new Request("select @a", (error) => (error ? reject(error) : resolve()));
  request.addParameter("a", TYPES.Int, undefined);
  collect(request, answer);
  request.once("prepared", () => connection.execute(request, { a: 9 }));
  connection.prepare(request);
  await promise;
  assert.deepEqual(executed, [42, 9]);
  assert.deepEqual(answer.rows, [[1]]);
});

test("table-valued parameters come with their type's name, their columns' types and their rows, or as NULL", async () => {
  await using on = await bench();
  const columns = [
    { name: "a", type: TYPES.Int },
    { name: "b", type: TYPES.NVarChar, length: 20 },
  ];
  const rows = [
    [1, "ünï"],
    [null, null],
  ];
  const seen: unknown[] = [];
  on.engine.on("dbo.take", (sink, _signal, [parameter]) => {
    seen.push(parameter!.table);
    sink.returnStatus(0);
  });
  const connection = await on.connect();
  const table = { schema: "dbo", name: "Ids", columns, rows };
  for (const value of [table, null]) {
    const answer = await ask(connection, "dbo.take", "procedure", [{ name: "t", type: TYPES.TVP, value }]);
    assert.equal(answer.error, null);
  }
  const [full, empty] = seen as [TableValue, TableValue];
  assert.deepEqual([full.schema, full.name, full.rows], ["dbo", "Ids", rows]);
  assert.deepEqual(
    full.columns.map(({ type }) => [type.id, type.length]),
    [
      ["int", undefined],
      ["nvarchar", 20],
    ],
  );
  assert.deepEqual(empty, { schema: "", name: "", columns: [], rows: [] });
  assert.deepEqual(on.problems, []);
});

test("a transaction begins, is saved, rolled back and committed by requests of the transaction manager", async () => {
  await using on = await bench();
  on.engine.on("ok", ONE_ROW);
  const connection = await on.connect();
  const step = (run: (done: (error?: Error | null) => void) => void) =>
    new Promise<void>((resolve, reject) => run((error) => (error ? reject(error) : resolve())));
  await step((done) => connection.beginTransaction(done, "t1", ISOLATION_LEVEL.SNAPSHOT));
  await step((done) => connection.saveTransaction(done, "point"));
  assert.deepEqual((await ask(connection, "ok")).rows, [[1]]);
  await step((done) => connection.commitTransaction(done, "t1"));
  await step((done) => connection.beginTransaction(done, "t2", ISOLATION_LEVEL.SERIALIZABLE));
  await step((done) => connection.rollbackTransaction(done, "t2"));
  const log = on.engine.sessions[0]!.log;
  assert.deepEqual(log, ["begin t1 5", "save point", "batch ok", "commit t1", "begin t2 4", "rollback t2"]);
});

test("a pool resets the session before it is used again", async () => {
  await using on = await bench();
  on.engine.on("ok", ONE_ROW);
  const connection = await on.connect();
  const session = on.engine.sessions[0]!;
  session.database = "Elsewhere";
  await ask(connection, "ok");
  const databases: string[] = [];
  connection.on("databaseChange", (name) => databases.push(name));
  await new Promise<void>((resolve, reject) => connection.reset((error) => (error ? reject(error) : resolve())));
  assert.ok(session.log.includes("reset"));
  assert.deepEqual(databases, ["TestDB"]);
  assert.deepEqual((await ask(connection, "ok")).rows, [[1]]);
});

test("a cancelled result stops in the middle, and the connection serves the next request", async () => {
  await using on = await bench();
  let written = 0;
  let sawAbort = false;
  on.engine.on("endless", async (sink, signal) => {
    sink.columns([column("i", { id: "int" }), column("t", { id: "nvarchar", length: 100 })]);
    while (!signal.aborted) await sink.row([written++, "some text"]);
    sawAbort = true;
  });
  on.engine.on("ok", ONE_ROW);
  const connection = await on.connect();
  for (let round = 0; round < 3; round++) {
    const { promise, resolve } = Promise.withResolvers<Error | null | undefined>();
    const request = new Request("endless", (error) => resolve(error));
    let rows = 0;
    request.on("row", () => {
      if (++rows === 1000) connection.cancel();
    });
    connection.execSqlBatch(request);
    assert.equal((await promise)?.message, "Canceled.");
    assert.deepEqual((await ask(connection, "ok")).rows, [[1]]);
  }
  assert.equal(sawAbort, true);
});

test("a request that waits is cancelled before its first row, also one by procedure", async () => {
  await using on = await bench();
  const started: (() => void)[] = [];
  const waiting: Script = async (_sink, signal) => {
    for (const resolve of started.splice(0)) resolve();
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  };
  on.engine.on("waitfor", waiting).on("dbo.wait", waiting).on("ok", ONE_ROW);
  const connection = await on.connect();
  for (const how of ["batch", "procedure"] as const) {
    const running = new Promise<void>((resolve) => started.push(resolve));
    const answer = ask(connection, how === "batch" ? "waitfor" : "dbo.wait", how);
    await running;
    connection.cancel();
    assert.equal((await answer).error?.message, "Canceled.");
    assert.deepEqual((await ask(connection, "ok")).rows, [[1]]);
  }
});

test("a client that vanishes in the middle of a result aborts its request and closes its session", async () => {
  await using on = await bench();
  let aborted = false;
  on.engine.on("endless", async (sink, signal) => {
    sink.columns([column("i", { id: "int" })]);
    while (!signal.aborted) await sink.row([1]);
    aborted = true;
  });
  const connection = await on.connect();
  const request = new Request("endless", () => {});
  request.once("row", () => connection.close());
  connection.execSqlBatch(request);
  await on.engine.sessions[0]!.closed();
  assert.equal(aborted, true);
});

test("a fault of the engine is an error for the client, ends its session, and is reported to the operator", async () => {
  await using on = await bench();
  on.engine.on("broken", (sink) => {
    sink.columns([column("i", { id: "int" }, false)]);
    sink.row([null]);
  });
  const answer = await ask(await on.connect(), "broken");
  assert.match(answer.error!.message, /NULL in a column of type int that was described as NOT NULL/);
  assert.match(on.problems[0]!, /a request failed in the engine: NULL in a column/);
  await on.engine.sessions[0]!.closed();
});

test("sql_variant parameters keep their base type", async () => {
  await using on = await bench();
  const value = new Variant({ id: "int" }, 5);
  on.engine.on("dbo.variant", (sink) => {
    sink.output("@v", { id: "sql_variant" }, value);
    sink.returnStatus(0);
  });
  const parameters = [{ name: "v", type: TYPES.Int, value: 1, output: true }];
  const answer = await ask(await on.connect(), "dbo.variant", "procedure", parameters);
  assert.deepEqual(answer.outputs, { v: 5 });
});

// "NOWAIT: Sends messages immediately to the client": https://learn.microsoft.com/sql/t-sql/language-elements/raiserror-transact-sql
test("a message that does not wait arrives while its statement runs", async () => {
  await using on = await bench();
  let heard: () => void;
  const arrived = new Promise<void>((resolve) => (heard = resolve));
  on.engine.on("long", async (sink, signal) => {
    sink.message({ number: 0, state: 1, severity: 0, message: "half way", line: 1, atOnce: true });
    await arrived;
    await ONE_ROW(sink, signal, []);
  });
  const connection = await on.connect();
  connection.on("infoMessage", () => heard());
  assert.deepEqual((await ask(connection, "long")).rows, [[1]]);
});

// https://learn.microsoft.com/sql/sql-server/maximum-capacity-specifications-for-sql-server
test("a call has 2,100 parameters and no more, and the connection goes on", async () => {
  await using on = await bench();
  on.engine.on("many", ONE_ROW);
  const connection = await on.connect();
  const parameters = (count: number): Parameter[] =>
    Array.from({ length: count }, (_, i) => ({ name: `p${i}`, type: TYPES.Int, value: i }));
  assert.equal((await ask(connection, "many", "procedure", parameters(2100))).error, null);
  assert.equal((await ask(connection, "many", "procedure", parameters(2101))).error?.number, 8003);
  assert.deepEqual((await ask(connection, "many")).rows, [[1]]);
});
