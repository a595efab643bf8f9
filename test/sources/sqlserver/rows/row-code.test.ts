import assert from "node:assert/strict";
import { test } from "node:test";
import { compileRow } from "../../../../src/sources/sqlserver/rows/row-code.ts";
import { MetadataReader, readColumns } from "../../../../src/sources/sqlserver/wire/types.ts";
import * as tds from "../wire/token-writer.ts";
import { bodiesOf, leadingWire, planOf, Reader, type RowToken, responseOf, TIME } from "./change-table.ts";

const int = tds.byteLength(0x26, 4);
const bit = tds.byteLength(0x68, 1);
const text = tds.max(0xe7, tds.LATIN1);
const ntext = tds.textPointer(0x63, tds.LATIN1);

const number = (value: number) => tds.u32(value >>> 0);
const string = (value: string) => Buffer.from(value, "utf16le");

/** Rows of (id, note, old, flag): an int, an nvarchar(max), an ntext and a bit that the source does not allow to be NULL. */
const fields = [
  { name: "id", ordinal: 1 },
  { name: "note", ordinal: 2, unknown: "unmarked before" as const },
  { name: "old", ordinal: 3, unknown: "delete and before" as const },
  { name: "flag", ordinal: 4, unknown: "delete" as const },
];
const types = [int, text, ntext, bit];
const plan = planOf(fields);

function row(operation: number, mask: number | null, ...values: (number | string | boolean | null)[]): RowToken {
  const bytes = values.map((value) => {
    if (value === null) return null;
    if (typeof value === "boolean") return Buffer.of(Number(value));
    return typeof value === "number" ? number(value) : string(value);
  });
  return { operation, mask: mask === null ? null : Buffer.of(mask), values: bytes };
}

/** As ROW and as NBCROW tokens, which have to be the same. */
function decode(rows: RowToken[], clockOffset = 0) {
  const bodies = bodiesOf(plan, types, rows, clockOffset);
  const compressed = rows.map((each) => ({ ...each, nbc: true }));
  assert.deepEqual(bodiesOf(plan, types, compressed, clockOffset), bodies);
  return bodies.map((body) => JSON.parse(body));
}

test("an insert is the whole row message, byte for byte", () => {
  const [body] = bodiesOf(plan, types, [row(2, 0b1111, 180, "Diana", null, true)]);
  assert.equal(
    body,
    '{"data":{"id":180,"note":"Diana","old":null,"flag":true},"metadata":{"Destination":"server.database.t.events",' +
      '"IngestQueue":"ingest-queue","LSN":"0000003600000b200003","OperationID":2,"OperationType":"Insert",' +
      '"TableName":"T","Schema":"dbo","CommandID":1,"Seq":"0000003600000b200002",' +
      '"CommitTime":"2026-11-21T10:11:12.123Z"}}',
  );
});

test("an update brings its old row along, and the old row is no message of its own", () => {
  const [update, ...others] = decode([row(3, 0b10, 1, "was", null, true), row(4, 0b10, 1, "is", "x", true)]);
  assert.deepEqual(others, []);
  assert.deepEqual(update.before, { id: 1, note: "was", flag: true });
  assert.deepEqual(update.data, { id: 1, note: "is", old: "x", flag: true });
  assert.deepEqual([update.metadata.OperationID, update.metadata.OperationType], [4, "Update"]);
  assert.deepEqual(Object.keys(update), ["data", "metadata", "before"]);
});

test("an old row belongs to the update of the same LSN, command id and seqval that follows it, and to no other", () => {
  const old = row(3, 0b10, 1, "was", null, true);
  const update = row(4, 0b10, 1, "is", "x", true);
  for (const other of [{ lsn: "0000003600000b200004" }, { command: 2 }, { seqval: "0000003600000b200001" }]) {
    const [change] = decode([old, { ...update, ...other }]);
    assert.equal(change.before, undefined);
  }
  const [inserted] = decode([old, row(2, 0b1111, 2, "new", "x", true)]);
  assert.equal(inserted.before, undefined, "an insert has none");
  const behind = decode([old, { ...row(2, 0b1111, 2, "new", "x", true), command: 2 }, update]);
  assert.deepEqual(
    behind.map(({ before }) => before),
    [undefined, undefined],
    "with another change between them it is not this update's",
  );
  const [later] = decode([row(3, 0b10, 1, "first", null, true), old, update]);
  assert.equal(later.before.note, "was", "of two the second");
});

