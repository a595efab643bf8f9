import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { CommandIdColumn } from "../../../simulator/index.ts";
import { comparePositions } from "../../../src/change/position.ts";
import { firstTable, maximum, never, parse, type RowMessage, readOnce, World } from "./world.ts";

/** A table on which all statements work: a key `id`, a number `v`, and what its shape has besides. */
interface Shape {
  columns: string;
  /** Values behind `id` and `v`, for a row number of any size. */
  rest: string;
  /** An assignment besides that of `v`. */
  set: string;
}

const shapes: Readonly<Record<string, Shape>> = {
  narrow: { columns: "id int NOT NULL PRIMARY KEY, v int NOT NULL", rest: "", set: "" },
  "with large values": {
    columns: "id int NOT NULL PRIMARY KEY, v int NOT NULL, big nvarchar(max) NULL, old ntext NULL, flag bit NOT NULL",
    rest: ", CASE WHEN n % 3 = 0 THEN NULL ELSE REPLICATE(CONVERT(nvarchar(max), N'ü'), n % 700) END, N'old', n % 2",
    set: ", big = CASE WHEN id % 2 = 0 THEN big ELSE N'changed' END",
  },
  "with a wide key": {
    columns: "id int NOT NULL, v int NOT NULL, k varchar(20) NOT NULL, d decimal(38, 10) NULL, PRIMARY KEY (k, id)",
    rest: ", CONCAT('key ', n % 5), n / 7.0",
    set: ", d = d + 1",
  },
  "without a key": {
    columns: "id int NOT NULL, v int NULL, t datetime2(3) NULL",
    rest: ", '2026-11-21'",
    set: ", t = NULL",
  },
};

/** One statement on rows 1 to 12, or on many; several in brackets are one transaction, which may be undone. */
const id = fc.integer({ min: 1, max: 12 });
const statement = fc.oneof(
  { weight: 3, arbitrary: id.map((n) => ({ insert: [n, n] as [number, number] })) },
  { weight: 3, arbitrary: id.map((n) => ({ sql: `UPDATE T SET v = v + 1{set} WHERE id <= ${n}` })) },
  {
    weight: 2,
    arbitrary: id.map((n) => ({
      sql: `UPDATE T SET id = id + 20 WHERE id = ${n} AND NOT EXISTS (SELECT 1 FROM T WHERE id = ${n + 20})`,
    })),
  },
  { weight: 2, arbitrary: id.map((n) => ({ sql: `DELETE FROM T WHERE id % 4 = ${n % 4}` })) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 20, max: 60 }).map((n) => ({ insert: [100, 100 + n] as [number, number] })),
  },
);
type Statement = { sql: string } | { insert: [from: number, to: number] };
interface Transaction {
  statements: Statement[];
  end: "none" | "COMMIT" | "ROLLBACK";
}
const transaction: fc.Arbitrary<Transaction> = fc.oneof(
  { weight: 2, arbitrary: statement.map((one) => ({ statements: [one], end: "none" as const })) },
  {
    weight: 3,
    arbitrary: fc.record({
      statements: fc.array(statement, { minLength: 2, maxLength: 5 }),
      end: fc.constantFrom("COMMIT" as const, "COMMIT" as const, "COMMIT" as const, "ROLLBACK" as const),
    }),
  },
);

function sqlOf({ statements, end }: Transaction, { rest, set }: Shape): string {
  const texts = statements.map((one) => {
    if ("sql" in one) return one.sql.replace("{set}", set);
    const [from, to] = one.insert;
    const values = rest.replaceAll(/\bn\b/g, "value");
    return `INSERT INTO T SELECT value, value * 7${values} FROM GENERATE_SERIES(${from}, ${to}) WHERE value NOT IN (SELECT id FROM T)`;
  });
  return end === "none" ? texts[0]! : `BEGIN TRAN; ${texts.join("; ")}; ${end}`;
}

interface Limit {
  maxRows: number;
  maxBytes: number;
  /** Who goes on after the batch. */
  next: "the same reader" | "a new reader" | "a new process";
}
const limit: fc.Arbitrary<Limit> = fc.record({
  maxRows: fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 1, max: 7 }) }, fc.constant(50), fc.constant(1_000)),
  maxBytes: fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.constant(20_000), fc.constant(1_000_000)),
  next: fc.constantFrom("the same reader", "the same reader", "a new reader", "a new process"),
});

/** "upgraded": the key was rebuilt with the command id, which the older rows lack. */
type Kind = CommandIdColumn | "upgraded";

