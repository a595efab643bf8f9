import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { batchId, originOf, originOfId, positionHex, rowId } from "../../src/change/message-id.ts";
import { afterTransaction, beforeTransaction, comparePositions, type Position } from "../../src/change/position.ts";

const place = { server: "db1.example.com", database: "TestDB", recoveryFork: null, captureInstance: "dbo_Persons" };
const lsn = fc
  .array(fc.integer({ min: 0, max: 255 }), { minLength: 10, maxLength: 10 })
  .map((bytes) => Buffer.from(bytes).toString("hex"));
const anyPosition: fc.Arbitrary<Position> = fc.record({
  startLsn: lsn,
  commandId: fc.integer({ min: 0, max: 2147483647 }),
  seqval: lsn,
  operation: fc.constantFrom(1, 2, 4),
});

test("a message id is the same for the same change, from whatever process, and another one for every other place", () => {
  const position = { startLsn: "0000003600000b200003", commandId: 1, seqval: "0000003600000b200002", operation: 2 };
  const id = rowId(originOf(place), position);
  assert.equal(id, rowId(originOf({ ...place, server: "DB1.example.com" }), { ...position }));
  const others = [
    { ...place, server: "db2.example.com" },
    { ...place, database: "Other" },
    { ...place, recoveryFork: "49FBEDAD-37B6-4870-BCE3-3F713F46BCF5" },
    { ...place, captureInstance: "dbo_Persons_v2" },
  ].map((other) => rowId(originOf(other), position));
  assert.equal(new Set([id, ...others]).size, 5);
});

test("ids fit into 127 characters, and sort as their positions do", () => {
  const origin = originOf(place);
  fc.assert(
    fc.property(anyPosition, anyPosition, (a, b) => {
      const [idOfA, idOfB] = [rowId(origin, a), rowId(origin, b)];
      assert.ok(batchId(idOfA, idOfB, 1_000_000).length < 128);
      assert.equal(originOfId(batchId(idOfA, idOfB, 2)), origin);
      assert.equal(Math.sign(idOfA < idOfB ? -1 : idOfA > idOfB ? 1 : 0), Math.sign(comparePositions(a, b)));
    }),
    { numRuns: 200 },
  );
});

test("a position behind everything has the highest hexadecimal of its LSN", () => {
  const inside = { startLsn: "0000003600000b200003", commandId: 7, seqval: "ffffffffffffffffffff", operation: 4 };
  assert.ok(positionHex(inside) < positionHex(afterTransaction(inside.startLsn)));
  assert.ok(comparePositions(beforeTransaction(inside.startLsn), inside) < 0);
});

test("batches of other content have other ids", () => {
  const ids = [batchId("a", "b", 2), batchId("a", "c", 2), batchId("a", "b", 3)];
  assert.equal(new Set(ids).size, 3);
});
