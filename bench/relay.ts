/**
 * `npm run bench -- relay [--messages 2000000] [--runs 3]`: what `dstream run` brings from an input provider to an output provider, with
 * acknowledgements and metrics on, and next to it a relay that goes line by line: readline, and the same in Go (as the original does it)
 * where Go is there; and what the two providers do without any relay, which none can be faster than. Messages of 500 bytes. The providers do as little as they can.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { interleaved, median, numbersOf, whole } from "./measure.ts";

const BYTES = 500;
const run_ = promisify(execFile);
const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const NODE = ["--disable-warning=ExperimentalWarning"];

interface Sample {
  perSecond: number;
  /** Microseconds of the relay's own a message; unknown in Go. */
  cpu: number;
}

export async function run(args: string[]): Promise<void> {
  const { messages: wanted, runs } = numbersOf(args, { messages: 2_000_000, runs: 3 });
  // Acknowledged are whole ten thousands.
  const messages = Math.ceil(wanted / 10_000) * 10_000;
  const folder = mkdtempSync(join(tmpdir(), "dstream-relay-"));
  const file = join(folder, "seconds");
  const [source, sink] = [path("./relay-source.ts"), path("./relay-sink.ts")];
  const measured = async (count: number, command: string, rest: string[]): Promise<Sample> => {
    const { stdout } = await run_(command, rest, { env: { ...process.env, RELAY_SECONDS: file } });
    const seconds = Number(readFileSync(file, "utf8"));
    rmSync(file);
    return { perSecond: count / seconds, cpu: (Number(stdout.trim()) / count) * 1e6 };
  };
  const child = (kind: string, count: number) => () =>
    measured(count, process.execPath, [...NODE, path("./relay-child.ts"), kind, source, String(count), sink]);
  // A slower one has less to do, so that all take about as long.
  const fewer = Math.ceil(messages / 4 / 10_000) * 10_000;
  const cases = [child("bytes", messages), child("lines", fewer), child("direct", messages)];
  const names = ["dstream", "readline", "none: one pipe"];
  try {
    const go = join(folder, "relay");
    const built = await run_("go", ["build", "-o", go, path("./relay-lines.go")]).then(
      () => true,
      () => false,
    );
    if (built) {
      names.push("Go, bufio.Scanner");
      cases.push(() => measured(fewer, go, [process.execPath, source, String(fewer), "--", process.execPath, sink]));
    } else console.log("There is no Go: its relay is left out.");
    const samples = await interleaved(cases, runs);
    console.log(`relay                MB/s   messages/s   CPU a message   (medians of ${runs} runs, in turn)`);
    const medians = samples.map((each) => median(each.map(({ perSecond }) => perSecond)));
    for (const [i, name] of names.entries()) {
      const cpu = median(samples[i]!.map((each) => each.cpu));
      const shown = name.startsWith("Go") || name.startsWith("none") ? "" : `${cpu.toFixed(2)} µs`;
      console.log(
        `${name.padEnd(18)} ${whole((medians[i]! * BYTES) / 1e6).padStart(6)} ${whole(medians[i]!).padStart(12)} ${shown.padStart(15)}`,
      );
    }
    const [ours, lines] = medians as [number, number];
    console.log(
      `relay: ${whole((ours * BYTES) / 1e6)} MB/s, ${whole(ours)} messages/s of ${BYTES} B, ${(ours / lines).toFixed(1)} times line-by-line`,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}