interface Case {
  shape: string;
  work: Transaction[];
  limits: Limit[];
  before: boolean;
  byKey: boolean;
  /** How many of the transactions are committed when the first reads begin. */
  early: number;
}

async function everyChangeOnce(kind: Kind, { shape, work, limits, before, byKey, early }: Case): Promise<void> {
  await using world = await World.open();
  const upgraded = kind === "upgraded";
  const commandId = upgraded ? "current" : kind;
  world.cdc.commandId = commandId;
  const { columns } = shapes[shape]!;
  await world.sql(`CREATE TABLE dbo.T (${columns})`);
  await world.capture("T");
  const run = async (transactions: Transaction[]) => {
    for (const one of transactions) await world.sql(sqlOf(one, shapes[shape]!));
  };
  await run([{ statements: [{ insert: [1, 6] }], end: "none" }, ...work.slice(0, early)]);
  if (upgraded) await world.sql("UPDATE cdc.dbo_T_CT SET __$command_id = NULL");

  const options = {
    tableOptions: () => ({ start: { at: "low_watermark" as const }, before }),
    ordering: byKey ? ("key" as const) : ("table" as const),
  };
  let source = world.source(["T"], options);
  let table = await firstTable(source);
  let position = await source.start(table, never);
  let reader = source.reader(table, { position, commitTime: null });
  const seen: string[] = [];
  let batches = 0;
  const readTo = async (upTo: string) => {
    for (let more = true; more; batches++) {
      const { maxRows, maxBytes, next } = limits[batches % limits.length]!;
      const read = await readOnce(reader, upTo, maxRows, maxBytes);
      assert.ok(read.messages.length <= maxRows && (read.changes.bytes <= maxBytes || read.changes.count === 1));
      seen.push(...read.messages.map(parse).map(seenChange));
      assert.ok(comparePositions(read.position, position) > 0 || !read.more, "a read that is not the last gets on");
      ({ position, more } = read);
      const checkpoint = { position, commitTime: read.commitTime };
      if (next === "a new process") {
        source = world.source(["T"], options);
        table = await firstTable(source);
      }
      if (next !== "the same reader") reader = source.reader(table, checkpoint);
    }
  };
  await readTo(await maximum(source));
  await run(work.slice(early));
  await readTo(await maximum(source));
  assert.deepEqual(seen, await expectedChanges(world, commandId === "missing", before));
}

function seenChange({ data, metadata: m, before }: RowMessage): string {
  const old = before === undefined ? "" : ` was ${before["id"]} ${before["v"]}`;
  return `${m.LSN} ${m.CommandID} ${m.Seq} ${m.OperationID}: ${data["id"]} ${data["v"]}${old}`;
}

/** The rows of the change table, in its order, updates with their old rows. */
async function expectedChanges(world: World, withoutCommand: boolean, before: boolean): Promise<string[]> {
  const command = withoutCommand ? "0" : "ISNULL(__$command_id, 0)";
  const rows = await world.sql(
    `SELECT CONVERT(varchar(20), __$start_lsn, 2), ${command}, CONVERT(varchar(20), __$seqval, 2), __$operation, id, v ` +
      `FROM cdc.dbo_T_CT ORDER BY __$start_lsn${withoutCommand ? "" : `, ${command}`}, __$seqval, __$operation`,
  );
  const changes: string[] = [];
  let old = "";
  for (const [lsn, commandOf, seqval, operation, id, v] of rows) {
    const content = `${id} ${v}`;
    if (operation === 3) old = before ? ` was ${content}` : "";
    else {
      const place = `${String(lsn).toLowerCase()} ${commandOf} ${String(seqval).toLowerCase()} ${operation}`;
      changes.push(`${place}: ${content}${operation === 4 ? old : ""}`);
    }
  }
  return changes;
}

const example: fc.Arbitrary<Case> = fc.record({
  shape: fc.constantFrom(...Object.keys(shapes)),
  work: fc.array(transaction, { minLength: 1, maxLength: 10 }),
  limits: fc.array(limit, { minLength: 1, maxLength: 6 }),
  before: fc.boolean(),
  byKey: fc.boolean(),
  early: fc.integer({ min: 0, max: 10 }),
});

for (const kind of ["current", "missing", "null", "upgraded"] as const)
  test(`any sequence of limits and restarts yields each change once, in order (command id: ${kind})`, async () => {
    await fc.assert(
      fc.asyncProperty(example, (one) => everyChangeOnce(kind, one)),
      { numRuns: 10 },
    );
  });
