import assert from "node:assert/strict";
import { test } from "node:test";
import {
  difference,
  type Plan,
  planOf,
  Reader,
  type RowToken,
  referenceReading,
  responseOf,
} from "../rows/change-table.ts";
import { Random } from "../rows/random.ts";
import { columnOf, KINDS } from "../rows/random-columns.ts";
import { pieces } from "./fuzz.ts";
import * as tds from "./token-writer.ts";

/** A column of every type, updates with their old rows among the rows, and other tokens between them: a few kilobytes. */
function everyType(seed: number): { plan: Plan; tokens: Buffer } {
  const made = everyTypeOf(new Random(seed));
  return made.tokens.length < 7_000 ? made : everyType(seed + 1);
}

function everyTypeOf(random: Random): { plan: Plan; tokens: Buffer } {
  const kinds = Object.keys(KINDS);
  const columns = kinds.map((kind) => columnOf(kind, random));
  const plan = planOf(
    kinds.map((name) => ({ name })),
    { offset: true },
  );
  const types = columns.map(({ type }) => type);
  const rowOf = (operation: number, nbc: boolean, nulls: number): RowToken => ({
    operation,
    nbc,
    values: columns.map(({ value, nullable }) => (nullable && random.chance(nulls) ? null : value(random))),
  });
  const rows = [rowOf(2, false, 0), rowOf(3, true, 0.3), rowOf(4, true, 0), rowOf(1, false, 0.5)];
  const tokens = Buffer.concat([
    tds.info(5701, "Changed database context to 'D'."),
    tds.databaseChange("D", "master"),
    // Without its end, to which more is added.
    responseOf(plan, types, rows).subarray(0, -tds.endOfProcedure().length),
    tds.returnValue("@out", 1),
    tds.endOfProcedure(),
  ]);
  return { plan, tokens };
}

const next = Buffer.from("the next response");

test("a stream of every type that is cut in two at any byte gives the same messages", () => {
  const { plan, tokens } = everyType(1);
  const stream = Buffer.concat([tds.packets(tokens, 4096), next]);
  const reader = new Reader(plan);
  const expected = referenceReading(stream, plan)!;
  assert.equal(expected.messages.length, 3);
  for (let cut = 0; cut <= stream.length; cut++)
    assert.equal(
      difference(reader.read([stream.subarray(0, cut), stream.subarray(cut)])!, expected, plan),
      null,
      `cut at ${cut}`,
    );
});

test("byte by byte, in pieces of any size, and through packets of any size, it gives the same messages", (t) => {
  const seed = Date.now() % 2 ** 31;
  t.diagnostic(`seed ${seed}`);
  const random = new Random(seed);
  for (let round = 0; round < 2; round++) {
    const { plan, tokens } = everyType(seed + round);
    const reader = new Reader(plan);
    for (const size of [9, 10, 64, 511, 4096, 32_767]) {
      const stream = Buffer.concat([tds.packets(tokens, size), next]);
      const expected = referenceReading(stream, plan)!;
      const bytes = Array.from(stream, (_, at) => stream.subarray(at, at + 1));
      for (const chunks of [[stream], bytes, pieces(random, stream)])
        assert.equal(difference(reader.read(chunks)!, expected, plan), null, `packets of ${size} bytes`);
    }
  }
});

test("a row that is larger than a hundred packets gives the same message, however it comes", () => {
  const plan = planOf([{ name: "a" }, { name: "b" }]);
  const types = [tds.max(0xe7, tds.LATIN1), tds.max(0xa5)];
  const random = new Random(3);
  const large = { chunks: Array.from({ length: 60 }, () => random.bytes(4_000)), stated: null };
  const rows = [{ values: [Buffer.from("x", "utf16le"), null] }, { values: [large, large] }, { values: [null, large] }];
  for (const size of [512, 4096, 32_767]) {
    const stream = tds.packets(responseOf(plan, types, rows), size);
    const expected = referenceReading(stream, plan)!;
    for (const length of [1_460, 16_384, 65_536]) {
      const chunks = Array.from({ length: Math.ceil(stream.length / length) }, (_, index) =>
        stream.subarray(index * length, (index + 1) * length),
      );
      assert.equal(difference(new Reader(plan).read(chunks)!, expected, plan), null);
    }
  }
});
