import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isBatch, packBatches, unpackBatch } from "../../src/change/formats/batch-message.ts";
import { type Message, messageSize } from "../../src/change/message.ts";
import { originOf, rowId } from "../../src/change/message-id.ts";
import { RowMessageEncoder } from "./row-encoder.ts";

function encoder(table: string, keyColumns: string[] | null = null): RowMessageEncoder {
  const origin = originOf({ server: "s", database: "d", recoveryFork: null, captureInstance: `dbo_${table}` });
  const destination = `s.d.${table.toLowerCase()}.events`;
  return new RowMessageEncoder({ table: { schema: "dbo", table }, destination, ingestQueue: "q", origin, keyColumns });
}

let sequence = 0;
function row(by: RowMessageEncoder, data: string, keyValues: string[] = []): Message {
  const startLsn = (++sequence).toString(16).padStart(20, "0");
  const position = { startLsn, commandId: 1, seqval: startLsn, operation: 2 };
  return by.encode(position, "2026-11-21T10:11:12.123Z", data, null, keyValues);
}

const jsonValue = fc.oneof(
  fc.string({ unit: "binary" }).map((text) => JSON.stringify(text)),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  fc.constantFrom("null", "true", '"}]"', '"\\\\"', '"\\"{["', "12345678901234567890.1200"),
);
const rowData = fc
  .array(jsonValue, { maxLength: 4 })
  .map((values) => `{${values.map((v, i) => `"c${i}":${v}`).join(",")}}`);

test("what is packed comes out again: bodies byte for byte, ids, keys and properties, in order", () => {
  const byTable = encoder("Persons");
  const other = encoder("Cars");
  const byKey = encoder("Orders", ["c0"]);
  const anyRow = fc.tuple(fc.constantFrom("table", "other", "key"), rowData, jsonValue).map(([kind, data, key]) => {
    if (kind === "key") return row(byKey, `{"c0":${key}}`, [key]);
    return row(kind === "table" ? byTable : other, data);
  });
  fc.assert(
    fc.property(fc.array(anyRow, { maxLength: 30 }), fc.integer({ min: 300, max: 5_000 }), (rows, maxBytes) => {
      const packed = packBatches(rows, maxBytes);
      assert.deepEqual(packed.flatMap(unpackBatch), rows);
      for (const message of packed) if (isBatch(message)) assert.ok(messageSize(message) <= maxBytes);
    }),
    { numRuns: 200 },
  );
});

test("a batch is JSON that holds its rows as they are", () => {
  const by = encoder("Persons");
  const rows = [row(by, '{"ID":1}'), row(by, '{"ID":9223372036854775807}')];
  const [batch] = packBatches(rows, 10_000);
  assert.equal(batch!.body.toString(), `{"messages":[${rows.map((r) => r.body.toString()).join(",")}]}`);
  assert.equal(batch!.properties.OperationType, "Batch");
  assert.equal(batch!.properties.Destination, "s.d.persons.events");
  assert.equal(batch!.key, "dbo.Persons");
});

/** What the rows of a batch are by the JSON of each: shares nothing with what reads batches fast. */
function byJson(rows: readonly string[], batch: Message): Message[] {
  const { Origin, ...common } = batch.properties;
  return rows.map((text) => {
    const { metadata } = JSON.parse(text);
    const { LSN, Seq, CommandID, OperationID, Destination, TableName, OperationType, Schema } = metadata;
    const position = { startLsn: LSN, commandId: CommandID, seqval: Seq, operation: OperationID };
    return {
      id: rowId(Origin!, position),
      key: `${Schema}.${TableName}`,
      body: Buffer.from(text),
      properties: { ...common, Destination, TableName, OperationType, LSN },
    };
  });
}

/** Of one that `packBatches` might have made, with other rows in it. */
function batchOfTexts(texts: readonly string[]): Message {
  const [batch] = packBatches([row(encoder("Persons"), "{}")], 10_000);
  return { ...batch!, body: Buffer.from(`{"messages":[${texts.join(",")}]}`) };
}

