/**
 * How long a table stands still when its ingester is gone: from that moment to the arrival in the queue of the first change that was
 * committed after it, delivered by another ingester that stood by. For every lock store, in turn:
 * - killed: SIGKILL. Another ingester of the same machine can tell, where the system lets it (Linux).
 * - its machine gone: the process is stopped (SIGSTOP), so that nothing of it is heard any more and nobody can tell that it has
 *   ended, as with a machine that has lost its power or its network. Nothing but the end of its lease frees the table.
 *
 *     npm run bench -- failover [--runs 3] [--only sqlserver]
 *
 * A change is committed every 20 ms; polls are 100 to 200 ms apart. Last line: `failover: <store> <s> killed, <s> gone, …; a lease is 15 s`,
 * the longest of each.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { LEASE_MS, lockStores, SharedTable, type SharingIngester, until } from "../test/support/ingesters.ts";
import { median, numbersOf, onlyOf } from "./measure.ts";

const EVERY_MS = 20;
/** So that it is not always the same moment between two renewals. */
const RENEWED_EVERY_MS = LEASE_MS / 3;

export async function run(args: string[]): Promise<void> {
  const measuring = onlyOf(args, Object.keys(lockStores));
  const { runs } = numbersOf(args, { runs: 3 });
  const told: string[] = [];
  for (const locks of measuring) {
    const lack = lockStores[locks]!.missing();
    if (lack !== null) {
      console.log(`${locks}: left out: ${lack}`);
      continue;
    }
    const { killed, gone } = await measured(locks, runs);
    console.log(`${locks.padEnd(10)} killed ${spread(killed)}; its machine gone ${spread(gone)}`);
    told.push(`${locks} ${seconds(Math.max(...killed))} killed, ${seconds(Math.max(...gone))} gone`);
  }
  console.log(`failover: ${told.join(", ")}; a lease is ${LEASE_MS / 1000} s`);
}

/** In milliseconds. */
async function measured(locks: string, runs: number): Promise<{ killed: number[]; gone: number[] }> {
  await using stack = new AsyncDisposableStack();
  const table = await SharedTable.start(locks);
  stack.defer(() => table.close());
  const stop = new AbortController();
  let count = 0;
  let owner = await table.ingester(`ingester-${++count}`);
  await until(async () => (await table.checkpoint()) !== null, "it has begun");
  const writing = write(table, stop.signal);
  stack.defer(async () => {
    stop.abort();
    await writing;
  });
  const samples = { killed: [] as number[], gone: [] as number[] };
  for (let n = 0; n < runs; n++) {
    for (const how of ["killed", "gone"] as const) {
      const next = await table.ingester(`ingester-${++count}`);
      await until(() => next.said(/stands by/), "it stands by");
      await sleep(RENEWED_EVERY_MS * ((n + 0.5) / runs));
      samples[how].push(await timeTo(table, owner, how));
      await owner.kill();
      owner = next;
    }
  }
  return samples;
}

async function timeTo(table: SharedTable, owner: SharingIngester, how: "killed" | "gone"): Promise<number> {
  if (how === "killed") await owner.process.end("SIGKILL");
  else owner.process.signal("SIGSTOP");
  const [began, committed] = [performance.now(), table.inserted];
  // The one that was being committed at that moment may have been before it.
  const first = () => table.arrived.find(({ row }) => row > committed + 1);
  await until(() => first() !== undefined, "another one delivers");
  return first()!.at - began;
}

async function write(table: SharedTable, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    await table.insert(1);
    await sleep(EVERY_MS);
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function spread(samples: readonly number[]): string {
  return `${seconds(median(samples))} (${seconds(Math.min(...samples))} to ${seconds(Math.max(...samples))})`;
}
