/**
 * Every type with its edge values, read by tedious in a ROW and in an NBCROW, NULL and not. What tedious makes doubles of is
 * checked on the bytes in encoding.test.ts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Request } from "tedious";
import { Decimal, type SqlType, Temporal, type Value, Variant } from "../../../simulator/engine/values.ts";
import { ask, bench } from "./clients.ts";
import { column, select } from "./scripted-engine.ts";

const ms = (text: string) => new Date(text).getTime();
const days = (text: string) => 719_162 + ms(`${text}T00:00:00Z`) / 86_400_000;
const ticks = (h: number, m = 0, s = 0, fraction = 0) => ((h * 60 + m) * 60 + s) * 10_000_000 + fraction;
const LAST_TICK = ticks(23, 59, 59, 9_999_999);
const long = "ünïcødé 😀 ".repeat(100_000);
const bytes = Buffer.from(Array.from({ length: 1_100_000 }, (_, i) => i * 7));

/** Type, and pairs of what the engine gives and what tedious makes of it (dates as milliseconds). */
const CASES: [SqlType, ...[Value, unknown][]][] = [
  [{ id: "bit" }, [true, true], [false, false]],
  [{ id: "tinyint" }, [0, 0], [255, 255]],
  [{ id: "smallint" }, [-32768, -32768], [32767, 32767]],
  [{ id: "int" }, [-2147483648, -2147483648], [2147483647, 2147483647]],
  [{ id: "bigint" }, [-9223372036854775808n, "-9223372036854775808"], [9223372036854775807n, "9223372036854775807"]],
  [{ id: "real" }, [Math.fround(0.1), Math.fround(0.1)], [-3.4028234663852886e38, -3.4028234663852886e38]],
  [{ id: "float" }, [Number.MIN_VALUE, Number.MIN_VALUE], [-Number.MAX_VALUE, -Number.MAX_VALUE]],
  [
    { id: "decimal", precision: 9, scale: 4 },
    [new Decimal(123400n, 4), 12.34],
    [new Decimal(-999999999n, 4), -99999.9999],
  ],
  [{ id: "numeric", precision: 38, scale: 0 }, [new Decimal(10n ** 38n - 1n, 0), 1e38], [new Decimal(0n, 0), 0]],
  [{ id: "money" }, [new Decimal(-9223372036854775808n, 4), -(2 ** 63) / 10_000], [new Decimal(12345n, 4), 1.2345]],
  [{ id: "smallmoney" }, [new Decimal(-2147483648n, 4), -214748.3648], [new Decimal(2147483647n, 4), 214748.3647]],
  [{ id: "date" }, [new Temporal(0, 0), ms("0001-01-01")], [new Temporal(days("9999-12-31"), 0), ms("9999-12-31")]],
  [{ id: "time", scale: 7 }, [new Temporal(0, LAST_TICK), ms("1970-01-01T23:59:59.999Z")]],
  [{ id: "time", scale: 0 }, [new Temporal(0, ticks(10, 11, 12)), ms("1970-01-01T10:11:12Z")]],
  [{ id: "time", scale: 3 }, [new Temporal(0, ticks(10, 11, 12, 1_230_000)), ms("1970-01-01T10:11:12.123Z")]],
  [
    { id: "datetime" },
    [new Temporal(days("1753-01-01"), 0), ms("1753-01-01")],
    [new Temporal(days("9999-12-31"), ticks(23, 59, 59, 9_966_667)), ms("9999-12-31T23:59:59.997Z")],
  ],
  [
    { id: "smalldatetime" },
    [new Temporal(days("1900-01-01"), 0), ms("1900-01-01")],
    [new Temporal(days("2079-06-06"), ticks(23, 59)), ms("2079-06-06T23:59:00Z")],
  ],
  [
    { id: "datetime2", scale: 7 },
    [new Temporal(0, 0), ms("0001-01-01")],
    [new Temporal(days("9999-12-31"), LAST_TICK), ms("9999-12-31T23:59:59.999Z")],
  ],
  [
    { id: "datetime2", scale: 2 },
    [new Temporal(days("2026-11-21"), ticks(10, 11, 12, 1_200_000)), ms("2026-11-21T10:11:12.120Z")],
  ],
  [
    { id: "datetimeoffset", scale: 7 },
    [new Temporal(days("2026-11-21"), ticks(10, 11, 12), 120), ms("2026-11-21T10:11:12Z")],
  ],
  [{ id: "char", length: 5 }, ["ab   ", "ab   "]],
  [{ id: "varchar", length: 8000 }, ["", ""], ["naïve €", "naïve €"], ["y".repeat(8000), "y".repeat(8000)]],
  [{ id: "varchar", length: -1 }, ["", ""], [long.replace(/😀/g, "€").replace(/č/g, "c"), long.replace(/😀/g, "€")]],
  [{ id: "text" }, ["old text", "old text"], ["", ""]],
  [{ id: "nchar", length: 3 }, ["é  ", "é  "]],
  [{ id: "nvarchar", length: 4000 }, ["", ""], ["\ud83d", "\ud83d"], ["z".repeat(4000), "z".repeat(4000)]],
  [{ id: "nvarchar", length: -1 }, ["", ""], [long, long]],
  [{ id: "ntext" }, ["ünïcødé 😀", "ünïcødé 😀"]],
  [{ id: "xml" }, ["<a>é😀</a>", "<a>é😀</a>"]],
  [{ id: "uniqueidentifier" }, ["49FBEDAD-37B6-4870-BCE3-3F713F46BCF5", "49FBEDAD-37B6-4870-BCE3-3F713F46BCF5"]],
  [{ id: "binary", length: 4 }, [Buffer.of(0, 1, 2, 0), Buffer.of(0, 1, 2, 0)]],
  [
    { id: "varbinary", length: 8000 },
    [Buffer.alloc(0), Buffer.alloc(0)],
    [Buffer.alloc(8000, 9), Buffer.alloc(8000, 9)],
  ],
  [{ id: "varbinary", length: -1 }, [Buffer.alloc(0), Buffer.alloc(0)], [bytes, bytes]],
  [{ id: "image" }, [bytes, bytes]],
  [{ id: "timestamp" }, [Buffer.of(0, 0, 0, 0, 0, 0, 7, 209), Buffer.of(0, 0, 0, 0, 0, 0, 7, 209)]],
];

