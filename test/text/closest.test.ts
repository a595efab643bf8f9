import assert from "node:assert/strict";
import { test } from "node:test";
import { closest } from "../../src/text/closest.ts";

test("a misspelt name finds the one that was meant, a foreign one finds none", () => {
  const names = ["poll_interval", "max_poll_interval", "tables", "queue"];
  assert.equal(closest("pol_interval", names), "poll_interval");
  assert.equal(closest("pollInterval", names), "poll_interval");
  assert.equal(closest("quuee", names), "queue", "two swapped letters are one slip");
  assert.equal(closest("maximum_poll", names), undefined);
  assert.equal(closest("x", names), undefined);
});
