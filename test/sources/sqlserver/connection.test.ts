import assert from "node:assert/strict";
import { test } from "node:test";
import type { SourceError } from "../../../src/errors.ts";
import { SqlConnection } from "../../../src/sources/sqlserver/connection.ts";
import { parseConnectionString } from "../../../src/sources/sqlserver/connection-string.ts";
import type { RowHandler } from "../../../src/sources/sqlserver/wire/response.ts";
import { never, World } from "./world.ts";

const doing = "asking";
const many = "SELECT TOP (20000) a.value, REPLICATE(N'x', 200) FROM GENERATE_SERIES(1, 20000) AS a";

/** Rows of (int NOT NULL, nvarchar(4000)) as they lie on the wire, up to so many. */
class FirstRows implements RowHandler {
  count = 0;
  readonly #most: number;
  constructor(most: number) {
    this.#most = most;
  }
  begin(): void {}
  get enough(): boolean {
    return this.count >= this.#most;
  }
  row(_s: Buffer, view: DataView, p: number, end: number): number {
    if (p + 6 > end) return -1;
    const next = p + 6 + view.getUint16(p + 4, true);
    if (next > end) return -1;
    this.count++;
    return next;
  }
}

async function connected(times = {}): Promise<{ world: World; connection: SqlConnection } & AsyncDisposable> {
  const world = await World.open();
  const connection = new SqlConnection(world.target, times);
  world.defer(() => connection.close());
  return { world, connection, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() };
}

function ask(connection: SqlConnection, sql: string, signal = never) {
  return connection.query(sql, [], signal, { doing });
}

test("parameters are typed, results come as arrays in column order, sets one after the other", async () => {
  await using it = await connected();
  const { sets } = await it.connection.query(
    "SELECT @a AS a, @b AS b; SELECT @c AS c",
    [
      { name: "a", type: "binary10", value: Buffer.from("0000003600000b200003", "hex") },
      { name: "b", type: "int", value: null },
      { name: "c", type: "nvarchar", value: "ü" },
    ],
    never,
    { doing },
  );
  assert.deepEqual(
    sets.map(({ rows }) => rows),
    [[[Buffer.from("0000003600000b200003", "hex"), null]], [["ü"]]],
  );
});

test("a statement that the server refuses fails with its number, and the connection is kept", async () => {
  await using it = await connected();
  await ask(it.connection, "SELECT 1");
  const { session } = it.connection;
  await assert.rejects(ask(it.connection, "SELECT * FROM dbo.NoSuchTable"), (error: SourceError) => {
    assert.deepEqual([error.scope, error.number], ["table", 208]);
    assert.match(error.message, /While asking: .*NoSuchTable/);
    return true;
  });
  assert.equal(it.connection.session, session);
});

test("a connection that breaks is worth a retry, and the next query opens a fresh one", async () => {
  await using it = await connected();
  await ask(it.connection, "SELECT 1");
  for (const connection of it.world.simulator.server.connections) connection.setFaults({ dropAfter: 20_000 });
  await assert.rejects(ask(it.connection, many), (error: SourceError) => error.scope === "unavailable");
  assert.deepEqual((await ask(it.connection, "SELECT 2")).sets[0]!.rows, [[2]]);
});

test("an answer that stalls half-way is given up after its time, never waited for", async () => {
  await using it = await connected({ stall: 150 });
  await ask(it.connection, "SELECT 1");
  for (const connection of it.world.simulator.server.connections) connection.setFaults({ stallAfter: 20_000 });
  await assert.rejects(
    ask(it.connection, many),
    (error: SourceError) => error.scope === "unavailable" && /stalled/.test(error.message),
  );
  assert.deepEqual((await ask(it.connection, "SELECT 2")).sets[0]!.rows, [[2]]);
});

test("a server that never answers is given up after its time", async () => {
  await using it = await connected({ answer: 150 });
  await ask(it.connection, "SELECT 1");
  for (const connection of it.world.simulator.server.connections) connection.setFaults({ stallAfter: 0 });
  await assert.rejects(ask(it.connection, "SELECT 1"), (error: SourceError) => /did not answer/.test(error.message));
});

test("an aborted query is called off, and the next one works", async () => {
  await using it = await connected();
  await ask(it.connection, "SELECT 1");
  const controller = new AbortController();
  const waiting = ask(it.connection, "WAITFOR DELAY '00:01:00'", controller.signal);
  setImmediate(() => controller.abort(new Error("enough")));
  await assert.rejects(waiting, /enough/);
  assert.deepEqual((await ask(it.connection, "SELECT 2")).sets[0]!.rows, [[2]]);
});

test("a reader that has enough stops the answer, and the connection is kept", async () => {
  await using it = await connected();
  await ask(it.connection, "SELECT 1");
  const { session } = it.connection;
  const rows = new FirstRows(100);
  const result = await it.connection.query(many, [], never, { doing, stream: { set: 0, rows } });
  assert.deepEqual([result.stopped, rows.count], [true, 100]);
  assert.deepEqual((await ask(it.connection, "SELECT 2")).sets[0]!.rows, [[2]]);
  assert.equal(it.connection.session, session);
});

test("queries that are asked for together run one after the other", async () => {
  await using it = await connected();
  const answers = await Promise.all([1, 2, 3, 4].map((n) => ask(it.connection, `SELECT ${n}`)));
  assert.deepEqual(
    answers.map(({ sets }) => sets[0]!.rows[0]![0]),
    [1, 2, 3, 4],
  );
});

test("a wrong password stops the process, says so, and does not say the password", async () => {
  await using world = await World.open();
  const target = parseConnectionString(
    `sqlserver://sa:wrong-secret@${world.simulator.address}?database=TestDB&encrypt=false`,
  );
  const connection = new SqlConnection(target);
  await assert.rejects(ask(connection, "SELECT 1"), (error: SourceError) => {
    assert.deepEqual([error.scope, error.number], ["fatal", 18456]);
    assert.match(error.message, /Login failed for user 'sa'/);
    assert.match(error.advice!, /password/);
    assert.ok(!JSON.stringify([error.message, error.advice, String(error.cause)]).includes("wrong-secret"));
    return true;
  });
  await connection.close();
});

test("hosts are tried in turn", async () => {
  await using world = await World.open();
  const [working] = world.target.hosts;
  // Port 1 of the loopback refuses.
  const target = { ...world.target, hosts: [{ ...working, port: 1 }, working] as [typeof working, typeof working] };
  const connection = new SqlConnection(target);
  assert.deepEqual((await ask(connection, "SELECT 2")).sets[0]!.rows, [[2]]);
  await connection.close();
  const nobody = new SqlConnection({ ...world.target, hosts: [{ ...working, port: 1 }] });
  await assert.rejects(
    ask(nobody, "SELECT 1"),
    (error: SourceError) => error.scope === "unavailable" && error.message.includes("127.0.0.1:1"),
  );
  await nobody.close();
});

test("closing ends what runs", async () => {
  await using it = await connected();
  await ask(it.connection, "SELECT 1");
  const waiting = assert.rejects(
    ask(it.connection, "WAITFOR DELAY '00:01:00'"),
    (error: SourceError) => error.scope === "unavailable",
  );
  await it.connection.close();
  await waiting;
});
