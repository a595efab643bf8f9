/** The benchmarks run, and end with the line that they promise. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const runner = fileURLToPath(new URL("../../bench/run.ts", import.meta.url));

test("bench simulator measures every shape, filled and captured, and ends with its summary", async () => {
  const args = [
    "--disable-warning=ExperimentalWarning",
    runner,
    "simulator",
    "--rows",
    "600",
    "--captured",
    "50",
    "--runs",
    "1",
  ];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
  assert.equal(stderr, "");
  const lines = stdout.trimEnd().split("\n");
  assert.equal(lines.filter((line) => line.includes(" bytes of TDS a row, ")).length, 9);
  assert.match(
    lines.at(-1)!,
    /^simulator: [\d,]+ rows\/s, [\d,]+ MB\/s TDS \(19 columns, prebuilt blocks\), [\d,]+ rows\/s ordinary rows$/,
  );
});

test("an unknown benchmark is told which there are", async () => {
  await assert.rejects(
    promisify(execFile)(process.execPath, [runner, "nothing"]),
    /Name one of the benchmarks: simulator\./,
  );
});
