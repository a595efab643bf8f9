/**
 * How fast the simulator serves change tables of each shape: filled ones (from blocks that were encoded once) and such with ordinary
 * captured rows, read by a client in another process that only counts.
 *
 *     npm run bench -- simulator [--rows 1000000] [--captured 10000] [--runs 3]
 */
import { DrainingClient } from "./drain.ts";
import { interleaved, median, numbersOf, whole } from "./measure.ts";
import { type BenchServer, type BenchTable, DATABASE, startServer } from "./server.ts";
import { SHAPES } from "./shapes.ts";

interface Sample {
  rows: number;
  bytes: number;
  seconds: number;
  /** Of the simulator's process, microseconds. */
  cpu: number;
}

const KEYS = "[__$start_lsn], [__$command_id], [__$seqval], [__$operation]";

export async function run(args: string[]): Promise<void> {
  const { rows, captured, runs } = numbersOf(args, { rows: 1_000_000, captured: 10_000, runs: 3 });
  const kinds: { kind: string; table: Omit<BenchTable, "name" | "shape"> }[] = [
    { kind: "prebuilt blocks, one transaction", table: { filled: { changes: rows } } },
    { kind: "prebuilt blocks, 100 a transaction", table: { filled: { changes: rows, changesPerTransaction: 100 } } },
    { kind: "ordinary rows", table: { captured } },
  ];
  const cases = SHAPES.flatMap((shape) =>
    kinds.map(({ kind, table }, i) => ({
      shape,
      kind,
      table: { ...table, shape: shape.name, name: `${shape.name}${i}` },
    })),
  );
  const server = await startServer(cases.map(({ table }) => table));
  const client = await DrainingClient.connect(server.port, "sa", server.password, DATABASE);
  const measures = cases.map(
    ({ table: { name } }) =>
      () =>
        drain(client, server, statement(name)),
  );
  const samples = await interleaved(measures, runs);
  const figures = samples.map((ofCase) => ({
    rows: median(ofCase.map(({ rows, seconds }) => rows / seconds)),
    megabytes: median(ofCase.map(({ bytes, seconds }) => bytes / seconds / 1e6)),
    cpu: median(ofCase.map(({ cpu, rows }) => cpu / rows)),
    size: ofCase[0]!.bytes / ofCase[0]!.rows,
  }));
  for (const [i, { shape, kind }] of cases.entries()) {
    const { rows, megabytes, cpu, size } = figures[i]!;
    const what = `${shape.description}, ${Math.round(size)} bytes of TDS a row, ${kind}:`.padEnd(78);
    console.log(`${what} ${whole(rows)} rows/s, ${whole(megabytes)} MB/s, ${cpu.toFixed(2)} us CPU/row`);
  }
  const { peakMemory } = await server.usage();
  console.log(`peak memory of the simulator: ${whole(peakMemory / 1e6)} MB`);
  client.close();
  await server.stop();
  const [prebuilt, , ordinary] = figures;
  console.log(
    `simulator: ${whole(prebuilt!.rows)} rows/s, ${whole(prebuilt!.megabytes)} MB/s TDS (19 columns, prebuilt blocks), ` +
      `${whole(ordinary!.rows)} rows/s ordinary rows`,
  );
}

/** As a connector reads: a range of LSNs in the order of the change table, with the time of each commit. */
function statement(table: string): string {
  return (
    `SELECT TOP (2000000000) c.*, m.tran_end_time FROM cdc.dbo_${table}_CT AS c ` +
    "LEFT JOIN cdc.lsn_time_mapping AS m ON m.start_lsn = c.[__$start_lsn] " +
    `WHERE c.[__$start_lsn] > 0x00000000000000000000 AND c.[__$start_lsn] <= sys.fn_cdc_get_max_lsn() ` +
    `ORDER BY ${KEYS.replaceAll("[", "c.[")}`
  );
}

async function drain(client: DrainingClient, server: BenchServer, sql: string): Promise<Sample> {
  const before = await server.usage();
  const start = performance.now();
  const { rows, bytes } = await client.drain(sql);
  const seconds = (performance.now() - start) / 1000;
  const after = await server.usage();
  if (rows === 0) throw new Error(`no rows came of: ${sql}`);
  return { rows, bytes, seconds, cpu: after.cpu - before.cpu };
}