const VARIANTS: [Value, unknown][] = [
  [new Variant({ id: "int" }, -5), -5],
  [new Variant({ id: "bit" }, true), true],
  [new Variant({ id: "bigint" }, 1n << 60n), String(1n << 60n)],
  [new Variant({ id: "float" }, 0.1), 0.1],
  [new Variant({ id: "money" }, new Decimal(15000n, 4)), 1.5],
  [new Variant({ id: "decimal", precision: 20, scale: 2 }, new Decimal(-125n, 2)), -1.25],
  [new Variant({ id: "date" }, new Temporal(days("2026-11-21"), 0)), ms("2026-11-21")],
  [new Variant({ id: "time", scale: 3 }, new Temporal(0, ticks(1, 2, 3))), ms("1970-01-01T01:02:03Z")],
  [new Variant({ id: "datetime2", scale: 3 }, new Temporal(days("2026-11-21"), ticks(1))), ms("2026-11-21T01:00:00Z")],
  [new Variant({ id: "datetimeoffset", scale: 0 }, new Temporal(days("2026-11-21"), 0, -60)), ms("2026-11-21")],
  [new Variant({ id: "datetime" }, new Temporal(days("2026-11-21"), ticks(1))), ms("2026-11-21T01:00:00Z")],
  [
    new Variant({ id: "uniqueidentifier" }, "49FBEDAD-37B6-4870-BCE3-3F713F46BCF5"),
    "49FBEDAD-37B6-4870-BCE3-3F713F46BCF5",
  ],
  // tedious reads the collation of these from the wrong place (encoding.test.ts has the bytes): plain ASCII here.
  [new Variant({ id: "varchar", length: 20 }, "naive"), "naive"],
  [new Variant({ id: "nvarchar", length: 20 }, "ünï😀"), "ünï😀"],
  [new Variant({ id: "nchar", length: 2 }, "ab"), "ab"],
  [new Variant({ id: "varbinary", length: 20 }, Buffer.of(1, 2)), Buffer.of(1, 2)],
];
for (const [given, expected] of VARIANTS) CASES.push([{ id: "sql_variant" }, [given, expected]]);

const comparable = (value: unknown) => (value instanceof Date ? value.getTime() : value);

test("every type arrives with its edge values, nullable or not", async () => {
  await using on = await bench();
  const connection = await on.connect({ packetSize: 16384 });
  for (const [type, ...pairs] of CASES) {
    for (const nullable of [true, false]) {
      on.engine.on(
        "select",
        select(
          [column("v", type, nullable)],
          pairs.map(([given]) => [given]),
        ),
      );
      const { rows, error } = await ask(connection, "select");
      assert.equal(error, null, `${JSON.stringify(type)}: ${error?.message}`);
      const seen = rows.map(([value]) => comparable(value));
      assert.deepEqual(
        seen,
        pairs.map(([, expected]) => expected),
        JSON.stringify(type),
      );
    }
  }
});

