/** Rows that are served in blocks are, byte for byte, those that would be served one by one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ResultSink } from "../../../simulator/engine/session.ts";
import type { Fill, SqlServerSimulator } from "../../../simulator/index.ts";
import { dialectFor } from "../../../simulator/tds/dialect.ts";
import { Output } from "../../../simulator/tds/output.ts";
import { HEADER } from "../../../simulator/tds/packets.ts";
import { Response, type ResponseContext } from "../../../simulator/tds/response.ts";
import { both, FILL } from "./databases.ts";

interface Answer {
  /** Of the tokens, without packet headers. */
  bytes: Buffer;
  blocks: number;
  /** Rows that came by themselves. */
  rows: number;
}

/** What a client gets that reads as fast as it is served, of a database's answer in blocks or row by row. */
async function answer(made: SqlServerSimulator, database: string, sql: string, inBlocks: boolean): Promise<Answer> {
  const payloads: Buffer[] = [];
  const output = new Output({
    write(packets) {
      for (let at = 0; at < packets.length; at += packets.readUInt16BE(at + 2))
        payloads.push(Buffer.from(packets.subarray(at + HEADER, at + packets.readUInt16BE(at + 2))));
      return true;
    },
    drained: async () => {},
    idle: false,
  });
  const context: ResponseContext = {
    output,
    dialect: dialectFor(0x74000004, false),
    serverName: "SIMULATOR",
    collation: made.engine.collation,
    transaction: null,
    tellCollation() {},
    close() {},
  };
  const response = new Response(context, null);
  const counted = { blocks: 0, rows: 0 };
  const sink: ResultSink = {
    columns: (columns) => response.columns(columns),
    row: (values) => {
      counted.rows++;
      return response.row(values);
    },
    ...(inBlocks
      ? {
          block: (block) => {
            counted.blocks++;
            return response.block(block);
          },
        }
      : {}),
    statementDone: (done) => response.statementDone(done),
    message: (message) => response.message(message),
    environment: (change) => response.environment(change),
    output: (...of) => response.output(...of),
    returnStatus: (status) => response.returnStatus(status),
  };
  const session = made.engine.openSession(made.engine.logins.get("sa")!, made.database(database));
  await session.batch(sql, sink, new AbortController().signal);
  session.close();
  response.finish(false);
  await output.end();
  return { bytes: Buffer.concat(payloads), ...counted };
}

const KEYS = "[__$start_lsn], [__$command_id], [__$seqval], [__$operation]";
const RANGE = `DECLARE @lsn binary(10), @bound binary(10), @command int = 3, @seqval binary(10), @operation int = 2, @rows int = 70;
  SELECT @lsn = MIN(start_lsn), @bound = MAX(start_lsn) FROM cdc.lsn_time_mapping WHERE tran_id <> 0x00 AND tran_end_time > '2026-03-02T00:20:00';
  SELECT @seqval = MIN([__$seqval]) FROM cdc.dbo_Goods_CT WHERE [__$start_lsn] = @lsn AND [__$command_id] = @command;
  `;

function resumed(top: string, kept: string, order: string, columns = "*"): string {
  const same = "[__$start_lsn] = @lsn AND [__$start_lsn] <= @bound";
  const branches = [
    `${same} AND [__$command_id] IS NULL AND [__$seqval] > @seqval`,
    `${same} AND [__$command_id] = @command AND [__$seqval] = @seqval AND [__$operation] > @operation`,
    `${same} AND [__$command_id] = @command AND [__$seqval] > @seqval`,
    `${same} AND [__$command_id] > @command`,
    "[__$start_lsn] > @lsn AND [__$start_lsn] <= @bound",
  ];
  const seeks = branches.map(
    (where, i) =>
      `SELECT * FROM (SELECT ${top} ${columns} FROM cdc.dbo_Goods_CT WHERE ${where}${kept} ORDER BY ${order}) AS s${i}`,
  );
  return seeks.join(" UNION ALL ");
}

