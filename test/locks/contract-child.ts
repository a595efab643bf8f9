/**
 * Another process that wants a lock, for the contract suite to kill and to stop. It says what it has got and when it is lost, works
 * on until then, and claims and saves the table's checkpoint when it is told to, lost or not.
 */
import { createInterface } from "node:readline";
import { afterTransaction } from "../../src/change/position.ts";
import { FencedError } from "../../src/errors.ts";
import type { LockStore } from "../../src/locks/lock.ts";
import { FileCheckpointStore } from "../../src/sources/sqlserver/file-checkpoint-store.ts";

const { opener, name } = JSON.parse(process.argv[2]!) as { opener: { module: string; options: unknown }; name: string };
const say = (line: string) => process.stdout.write(`${line}\n`);

const { open } = (await import(opener.module)) as { open: (options: unknown) => Promise<LockStore> };
const store = await open(opener.options);
const table = { schema: "dbo", table: "Persons" };
let claimed = 0;
const lock = await store.acquire(name, new AbortController().signal);
say(lock === null ? "denied" : `acquired ${lock.token}`);
lock?.lost.addEventListener("abort", () => say("lost"));
createInterface({ input: process.stdin }).on("line", async (line) => {
  const [order, file] = line.split(" ");
  if (order === "claim") {
    const checkpoints = new FileCheckpointStore(file!);
    claimed = (await checkpoints.claim(table, lock!.token)).token;
    await checkpoints.close();
    say(`claimed ${claimed}`);
  }
  if (order === "save") {
    const checkpoints = new FileCheckpointStore(file!);
    const outcome = checkpoints
      .save(table, { position: afterTransaction("1".padStart(20, "0")), commitTime: null }, claimed)
      .then(
        () => "saved",
        (error: unknown) => (error instanceof FencedError ? "fenced" : String(error)),
      );
    say(await outcome);
    await checkpoints.close();
  }
  if (line === "work") say(lock?.lost.aborted ? "refused to work" : "worked");
  if (line === "release") {
    await lock?.release();
    say("released");
  }
});
