/** Byte vectors of binary types, GUIDs and max values: MS-TDS 2.2.5.2.3, 2.2.5.5.1.7 and 2.2.5.5.2. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as tds from "../wire/token-writer.ts";
import { written } from "./change-table.ts";

const varbinary = tds.shortLength(0xa5, 8000);
const large = tds.max(0xa5);
const text = tds.max(0xe7, tds.LATIN1);

test("bytes are base64 with its padding, or hexadecimal digits in lower case", () => {
  for (const [hex, base64] of [
    ["", ""],
    ["00", "AA=="],
    ["00ff", "AP8="],
    ["000102", "AAEC"],
    ["fbefff", "++//"],
    ["0001fe80", "AAH+gA=="],
  ] as const) {
    for (const type of [varbinary, tds.shortLength(0xad, 8), large, tds.textPointer(0x22, null), tds.udt]) {
      assert.equal(written(type, hex), `"${base64}"`);
      assert.equal(written(type, hex, { binary: "hex" }), `"${hex}"`);
    }
  }
  assert.equal(written(varbinary, null), "null");
});

test("a GUID's first three groups are little-endian, and its letters upper case", () => {
  const guid = tds.byteLength(0x24, 16);
  // MS-DTYP 2.3.4: a 32-bit number, two 16-bit ones, eight bytes.
  assert.equal(written(guid, "adedfb49 b637 7048 bce3 3f713f46bcf5"), '"49FBEDAD-37B6-4870-BCE3-3F713F46BCF5"');
  assert.equal(written(guid, "000102030405060708090a0b0c0d0e0f"), '"03020100-0504-0706-0809-0A0B0C0D0E0F"');
  assert.equal(written(guid, null), "null");
});

test("a max value in one chunk or many, its length stated or not, is one value", () => {
  const bytes = Buffer.from("000102030405060708", "hex");
  for (const stated of [9n, null])
    for (const cuts of [[], [1], [8], [3, 6], [1, 2, 3, 4, 5, 6, 7, 8]]) {
      const chunks = [...cuts, 9].map((to, index) => bytes.subarray(index === 0 ? 0 : cuts[index - 1]!, to));
      assert.equal(written(large, { chunks, stated }), '"AAECAwQFBgcI"');
    }
  assert.equal(written(large, { chunks: [], stated: 0n }), '""', "no chunk at all");
  assert.equal(written(large, { chunks: [], stated: null }), '""');
  assert.equal(written(large, null), "null");
});

test("as it lies on the wire: the length, each chunk behind its own, and a chunk of no bytes", () => {
  const value = { chunks: [Buffer.from("0001", "hex"), Buffer.from("02", "hex")], stated: null };
  assert.equal(large.frame(value).toString("hex"), "feffffffffffffff020000000001010000000200000000");
  assert.equal(large.frame(null).toString("hex"), "ffffffffffffffff");
});

test("chunks may end inside a character: between the bytes of a unit, and between the two units of a pair", () => {
  const bytes = Buffer.from("a😀ü😀", "utf16le");
  for (let cut = 1; cut < bytes.length; cut++)
    for (let next = cut + 1; next < bytes.length; next++) {
      const chunks = [bytes.subarray(0, cut), bytes.subarray(cut, next), bytes.subarray(next)];
      assert.equal(written(text, { chunks, stated: null }), '"a😀ü😀"');
      assert.equal(written(tds.xml, { chunks, stated: BigInt(bytes.length) }), '"a😀ü😀"');
    }
});

test("a value of megabytes is whole, and the next value begins behind it", () => {
  const bytes = Buffer.alloc(5_000_000, "0123456789");
  const chunks = Array.from({ length: 695 }, (_, index) => bytes.subarray(index * 7_200, (index + 1) * 7_200));
  assert.equal(written(large, { chunks, stated: null }), `"${bytes.toString("base64")}"`);
  const page = tds.max(0xa7, tds.LATIN1);
  assert.equal(written(page, Buffer.alloc(300_000, 0x01)), `"${"\\u0001".repeat(300_000)}"`, "six bytes for each");
});

test("chunks that are more or less than was stated are refused", () => {
  const chunks = [Buffer.from("0001", "hex")];
  assert.throws(() => written(large, { chunks, stated: 3n }), /chunks of 3 bytes in all instead of 2 in column c/);
  assert.throws(() => written(large, { chunks, stated: 1n }), /chunks of 1 bytes in all instead of 2 in column c/);
});
