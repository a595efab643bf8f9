import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { hasEnded, onceEach, thisProcess } from "../src/process-identity.ts";

const skip = process.platform !== "linux";

test("a process that lives has not ended, and one that was killed has", { skip }, async () => {
  assert.equal(hasEnded(thisProcess()), false);
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  const { readFileSync } = await import("node:fs");
  const text = readFileSync(`/proc/${child.pid}/stat`, "utf8");
  const identity = {
    ...thisProcess(),
    pid: child.pid!,
    started: Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[19]),
  };
  assert.equal(hasEnded(identity), false);
  const asked = onceEach();
  assert.equal(asked(identity), false);
  child.kill("SIGKILL");
  await once(child, "exit");
  assert.equal(hasEnded(identity), true);
  assert.equal(asked(identity), false, "it is still the same question");
  assert.equal(onceEach()(identity), true);
});

test("a later process with the same number is not taken for the earlier one", { skip }, () => {
  assert.equal(hasEnded({ ...thisProcess(), started: 1 }), true);
});

test("of another boot, container or system nothing is claimed", () => {
  const gone = { ...thisProcess(), pid: 2 ** 22 + 1 };
  assert.equal(hasEnded({ ...gone, realm: "another boot" }), false);
  assert.equal(hasEnded({ ...gone, realm: "" }), false);
  assert.equal(hasEnded({ ...gone, started: 0 }), false);
});
