/** Byte vectors of text: UTF-16, code pages byte by byte, UTF-8, and what JSON escapes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as tds from "../wire/token-writer.ts";
import { written, writtenAll } from "./change-table.ts";
import { charactersOf, UPPER_HALVES } from "./code-page-tables.ts";
import { COLLATIONS } from "./random-columns.ts";

const nvarchar = tds.shortLength(0xe7, 8000, tds.LATIN1);
const varchar = (collation: Buffer) => tds.shortLength(0xa7, 8000, collation);
const UTF8 = COLLATIONS[65001]!;

test("UTF-16 becomes UTF-8: of one byte, two, three, and four for a pair of surrogates", () => {
  assert.equal(written(nvarchar, "6100 fc00 ac20 3dd8 00de"), '"aü€😀"');
  assert.equal(written(nvarchar, "7f00 8000 ff07 0008 ffff"), '"\u007f\u0080\u07ff\u0800\uffff"');
  // U+10000 and U+10FFFF, the first and the last of four bytes.
  assert.equal(written(nvarchar, "00d8 00dc ffdb ffdf"), '"\u{10000}\u{10ffff}"');
  assert.equal(written(nvarchar, "fffe 6100"), '"\ufeffa"', "a byte order mark is a character of the text");
  assert.equal(written(nvarchar, ""), '""');
  assert.equal(written(nvarchar, null), "null");
});

test("a lone surrogate is its escape, wherever it stands", () => {
  assert.equal(written(nvarchar, "3dd8"), '"\\ud83d"', "at the end");
  assert.equal(written(nvarchar, "00de 6100"), '"\\ude00a"', "the low one alone");
  assert.equal(written(nvarchar, "3dd8 3dd8 00de"), '"\\ud83d😀"', "a high one before a pair");
  assert.equal(written(nvarchar, "3dd8 6100"), '"\\ud83da"');
  assert.equal(written(nvarchar, "00de 3dd8"), '"\\ude00\\ud83d"', "the wrong way round");
});

test("every unit of UTF-16 is written as JSON.stringify writes it, wherever it stands among others", () => {
  const max = tds.max(0xe7, tds.LATIN1);
  for (let from = 0; from < 0x10000; from += 0x1000) {
    const units = Array.from({ length: 0x1000 }, (_, index) => String.fromCharCode(from + index));
    // In pairs they would be other characters: a letter between them keeps surrogates alone.
    for (const between of ["x", "xy", "wxyz"]) {
      const text = units.join(between);
      assert.equal(written(max, Buffer.from(text, "utf16le")), JSON.stringify(text));
    }
  }
});

test("control characters, quotes and backslashes at each of eight places among plain ones", () => {
  const texts = Array.from({ length: 8 * 128 }, (_, index) => {
    const code = String.fromCharCode(index >> 3);
    return `${"a".repeat(index & 7)}${code}${"b".repeat(9)}`;
  });
  const expected = texts.map((text) => JSON.stringify(text));
  const as = (encoding: BufferEncoding) => texts.map((text) => Buffer.from(text, encoding));
  assert.deepEqual(writtenAll(nvarchar, as("utf16le")), expected);
  assert.deepEqual(writtenAll(varchar(COLLATIONS[1252]!), as("latin1")), expected);
  assert.deepEqual(writtenAll(varchar(UTF8), as("utf8")), expected);
});

for (const page of Object.keys(UPPER_HALVES).map(Number))
  test(`every byte of code page ${page} is the character that unicode.org's table has for it`, () => {
    const collation = COLLATIONS[page]!;
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const expected = charactersOf(page)!;
    assert.equal(written(varchar(collation), bytes), JSON.stringify(expected.join("")));
    const each = [...bytes].map((byte) => Buffer.of(byte));
    const types = [tds.shortLength(0xaf, 1, collation), tds.max(0xa7, collation), tds.textPointer(0x23, collation)];
    for (const type of types)
      assert.deepEqual(
        writtenAll(type, each),
        expected.map((character) => JSON.stringify(character)),
      );
  });

test("UTF-8 stays as it is, and what is not UTF-8 becomes U+FFFD as the Unicode Standard recommends", () => {
  for (const [hex, text] of [
    ["61 c3bc e282ac f09f9880", "aü€😀"],
    ["efbbbf 61", "\ufeffa"],
    ["c3", "\ufffd"],
    ["61 c3 61", "a\ufffda"],
    ["c0 af", "\ufffd\ufffd"],
    ["e2 82", "\ufffd"],
    ["e2 82 61", "\ufffda"],
    ["f0 9f 98", "\ufffd"],
    ["80 bf", "\ufffd\ufffd"],
    ["fe ff", "\ufffd\ufffd"],
    // A surrogate in UTF-8, and more than U+10FFFF.
    ["ed a0 80", "\ufffd\ufffd\ufffd"],
    ["f4 90 80 80", "\ufffd\ufffd\ufffd\ufffd"],
    // Unicode 15, table 3-11.
    ["e1 80 e2 f0 91 92 f1 bf 41", "\ufffd\ufffd\ufffd\ufffdA"],
    ["c3bc ff c3bc 22 0a", 'ü\ufffdü"\n'],
  ] as const)
    assert.equal(written(varchar(UTF8), hex), JSON.stringify(text), hex);
});

test("a page of two bytes, which comes as UTF-16 but in a CLR type's or variant's stead, is still read", () => {
  // 932: 0x83 0x60 is チ; LCID 0x0411.
  assert.equal(written(varchar(tds.collation(0x0411)), "61 8360"), '"aチ"');
});

test("text longer than its column, an odd length of UTF-16 and an unknown collation are refused", () => {
  assert.throws(
    () => written(tds.shortLength(0xe7, 4, tds.LATIN1), "610061006100"),
    /at most 4 bytes instead of 6 in column c/,
  );
  assert.throws(() => written(nvarchar, "610061"), /an even length in column c/);
  assert.throws(
    () => written(varchar(tds.collation(0xfffff)), "61"),
    /a known collation instead of 0xffff0f0000 in column c/,
  );
});

test("char, nchar, text, ntext and xml are text as well", () => {
  assert.equal(written(tds.shortLength(0xaf, 5, tds.LATIN1), "6162202020"), '"ab   "');
  assert.equal(written(tds.shortLength(0xef, 6, tds.LATIN1), "fc0020002000"), '"ü  "');
  assert.equal(written(tds.textPointer(0x23, tds.LATIN1), "80"), '"€"');
  assert.equal(written(tds.textPointer(0x63, tds.LATIN1), "ac20"), '"€"');
  assert.equal(written(tds.xml, Buffer.from('<a b="1"/>', "utf16le")), '"<a b=\\"1\\"/>"');
  assert.equal(written(tds.xmlOfSchema(), Buffer.from("<a/>", "utf16le")), '"<a/>"');
});
