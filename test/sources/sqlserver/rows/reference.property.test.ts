import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { packets } from "../wire/token-writer.ts";
import { difference, Reader, referenceReading } from "./change-table.ts";
import { Random } from "./random.ts";
import { KINDS } from "./random-columns.ts";
import { type RandomTable, randomTable } from "./random-tables.ts";

function isReadAsTheReferenceReads({ plan, tokens }: RandomTable): void {
  const stream = packets(tokens);
  const expected = referenceReading(stream, plan)!;
  assert.equal(difference(new Reader(plan).read([stream])!, expected, plan), null);
}

const seed = fc.integer({ min: 0, max: 0x7fffffff });

for (const kind of Object.keys(KINDS))
  test(`thousands of random values of ${kind} become what a slow reading of MS-TDS makes of them`, () => {
    fc.assert(
      fc.property(seed, (seed) => isReadAsTheReferenceReads(randomTable(new Random(seed), 12, 30, kind))),
      { numRuns: 8 },
    );
  });

test("random tables of 1 to 60 columns of all types, with random settings, become the reference's messages", () => {
  fc.assert(
    fc.property(seed, fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 20 }), (seed, columns, rows) =>
      isReadAsTheReferenceReads(randomTable(new Random(seed), columns, rows)),
    ),
    { numRuns: 300 },
  );
});

test("random tables of up to 1,000 columns, whose rows are read by several functions, wherever they are cut", (t) => {
  const first = Date.now() % 2 ** 31;
  t.diagnostic(`seed ${first}`);
  for (const [index, columns] of [64, 65, 128, 129, 700, 1_000].entries()) {
    const random = new Random(first + index);
    const { plan, tokens } = randomTable(random, columns, 6);
    const stream = packets(tokens);
    const expected = referenceReading(stream, plan)!;
    const cuts = [0, ...Array.from({ length: 50 }, () => random.below(stream.length)), stream.length].sort(
      (a, b) => a - b,
    );
    const chunks = cuts.slice(1).map((to, cut) => stream.subarray(cuts[cut], to));
    for (const each of [[stream], chunks])
      assert.equal(difference(new Reader(plan).read(each)!, expected, plan), null, `${columns} columns`);
  }
});
