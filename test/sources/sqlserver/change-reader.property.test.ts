import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { CommandIdColumn } from "../../../simulator/index.ts";
import { comparePositions } from "../../../src/change/position.ts";
import { firstTable, maximum, never, parse, readOnce, World } from "./world.ts";

/** One statement on rows 1 to 12; several in brackets are one transaction. */
const id = fc.integer({ min: 1, max: 12 });
const statement = fc.oneof(
  id.map((n) => `IF NOT EXISTS (SELECT 1 FROM T WHERE id = ${n}) INSERT INTO T VALUES (${n}, ${n * 7})`),
  id.map((n) => `UPDATE T SET v = v + 1 WHERE id <= ${n}`),
  id.map((n) => `UPDATE T SET id = id + 20 WHERE id = ${n} AND NOT EXISTS (SELECT 1 FROM T WHERE id = ${n + 20})`),
  id.map((n) => `DELETE FROM T WHERE id % 4 = ${n % 4}`),
);
const transaction = fc.oneof(
  statement,
  fc
    .array(statement, { minLength: 2, maxLength: 4 })
    .map((statements) => `BEGIN TRAN; ${statements.join("; ")}; COMMIT`),
);
interface Limit {
  maxRows: number;
  maxBytes: number;
  restart: boolean;
}
const limit: fc.Arbitrary<Limit> = fc.record({
  maxRows: fc.integer({ min: 1, max: 7 }),
  maxBytes: fc.integer({ min: 1, max: 3_000 }),
  restart: fc.boolean(),
});

async function everyChangeOnce(commandId: CommandIdColumn, work: string[], limits: Limit[], before: boolean) {
  await using world = await World.open();
  world.cdc.commandId = commandId;
  await world.sql("CREATE TABLE dbo.T (id int NOT NULL PRIMARY KEY, v int NOT NULL)");
  await world.capture("T");
  for (const sql of work) await world.sql(sql);
  const command = commandId === "missing" ? "0" : "ISNULL(__$command_id, 0)";
  const rows = await world.sql(
    `SELECT CONVERT(varchar(20), __$start_lsn, 2), ${command}, CONVERT(varchar(20), __$seqval, 2), __$operation, id, v ` +
      `FROM cdc.dbo_T_CT WHERE __$operation <> 3 ORDER BY __$start_lsn, ${command}, __$seqval, __$operation`,
  );
  const expected = rows.map(([lsn, c, seqval, operation, id, v]) =>
    [
      String(lsn).toLowerCase(),
      Number(c),
      String(seqval).toLowerCase(),
      Number(operation),
      Number(id),
      Number(v),
    ].join(),
  );
  const source = world.source(["T"], { tableOptions: () => ({ start: { at: "low_watermark" }, before }) });
  const table = await firstTable(source);
  let position = await source.start(table, never);
  if (rows.length === 0) return;
  const upTo = await maximum(source);
  let reader = source.reader(table, { position, commitTime: null });
  const seen: string[] = [];
  for (let batch = 0, more = true; more; batch++) {
    const { maxRows, maxBytes, restart } = limits[batch % limits.length]!;
    const read = await readOnce(reader, upTo, maxRows, maxBytes);
    for (const { data, metadata: m } of read.messages.map(parse))
      seen.push([m.LSN, m.CommandID, m.Seq, m.OperationID, data["id"], data["v"]].join());
    assert.ok(comparePositions(read.position, position) > 0 || !read.more, "a read that is not the last gets on");
    ({ position, more } = read);
    if (restart) reader = source.reader(table, { position, commitTime: read.commitTime });
  }
  assert.deepEqual(seen, expected);
}

for (const commandId of ["current", "missing", "null"] as const)
  test(`any sequence of limits and restarts yields each change once, in order (command id: ${commandId})`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(transaction, { minLength: 1, maxLength: 12 }),
        fc.array(limit, { minLength: 1, maxLength: 6 }),
        fc.boolean(),
        (work, limits, before) => everyChangeOnce(commandId, work, limits, before),
      ),
      { numRuns: 12 },
    );
  });