test("a large value that the update did not touch is unknown before it, not NULL; one that it changed was NULL", () => {
  const untouched = decode([row(3, 0b1000, 1, null, null, true), row(4, 0b1000, 1, "same", "x", false)])[0];
  assert.deepEqual(untouched.before, { id: 1, flag: true });
  const changed = decode([row(3, 0b0010, 1, null, null, true), row(4, 0b0010, 1, "new", "x", true)])[0];
  assert.deepEqual(changed.before, { id: 1, note: null, flag: true });
  const unknown = decode([row(3, null, 1, null, null, true), row(4, null, 1, "new", "x", true)])[0];
  assert.deepEqual(unknown.before, { id: 1, flag: true }, "without a mask nothing is marked");
});

test("bit (ordinal - 1) of the update mask counts from the lowest bit of its last byte", () => {
  for (const ordinal of [1, 8, 9, 16, 17, 700, 1024]) {
    const one = planOf([{ name: "v", ordinal, unknown: "unmarked before" }]);
    const mask = Buffer.alloc(128);
    mask[127 - ((ordinal - 1) >> 3)] = 1 << ((ordinal - 1) & 7);
    const others = mask.map((byte) => byte ^ 0xff) as Buffer;
    const before = (bytes: Buffer) =>
      bodiesOf(
        one,
        [text],
        [
          { operation: 3, mask: bytes, values: [null] },
          { operation: 4, mask: bytes, values: [string("x")] },
        ],
      ).map((body) => JSON.parse(body).before)[0];
    assert.deepEqual(before(mask), { v: null }, `column ${ordinal} was changed from NULL`);
    assert.deepEqual(before(Buffer.from(others)), {}, `all but column ${ordinal}`);
    assert.deepEqual(before(Buffer.alloc(0)), {});
  }
});

test("a delete leaves out what the change table does not hold", () => {
  const [deleted] = decode([row(1, 0b1111, 1, null, null, null)]);
  assert.deepEqual(deleted.data, { id: 1, note: null }, "a max column of a delete is known; ntext and the bit are not");
  assert.equal(deleted.metadata.OperationType, "Delete");
  const [kept] = decode([row(1, 0b1111, 1, "a", "b", false)]);
  assert.deepEqual(kept.data, { id: 1, note: "a", old: "b", flag: false }, "what it does hold is there");
});

test("an insert's NULL is a NULL", () => {
  const [inserted] = decode([row(2, 0b1111, 1, null, null, null)]);
  assert.deepEqual(inserted.data, { id: 1, note: null, old: null, flag: null });
});

