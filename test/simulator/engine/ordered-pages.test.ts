import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Item, OrderedPages } from "../../../simulator/engine/ordered-pages.ts";

const item = (key: number, id: number): Item => ({ keyRow: [key], id });
const byKey = (a: unknown[], b: unknown[]) => (a[0] as number) - (b[0] as number);
const order = (a: Item, b: Item) => byKey(a.keyRow, b.keyRow) || a.id - b.id;
const between = (low: number, high: number) => (row: unknown[]) =>
  (row[0] as number) < low ? -1 : (row[0] as number) > high ? 1 : 0;

function all(pages: OrderedPages<Item>, low: number, high: number, descending = false): Item[] {
  const next = pages.cursor(between(low, high), descending);
  const found: Item[] = [];
  for (let each = next(); each; each = next()) found.push(each);
  return found;
}

test("holds what a sorted array would, over insertions, removals and ranges in both directions", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 30 })), {
        maxLength: 300,
      }),
      fc.constantFrom(0, 10, 1891),
      fc.integer({ min: 0, max: 60 }),
      fc.integer({ min: 0, max: 60 }),
      (operations, filled, low, high) => {
        const pages = new OrderedPages<Item>(byKey);
        for (let i = 0; i < filled; i++) pages.insert(item(i % 61, i % 31));
        const model = new Map<string, Item>();
        for (let i = 0; i < filled; i++) model.set(`${i % 61}:${i % 31}`, item(i % 61, i % 31));
        for (const [add, key, id] of operations) {
          const name = `${key}:${id}`;
          if (add) {
            assert.equal(pages.insert(item(key, id)), !model.has(name));
            if (!model.has(name)) model.set(name, item(key, id));
          } else assert.equal(pages.remove(item(key, id)), model.delete(name));
        }
        const expected = [...model.values()].sort(order).filter(({ keyRow }) => between(low, high)(keyRow) === 0);
        assert.equal(pages.size, model.size);
        assert.deepEqual(all(pages, low, high), expected);
        assert.deepEqual(all(pages, low, high, true), expected.reverse());
      },
    ),
    { numRuns: 100 },
  );
});

test("a cursor goes on behind its place when items come and go under it", () => {
  const pages = new OrderedPages<Item>(byKey);
  for (let i = 0; i < 5000; i++) pages.insert(item(i * 2, 0));
  const next = pages.cursor(() => 0);
  const seen: number[] = [];
  for (let each = next(); each; each = next()) {
    const key = each.keyRow[0] as number;
    seen.push(key);
    // The one just given goes, and one comes before it and one behind.
    if (key % 2 === 0) {
      pages.remove(each);
      pages.insert(item(key - 3, 1));
      pages.insert(item(key + 1, 1));
    }
  }
  assert.equal(seen.length, 10_000);
  assert.deepEqual(
    seen,
    Array.from({ length: 10_000 }, (_, i) => i),
  );
});
