/** A response worked out by hand from MS-TDS 2.2.7, what else can stand in one, and what is none. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MalformedResponse } from "../../../../src/sources/sqlserver/wire/malformed.ts";
import { ResponseReader, type ResultSet, type RowHandler } from "../../../../src/sources/sqlserver/wire/response.ts";
import * as tds from "./token-writer.ts";

/** Counts rows of one int. */
class Ints implements RowHandler {
  enough = false;
  readonly seen: number[] = [];
  answered: readonly ResultSet[] = [];
  readonly most: number;
  constructor(most = Number.POSITIVE_INFINITY) {
    this.most = most;
  }
  begin(_: unknown, answered: readonly ResultSet[]): void {
    this.answered = [...answered];
  }
  row(_s: Buffer, sv: DataView, p: number, end: number): number {
    if (p + 4 > end) return -1;
    this.seen.push(sv.getInt32(p, true));
    this.enough = this.seen.length >= this.most;
    return p + 4;
  }
}

function read(tokens: Buffer, rows = new Ints(), streams = 1) {
  const reader = new ResponseReader(streams, rows);
  reader.append(tokens, 0, tokens.length);
  reader.read();
  reader.finish();
  return { sets: reader.sets.map((set) => set.rows), tokens: reader.tokens.toString("hex"), seen: rows.seen };
}

/** With blanks, lines, and comments behind semicolons. */
function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/;.*$|\s/gm, ""), "hex");
}

const int = [{ name: "n", type: tds.fixed(0x38) }];
const metadata = tds.columnMetadata(int);
const row = (value: number) => tds.row(int, [tds.u32(value)]);
const end = tds.done(0);

test("a response by hand: two columns, a row, a row with a bitmap of NULLs, and its end", () => {
  const { sets, tokens } = read(
    hex(`
      81 0200                                  ; COLMETADATA of 2 columns
      00000000 0900 26 04 02 69006400          ; user type, flags, INTN of 4 bytes, "id"
      00000000 0900 e7 6400 0904000000 01 6e00 ; NVARCHAR of 100 bytes, Latin1_General, "n"
      d1 04 2a000000 0400 fc006200             ; ROW: 42, "üb"
      d2 02 04 ffffffff                        ; NBCROW: -1, and the second is NULL
      d1 00 ffff                               ; ROW: both NULL
      fd 1000 c100 0300000000000000            ; DONE of a SELECT, with a count: 3 rows
    `),
    new Ints(),
    9,
  );
  assert.deepEqual(sets, [
    [
      [42, "üb"],
      [-1, null],
      [null, null],
    ],
  ]);
  assert.equal(tokens, "fd1000c1000300000000000000");
});

test("the rows of one set go to its handler, who is told of the sets before it; the others become values", () => {
  const rows = new Ints();
  const tokens = [metadata, row(7), tds.doneInProc(1), metadata, tds.order(1), row(1), row(2), tds.doneInProc(2)];
  const { sets, seen } = read(Buffer.concat([...tokens, metadata, row(8), end]), rows);
  assert.deepEqual(seen, [1, 2]);
  assert.deepEqual(sets, [[[7]], [], [[8]]]);
  assert.deepEqual(
    rows.answered.map((set) => set.rows),
    [[[7]]],
  );
});

test("errors, messages, the environment, return statuses and ends are kept as they came, also between rows", () => {
  const kept = [
    tds.databaseChange("a", "b"),
    tds.info(5701, "Changed database context"),
    tds.error(1205, "deadlock victim", 13),
    tds.returnStatus(3),
    tds.doneInProc(2),
    tds.done(tds.ERRORS, 0, 0xfe),
  ];
  const [environment, info, error, status, doneInProc, done] = kept as [Buffer, Buffer, Buffer, Buffer, Buffer, Buffer];
  const between = [
    environment,
    metadata,
    row(1),
    info,
    row(2),
    error,
    doneInProc,
    tds.returnValue("@x", 5),
    status,
    done,
  ];
  const { tokens, seen } = read(Buffer.concat(between), new Ints(), 0);
  assert.deepEqual(seen, [1, 2]);
  assert.equal(tokens, Buffer.concat([environment, info, error, doneInProc, status, done]).toString("hex"));
});

test("once the handler has enough, the rows that still come are passed over", () => {
  const rows = new Ints(2);
  const { seen, sets } = read(Buffer.concat([metadata, row(1), row(2), row(3), row(4), end]), rows, 0);
  assert.deepEqual([seen, sets], [[1, 2], [[]]]);
});

test("names of tables and columns that come with a cursor's rows are passed over", () => {
  const named = Buffer.concat([metadata, hex("a4 0300 aabbcc"), hex("a5 0100 aa"), row(1), end]);
  assert.deepEqual(read(named, new Ints(), 0).seen, [1]);
});

test("a set of no columns is none, and its rows would be broken", () => {
  const none = hex("81 ffff");
  assert.deepEqual(read(Buffer.concat([none, tds.doneInProc(0), metadata, row(1), end]), new Ints(), 0).seen, [1]);
  isBroken(Buffer.concat([metadata, none, row(1), end]), 16, /a COLMETADATA token before rows/);
});

test("values of small sets: NULLs, every integer, bits, times, bytes and text", () => {
  const types = [
    tds.byteLength(0x26, 1),
    tds.fixed(0x34),
    tds.byteLength(0x26, 8),
    tds.byteLength(0x68, 1),
    tds.byteLength(0x6f, 8),
    tds.shortLength(0xad, 10),
    tds.shortLength(0xe7, 8, tds.LATIN1),
  ];
  const columns = types.map((type, index) => ({ name: `c${index}`, type }));
  const values = ["ff", "0080", "ffffffffffffff7f", "01", "09b50000 25dfa700", "0001", "fc00"].map(hex);
  const { sets } = read(Buffer.concat([tds.columnMetadata(columns), tds.row(columns, values), end]), new Ints(), 9);
  const time = new Date("2026-11-21T10:11:12.123Z");
  assert.deepEqual(sets, [[[255, -32768, "9223372036854775807", true, time, hex("0001"), "ü"]]]);
});

