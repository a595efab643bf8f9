import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { FileCheckpointStore } from "../../../src/sources/sqlserver/file-checkpoint-store.ts";
import { checkpointContract } from "../../ingester/checkpoint-contract.ts";

const folder = mkdtempSync(join(tmpdir(), "dstream-checkpoints-"));
after(() => rmSync(folder, { recursive: true, force: true }));

// Two stores share a file; the next story has the next one.
let opened = 0;
checkpointContract("file", () => new FileCheckpointStore(join(folder, "made", `${Math.floor(opened++ / 2)}.db`)));

test("a file that is no checkpoint file is refused by name, and left alone", async () => {
  const path = join(folder, "notes.txt");
  writeFileSync(path, "not a database, but long enough to be looked at: ".repeat(50));
  const store = new FileCheckpointStore(path);
  await assert.rejects(store.prepare(), (error: Error) => error.message.includes("notes.txt"));
  await store.close();
});