const IN_BLOCKS = [
  "SELECT * FROM cdc.dbo_Goods_CT",
  "SELECT TOP (5) * FROM cdc.dbo_Goods_CT",
  `SELECT id, name, [__$seqval], 1 AS one, NULL AS nothing, @@SPID AS spid FROM cdc.dbo_Goods_CT ORDER BY ${KEYS}`,
  `${RANGE} SELECT TOP (@rows) * FROM cdc.dbo_Goods_CT WHERE [__$start_lsn] > @lsn AND [__$start_lsn] <= @bound ORDER BY ${KEYS}`,
  `${RANGE} SELECT price, [__$operation] FROM cdc.dbo_Goods_CT WHERE [__$start_lsn] BETWEEN @lsn AND @bound AND [__$operation] <> 3`,
  `${RANGE} SELECT * FROM cdc.dbo_Goods_CT WHERE [__$start_lsn] >= @lsn AND [__$operation] IN (1, 4) AND name IS NOT NULL AND id < 4`,
  `SELECT * FROM cdc.dbo_Goods_CT ORDER BY ${KEYS} OFFSET 13 ROWS FETCH NEXT 40 ROWS ONLY`,
  "SELECT ISNULL([__$command_id], 0) AS command, ISNULL(id, 7) AS id FROM cdc.dbo_Goods_CT",
  "SELECT * FROM cdc.dbo_Goods_CT WHERE [__$seqval] > 0x00000026000000180003 AND [__$command_id] <> 2",
  `SELECT c.*, m.tran_end_time, m.tran_id FROM cdc.dbo_Goods_CT AS c LEFT JOIN cdc.lsn_time_mapping AS m
   ON m.start_lsn = c.[__$start_lsn] ORDER BY c.[__$start_lsn], c.[__$command_id], c.[__$seqval], c.[__$operation]`,
  `SELECT m.tran_begin_time, DATEPART(minute, m.tran_end_time) AS minute, c.id FROM cdc.dbo_Goods_CT AS c
   JOIN cdc.lsn_time_mapping AS m ON m.start_lsn = c.[__$start_lsn] WHERE c.[__$operation] = 2`,
  `SELECT c.id, m.start_lsn FROM cdc.dbo_Goods_CT AS c LEFT JOIN cdc.lsn_time_mapping AS m
   ON m.start_lsn = c.[__$start_lsn] AND m.tran_end_time > '2026-03-02T00:30:00'`,
  `SELECT c.id, m.start_lsn FROM cdc.dbo_Goods_CT AS c LEFT JOIN cdc.lsn_time_mapping AS m
   ON m.start_lsn = c.[__$start_lsn] WHERE m.tran_end_time > '2026-03-02T00:30:00'`,
  `${RANGE} SELECT TOP (@rows) c.[__$start_lsn], ISNULL(c.[__$command_id], 0), c.[__$seqval], c.[__$operation], m.tran_end_time, c.id, c.price
   FROM (${resumed("TOP (@rows)", " AND [__$operation] <> 3", KEYS, `${KEYS}, id, price`)}) AS c
   LEFT JOIN cdc.lsn_time_mapping AS m ON m.start_lsn = c.[__$start_lsn]
   ORDER BY c.[__$start_lsn], c.[__$command_id], c.[__$seqval], c.[__$operation]`,
  `${RANGE} ${resumed("TOP (100000)", "", KEYS)}`,
  `${RANGE} SELECT * FROM (${resumed("TOP (@rows)", "", KEYS)}) AS c ORDER BY ${KEYS}`,
  // The same rows twice, merged.
  `SELECT * FROM (SELECT * FROM cdc.dbo_Goods_CT UNION ALL SELECT * FROM cdc.dbo_Goods_CT) AS c ORDER BY ${KEYS}`,
  `SELECT TOP (17) * FROM (SELECT * FROM cdc.dbo_Goods_CT WHERE id = 1 UNION ALL SELECT * FROM cdc.dbo_Goods_CT WHERE id = 2) AS c
   ORDER BY ${KEYS}`,
  "SET ROWCOUNT 20; SELECT * FROM cdc.dbo_Goods_CT",
  `${RANGE} SELECT * FROM cdc.fn_cdc_get_all_changes_dbo_Goods(@lsn, @bound, N'all')`,
  `${RANGE} SELECT TOP (@rows) id, [__$operation], [__$start_lsn], name FROM
   cdc.fn_cdc_get_all_changes_dbo_Goods(@lsn, @bound, N'all update old') WHERE [__$start_lsn] <> @lsn`,
  "SELECT id, code, notes FROM cdc.dbo_Goods_CT; SELECT * FROM cdc.dbo_Goods_CT WHERE id = 2",
];

