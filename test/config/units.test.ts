import assert from "node:assert/strict";
import { test } from "node:test";
import { matches, overlaps, parseTableName, type TablePattern } from "../../src/config/tables.ts";
import { parseDuration, parseSize, parseStart, suggestDuration } from "../../src/config/units.ts";

test("durations as Go writes them, and days", () => {
  const durations: [string, number | undefined][] = [
    ["5s", 5000],
    ["250ms", 250],
    ["1m30s", 90_000],
    ["1.5h", 5_400_000],
    ["1d", 86_400_000],
    ["1h2m3s4ms", 3_723_004],
    ["5", undefined],
    ["5 s", undefined],
    ["-5s", undefined],
    ["", undefined],
    ["5S", undefined],
  ];
  for (const [text, expected] of durations) assert.equal(parseDuration(text), expected, text);
});

test("what was meant by a duration that is none", () => {
  const meant: [string, string | undefined][] = [
    ["5 seconds", "5s"],
    ["5", "5s"],
    ["1 Hour and 30 minutes", "1h30m"],
    ["2 mins", "2m"],
    ["10 msec", "10ms"],
    ["soon", undefined],
  ];
  for (const [text, expected] of meant) assert.equal(suggestDuration(text), expected, text);
});

test("sizes count in 1024", () => {
  const sizes: [string, number | undefined][] = [
    ["262144", 262_144],
    ["256KB", 262_144],
    ["1 MB", 1_048_576],
    ["1.5MiB", 1_572_864],
    ["2g", 2_147_483_648],
    ["10B", 10],
    ["1TB", undefined],
    ["0.3", undefined],
    ["many", undefined],
  ];
  for (const [text, expected] of sizes) assert.equal(parseSize(text), expected, text);
});

test("starts: words, LSNs in both writings, times with an offset", () => {
  assert.deepEqual(parseStart("now"), { at: "now" });
  const lsn = { at: "lsn", lsn: "0000003600000b200003" };
  assert.deepEqual(parseStart("0x0000003600000B200003"), lsn);
  assert.deepEqual(parseStart("00000036:00000b20:0003"), lsn);
  assert.deepEqual(parseStart("2026-11-21T10:00:00.5+02:00"), {
    at: "time",
    time: new Date("2026-11-21T08:00:00.500Z"),
  });
  for (const wrong of [
    "0x36",
    "2026-11-21",
    "2026-11-21T10:00:00",
    "2026-02-30T10:00:00Z",
    "2026-11-21T25:00:00Z",
    "later",
  ]) {
    assert.equal(parseStart(wrong), undefined, wrong);
  }
});

function table(text: string): TablePattern {
  const parsed = parseTableName(text);
  assert.ok(typeof parsed === "object", `${text} ${String(parsed)}`);
  return parsed;
}

test("Persons is dbo.Persons, brackets quote, a star stands for anything within its part", () => {
  const names = (text: string) => [table(text).schema, table(text).table, table(text).pattern];
  assert.deepEqual(names("Persons"), ["dbo", "Persons", false]);
  assert.deepEqual(names(" sales . Orders "), ["sales", "Orders", false]);
  assert.deepEqual(names("[a.b].[c]]*]"), ["a.b", "c]*", false]);
  assert.ok(matches(table("sales.*"), { schema: "Sales", table: "Orders.2026" }));
  assert.ok(matches(table("sales.Ord*"), { schema: "sales", table: "ORDERS" }));
  assert.ok(!matches(table("sales.Ord*"), { schema: "sales", table: "Reorders" }));
  assert.ok(!matches(table("*"), { schema: "sales", table: "Orders" }), "of dbo");
  assert.ok(matches(table("*.*"), { schema: "sales", table: "Orders" }));
  assert.ok(!matches(table("a.b+"), { schema: "a", table: "bb" }), "no other character is special");
  assert.ok(overlaps(table("sales.Orders"), table("sales.*")));
  assert.ok(!overlaps(table("sales.Orders"), table("stock.*")));
  for (const wrong of ["", "a.", ".b", "a.b.c", "[a", "a..b", "[a]b"])
    assert.equal(typeof parseTableName(wrong), "string", wrong);
});
