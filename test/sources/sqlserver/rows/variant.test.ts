/** Byte vectors of sql_variant, worked out by hand from MS-TDS 2.2.5.5.4: base type, count of property bytes, properties, value. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as tds from "../wire/token-writer.ts";
import { written } from "./change-table.ts";

/** Collation of Latin1_General (LCID 0x0409) and a longest length of 8000 (0x1f40). */
const LATIN1 = "0904000000 401f";

const bases: [name: string, bytes: string, json: string, asString: string][] = [
  ["bit", "32 00 01", "true", '"true"'],
  ["tinyint", "30 00 ff", "255", '"255"'],
  ["smallint", "34 00 0080", "-32768", '"-32768"'],
  ["int", "38 00 2a000000", "42", '"42"'],
  ["bigint", "7f 00 ffffffffffffff7f", "9223372036854775807", '"9223372036854775807"'],
  ["real", "3b 00 cdcccc3d", "0.1", '"0.1"'],
  ["float", "3e 00 9a9999999999b93f", "0.1", '"0.1"'],
  ["smallmoney", "7a 00 78ecffff", '"-0.5000"', '"-0.5000"'],
  ["money", "3c 00 00000000 08e20100", '"12.3400"', '"12.3400"'],
  ["decimal(9, 4)", "6a 02 0904 01 08e20100", '"12.3400"', '"12.3400"'],
  ["numeric(38, 0)", `6c 02 2600 00 01${"00".repeat(15)}`, '"-1"', '"-1"'],
  ["smalldatetime", "3a 00 09b5 6302", '"2026-11-21T10:11:00"', '"2026-11-21T10:11:00"'],
  ["datetime", "3d 00 09b50000 25dfa700", '"2026-11-21T10:11:12.123"', '"2026-11-21T10:11:12.123"'],
  ["date", "28 00 644a0b", '"2026-11-21"', '"2026-11-21"'],
  ["time(3)", "29 01 03 7b922f02", '"10:11:12.123"', '"10:11:12.123"'],
  ["datetime2(0)", "2a 01 00 408f00 644a0b", '"2026-11-21T10:11:12"', '"2026-11-21T10:11:12"'],
  ["datetimeoffset(0)", "2b 01 00 408f00 644a0b 7800", '"2026-11-21T12:11:12+02:00"', '"2026-11-21T12:11:12+02:00"'],
  [
    "uniqueidentifier",
    "24 00 adedfb49b6377048bce33f713f46bcf5",
    '"49FBEDAD-37B6-4870-BCE3-3F713F46BCF5"',
    '"49FBEDAD-37B6-4870-BCE3-3F713F46BCF5"',
  ],
  ["varbinary", "a5 02 401f 0001ff", '"AAH/"', '"AAH/"'],
  ["binary", "ad 02 0300 000102", '"AAEC"', '"AAEC"'],
  ["varchar", `a7 07 ${LATIN1} 80`, '"€"', '"€"'],
  ["char", `af 07 ${LATIN1} 6120`, '"a "', '"a "'],
  ["nvarchar", `e7 07 ${LATIN1} fc00 3dd8 00de`, '"ü😀"', '"ü😀"'],
  ["nchar", `ef 07 ${LATIN1} 3dd8`, '"\\ud83d"', '"\\ud83d"'],
  ["an empty nvarchar", `e7 07 ${LATIN1}`, '""', '""'],
  ["an empty varbinary", "a5 02 401f", '""', '""'],
];

for (const [name, bytes, json, asString] of bases)
  test(`a sql_variant of ${name} is written as its base type`, () => {
    assert.equal(written(tds.variant, bytes), json);
    assert.equal(written(tds.variant, bytes, { values: "string" }), asString);
  });

test("the settings hold inside a sql_variant, and NULL is NULL", () => {
  assert.equal(written(tds.variant, "7f 00 2a00000000000000", { bigints: "string" }), '"42"');
  assert.equal(written(tds.variant, "6a 02 0904 01 08e20100", { decimals: "number" }), "12.3400");
  assert.equal(written(tds.variant, "3c 00 00000000 08e20100", { decimals: "number" }), "12.3400");
  assert.equal(written(tds.variant, "a5 02 401f 0001ff", { binary: "hex" }), '"0001ff"');
  assert.equal(written(tds.variant, null), "null");
});

test("the longest variant, of 8,000 bytes that JSON escapes, is whole", () => {
  assert.equal(written(tds.variant, `a7 07 ${LATIN1} ${"01".repeat(8000)}`), `"${"\\u0001".repeat(8000)}"`);
  assert.equal(written(tds.variant, `e7 07 ${LATIN1} ${"00d8".repeat(4000)}`), `"${"\\ud800".repeat(4000)}"`);
});

test("text in a code page of which there are several tables, and of two bytes", () => {
  // Greek (LCID 0x0408, 1253): 0xe1 is α; Japanese (0x0411, 932): 0x83 0x60 is チ; UTF-8 (flag 0x40).
  assert.equal(written(tds.variant, "a7 07 0804000000 401f e1"), '"α"');
  assert.equal(written(tds.variant, "a7 07 1104000000 401f 8360"), '"チ"');
  assert.equal(written(tds.variant, "a7 07 0904000400 401f f09f9880"), '"😀"');
});

test("what is no value of the base type is refused", () => {
  for (const [bytes, expected] of [
    ["38 00 2a0000", /a sql_variant of type 0x38 with its properties and length/],
    ["38 01 00 2a000000", /a sql_variant of type 0x38/],
    ["26 00 2a000000", /a base type of sql_variant instead of 0x26/],
    ["62 00 00", /a base type of sql_variant instead of 0x62/],
    ["6a 02 0904 01 08e201", /a decimal's length, precision and scale/],
    ["6a 02 0927 01 08e20100", /a decimal's length, precision and scale/],
    ["29 01 08 7b922f02", /a time's scale and length/],
    ["2b 01 00 408f00 dab937 4903", /an offset of at most 14 hours/],
    [`e7 07 ${LATIN1} fc`, /an even length/],
    ["a7 07 ffff0f0000 401f 61", /a known collation/],
    ["3e 00 000000000000f07f", /a finite number/],
    ["38", /2 to 8100 bytes instead of 1/],
  ] as const)
    assert.throws(() => written(tds.variant, bytes), expected, bytes);
});
