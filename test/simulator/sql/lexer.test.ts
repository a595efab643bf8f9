import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RESERVED } from "../../../simulator/sql/keywords.ts";
import { tokenize } from "../../../simulator/sql/lexer.ts";
import { parseBatch, parseExpression } from "../../../simulator/sql/parser.ts";

function kinds(text: string): string[] {
  return tokenize(text)
    .slice(0, -1)
    .map((token) => `${token.kind}:${token.text}`);
}

test("constants come out by type, as Microsoft's page on constants lists them", () => {
  assert.deepEqual(kinds("1 2147483647 2147483648 007 1.5 .5 1. 1e5 1.5E-3 2e 0x 0xBEEF $1.5 $ £3"), [
    "int:1",
    "int:2147483647",
    "decimal:2147483648",
    "int:007",
    "decimal:1.5",
    "decimal:.5",
    "decimal:1.",
    "float:1e5",
    "float:1.5E-3",
    "float:2e",
    "binary:0x",
    "binary:0xBEEF",
    "money:1.5",
    "money:0",
    "money:3",
  ]);
  assert.deepEqual(kinds("'it''s' N'ünï' n'' 'a\\\nb'"), ["string:it's", "nstring:ünï", "nstring:", "string:ab"]);
});

test("names may be bare, bracketed, quoted, temporary, and hold the signs that T-SQL allows", () => {
  assert.deepEqual(kinds('a [b ]] c] "d "" e" #t ##g @v @@ROWCOUNT $action __$start_lsn naïve x#$@1'), [
    "word:a",
    "quoted:b ] c",
    'quoted:d " e',
    "word:#t",
    "word:##g",
    "variable:@v",
    "global:@@ROWCOUNT",
    "word:$action",
    "word:__$start_lsn",
    "word:naïve",
    "word:x#$@1",
  ]);
});

test("double quotes enclose strings where QUOTED_IDENTIFIER is OFF", () => {
  assert.deepEqual(parseBatch('PRINT "it""s"', false), [
    { line: 1, kind: "print", value: { kind: "literal", type: "string", text: 'it"s' } },
  ]);
});

test("comments vanish, block comments nest, and lines go on counting through both and through strings", () => {
  const tokens = tokenize("a -- b\n/* c /* d\n*/ e */ f 'x\ny' g");
  assert.deepEqual(
    tokens.slice(0, -1).map((token) => `${token.text}@${token.line}`),
    ["a@1", "f@3", "x\ny@3", "g@4"],
  );
});

test("reserved words are told from words that may be names", () => {
  assert.deepEqual(
    tokenize("SELECT name type Value from STATE row_number Precision user").map((token) => token.kind),
    ["reserved", "word", "word", "word", "reserved", "word", "word", "word", "reserved", "end"],
  );
});

test("any text written as a string constant reads back the same", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.boolean(), (value, national) => {
      // A backslash before a line's end would continue the line.
      fc.pre(!/\\\r?\n/.test(value));
      const text = `${national ? "N" : ""}'${value.replaceAll("'", "''")}'`;
      assert.deepEqual(parseExpression(text), {
        kind: "literal",
        type: national ? "nstring" : "string",
        text: value,
      });
    }),
  );
});

test("any text in brackets or double quotes reads back as that name", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", minLength: 1 }), fc.boolean(), (name, brackets) => {
      const text = brackets ? `[${name.replaceAll("]", "]]")}]` : `"${name.replaceAll('"', '""')}"`;
      assert.deepEqual(parseExpression(`t.${text}`), { kind: "column", parts: ["t", name] });
    }),
  );
});

test("any bare word that is not reserved is a column", () => {
  const word = fc.stringMatching(/^[A-Za-z_#][A-Za-z0-9_@$#]{0,20}$/);
  fc.assert(
    fc.property(word, (name) => {
      fc.pre(!RESERVED.has(name.toUpperCase()));
      assert.deepEqual(parseExpression(name), { kind: "column", parts: [name] });
    }),
  );
});

test("numbers keep every digit they are written with", () => {
  const digits = fc.stringMatching(/^[0-9]{1,38}$/);
  fc.assert(
    fc.property(digits, digits, (whole, fraction) => {
      const decimal = `${whole}.${fraction}`;
      assert.deepEqual(parseExpression(decimal), { kind: "literal", type: "decimal", text: decimal });
      const type = BigInt(whole) > 2147483647n ? "decimal" : "int";
      assert.deepEqual(parseExpression(whole), { kind: "literal", type, text: whole });
    }),
  );
});

test("SET QUOTED_IDENTIFIER holds from where it stands in the text", () => {
  const kinds = tokenize('"a" SET QUOTED_IDENTIFIER OFF "b" set quoted_identifier on "c"').flatMap((token) =>
    "abc".includes(token.text) && token.text !== "" ? [token.kind] : [],
  );
  assert.deepEqual(kinds, ["quoted", "string", "quoted"]);
});