test("a row that is written otherwise than those before it is read by what its JSON says", () => {
  const by = encoder("Persons");
  const edits: [string | RegExp, string][] = [
    ['"dbo"', '"sales"'],
    ["s.d.persons.events", "s.d.people.events"],
    ['"OperationID":2,"OperationType":"Insert"', '"OperationID":4,"OperationType":"Update"'],
    ['"OperationID":2', '"OperationID":12'],
    ['"Insert"', '"\\u0049nsert"'],
    ['"CommandID":1', '"CommandID":-1'],
    ['"CommandID":1', '"CommandID":2147483647'],
    ['"CommandID":1', '"CommandID":1e1'],
    ['"CommandID":1,"Seq"', '"Seq"'],
    [/("LSN":"[^"]*",)/, '$1"Extra":{"LSN":"1"},'],
    [/"LSN":"0/, '"LSN":"F'],
    [/"Seq":"0/, '"Seq":"'],
    [/"CommitTime":"[^"]*"/, '"CommitTime":null'],
    [/"CommitTime":"[^"]*"/, '"CommitTime":"\\u0032026"'],
    [/"CommitTime":"[^"]*"/, '"CommitTime":"a \\"quoted\\" time"'],
    [',"metadata"', ', "metadata"'],
    [/}}$/, '},"before":{"c0":"}"}}'],
    [/}}$/, '},"after":1}'],
  ];
  const text = fc.tuple(rowData, fc.option(fc.constantFrom(...edits))).map(([data, edit]) => {
    const plain = row(by, data).body.toString();
    return edit === null ? plain : plain.replace(edit[0], edit[1]);
  });
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 6 }), (texts) => {
      const batch = batchOfTexts(texts);
      let expected: Message[];
      try {
        expected = byJson(texts, batch);
      } catch {
        assert.throws(() => unpackBatch(batch));
        return;
      }
      assert.deepEqual(unpackBatch(batch), expected);
    }),
    { numRuns: 500 },
  );
});

test("whatever byte of a batch is changed, it is refused, or each row says what its JSON says", () => {
  const by = encoder("Persons");
  const whole = batchOfTexts(['{"c0":1}', '{"c0":"x"}', "{}"].map((data) => row(by, data).body.toString()));
  fc.assert(
    fc.property(fc.nat(whole.body.length - 1), fc.oneof(fc.nat(255), fc.constantFrom(...'"\\{}[],:0')), (at, by) => {
      const body = Buffer.from(whole.body);
      body[at] = typeof by === "number" ? by : by.charCodeAt(0);
      const batch = { ...whole, body };
      let rows: Message[];
      let expected: Message[];
      try {
        rows = unpackBatch(batch);
        expected = byJson(
          rows.map((each) => each.body.toString()),
          batch,
        );
      } catch {
        return;
      }
      assert.deepEqual(
        rows.map(({ body: _, ...rest }) => rest),
        expected.map(({ body: _, ...rest }) => rest),
      );
      assert.equal(
        `{"messages":[${rows.map((each) => each.body.toString("latin1")).join(",")}]}`,
        body.toString("latin1"),
      );
    }),
    { numRuns: 3_000 },
  );
});

test("a row too large for any batch travels as it is, behind the others of its table", () => {
  const by = encoder("Orders", ["ID"]);
  const large = row(by, `{"ID":1,"text":"${"x".repeat(5_000)}"}`, ["1"]);
  const rows = [row(by, '{"ID":1}', ["1"]), large, row(by, '{"ID":1}', ["1"])];
  const packed = packBatches(rows, 2_000);
  assert.deepEqual(packed.map(isBatch), [true, false, true]);
  assert.equal(new Set(packed.map(({ key }) => key)).size, 1, "one ordering key on the ingest queue");
  assert.deepEqual(packed.flatMap(unpackBatch), rows);
});

test("properties that were added on the way stay with every row", () => {
  const by = encoder("Persons");
  const rows = [row(by, '{"ID":1}'), row(by, '{"ID":2}')].map((message) => ({
    ...message,
    properties: { ...message.properties, FencingToken: "7" },
  }));
  assert.deepEqual(packBatches(rows, 10_000).flatMap(unpackBatch), rows);
});

test("a batch that is not one of ours is refused with its id", () => {
  const [batch] = packBatches([row(encoder("Persons"), '{"ID":1}')], 10_000);
  const broken: Message[] = [
    { ...batch!, body: Buffer.from('{"messages":[{"data":{}}') },
    { ...batch!, body: Buffer.from("hello") },
    { ...batch!, body: Buffer.from(batch!.body.toString().replace(/}$/, '"')) },
    { ...batch!, properties: { OperationType: "Batch" } },
  ];
  for (const message of broken) assert.throws(() => unpackBatch(message), Error);
});