/** Names the offset of the tokens at which it is broken, and what was expected there. */
function isBroken(tokens: Buffer, offset: number, expected: RegExp): void {
  for (const streams of [0, 9])
    assert.throws(
      () => read(tokens, new Ints(), streams),
      (error: MalformedResponse) => {
        assert.ok(error instanceof MalformedResponse, String(error));
        assert.equal(error.offset, offset, error.message);
        assert.match(
          error.message,
          new RegExp(`^The server's response is broken at byte ${offset} of its tokens: expected `),
        );
        assert.match(error.message, expected);
        return true;
      },
    );
}

test("what is no token, or stands where none can, says at which offset and what was expected", () => {
  isBroken(Buffer.concat([metadata, row(1), hex("42"), end]), 18, /a token instead of 0x42/);
  isBroken(row(1), 0, /a COLMETADATA token before rows/);
  const doneFirst = Buffer.concat([metadata, tds.doneInProc(0), row(1), end]);
  isBroken(doneFirst, 26, /a COLMETADATA token before rows/);
});

test("a response that ends inside a token, or without its last DONE, is broken", () => {
  isBroken(Buffer.concat([metadata, row(1).subarray(0, 3)]), 16, /the rest of a token instead of the response's end/);
  isBroken(metadata.subarray(0, 9), 9, /the rest of a token/);
  isBroken(end.subarray(0, 12), 12, /the rest of a token/);
  isBroken(Buffer.concat([metadata, row(1)]), 18, /a last DONE token instead of the response's end/);
  isBroken(Buffer.concat([metadata, row(1), tds.doneInProc(1)]), 31, /a last DONE token/);
  isBroken(Buffer.alloc(0), 0, /a last DONE token/);
  // The request has failed anyhow: the server's own words tell more.
  assert.ok(read(Buffer.concat([metadata, row(1), tds.error(596, "session killed", 21)]), new Ints(), 0).tokens);
});

test("metadata that no column has says at which byte of it", () => {
  const column = (...type: string[]) => hex(`81 0100 00000000 0900 ${type.join(" ")} 00`);
  for (const [type, at, expected] of [
    ["ee", 9, /a data type of MS-TDS 2\.2\.5\.4 instead of 0xee/],
    ["26 03", 10, /a length of 1, 2, 4, 8 instead of 3/],
    ["24 08", 10, /a length of 16 instead of 8/],
    ["6a 06 09 02", 10, /a length of 5, 9, 13, 17 instead of 6/],
    ["6a 05 09 0a", 11, /a precision up to 38 and a scale up to that instead of 9 and 10/],
    ["6c 11 27 00", 11, /instead of 39 and 0/],
    ["2a 08", 10, /a scale of 0 to 7/],
    ["e7 411f 0904000000", 10, /a length of at most 8000 instead of 8001/],
    ["ef ffff 0904000000", 10, /a length of at most 8000 instead of 65535/],
  ] as const)
    isBroken(Buffer.concat([column(type), end]), at, expected);
});

test("a value of another length than its column's is broken at its row, which is named with the column", () => {
  const columns = [
    { name: "a", type: tds.byteLength(0x26, 4) },
    { name: "b", type: tds.shortLength(0xa5, 2) },
  ];
  const start = tds.columnMetadata(columns);
  const good = tds.row(columns, [tds.u32(1), Buffer.of(1)]);
  const only = (tokens: Buffer, at: number, expected: RegExp) =>
    assert.throws(
      () => read(tokens, new Ints(), 9),
      (error: MalformedResponse) => error.offset === at && expected.test(error.message),
    );
  const at = start.length + good.length;
  only(
    Buffer.concat([start, good, hex("d1 02 0100 0100 aa"), end]),
    at,
    /a length of 4 instead of 2 in column a of the row/,
  );
  only(
    Buffer.concat([start, good, hex("d1 00 0300 aabbcc"), end]),
    at,
    /at most 2 bytes instead of 3 in column b of the row/,
  );
});

test("offsets count all bytes of the response, whatever has been read and forgotten of it", () => {
  const reader = new ResponseReader(0, new Ints());
  reader.append(metadata, 0, metadata.length);
  const many = Buffer.concat(Array.from({ length: 1_000 }, (_, index) => row(index)));
  for (let round = 0; round < 100; round++) {
    reader.append(many, 0, many.length);
    reader.read();
  }
  reader.append(Buffer.of(0), 0, 1);
  assert.throws(
    () => reader.read(),
    (error: MalformedResponse) => error.offset === metadata.length + 100 * many.length,
  );
});

test("a response of gigabytes of rows takes the memory of its largest row", () => {
  const rows = new Ints();
  rows.seen.push = () => 0;
  const reader = new ResponseReader(0, rows);
  const before = process.memoryUsage().arrayBuffers;
  reader.append(metadata, 0, metadata.length);
  const many = Buffer.concat(Array.from({ length: 10_000 }, (_, index) => row(index)));
  for (let round = 0; round < 1_000; round++) {
    reader.append(many, 0, many.length - 3);
    reader.read();
    reader.append(many, many.length - 3, many.length);
    reader.read();
  }
  assert.ok(process.memoryUsage().arrayBuffers - before < 10_000_000);
});
