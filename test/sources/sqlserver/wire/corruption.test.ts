import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzz } from "./fuzz.ts";

test("10,000 broken responses each give an error that says where, or what the reference makes of the same bytes", (t) => {
  const seed = Date.now() % 2 ** 31;
  t.diagnostic(`npm run fuzz -- ${seed} 10000`);
  const { refused, unfinished, identical } = fuzz(seed, 10_000);
  assert.equal(refused + unfinished + identical, 10_000);
  assert.ok(refused > 1_000 && identical > 100, `both happen: ${refused} refused, ${identical} identical`);
});
