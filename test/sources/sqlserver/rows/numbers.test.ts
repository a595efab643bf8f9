/** Byte vectors worked out by hand from MS-TDS 2.2.5.5.1: integers, decimals, money, floats. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as tds from "../wire/token-writer.ts";
import { written } from "./change-table.ts";

const int = (bytes: number) => tds.byteLength(0x26, bytes);
const bit = tds.byteLength(0x68, 1);
const float = (bytes: number) => tds.byteLength(0x6d, bytes);
const moneyN = (bytes: number) => tds.byteLength(0x6e, bytes);

test("bits are booleans, of NOT NULL columns as of others", () => {
  assert.deepEqual(
    ["00", "01"].map((hex) => written(bit, hex)),
    ["false", "true"],
  );
  assert.equal(written(tds.fixed(0x32), "01"), "true");
  assert.equal(written(bit, null), "null");
});

test("integers are little-endian, tinyint without a sign, the others in two's complement", () => {
  for (const [bytes, fixed, hex, text] of [
    [1, 0x30, "ff", "255"],
    [1, 0x30, "00", "0"],
    [2, 0x34, "0080", "-32768"],
    [2, 0x34, "ff7f", "32767"],
    [2, 0x34, "ffff", "-1"],
    [4, 0x38, "00000080", "-2147483648"],
    [4, 0x38, "ffffff7f", "2147483647"],
    [4, 0x38, "00ca9a3b", "1000000000"],
    [4, 0x38, "ffc99a3b", "999999999"],
    [8, 0x7f, "0000000000000080", "-9223372036854775808"],
    [8, 0x7f, "ffffffffffffff7f", "9223372036854775807"],
    [8, 0x7f, "ffffffffffffffff", "-1"],
    // 2^53 + 1, which no double holds, and its negative.
    [8, 0x7f, "0100000000002000", "9007199254740993"],
    [8, 0x7f, "ffffffffffffdfff", "-9007199254740993"],
    // -2^32: the lower half is zero.
    [8, 0x7f, "00000000ffffffff", "-4294967296"],
  ] as const) {
    assert.equal(written(int(bytes), hex), text);
    assert.equal(written(tds.fixed(fixed), hex), text);
  }
});

test("bigints can be strings, and with values = string every number is", () => {
  assert.equal(written(int(8), "ffffffffffffff7f", { bigints: "string" }), '"9223372036854775807"');
  assert.equal(written(int(4), "2a000000", { bigints: "string" }), "42");
  const values = "string" as const;
  assert.equal(written(int(4), "2a000000", { values }), '"42"');
  assert.equal(written(int(8), "2a00000000000000", { values }), '"42"');
  assert.equal(written(bit, "00", { values }), '"false"');
  assert.equal(written(float(8), "000000000000e03f", { values }), '"0.5"');
  assert.equal(written(tds.decimal(5, 2), "01 d2040000", { values, decimals: "number" }), '"12.34"');
  assert.equal(written(int(4), null, { values }), "null");
});

test("decimals: a byte of sign, 1 for positive, then 4, 8, 12 or 16 bytes, by the precision", () => {
  // 123400 = 0x01e208
  assert.equal(written(tds.decimal(9, 4), "01 08e20100"), '"12.3400"');
  assert.equal(written(tds.decimal(9, 4, 0x6c), "00 08e20100"), '"-12.3400"', "numeric");
  assert.equal(written(tds.decimal(9, 4), "01 08e20100", { decimals: "number" }), "12.3400");
  // 10^18 = 0x0de0b6b3a7640000
  assert.equal(written(tds.decimal(19, 0), "01 000064a7b3b6e00d"), '"1000000000000000000"');
  // 10^19 - 1 = 0x8ac7230489e7ffff, above what a signed integer of 64 bits holds
  assert.equal(written(tds.decimal(19, 19), "00 ffffe7890423c78a"), '"-0.9999999999999999999"');
  // 2^64 = 18446744073709551616: the first number that takes 12 bytes
  assert.equal(written(tds.decimal(28, 2), "01 0000000000000000 01000000"), '"184467440737095516.16"');
  // 10^28 - 1 = 0x204fce5e3e25026110000000 - 1
  assert.equal(written(tds.decimal(28, 0), "01 ffffff0f6102253e5ece4f20"), '"9999999999999999999999999999"');
  // 10^38 - 1 = 0x4b3b4ca85a86c47a098a223fffffffff
  const most = "ffffffff3f228a097ac4865aa84c3b4b";
  assert.equal(written(tds.decimal(38, 0), `01 ${most}`), `"${"9".repeat(38)}"`);
  assert.equal(written(tds.decimal(38, 38), `00 ${most}`), `"-0.${"9".repeat(38)}"`);
  assert.equal(written(tds.decimal(38, 10), `00 ${most}`), `"-${"9".repeat(28)}.${"9".repeat(10)}"`);
});

test("a decimal has its scale's digits behind the point at every scale, and one zero before it at least", () => {
  for (let scale = 0; scale <= 38; scale++) {
    const digits = scale === 0 ? "" : `.${"7".padStart(scale, "0")}`;
    assert.equal(written(tds.decimal(38, scale), `01 07${"00".repeat(15)}`), scale === 0 ? '"7"' : `"0${digits}"`);
    const zero = scale === 0 ? "0" : `0.${"0".repeat(scale)}`;
    assert.equal(written(tds.decimal(38, scale), `01 ${"00".repeat(16)}`), `"${zero}"`);
    assert.equal(written(tds.decimal(38, scale), `00 ${"00".repeat(16)}`), `"${zero}"`, "a zero has no sign");
  }
  for (let scale = 0; scale <= 9; scale++) {
    const digits = "123456789";
    const split = `${digits.slice(0, 9 - scale) || "0"}${scale === 0 ? "" : "."}${digits.slice(9 - scale)}`;
    // 123456789 = 0x075bcd15
    assert.equal(written(tds.decimal(9, scale), "00 15cd5b07"), `"-${split}"`);
  }
});

test("money has its upper half first, and four digits behind the point", () => {
  // 2^63 - 1 and -2^63 ten thousandths
  assert.equal(written(moneyN(8), "ffffff7f ffffffff"), '"922337203685477.5807"');
  assert.equal(written(moneyN(8), "00000080 00000000"), '"-922337203685477.5808"');
  assert.equal(written(tds.fixed(0x3c), "00000000 08e20100"), '"12.3400"');
  assert.equal(written(moneyN(8), "ffffffff 78ecffff"), '"-0.5000"', "-5000: both halves are negative");
  assert.equal(written(moneyN(8), "01000000 00000000"), '"429496.7296"', "2^32: only the upper half");
  assert.equal(written(moneyN(8), "ffffffff 00000000"), '"-429496.7296"');
  assert.equal(written(moneyN(8), "00000000 00000000"), '"0.0000"');
  assert.equal(written(moneyN(4), "00000080"), '"-214748.3648"');
  assert.equal(written(tds.fixed(0x7a), "ffffff7f"), '"214748.3647"');
  assert.equal(written(moneyN(4), "ffffffff", { decimals: "number" }), "-0.0001");
});

test("doubles are the shortest that read back the same, with the sign of zero", () => {
  for (const [hex, text] of [
    ["9a9999999999b93f", "0.1"],
    ["0000000000000080", "-0"],
    ["0000000000000000", "0"],
    ["0100000000000000", "5e-324"],
    ["ffffffffffff0f00", "2.225073858507201e-308"],
    ["0000000000001000", "2.2250738585072014e-308"],
    ["ffffffffffffefff", "-1.7976931348623157e+308"],
    ["343333333333d33f", "0.30000000000000004"],
    ["0000000000003043", "4503599627370496"],
    // 2^70
    ["0000000000005044", "1.1805916207174113e+21"],
    ["8dedb5a0f7c6b03e", "0.000001"],
    ["48afbc9af2d77a3e", "1e-7"],
    ["ae47e17a14ae2840", "12.34"],
    ["ae47e17a14ae28c0", "-12.34"],
  ] as const) {
    assert.equal(written(float(8), hex), text);
    assert.equal(written(tds.fixed(0x3e), hex), text);
  }
});

test("singles are the shortest that read back as the same single", () => {
  for (const [hex, text] of [
    ["cdcccc3d", "0.1"],
    ["00000080", "-0"],
    ["00000000", "0"],
    ["ffff7f7f", "3.4028235e+38"],
    ["0000807f", null],
    ["01000000", "1e-45"],
    ["ffff7f00", "1.1754942e-38"],
    ["00008000", "1.1754944e-38"],
    ["0000804b", "16777216"],
    // 2^90: the decimal nearest to it has nine digits, the next one eight.
    ["0000806c", "1.2379401e+27"],
    ["6f12833a", "0.001"],
    ["db0f4940", "3.1415927"],
    ["0000c03f", "1.5"],
  ] as const) {
    if (text === null) assert.throws(() => written(float(4), hex), /a finite number in column c/);
    else {
      assert.equal(written(float(4), hex), text);
      assert.equal(written(tds.fixed(0x3b), hex), text);
    }
  }
});

test("what is no number is refused: infinity and NaN", () => {
  for (const hex of ["000000000000f07f", "000000000000f8ff"])
    assert.throws(() => written(float(8), hex), /expected a finite number in column c of the row that begins there/);
});
