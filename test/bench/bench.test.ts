/** The benchmarks run, and end with the line that they promise. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const runner = fileURLToPath(new URL("../../bench/run.ts", import.meta.url));

/** The lines of a benchmark with numbers so small that they say nothing. */
async function bench(name: string, ...args: string[]): Promise<string[]> {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [
    "--disable-warning=ExperimentalWarning",
    runner,
    name,
    ...args,
  ]);
  assert.equal(stderr, "");
  return stdout.trimEnd().split("\n");
}

test("bench simulator measures every shape, filled and captured, and ends with its summary", async () => {
  const lines = await bench("simulator", "--rows", "600", "--captured", "50", "--runs", "1");
  assert.equal(lines.filter((line) => line.includes(" bytes of TDS a row, ")).length, 9);
  assert.match(
    lines.at(-1)!,
    /^simulator: [\d,]+ rows\/s, [\d,]+ MB\/s TDS \(19 columns, prebuilt blocks\), [\d,]+ rows\/s ordinary rows$/,
  );
});

test("bench reader compares three ways of reading each shape, and ends with its summary", async () => {
  const lines = await bench("reader", "--rows", "600", "--runs", "1", "--memory-rows", "500");
  assert.equal(lines.filter((line) => /^(19|4|60) columns, /.test(line)).length, 12);
  assert.match(
    lines.at(-1)!,
    /^reader: [\d.]+ times tedious\+JSON\.stringify, \d+% of socket drain, [\d,]+ rows\/s, [\d,]+ MB\/s TDS, [\d.]+ us CPU\/row, [\d,]+ MB peak RSS$/,
  );
});

test("bench pipeline measures a backlog and live loads, with row and batch messages, and ends with its summary", async () => {
  const lines = await bench("pipeline", "--changes", "30000", "--seconds", "1");
  assert.equal(lines.length, 7);
  assert.match(lines.at(-1)!, /^pipeline: [\d,]+ changes\/s, p99 \d+ ms at 1000\/s, [\d.]+ us CPU\/change$/);
});

test("bench idle counts requests and reads under two lock stores, and ends with its summary", async () => {
  // Three of its polls: within one the busy table need not have been read.
  const lines = await bench("idle", "--tables", "5", "--seconds", "3");
  assert.equal(lines.filter((line) => line.endsWith("no change table was read")).length, 2);
  assert.equal(lines.filter((line) => line.endsWith("change tables read: T1")).length, 2);
  assert.match(
    lines.at(-1)!,
    /^idle: 5 tables, embedded [\d.]+\/s and [\d.]+% of a core, with one busy .*; sqlserver .*$/,
  );
});

test("an unknown benchmark is told which there are", async () => {
  await assert.rejects(
    promisify(execFile)(process.execPath, [runner, "nothing"]),
    /Name one of the benchmarks: simulator, reader, pipeline, transports, relay, idle, failover\./,
  );
});