test("NULL of every type arrives in a ROW and in an NBCROW, among values", async () => {
  await using on = await bench();
  const connection = await on.connect();
  const columns = CASES.map(([type], i) => column(`c${i}`, type));
  const values = CASES.map(([, first]) => (typeof first![0] === "string" ? first![0].slice(0, 50) : first![0]));
  const expected = CASES.map(([, first]) =>
    typeof first![0] === "string" ? String(first![1]).slice(0, 50) : first![1],
  );
  // One NULL is shorter as a ROW; every other one, or all, as an NBCROW.
  const masks = [...columns.keys()].map((only) => (i: number) => i === only);
  masks.push(
    (i) => i % 2 === 0,
    (i) => i % 2 === 1,
    () => true,
    () => false,
  );
  on.engine.on(
    "select",
    select(
      columns,
      masks.map((mask) => values.map((value, i) => (mask(i) ? null : value))),
    ),
  );
  const { rows, error } = await ask(connection, "select");
  assert.equal(error, null);
  masks.forEach((mask, at) => {
    assert.deepEqual(
      rows[at]!.map(comparable),
      expected.map((value, i) => (mask(i) ? null : value)),
    );
  });
});

const TEXTS: [collation: string, text: string][] = [
  ["SQL_Latin1_General_CP1_CI_AS", "naïve € œuvre"],
  ["Latin1_General_100_CI_AS_SC_UTF8", "ünïcødé 😀 日本"],
  ["Cyrillic_General_CI_AS", "Привет, мир"],
  ["Japanese_CI_AS", "こんにちは世界"],
  ["Chinese_PRC_CI_AS", "你好，世界"],
  ["Chinese_Taiwan_Stroke_CI_AS", "你好，世界"],
  ["Korean_Wansung_CI_AS", "안녕하세요"],
  ["Greek_CI_AS", "Γειά σου Κόσμε"],
  ["Turkish_CI_AS", "İstanbul ığüşöç"],
  ["Polish_CI_AS", "Zażółć gęślą jaźń"],
  ["Czech_CI_AS", "Příliš žluťoučký kůň"],
  ["Hebrew_CI_AS", "שלום עולם"],
  ["Arabic_CI_AS", "مرحبا بالعالم"],
  ["Thai_CI_AS", "สวัสดีชาวโลก"],
  ["SQL_Latin1_General_CP437_CI_AS", "naïve ░▒▓"],
  ["Estonian_CI_AS", "Jüriöö ülestõus"],
  ["Vietnamese_CI_AS", "Đông"],
];

test("text of a column travels in the code page of its collation", async () => {
  await using on = await bench();
  const connection = await on.connect();
  const known = TEXTS;
  const columns = known.flatMap(([collation], i) => [
    column(`v${i}`, { id: "varchar", length: 100, collation }),
    column(`t${i}`, { id: "text", collation }),
    column(`m${i}`, { id: "varchar", length: -1, collation }),
  ]);
  on.engine.on("select", select(columns, [known.flatMap(([, text]) => [text, text, text])]));
  const { rows } = await ask(connection, "select");
  assert.deepEqual(
    rows[0],
    known.flatMap(([, text]) => [text, text, text]),
  );
});

test("columns come with their flags: nullable, identity, computed, case-sensitive", async () => {
  await using on = await bench();
  const columns = [
    { ...column("id", { id: "int" }, false), identity: true },
    { ...column("sum", { id: "int" }), computed: true },
    column("name", { id: "nvarchar", length: 10, collation: "Latin1_General_CS_AS" }),
    column("version", { id: "timestamp" }, false),
  ];
  on.engine.on("select", select(columns, []));
  const connection = await on.connect();
  const { promise, resolve } = Promise.withResolvers<void>();
  const seen: { flags: number; userType: number }[] = [];
  const request = new Request("select", () => resolve());
  request.on("columnMetadata", (described) => seen.push(...Object.values(described)));
  connection.execSqlBatch(request);
  await promise;
  assert.deepEqual(
    seen.map(({ flags, userType }) => [flags, userType]),
    [
      [0x10, 0],
      [0x21, 0],
      [0x0b, 0],
      [0x08, 80],
    ],
  );
});