const ROW_BY_ROW = [
  // Two rows of the right side for each of the left one's.
  `SELECT c.id, t.n FROM cdc.dbo_Goods_CT AS c JOIN (VALUES (1), (2)) AS t(n) ON t.n <> 3`,
  "SELECT id, id + 1 FROM cdc.dbo_Goods_CT",
  "SELECT CONVERT(varchar(40), price) FROM cdc.dbo_Goods_CT",
  "SELECT DISTINCT id FROM cdc.dbo_Goods_CT",
  "SELECT COUNT(*) FROM cdc.dbo_Goods_CT",
  "SELECT NULLIF(ISNULL(id, 0), 3) FROM cdc.dbo_Goods_CT",
  "SELECT * FROM cdc.dbo_Goods_CT ORDER BY [__$seqval] DESC, [__$operation]",
  `SELECT * FROM cdc.dbo_Goods_CT ORDER BY [__$start_lsn] DESC, [__$command_id] DESC, [__$seqval] DESC, [__$operation] DESC`,
  "SELECT TOP (10) PERCENT * FROM cdc.dbo_Goods_CT",
  "SELECT TOP (3) WITH TIES [__$start_lsn], id FROM cdc.dbo_Goods_CT ORDER BY [__$start_lsn]",
  "SELECT id, ROW_NUMBER() OVER (ORDER BY [__$seqval], [__$operation]) FROM cdc.dbo_Goods_CT",
  "SELECT a.id, b.id FROM cdc.dbo_Goods_CT AS a LEFT JOIN cdc.dbo_Goods_CT AS b ON b.[__$seqval] = a.[__$seqval] AND b.id > a.id",
  "SELECT a.id, b.start_lsn FROM cdc.lsn_time_mapping AS b LEFT JOIN cdc.dbo_Goods_CT AS a ON a.[__$start_lsn] = b.start_lsn",
  "SELECT id FROM cdc.dbo_Goods_CT UNION SELECT 4",
  "SELECT id FROM cdc.dbo_Goods_CT AS c WHERE EXISTS (SELECT * FROM cdc.lsn_time_mapping WHERE start_lsn = c.[__$start_lsn])",
  "SELECT name COLLATE Latin1_General_BIN FROM cdc.dbo_Goods_CT WHERE name LIKE N'%a%' OR id = 2",
];

const FILLS: Record<string, Fill> = {
  "small transactions of all kinds": FILL,
  "one transaction": { ...FILL, changesPerTransaction: 100 },
  "a change a transaction": { ...FILL, changesPerTransaction: 1 },
  "inserts only": { ...FILL, operations: ["insert"], changes: 1000, changesPerTransaction: 300 },
};

for (const [name, fill] of Object.entries(FILLS))
  test(`answers in blocks are those of rows one by one: ${name}`, async (t) => {
    const made = await both(t, fill);
    for (const sql of [...IN_BLOCKS, ...ROW_BY_ROW]) {
      const blocks = await answer(made, "Filled", sql, true);
      const rows = await answer(made, "Filled", sql, false);
      const plain = await answer(made, "Plain", sql, true);
      assert.deepEqual(blocks.bytes, rows.bytes, sql);
      assert.deepEqual(blocks.bytes, plain.bytes, `as ordinary rows: ${sql}`);
      assert.equal(plain.blocks, 0, sql);
      if (!IN_BLOCKS.includes(sql)) assert.equal(blocks.blocks, 0, sql);
      else if (fill === FILL) assert.ok(blocks.blocks > 0, sql);
    }
  });
