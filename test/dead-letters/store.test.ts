import assert from "node:assert/strict";
import { appendFile, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { afterTransaction } from "../../src/change/position.ts";
import { DeadLetterStore } from "../../src/dead-letters/store.ts";

const root = await mkdtemp(join(tmpdir(), "dstream-letters-"));
after(() => rm(root, { recursive: true, force: true }));

const position = { ...afterTransaction("0000003600000b200003"), commandId: 1 };
const letter = (id: string, table = "Persons") => ({
  table: { schema: "dbo", table },
  position,
  reason: "a message of 70000000 bytes; the ingest queue takes 67108864 at most",
  message: { id, key: table, body: Buffer.from(`{"data":{"Näme":"\\u0000 🙂"}}`), properties: { Destination: "d" } },
});

test("a letter comes back whole: table, position, reason and message", async () => {
  const folder = join(root, "whole");
  await new DeadLetterStore(folder).append(letter("a-1"));
  const found = await new DeadLetterStore(folder).get("a-1");
  const { id, time, ...rest } = found!;
  assert.deepEqual(rest, letter("a-1"));
  assert.equal(id, "a-1");
  assert.ok(Math.abs(time.getTime() - Date.now()) < 60_000);
  assert.equal(await new DeadLetterStore(folder).get("a-2"), null);
});

test("a letter comes back whole with line separators of Unicode in it, and beyond what one read brings", async () => {
  const folder = join(root, "separators");
  const body = Buffer.from(JSON.stringify({ data: { text: "a\u2028b\u2029c\u0085d\r\n", long: "ü".repeat(200_000) } }));
  const store = new DeadLetterStore(folder);
  await store.append({ ...letter("a-1"), message: { ...letter("a-1").message, body } });
  await store.append(letter("a-2"));
  assert.ok((await store.get("a-1"))?.message.body.equals(body));
  assert.ok(await store.get("a-2"));
});

test("a message that was put aside twice is listed once, and a removed one no more", async () => {
  const store = new DeadLetterStore(join(root, "twice"));
  for (const id of ["a-1", "a-2", "a-1"]) await store.append(letter(id));
  await store.append(letter("b-1", "Cars"));
  const ids = async () => (await store.list(10)).map(({ id }) => id);
  assert.deepEqual(await ids(), ["b-1", "a-1", "a-2"]);
  assert.equal(await store.remove("a-1"), true);
  assert.equal(await store.remove("a-1"), false);
  assert.deepEqual(await ids(), ["b-1", "a-2"]);
  assert.deepEqual(
    (await store.list(1)).map(({ id }) => id),
    ["b-1"],
  );
});

test("a line that a crash cut short spoils neither the letters before it nor those after it", async () => {
  const folder = join(root, "torn");
  const store = new DeadLetterStore(folder);
  await store.append(letter("a-1"));
  const [file] = await readdir(folder);
  await appendFile(join(folder, file!), '{"time":"2026-11-21T10:11:1');
  await store.append(letter("a-2"));
  assert.deepEqual(
    (await store.list(10)).map(({ id }) => id),
    ["a-1", "a-2"],
  );
});

test("appends that are asked for at once all arrive, each on its line", async () => {
  const store = new DeadLetterStore(join(root, "at-once"));
  await Promise.all(Array.from({ length: 30 }, (_, n) => store.append(letter(`a-${n}`))));
  assert.equal((await store.list(100)).length, 30);
});

test("a table whose name looks like a path stays inside the folder", async () => {
  const folder = join(root, "names");
  const store = new DeadLetterStore(folder);
  await store.append(letter("a-1", "../../etc/passwd"));
  assert.deepEqual(await readdir(folder), ["dbo...%2F..%2Fetc%2Fpasswd.jsonl"]);
  assert.equal((await store.get("a-1"))?.table.table, "../../etc/passwd");
});

test("a folder that cannot be written to is an error with its path, and the letter is not acknowledged", async () => {
  const blocked = join(root, "blocked");
  await appendFile(blocked, "a file, not a folder");
  await assert.rejects(new DeadLetterStore(blocked).append(letter("a-1")), {
    reason: "unavailable",
    message: /blocked/,
  });
});
