import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Message } from "../../src/change/message.ts";
import { cutIntoBlocks, packBlock, unpackBlock } from "../../src/transports/embedded/block.ts";

const text = fc.string({ unit: "binary", maxLength: 8 });
const properties: fc.Arbitrary<Record<string, string>> = fc.oneof(
  fc.constantFrom<Record<string, string>[]>(
    { LSN: "1", OperationType: "Insert" },
    { LSN: "2", OperationType: "Insert" },
    {},
  ),
  fc.dictionary(text, text, { maxKeys: 3, noNullPrototype: true }),
);
const message: fc.Arbitrary<Message> = fc.record({
  id: text,
  key: fc.constant("dbo.t"),
  properties,
  body: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
});

test("messages come out of their blocks as they went in, in order and numbered, whatever is in them", () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 30 }), (messages) => {
      let seq = 7;
      const out = cutIntoBlocks(messages).flatMap((block) => {
        const stored = unpackBlock({ seq, ...packBlock(block) }, "dbo.t");
        seq += block.length;
        return stored;
      });
      assert.deepEqual(
        out,
        messages.map((each, index) => ({ seq: 7 + index, ...each })),
      );
    }),
  );
});

test("the properties that neighbours share are stored once", () => {
  const each = (LSN: string) => ({ id: LSN, key: "k", body: Buffer.alloc(0), properties: { TableName: "t", LSN } });
  assert.equal(packBlock([each("1"), each("2")]).properties, '[["TableName","t"],["LSN",["1","2"]]]');
});

test("a block stays small beside a delivery, and a message larger than a block has one of its own", () => {
  const of = (sizes: number[]) =>
    sizes.map((size, n) => ({ id: `${n}`, key: "k", body: Buffer.alloc(size), properties: {} }));
  const counts = (sizes: number[]) => cutIntoBlocks(of(sizes)).map(({ length }) => length);
  assert.deepEqual(counts(Array.from({ length: 600 }, () => 1)), [250, 250, 100]);
  assert.deepEqual(counts([100_000, 100_000, 100_000, 1_000_000, 1]), [2, 1, 1, 1]);
});
