/**
 * Another process that wants a lock, for the contract suite to kill and to stop. It says what it has got and when it is lost, and
 * works on (counting) until then.
 */
import { createInterface } from "node:readline";
import type { LockStore } from "../../src/locks/lock.ts";

const { opener, name } = JSON.parse(process.argv[2]!) as { opener: { module: string; options: unknown }; name: string };
const say = (line: string) => process.stdout.write(`${line}\n`);

const { open } = (await import(opener.module)) as { open: (options: unknown) => Promise<LockStore> };
const store = await open(opener.options);
const lock = await store.acquire(name, new AbortController().signal);
say(lock === null ? "denied" : `acquired ${lock.token}`);
lock?.lost.addEventListener("abort", () => say("lost"));
createInterface({ input: process.stdin }).on("line", async (line) => {
  if (line === "work") say(lock?.lost.aborted ? "refused to work" : "worked");
  if (line === "release") {
    await lock?.release();
    say("released");
  }
});
