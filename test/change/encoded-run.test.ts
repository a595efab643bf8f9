import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BODIES_START, BODIES_TAIL, EncodedRun, POSITION_BYTES, type RowLabels } from "../../src/change/encoded-run.ts";
import { isBatch, packBatches, unpackBatch } from "../../src/change/formats/batch-message.ts";
import { messageSize } from "../../src/change/message.ts";
import { RowMessageEncoder, type RowMessageOptions } from "./row-encoder.ts";

interface Row {
  lsn: number;
  command: number;
  operation: number;
  text: string;
}

const row: fc.Arbitrary<Row> = fc.record({
  lsn: fc.integer({ min: 0, max: 0xffffff }),
  command: fc.integer({ min: 0, max: 0x7fffffff }),
  operation: fc.constantFrom(1, 2, 4),
  text: fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.nat({ max: 3_000 }).map((length) => "x".repeat(length)),
  ),
});

function optionsOf(keyColumns: string[] | null): RowMessageOptions & RowLabels {
  const table = { schema: "sales", table: "Orders" };
  return { table, destination: "s.d.orders.events", ingestQueue: "q", origin: "0123456789abcdef01234567", keyColumns };
}

/** The messages of rows one by one, and the same as a run, as a decoder would write it. */
function both(rows: readonly Row[], keyColumns: string[] | null, released = () => {}) {
  const options = optionsOf(keyColumns);
  const encoder = new RowMessageEncoder(options);
  const messages = rows.map(({ lsn, command, operation, text }) => {
    const startLsn = lsn.toString(16).padStart(20, "0");
    const position = { startLsn, commandId: command, seqval: "0000003600000b200002", operation };
    const json = JSON.stringify(text);
    return encoder.encode(position, "2026-11-21T10:11:12.123Z", `{"k":${json}}`, null, [json]);
  });
  const parts = messages.flatMap(({ body }) => [body, Buffer.from(",")]);
  const bytes = Buffer.concat([Buffer.alloc(BODIES_START), ...parts, Buffer.alloc(BODIES_TAIL)]);
  const ends = new Uint32Array(messages.length + 3);
  const positions = Buffer.alloc((messages.length + 3) * POSITION_BYTES);
  let at = BODIES_START;
  for (const [index, { body, id }] of messages.entries()) {
    ends[index] = at + body.length;
    at += body.length + 1;
    positions.write(id.slice(25), index * POSITION_BYTES, "hex");
  }
  const encoded = {
    bytes,
    ends,
    count: messages.length,
    positions,
    keys: keyColumns === null ? null : rows.map(({ text }) => [JSON.stringify(text)]),
    size: messages.reduce((sum, message) => sum + messageSize(message), 0),
  };
  return { messages, run: new EncodedRun(encoded, options, released) };
}

test("a run of encoded rows is the same messages, ids, keys and properties as one by one, and counts their sizes", () => {
  fc.assert(
    fc.property(fc.array(row, { maxLength: 30 }), fc.boolean(), (rows, keyed) => {
      const { messages, run } = both(rows, keyed ? ["k"] : null);
      assert.equal(run.count, messages.length);
      assert.deepEqual(run.messages(), messages);
      for (const [index, message] of messages.entries()) {
        assert.deepEqual(run.message(index), message);
        assert.equal(run.size(index), messageSize(message));
      }
      assert.equal(run.bodies.toString(), messages.map(({ body }) => body.toString()).join(","));
      assert.equal(
        run.bytes,
        messages.reduce((sum, message) => sum + messageSize(message), 0),
      );
    }),
    { numRuns: 200 },
  );
});

test("its batch messages are those that the messages would be packed into, and what is unpacked from them is the rows", () => {
  const limit = fc.oneof(fc.integer({ min: 0, max: 1_000 }), fc.integer({ min: 1_000, max: 10_000 }));
  fc.assert(
    fc.property(fc.array(row, { maxLength: 30 }), fc.boolean(), limit, (rows, keyed, maxBytes) => {
      const { messages, run } = both(rows, keyed ? ["k"] : null);
      const batches = run.batches(maxBytes);
      assert.deepEqual(batches.flatMap(unpackBatch), messages);
      for (const batch of batches) if (isBatch(batch)) assert.ok(messageSize(batch) <= maxBytes);
      if (!keyed) assert.deepEqual(batches, packBatches(messages, maxBytes));
    }),
    { numRuns: 300 },
  );
});

test("as many rows as fit go into one batch, to the byte", () => {
  const { run, messages } = both(
    Array.from({ length: 3 }, (_, lsn) => ({ lsn, command: 1, operation: 2, text: "x" })),
    null,
  );
  const [whole] = run.batches(1_000_000);
  const size = messageSize(whole!);
  // A batch is counted with a comma for each row, of which the last has none.
  assert.deepEqual(
    [size + 1, size, size - messages[2]!.body.length].map((maxBytes) => run.batches(maxBytes).length),
    [1, 2, 2],
  );
});

test("a row that is too large for any batch travels alone, with its table's key, between the batches of its neighbours", () => {
  const texts = ["a", "x".repeat(5_000), "b", "c"];
  const { run, messages } = both(
    texts.map((text, lsn) => ({ lsn, command: 1, operation: 2, text })),
    ["k"],
  );
  const batches = run.batches(3_000);
  assert.deepEqual(batches.map(isBatch), [true, false, true]);
  assert.equal(batches[1]!.id, messages[1]!.id);
  assert.ok(batches.every(({ key }) => key === "sales.Orders"));
});

test("a batch of all rows, which is taken from the decoder's own buffer, leaves the rows as they are", () => {
  const { run, messages } = both(
    Array.from({ length: 5 }, (_, lsn) => ({ lsn, command: 1, operation: 4, text: "x" })),
    null,
  );
  const whole = () => run.batches(1_000_000).map(({ body }) => body.toString());
  const bodies = run.bodies.toString();
  assert.deepEqual(whole(), [`{"messages":[${bodies}]}`]);
  assert.equal(run.batches(0).length, 5);
  assert.deepEqual(whole(), [`{"messages":[${bodies}]}`], "asked for again");
  assert.deepEqual(run.messages(), messages);
  assert.equal(run.bodies.toString(), bodies);
});

test("a run of nothing has no messages and no batches", () => {
  const { run } = both([], null);
  assert.deepEqual([run.messages(), run.batches(100), run.bytes, run.bodies.length], [[], [], 0, 0]);
});

test("a run is released once, however often that is asked for: its buffer may be another reader's by then", () => {
  let released = 0;
  const { run } = both([{ lsn: 1, command: 1, operation: 2, text: "x" }], null, () => released++);
  run.release();
  run.release();
  assert.equal(released, 1);
});