test("a row of which nothing is known has an empty object", () => {
  const one = planOf([{ name: "old", unknown: "delete and before" }]);
  const [body] = bodiesOf(one, [ntext], [{ operation: 1, values: [null] }]);
  assert.match(body!, /^\{"data":\{\},"metadata":/);
  assert.match(bodiesOf(planOf([]), [], [{ operation: 2, values: [] }])[0]!, /^\{"data":\{\},"metadata":/);
});

test("commit times are the server's local time on the wire and UTC in the message", () => {
  const timeOf = (row: Partial<RowToken>, clockOffset = 0) =>
    JSON.parse(bodiesOf(planOf([]), [], [{ values: [], ...row }], clockOffset)[0]!).metadata.CommitTime;
  assert.equal(timeOf({}, 120), "2026-11-21T08:11:12.123Z");
  assert.equal(timeOf({}, -720), "2026-11-21T22:11:12.123Z");
  assert.equal(timeOf({ time: [46_345, 0] }, 1), "2026-11-20T23:59:00.000Z", "the day before");
  assert.equal(timeOf({ time: [46_345, 1] }), "2026-11-21T00:00:00.003Z");
  assert.equal(timeOf({ time: [-1, 25_919_999] }), "1899-12-31T23:59:59.997Z");
  assert.equal(timeOf({ time: null }), null, "no longer known");
});

test("with the clock's offset in each row, each time has its own", () => {
  const own = planOf([], { offset: true });
  const rows = [60, 120, null, -330].map((offset) => ({ offset, values: [] }));
  assert.deepEqual(
    bodiesOf(own, [], rows, 300).map((body) => JSON.parse(body).metadata.CommitTime),
    ["2026-11-21T09:11:12.123Z", "2026-11-21T08:11:12.123Z", "2026-11-21T10:11:12.123Z", "2026-11-21T15:41:12.123Z"],
  );
});

test("an envelope's change: operations in lower case, LSNs in parts, no fraction where it is zero", () => {
  const envelope = planOf([{ name: "id" }], { format: "envelope" });
  const change = (row: Partial<RowToken>) => bodiesOf(envelope, [int], [{ values: [number(123)], ...row }])[0];
  assert.equal(
    change({ lsn: "00000020000001000001", time: [46_345, 0] }),
    '{"table_name":"dbo.T","change_type":"insert","data":{"id":123},"timestamp":"2026-11-21T00:00:00Z",' +
      '"lsn":"00000020:00000100:0001"}',
  );
  assert.match(change({ operation: 4 })!, /"change_type":"update",.*"timestamp":"2026-11-21T10:11:12\.123Z"/);
  assert.match(change({ operation: 1, time: [46_345, 30] })!, /"change_type":"delete",.*"2026-11-21T00:00:00\.100Z"/);
  assert.match(change({ time: null })!, /"timestamp":null,"lsn"/);
  const [update] = bodiesOf(
    envelope,
    [int],
    [
      { operation: 3, values: [number(1)] },
      { operation: 4, values: [number(2)] },
    ],
  );
  assert.match(update!, /"data":\{"id":2\},.*"lsn":"00000036:00000b20:0003","before":\{"id":1\}\}$/);
});

test("a masked column's values are never in a message, however many there are; its NULLs are", () => {
  for (const count of [3, 960, 990]) {
    const masked = planOf(Array.from({ length: count }, (_, index) => ({ name: `c${index}`, masked: true })));
    const all = Array.from({ length: count }, () => text);
    // So many that the buffer is filled to its end several times.
    const secret = { values: all.map(() => string("secret")) };
    const bodies = bodiesOf(masked, all, [
      ...Array.from({ length: Math.ceil(90_000 / count) }, () => secret),
      { values: all.map(() => null) },
    ]);
    const expected = `{${masked.fields.map(({ name }) => `"${name}":"****"`).join(",")}}`;
    for (const body of bodies.slice(0, -1))
      assert.ok(body.startsWith(`{"data":${expected},"metadata":`) && body.endsWith("}}"), body);
    assert.deepEqual(new Set(Object.values(JSON.parse(bodies.at(-1)!).data)), new Set([null]));
  }
});

test("ordered by key, each message has its row's key as it stands in the message", () => {
  const keyed = planOf([{ name: "a", key: 1 }, { name: "b" }, { name: "c", key: 0 }], { keyColumns: ["c", "a"] });
  const stream = tds.packets(
    responseOf(
      keyed,
      [int, text, text],
      [
        { values: [number(1), string("x".repeat(5_000)), string('say "hi"')] },
        { values: [number(-2), null, null] },
        { operation: 1, values: [null, null, string("ü")] },
      ],
    ),
  );
  const messages = new Reader(keyed).read([stream])!.messages;
  assert.deepEqual(
    messages.slice(0, 2).map(({ key }) => key),
    ['dbo.T/"say \\"hi\\"",1', "dbo.T/null,-2"],
  );
  assert.match(messages[2]!.key, /^dbo\.T\/#[\w-]{22}$/, "what is not plain ASCII as its hash");
  assert.ok(messages.every(({ properties }) => properties["KeyColumns"] === '["c","a"]'));
});

test("messages carry the position in their id and what routing needs in their properties", () => {
  const stream = tds.packets(responseOf(planOf([]), [], [{ command: 258, operation: 4, values: [] }]));
  const [message] = new Reader(planOf([])).read([stream])!.messages;
  assert.equal(message!.id, "0123456789abcdef01234567-0000003600000b200003000001020000003600000b20000204");
  assert.equal(message!.key, "dbo.T");
  assert.deepEqual(message!.properties, {
    Destination: "server.database.t.events",
    TableName: "T",
    OperationType: "Update",
    LSN: "0000003600000b200003",
  });
});

test("names of columns are what they are, in quotes, of other scripts and of a thousand characters", () => {
  const names = ['say "hi"', "a\\b", "tab\t", "naïve 😀", "\ud83d", "$" + "{o}", "`", "a".repeat(128), "\u2028"];
  const [body] = bodiesOf(
    planOf(names.map((name) => ({ name }))),
    names.map(() => int),
    [{ values: names.map((_, index) => number(index)) }],
  );
  assert.ok(body!.startsWith(`{"data":{${names.map((name, index) => `${JSON.stringify(name)}:${index}`).join(",")}}`));
});

test("columns that are no values have to be what they are for", () => {
  const bad = (row: Partial<RowToken>) => () => bodiesOf(plan, types, [{ ...rowOf, ...row }]);
  const rowOf = row(2, 0b1111, 1, "x", "x", true);
  assert.throws(bad({ operation: 5 }), /operation 1 to 4 in column __\$operation of the row that begins there/);
  assert.throws(bad({ operation: 0 }), /operation 1 to 4/);
  assert.throws(bad({ lsn: "00000036" }), /10 bytes in column __\$start_lsn/);
  assert.throws(bad({ time: [46_345, 25_920_000] }), /a time below 24 hours in column tran_end_time/);
  assert.throws(() => bodiesOf(planOf([]), [], [{ values: [] }], 841), /an offset of at most 14 hours/);
  const own = planOf([], { offset: true });
  assert.throws(() => bodiesOf(own, [], [{ offset: -841, values: [] }]), /an offset of at most 14 hours/);
  const last: [number, number] = [2_958_463, TIME[1]];
  assert.throws(() => bodiesOf(planOf([]), [], [{ time: last, values: [] }], -840), /a day up to 9999-12-31/);
});

test("a result with more or fewer columns than were asked for is refused", () => {
  const two = planOf([{ name: "a" }, { name: "b" }]);
  const stream = tds.packets(responseOf(two, [int, int], [{ values: [number(1), number(2)] }]));
  for (const asked of [planOf([{ name: "a" }]), planOf([{ name: "a" }, { name: "b" }, { name: "c" }])])
    assert.throws(
      () => new Reader(asked).read([stream]),
      /the last of \d columns instead of 8 in column b of the metadata/,
    );
});

test("no function grows with the columns of a wide table: V8 leaves large ones unoptimised", () => {
  const codeOf = (count: number) => {
    const wide = planOf(Array.from({ length: count }, () => ({})));
    const columns = [...leadingWire(wide), ...wide.fields.map(({ name }) => ({ name, type: text }))];
    const metadata = tds.columnMetadata(columns);
    const wire = readColumns(new MetadataReader(metadata, 1, metadata.length, 0));
    return compileRow({ ...wide, template: [{ text: '{"data":' }, { part: "data" }, { text: "}" }] }, wire);
  };
  const [wide, narrow] = [codeOf(1_000), codeOf(64)];
  assert.ok(wide.row.toString().length < narrow.row.toString().length);
  assert.ok(wide.nbcRow.toString().length < narrow.nbcRow.toString().length);
});
