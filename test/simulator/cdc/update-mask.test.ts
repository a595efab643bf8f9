import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fullMask, isBitSet, updateMask } from "../../../simulator/cdc/update-mask.ts";

// https://learn.microsoft.com/sql/relational-databases/system-tables/cdc-capture-instance-ct-transact-sql
test("the first captured column is the lowest bit of the mask's last byte", () => {
  assert.equal(fullMask(5).toString("hex"), "1f");
  assert.equal(updateMask([3], 5).toString("hex"), "04");
  assert.equal(updateMask([1, 10], 10).toString("hex"), "0201");
  assert.equal(fullMask(16).toString("hex"), "ffff");
});

test("every bit that was set is found again, and no other", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1024 }), fc.array(fc.nat(1023)), (count, picks) => {
      const chosen = new Set(picks.map((pick) => (pick % count) + 1));
      const mask = updateMask(chosen, count);
      for (let ordinal = 1; ordinal <= count; ordinal++) assert.equal(isBitSet(ordinal, mask), chosen.has(ordinal));
    }),
    { numRuns: 100 },
  );
});
