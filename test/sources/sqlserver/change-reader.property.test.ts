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

/** "upgraded": the key was rebuilt with the command id, which the older rows lack. */
type Kind = CommandIdColumn | "upgraded";

async function everyChangeOnce(kind: Kind, work: string[], limits: Limit[], before: boolean) {
  await using world = await World.open();
  const upgraded = kind === "upgraded";
  const commandId = upgraded ? "current" : kind;
  world.cdc.commandId = commandId;
  await world.sql("CREATE TABLE dbo.T (id int NOT NULL PRIMARY KEY, v int NOT NULL)");
  await world.capture("T");
  await world.sql("INSERT INTO T VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)");
  for (const [index, sql] of work.entries()) {
    await world.sql(sql);
    if (upgraded && index === work.length >> 1) await world.sql("UPDATE cdc.dbo_T_CT SET __$command_id = NULL");
  }
  const command = commandId === "missing" ? "0" : "ISNULL(__$command_id, 0)";
  const rows = await world.sql(
    `SELECT CONVERT(varchar(20), __$start_lsn, 2), ${command}, CONVERT(varchar(20), __$seqval, 2), __$operation, id, v ` +
      `FROM cdc.dbo_T_CT WHERE __$operation <> 3 ORDER BY __$start_lsn${commandId === "missing" ? "" : `, ${command}`}, __$seqval, __$operation`,
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

for (const kind of ["current", "missing", "null", "upgraded"] as const)
  test(`any sequence of limits and restarts yields each change once, in order (command id: ${kind})`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(transaction, { minLength: 1, maxLength: 12 }),
        fc.array(limit, { minLength: 1, maxLength: 6 }),
        fc.boolean(),
        (work, limits, before) => everyChangeOnce(kind, work, limits, before),
      ),
      { numRuns: 15 },
    );
  });
