import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { FileError, type FileSchema, SqliteFile } from "../../src/sqlite/file.ts";

const root = await mkdtemp(join(tmpdir(), "dstream-sqlite-"));
after(() => rm(root, { recursive: true, force: true }));

const schema: FileSchema = {
  what: "the test's file",
  applicationId: 77,
  version: 2,
  create: "CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT) STRICT",
};

async function start(name: string, busyMs = 5_000) {
  const path = join(root, name, "file.db");
  const file = await SqliteFile.open(path, schema, { busyMs });
  const insert = (n: number, text = "") => file.write(() => file.statement("INSERT INTO t VALUES (?, ?)").run(n, text));
  const numbers = () =>
    file.read(() =>
      file
        .statement("SELECT n FROM t ORDER BY n")
        .all()
        .map((row) => row["n"]),
    );
  return { path, file, insert, numbers };
}

const says = (kind: FileError["kind"], message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof FileError);
  assert.equal(error.kind, kind);
  assert.match(error.message, message);
  assert.ok(error.advice);
  return true;
};

test("writes asked for at once are all committed, in order, and one that fails takes none of the others with it", async () => {
  const { file, insert, numbers } = await start("group");
  const results = await Promise.allSettled([insert(1), insert(2), insert(1), insert(3)]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ["fulfilled", "fulfilled", "rejected", "fulfilled"],
  );
  assert.deepEqual(await numbers(), [1, 2, 3]);
  await file.close();
});

test("a full disk fails the write that needs room, lets a delete in the same group pass, and heals when there is room", async () => {
  const { file, insert, numbers } = await start("full");
  await insert(1, "x".repeat(20_000));
  file
    .statement(`PRAGMA max_page_count = ${Number(file.statement("PRAGMA page_count").get()!["page_count"]) + 2}`)
    .get();
  const [add, remove] = await Promise.allSettled([
    insert(2, "x".repeat(60_000)),
    file.write(() => file.statement("DELETE FROM t WHERE n = 1").run()),
  ]);
  assert.equal(add.status, "rejected");
  assert.ok(says("full", /no space left/)((add as PromiseRejectedResult).reason));
  assert.equal(remove.status, "fulfilled");
  assert.deepEqual(await numbers(), []);
  file.statement("PRAGMA max_page_count = 100000").get();
  await insert(2, "x".repeat(60_000));
  assert.deepEqual(await numbers(), [2]);
  await file.close();
});

test("a lock that another process holds is waited for, and one held for too long is an error", async () => {
  const { path, file, insert, numbers } = await start("busy", 150);
  const other = new DatabaseSync(path);
  other.exec("BEGIN IMMEDIATE");
  const waiting = insert(1);
  assert.deepEqual(await numbers(), []);
  other.exec("COMMIT");
  await waiting;
  other.exec("BEGIN IMMEDIATE");
  await assert.rejects(insert(2), says("busy", /other processes keep it locked/));
  other.exec("COMMIT");
  await insert(2);
  assert.deepEqual(await numbers(), [1, 2]);
  other.close();
  await file.close();
});

test("a file that was removed or replaced takes no more writes, instead of losing them, and is not read any more", async () => {
  const { path, file, insert, numbers } = await start("removed");
  await insert(1);
  await rename(path, `${path}.old`);
  await assert.rejects(insert(2), says("unusable", /write.*removed or replaced/));
  await assert.rejects(numbers(), says("unusable", /read.*removed or replaced/));
  await file.close();
});

test("what is no file of ours is refused by what it is", async () => {
  const open = (path: string) => SqliteFile.open(path, schema, { busyMs: 500 });
  const text = join(root, "notes.txt");
  await writeFile(text, "these are notes, and rather many of them\n".repeat(200));
  await assert.rejects(open(text), says("unusable", /notes\.txt: it is not a SQLite file/));
  assert.ok(readFileSync(text, "utf8").startsWith("these are notes"));

  const foreign = join(root, "foreign.db");
  new DatabaseSync(foreign).exec("CREATE TABLE theirs (n)");
  await assert.rejects(open(foreign), says("unusable", /not the test's file of dstream/));

  const { path, file } = await start("newer");
  file.statement("PRAGMA user_version = 3").get();
  await file.close();
  await assert.rejects(open(path), says("unusable", /version 3, this dstream knows version 2/));

  await assert.rejects(open(join(text, "file.db")), says("unusable", /the file system says/));
});

test("a damaged file is called damaged", async () => {
  const { path, file, insert } = await start("damaged");
  for (let n = 0; n < 50; n++) await insert(n, "x".repeat(1_000));
  await file.close();
  writeFileSync(path, readFileSync(path).fill(0xa5, 4_096));
  const reopened = SqliteFile.open(path, schema, { busyMs: 500 }).then(async (damaged) => {
    await damaged.read(() => damaged.statement("SELECT count(text) FROM t").get());
  });
  await assert.rejects(reopened, says("unusable", /the file is damaged/));
});

test("two that open a new file at once both find it made", async () => {
  const path = join(root, "at-once", "file.db");
  const files = await Promise.all([1, 2, 3].map(() => SqliteFile.open(path, schema)));
  await Promise.all(files.map((file, n) => file.write(() => file.statement("INSERT INTO t VALUES (?, '')").run(n))));
  assert.equal(files[0]!.statement("SELECT count(*) AS n FROM t").get()!["n"], 3);
  for (const file of files) await file.close();
});

test("the log beside the file stays short, however much several connections write at once", async () => {
  const path = join(root, "log", "file.db");
  const files = await Promise.all([1, 2].map(() => SqliteFile.open(path, schema)));
  let longest = 0;
  for (let n = 0; n < 160; n++) {
    const replace = (file: SqliteFile) =>
      file.write(() => file.statement("INSERT OR REPLACE INTO t VALUES (?, ?)").run(n % 8, "x".repeat(400_000)));
    await Promise.all(files.map(replace));
    longest = Math.max(longest, statSync(`${path}-wal`).size);
  }
  assert.ok(longest > 8 * 1024 * 1024 && longest < 24 * 1024 * 1024, `${longest} bytes`);
  for (const file of files) await file.close();
});

test("a log that grew long while somebody was reading is made short when they have ended", async () => {
  const { path, file, insert } = await start("reader");
  await insert(0);
  const reader = new DatabaseSync(path);
  reader.exec("BEGIN; SELECT count(*) FROM t");
  const replace = () =>
    file.write(() => file.statement("INSERT OR REPLACE INTO t VALUES (1, ?)").run("x".repeat(1_000_000)));
  const length = () => statSync(`${path}-wal`).size;
  while (length() < 70 * 1024 * 1024) await replace();
  reader.exec("COMMIT");
  reader.close();
  for (let n = 0; n < 100 && length() >= 70 * 1024 * 1024; n++) await replace();
  assert.ok(length() < 24 * 1024 * 1024, `${length()} bytes`);
  await file.close();
});
