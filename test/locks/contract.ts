/** What lock.ts promises, as tests that every lock store which excludes other processes runs. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, describe, test } from "node:test";
import { afterTransaction } from "../../src/change/position.ts";
import type { Lock, LockStore } from "../../src/locks/lock.ts";
import { FileCheckpointStore } from "../../src/sources/sqlserver/file-checkpoint-store.ts";

export interface LockStoreUnderTest {
  name: string;
  leaseMs: number;
  /** How this and other processes open a new, empty store. */
  place(): Promise<{ module: string; options: unknown }>;
  open(options: unknown): Promise<LockStore>;
}

const NAME = "server/database/dbo.Persons";
const PERSONS = { schema: "dbo", table: "Persons" };

export function lockContract(subject: LockStoreUnderTest): void {
  const cleanups: (() => Promise<unknown>)[] = [];
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  async function start() {
    const opener = await subject.place();
    const open = async () => {
      const store = await subject.open(opener.options);
      cleanups.push(() => store.close());
      return store;
    };
    const child = (name = NAME) => {
      const process = new Child(opener, name);
      cleanups.push(() => process.kill());
      return process;
    };
    return { store: await open(), open, child };
  }

  const acquire = (store: LockStore, name = NAME) => store.acquire(name, new AbortController().signal);

  async function acquireSoon(store: LockStore): Promise<Lock> {
    for (;;) {
      const lock = await acquire(store);
      if (lock !== null) return lock;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  describe(`${subject.name} keeps the lock contract`, { concurrency: 3 }, () => {
    test("one name has one owner, in this process and in others; other names are free", async () => {
      const { store, open, child } = await start();
      const lock = await acquire(store);
      assert.ok(lock);
      assert.equal(await acquire(store), null);
      assert.equal(await acquire(await open()), null);
      assert.equal(await child().line(), "denied");
      assert.ok(await acquire(store, "server/database/dbo.Cars"));
      assert.equal(lock.lost.aborted, false);
    });

    test("of many that ask at once, one gets it", async () => {
      const { open } = await start();
      const stores = await Promise.all(Array.from({ length: 5 }, open));
      const locks = await Promise.all(stores.flatMap((store) => [acquire(store), acquire(store)]));
      assert.equal(locks.filter((lock) => lock !== null).length, 1);
    });

    test("a released lock is free at once, and its next owner's token is larger", async () => {
      const { store, open, child } = await start();
      const first = await acquire(store);
      await first!.release();
      await first!.release();
      const other = child();
      const second = tokenOf(await other.line());
      assert.ok(second > first!.token);
      other.tell("release");
      assert.equal(await other.line(), "released");
      const third = await acquire(await open());
      assert.ok(third!.token > second);
    });

    test("it tells who has the lock, and that nobody has", async () => {
      const { store, open } = await start();
      assert.equal(await store.owner(NAME), null);
      const lock = await acquire(store);
      const owner = await (await open()).owner(NAME);
      assert.equal(owner!.pid, process.pid);
      assert.ok(owner!.host.length > 0);
      assert.equal(owner!.token, lock!.token);
      assert.ok(owner!.since <= owner!.expires);
      await lock!.release();
      assert.equal(await store.owner(NAME), null);
    });

    test("it tells everybody who has a lock under a prefix, and nobody else", async () => {
      const { store, open } = await start();
      const [persons] = [await acquire(store), await acquire(store, "server/database/Zoë's 顧客.Orders")];
      await acquire(store, "server/database_2/dbo.Persons");
      await (await acquire(store, "server/database/dbo.Freed"))!.release();
      const owners = await (await open()).owners("server/database/");
      assert.deepEqual([...owners.keys()].sort(), ["server/database/Zoë's 顧客.Orders", NAME]);
      const { expires: _, ...owner } = (await store.owner(NAME))!;
      const { expires, ...listed } = owners.get(NAME)!;
      assert.deepEqual(listed, owner);
      assert.ok(expires > new Date());
      assert.equal(owners.get(NAME)!.token, persons!.token);
    });

    test("an owner that lives keeps its lock far beyond the lease", async () => {
      const { store, child } = await start();
      const lock = await acquire(store);
      await new Promise((resolve) => setTimeout(resolve, subject.leaseMs * 2.5));
      assert.equal(lock!.lost.aborted, false);
      assert.equal(await child().line(), "denied");
    });

    test("a killed owner's lock can be had, with a larger token", async () => {
      const { store, child } = await start();
      const owner = child();
      const token = tokenOf(await owner.line());
      await owner.kill();
      // Where that can be told of a process, nobody waits for its lease.
      if (process.platform === "linux") {
        assert.equal(await store.owner(NAME), null);
        assert.equal((await store.owners(NAME)).size, 0);
      }
      assert.ok((await acquireSoon(store)).token > token);
    });

    test("a stopped owner's lock passes on after its lease; when it goes on it does no work, and cannot free the new owner's or save a checkpoint", async () => {
      const { store, open, child } = await start();
      const folder = await mkdtemp(join(tmpdir(), "dstream-checkpoint-"));
      cleanups.push(() => rm(folder, { recursive: true, force: true }));
      const file = join(folder, "checkpoints.db");
      const checkpoints = new FileCheckpointStore(file);
      cleanups.push(() => checkpoints.close());
      const zombie = child();
      const token = tokenOf(await zombie.line());
      zombie.tell(`claim ${file}`);
      assert.equal(await zombie.line(), `claimed ${token}`);
      zombie.tell("work");
      assert.equal(await zombie.line(), "worked");
      zombie.signal("SIGSTOP");
      const lock = await acquireSoon(store);
      assert.ok(lock.token > token);
      const claimed = await checkpoints.claim(PERSONS, lock.token);
      assert.equal(claimed.token, lock.token);
      const position = afterTransaction("2".padStart(20, "0"));
      await checkpoints.save(PERSONS, { position, commitTime: null }, claimed.token);
      zombie.tell("work");
      zombie.signal("SIGCONT");
      const said = [await zombie.line(), await zombie.line()].sort();
      assert.deepEqual(said, ["lost", "refused to work"]);
      zombie.tell(`save ${file}`);
      assert.equal(await zombie.line(), "fenced");
      assert.deepEqual((await checkpoints.load(PERSONS))!.position, position);
      zombie.tell("release");
      assert.equal(await zombie.line(), "released");
      assert.equal((await (await open()).owner(NAME))!.token, lock.token);
      assert.equal(lock.lost.aborted, false);
    });

    test("closing the store frees what it held", async () => {
      const { store, open } = await start();
      const leaving = await open();
      const left = await acquire(leaving);
      await leaving.close();
      assert.ok((await acquire(store))!.token > left!.token);
    });

    test("who has stopped asking gets nothing", async () => {
      const { store } = await start();
      assert.equal(await store.acquire(NAME, AbortSignal.abort()), null);
      assert.equal(await store.owner(NAME), null);
    });
  });
}

function tokenOf(line: string | undefined): number {
  const found = /^acquired (\d+)$/.exec(line ?? "");
  assert.ok(found, line);
  return Number(found[1]);
}

class Child {
  #process: ChildProcess;
  #ended: Promise<void>;
  #lines: AsyncIterator<string>;

  constructor(opener: { module: string; options: unknown }, name: string) {
    const script = join(import.meta.dirname, "contract-child.ts");
    const flags = ["--disable-warning=ExperimentalWarning"];
    const argument = JSON.stringify({ opener, name });
    this.#process = spawn(process.execPath, [...flags, script, argument], { stdio: ["pipe", "pipe", "inherit"] });
    this.#ended = new Promise((resolve) => this.#process.once("close", () => resolve()));
    this.#lines = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]();
  }

  async line(): Promise<string | undefined> {
    return (await this.#lines.next()).value;
  }

  tell(line: string): void {
    this.#process.stdin!.write(`${line}\n`);
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#ended;
  }
}
