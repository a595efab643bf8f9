/** Bytes on the wire, held against the examples and tables of MS-TDS. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import {
  collationFromBytes,
  collationNames,
  collationOf,
  findCollation,
} from "../../../simulator/engine/collations.ts";
import { Decimal, type SqlType, Temporal, type Value, Variant } from "../../../simulator/engine/values.ts";
import { ByteReader, ByteWriter, ProtocolError } from "../../../simulator/tds/bytes.ts";
import { selfSignedCertificate } from "../../../simulator/tds/certificate.ts";
import { readTypedValue, UnservedType } from "../../../simulator/tds/decoding.ts";
import { dialectFor } from "../../../simulator/tds/dialect.ts";
import { encoderOf } from "../../../simulator/tds/encoding.ts";
import { Output } from "../../../simulator/tds/output.ts";
import { PacketReader, packetize, type RequestMessage } from "../../../simulator/tds/packets.ts";
import { ENCRYPT, negotiate, parsePrelogin, writePrelogin } from "../../../simulator/tds/prelogin.ts";
import { parseBatch, parseRpc } from "../../../simulator/tds/requests.ts";
import { Response } from "../../../simulator/tds/response.ts";
import { column } from "./scripted-engine.ts";

const LATIN = "SQL_Latin1_General_CP1_CI_AS";
const NEWEST = dialectFor(0x74000004, false, true);
const hex = (text: string) => Buffer.from(text.replace(/\s/g, ""), "hex");

function responseBytes(run: (response: Response) => void, dialect = NEWEST): Buffer {
  const sent: Buffer[] = [];
  const output = new Output({
    write: (packets) => {
      sent.push(packets);
      return true;
    },
    drained: () => Promise.resolve(),
    idle: false,
  });
  const response = new Response(
    { output, dialect, serverName: "S", collation: LATIN, transaction: null, tellCollation() {}, close() {} },
    null,
  );
  run(response);
  response.finish(false);
  void output.end();
  return Buffer.concat(sent);
}

test("a result of one varchar is the bytes of MS-TDS 4.7, SQL Batch Server Response", () => {
  const actual = responseBytes((response) => {
    response.columns([{ ...column("bar", { id: "varchar", length: 3 }, false), computed: true }]);
    void response.row(["foo"]);
    response.statementDone({ rowCount: 1, select: true });
  });
  const expected = hex(
    `04 01 00 33 00 00 01 00 81 01 00 00 00 00 00 20 00 A7 03 00 09 04 D0 00 34 03 62 00 61 00 72 00
     D1 03 00 66 6F 6F FD 10 00 C1 00 01 00 00 00 00 00 00 00`,
  );
  assert.deepEqual(actual, expected);
});

test("NOT NULL columns have fixed types, nullable ones their N types", () => {
  const bytes = responseBytes((response) => {
    response.columns([column("a", { id: "int" }, false), column("b", { id: "int" })]);
    void response.row([1, 2]);
    void response.row([3, null]);
  });
  const described = hex("81 0200 00000000 0800 38 01 6100 00000000 0900 26 04 01 6200");
  const rows = hex("D1 01000000 04 02000000  D1 03000000 00");
  assert.deepEqual(bytes.subarray(8, 8 + described.length + rows.length), Buffer.concat([described, rows]));
});

test("a row with many NULLs is an NBCROW, with the lowest bit for the first column", () => {
  const columns = Array.from({ length: 9 }, (_, i) => column(`${i}`, { id: "nvarchar", length: 10 }));
  const row = ["a", null, null, null, null, null, null, null, null];
  const nbc = responseBytes((response) => {
    response.columns(columns);
    void response.row(row);
  });
  assert.ok(nbc.includes(hex("D2 FE01 0200 6100 FD")));
  const before73b = responseBytes(
    (response) => {
      response.columns(columns);
      void response.row(row);
    },
    dialectFor(0x730a0003, false),
  );
  assert.ok(before73b.includes(hex(`D1 0200 6100 ${"FFFF".repeat(8)} FD`)));
});

test("no bit of an NBCROW says NULL of a column that was described as NOT NULL: drivers could not read on", () => {
  const columns = Array.from({ length: 9 }, (_, i) => column(`${i}`, { id: "nvarchar", length: 10 }));
  responseBytes((response) => {
    response.columns([...columns, column("f", { id: "bit" }, false)]);
    assert.throws(() => void response.row(Array.from({ length: 10 }, () => null)), /described as NOT NULL/);
  });
});

test("DONE counts in 64 bits from TDS 7.2 on and in 32 before", () => {
  const done = (response: Response) => response.statementDone({ rowCount: 5_000_000_000, command: "delete" });
  assert.deepEqual(responseBytes(done).subarray(8), hex("FD 1000 C400 00F2052A01000000"));
  assert.deepEqual(responseBytes(done, dialectFor(0x71000001, false)).subarray(8), hex("FD 1000 C400 00F2052A"));
});

function valueBytes(type: SqlType, value: Value, nullable = true): Buffer {
  const to = new ByteWriter(64);
  const encoder = encoderOf(type, nullable, LATIN, NEWEST);
  encoder.typeInfo(to);
  if (value === null) encoder.null(to);
  else encoder.value(to, value);
  return to.toBuffer();
}

const VALUES: [what: string, SqlType, Value, bytes: string][] = [
  [
    "decimal(5,2): sign, then the number",
    { id: "decimal", precision: 5, scale: 2 },
    new Decimal(-12345n, 2),
    "6A 05 05 02 05 00 39300000",
  ],
  [
    "numeric(38,0) in 16 bytes",
    { id: "numeric", precision: 38, scale: 0 },
    new Decimal(2n ** 96n, 0),
    "6C 11 26 00 11 01 00000000 00000000 00000000 01000000",
  ],
  ["money, its higher half first", { id: "money" }, new Decimal(1n, 4), "6E 08 08 00000000 01000000"],
  ["datetime in days and 1/300 s", { id: "datetime" }, new Temporal(693_596, 10_000_000), "6F 08 08 01000000 2C010000"],
  [
    "smalldatetime in days and minutes",
    { id: "smalldatetime" },
    new Temporal(693_596, 600_000_000),
    "6F 04 04 0100 0100",
  ],
  ["time(0) in three bytes", { id: "time", scale: 0 }, new Temporal(0, 863_990_000_000), "29 00 03 7F5101"],
  [
    "datetimeoffset in UTC with minutes",
    { id: "datetimeoffset", scale: 3 },
    new Temporal(1, 10_000, -90),
    "2B 03 09 01000000 010000 A6FF",
  ],
  [
    "uniqueidentifier, mixed endian",
    { id: "uniqueidentifier" },
    "00112233-4455-6677-8899-AABBCCDDEEFF",
    "24 10 10 33221100 5544 7766 8899AABBCCDDEEFF",
  ],
  [
    "varchar(max) in chunks",
    { id: "varchar", length: -1 },
    "hi",
    "A7 FFFF 0904D00034 0200000000000000 02000000 6869 00000000",
  ],
  ["NULL of varbinary(max)", { id: "varbinary", length: -1 }, null, "A5 FFFF FFFFFFFFFFFFFFFF"],
  ["an empty nvarchar is not NULL", { id: "nvarchar", length: 5 }, "", "E7 0A00 0904D00034 0000"],
  [
    "text behind a text pointer",
    { id: "text" },
    "x",
    `23 FFFFFF7F 0904D00034 10 ${Buffer.from("dummy textptr\0\0\0dummyTS\0").toString("hex")} 01000000 78`,
  ],
  ["rowversion as binary(8)", { id: "timestamp" }, Buffer.alloc(8, 1), "AD 0800 0800 0101010101010101"],
  [
    "sql_variant of varchar: collation, then length (2.2.5.5.4)",
    { id: "sql_variant" },
    new Variant({ id: "varchar", length: 5 }, "é"),
    "62 491F0000 0A000000 A7 07 0904D00034 0500 E9",
  ],
  [
    "sql_variant of time(3)",
    { id: "sql_variant" },
    new Variant({ id: "time", scale: 3 }, new Temporal(0, 10_000)),
    "62 491F0000 07000000 29 01 03 01000000",
  ],
  [
    "Japanese text in code page 932",
    { id: "varchar", length: 4, collation: "Japanese_CI_AS" },
    "日本",
    "A7 0400 1104D00000 0400 93FA967B",
  ],
];
for (const [what, type, value, bytes] of VALUES) {
  test(`${what} is encoded as MS-TDS 2.2.5 has it`, () => assert.deepEqual(valueBytes(type, value), hex(bytes)));
}

test("a client that did not ask for UTF-8 gets columns of UTF-8 collations as nvarchar, as SQL Server 2022 sends them", () => {
  const type: SqlType = { id: "varchar", length: 5, collation: "Latin1_General_100_CI_AS_SC_UTF8" };
  assert.deepEqual(valueBytes(type, "é"), hex("A7 0500 0904D02400 0200 C3A9"));
  const to = new ByteWriter(64);
  const encoder = encoderOf(type, true, LATIN, dialectFor(0x74000004, false));
  encoder.typeInfo(to);
  encoder.value(to, "é");
  assert.deepEqual(to.toBuffer(), hex("E7 0A00 0904D02400 0200 E900"));
});

test("what is encoded for a client decodes to the same value, as a parameter would", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 200 });
  const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
  const moment = fc.tuple(fc.integer({ min: 0, max: 3_652_058 }), fc.integer({ min: 0, max: 863_999_999_999 }));
  const scaled = (scale: number) => 10 ** (7 - scale);
  const typed: fc.Arbitrary<[SqlType, Value]> = fc.oneof(
    fc.boolean().map((value): [SqlType, Value] => [{ id: "bit" }, value]),
    fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map((value): [SqlType, Value] => [{ id: "bigint" }, value]),
    fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map((value): [SqlType, Value] => [{ id: "money" }, new Decimal(value, 4)]),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value): [SqlType, Value] => [{ id: "float" }, value]),
    fc
      .tuple(fc.integer({ min: 1, max: 38 }), fc.bigInt(-(10n ** 38n), 10n ** 38n))
      .map(([precision, n]): [SqlType, Value] => [
        { id: "decimal", precision, scale: 1 },
        new Decimal(n % 10n ** BigInt(precision), 1),
      ]),
    fc
      .tuple(fc.integer({ min: 0, max: 7 }), moment, fc.integer({ min: -840, max: 840 }))
      .map(([scale, [days, ticks], offset]): [SqlType, Value] => [
        { id: "datetimeoffset", scale },
        new Temporal(days, ticks - (ticks % scaled(scale)), offset),
      ]),
    fc.uuid().map((value): [SqlType, Value] => [{ id: "uniqueidentifier" }, value.toUpperCase()]),
    text.map((value): [SqlType, Value] => [{ id: "nvarchar", length: 4000, collation: LATIN }, value]),
    text.map((value): [SqlType, Value] => [{ id: "nvarchar", length: -1, collation: LATIN }, value]),
    text.map((value): [SqlType, Value] => [
      { id: "varchar", length: -1, collation: "Latin1_General_100_CI_AS_SC_UTF8" },
      value,
    ]),
    bytes.map((value): [SqlType, Value] => [{ id: "varbinary", length: 8000 }, value]),
    bytes.map((value): [SqlType, Value] => [{ id: "varbinary", length: -1 }, value]),
    bytes.map((value): [SqlType, Value] => [
      { id: "sql_variant" },
      new Variant({ id: "varbinary", length: 300 }, value),
    ]),
    text.map((value): [SqlType, Value] => [
      { id: "sql_variant" },
      new Variant({ id: "nvarchar", length: 4000, collation: LATIN }, value),
    ]),
  );
  fc.assert(
    fc.property(typed, ([type, value]) => {
      const reader = new ByteReader(valueBytes(type, value));
      assert.deepEqual(readTypedValue(reader), { type, value });
      assert.equal(reader.rest, 0);
    }),
    { numRuns: 500 },
  );
});

test("messages are cut into packets and put together again, however the stream is split", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 3000 }), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 512, max: 2048 }),
      fc.integer({ min: 1, max: 700 }),
      (payloads, size, step) => {
        const stream = Buffer.concat(payloads.map((payload) => packetize(1, Buffer.from(payload), size, 51)));
        const seen: RequestMessage[] = [];
        const reader = new PacketReader((message) => seen.push(message));
        for (let at = 0; at < stream.length; at += step) reader.push(stream.subarray(at, at + step));
        assert.deepEqual(
          seen.map(({ data }) => data),
          payloads.map((payload) => Buffer.from(payload)),
        );
      },
    ),
    { numRuns: 200 },
  );
});

test("whatever bytes come as a request, the answer is a ProtocolError or a request, never a crash", () => {
  const attempt = (work: () => unknown) => {
    try {
      work();
    } catch (error) {
      assert.ok(error instanceof ProtocolError || error instanceof UnservedType, String(error));
    }
  };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (array) => {
      const data = Buffer.from(array);
      attempt(() => parseBatch(data, NEWEST));
      attempt(() => [...parseRpc(data, NEWEST)]);
      attempt(() => [...parseRpc(Buffer.concat([hex("04000000 FFFF 0A00 0000 00 00"), data]), NEWEST)]);
      attempt(() => parsePrelogin(data));
    }),
    { numRuns: 2000 },
  );
});

test("several calls in one message are read one after the other", () => {
  const call = "0100 7000 0000 00 00 26 04 04 05000000";
  const calls = [...parseRpc(hex(`04000000 ${call} FF ${call}`), NEWEST)];
  assert.deepEqual(
    calls.map(({ procedure, parameters }) => [procedure, parameters[0]!.value]),
    [
      ["p", 5],
      ["p", 5],
    ],
  );
  const old = [...parseRpc(hex(`${call} 80 ${call}`), dialectFor(0x71000001, false))];
  assert.equal(old.length, 2);
});

test("PRELOGIN of MS-TDS 4.1 is read, and answered with its options in order", () => {
  // 4.1: VERSION, ENCRYPTION (off), INSTOPT (empty), THREADID, MARS.
  const request = hex("00001A0006 0100200001 0200210001 0300220004 0400260001 FF 090000000000 01 00 B80D0000 01");
  const asked = parsePrelogin(request);
  assert.deepEqual(asked, { encryption: ENCRYPT.on, mars: true, fedAuth: undefined });
  const answer = writePrelogin({
    version: [16, 0, 4135],
    encryption: 0,

    mars: true,
    fedAuth: undefined,
  });
  assert.deepEqual(answer, hex("00001A0006 0100200001 0200210001 0300220000 0400220001 FF 1000 1027 0000 00 00 00"));
});

test("encryption is negotiated by the table of 2.2.6.5", () => {
  const { off, on, notSupported, required } = ENCRYPT;
  const outcome = (client: number, policy: Parameters<typeof negotiate>[1]) => Object.values(negotiate(client, policy));
  assert.deepEqual(outcome(off, "off"), [off, "login"]);
  assert.deepEqual(outcome(on, "off"), [on, "all"]);
  assert.deepEqual(outcome(notSupported, "off"), [notSupported, "nothing"]);
  assert.deepEqual(outcome(off, "required"), [required, "all"]);
  assert.deepEqual(outcome(on, "required"), [on, "all"]);
  assert.deepEqual(outcome(notSupported, "required"), [required, "refuse"]);
  assert.deepEqual(outcome(off, "not_supported"), [notSupported, "nothing"]);
  assert.deepEqual(outcome(on, "not_supported"), [notSupported, "refuse"]);
});

test("collations have the bytes that SQL Server sends, and their names come back from them", () => {
  const known: Record<string, string> = {
    SQL_Latin1_General_CP1_CI_AS: "0904D00034",
    Latin1_General_CI_AS: "0904D00000",
    Latin1_General_100_CI_AS: "0904D02000",
    Latin1_General_100_CI_AS_SC_UTF8: "0904D02400",
    Latin1_General_BIN: "0904000100",
    Latin1_General_100_BIN2: "0904002200",
    Latin1_General_CS_AS: "0904C00000",
    Latin1_General_CI_AI: "0904F00000",
    Japanese_CI_AS_KS_WS: "1104100000",
    Chinese_PRC_Stroke_CI_AS: "0408D20000",
  };
  for (const [name, bytes] of Object.entries(known)) assert.deepEqual(collationOf(name).bytes, hex(bytes), name);
  for (const name of collationNames().filter((each) => !/_SC$/.test(each))) {
    assert.equal(collationFromBytes(collationOf(name).bytes).name, name);
  }
  assert.equal(findCollation("latin1_general_100_ci_as")?.name, "Latin1_General_100_CI_AS");
  for (const wrong of [
    "Latin1_General",
    "Latin1_General_CI_AS_UTF8",
    "Klingon_CI_AS",
    "Latin1_General_140_CI_AS",
    "",
  ]) {
    assert.equal(findCollation(wrong), undefined, wrong);
  }
});

test("the self-signed certificate names the local host and is signed by itself", () => {
  const { cert, key } = selfSignedCertificate(["sql.example.com"]);
  const parsed = new X509Certificate(cert);
  assert.ok(parsed.verify(parsed.publicKey));
  assert.equal(parsed.ca, true);
  assert.ok(parsed.checkHost("localhost") && parsed.checkHost("sql.example.com"));
  assert.ok(parsed.checkIP("127.0.0.1") && parsed.checkIP("::1"));
  assert.ok(parsed.validFromDate.getTime() < Date.now() && parsed.validToDate.getTime() > Date.now());
  assert.match(key, /BEGIN PRIVATE KEY/);
});
