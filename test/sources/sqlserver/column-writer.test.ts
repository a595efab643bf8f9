import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { defaultValueOptions, type ValueOptions } from "../../../src/change/values.ts";
import type { SourceError } from "../../../src/errors.ts";
import { type ColumnType, columnWriter } from "../../../src/sources/sqlserver/column-writer.ts";

function written(
  type: Partial<ColumnType> & { type: string },
  values: unknown[],
  options: Partial<ValueOptions> = {},
): string {
  const full = { maxLength: 8, scale: 0, ...type };
  return columnWriter("c", full, { ...defaultValueOptions, ...options }, "t").write(values, 0);
}

/** As tedious gives what it reads from time and datetime2. */
function precise(iso: string, beyondMilliseconds: number): Date {
  return Object.assign(new Date(iso), { nanosecondsDelta: beyondMilliseconds });
}

test("integers are numbers with all digits, or strings where readers keep only 53 bits", () => {
  assert.equal(written({ type: "bigint" }, ["9223372036854775807"]), "9223372036854775807");
  assert.equal(written({ type: "bigint" }, ["-9223372036854775808"], { bigints: "string" }), '"-9223372036854775808"');
  assert.equal(written({ type: "int" }, [-2147483648]), "-2147483648");
  assert.equal(written({ type: "bit" }, [true]), "true");
});

test("decimals keep their scale, as strings or as numbers", () => {
  assert.equal(
    written({ type: "decimal" }, ["-12345678901234567890123456789012345.678"]),
    '"-12345678901234567890123456789012345.678"',
  );
  assert.equal(written({ type: "money" }, ["12.3400"], { decimals: "number" }), "12.3400");
});

test("doubles and singles are the shortest that read back the same", () => {
  assert.equal(written({ type: "float" }, [0.1]), "0.1");
  assert.equal(written({ type: "float" }, [-0]), "-0");
  assert.equal(written({ type: "real" }, [Math.fround(0.1)]), "0.1");
  assert.equal(written({ type: "real" }, [-0]), "-0");
  assert.equal(written({ type: "real" }, [Math.fround(16777216)]), "16777216");
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (single) => {
      assert.ok(Object.is(Math.fround(JSON.parse(written({ type: "real" }, [single]))), single));
    }),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (double) => {
      assert.ok(Object.is(JSON.parse(written({ type: "float" }, [double])), double));
    }),
    { numRuns: 500 },
  );
});

test("times have as many digits as their column", () => {
  const time = precise("1970-01-01T10:11:12.123Z", 0.0004567);
  assert.equal(written({ type: "time", scale: 7 }, [time]), '"10:11:12.1234567"');
  assert.equal(written({ type: "time", scale: 4 }, [time]), '"10:11:12.1234"');
  assert.equal(written({ type: "time", scale: 0 }, [time]), '"10:11:12"');
  const moment = precise("2026-11-21T10:11:12.123Z", 0.0004567);
  assert.equal(written({ type: "datetime2", scale: 7 }, [moment]), '"2026-11-21T10:11:12.1234567"');
  assert.equal(written({ type: "datetime2", scale: 1 }, [moment]), '"2026-11-21T10:11:12.1"');
  assert.equal(
    written({ type: "datetime", scale: 3 }, [new Date("2026-11-21T10:11:12.007Z")]),
    '"2026-11-21T10:11:12.007"',
  );
  assert.equal(written({ type: "smalldatetime" }, [new Date("2026-11-21T10:11:00Z")]), '"2026-11-21T10:11:00"');
  assert.equal(written({ type: "date" }, [new Date("0001-01-01T00:00:00Z")]), '"0001-01-01"');
  assert.equal(
    written({ type: "datetimeoffset", scale: 7 }, ["2026-11-21 12:11:12.1234567 +02:00"]),
    '"2026-11-21T12:11:12.1234567+02:00"',
  );
});

test("every tick of a day survives", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 86_399_999 }), fc.integer({ min: 0, max: 9_999 }), (milliseconds, ticks) => {
      const date = Object.assign(new Date(milliseconds), { nanosecondsDelta: ticks / 1e7 });
      const expected = new Date(milliseconds).toISOString().slice(11, 23) + String(ticks).padStart(4, "0");
      assert.equal(written({ type: "time", scale: 7 }, [date]), `"${expected}"`);
    }),
    { numRuns: 500 },
  );
});

test("text is asked for as UTF-16, and a lone surrogate is kept as its escape", () => {
  const options = defaultValueOptions;
  const expression = (type: string, maxLength: number) =>
    columnWriter("a]b", { type, maxLength, scale: 0 }, options, "t").expressions;
  assert.deepEqual(expression("varchar", 100), ["CONVERT(nvarchar(100), t.[a]]b])"]);
  assert.deepEqual(expression("varchar", 8000), ["CONVERT(nvarchar(max), t.[a]]b])"]);
  assert.deepEqual(expression("varchar", -1), ["CONVERT(nvarchar(max), t.[a]]b])"]);
  assert.deepEqual(expression("nvarchar", 100), ["t.[a]]b]"]);
  assert.equal(written({ type: "nvarchar" }, ["ü\ud83d"]), '"ü\\ud83d"');
});

test("bytes are base64 or hexadecimal", () => {
  assert.equal(written({ type: "varbinary" }, [Buffer.from([0, 1, 2])]), '"AAEC"');
  assert.equal(written({ type: "timestamp" }, [Buffer.from([0, 1, 254])], { binary: "hex" }), '"0001fe"');
});

test("a sql_variant is written as its base type", () => {
  const variant = (base: string, scale: number | null, text: string) =>
    written({ type: "sql_variant" }, [base, scale, text]);
  assert.equal(variant("int", 0, "42"), "42");
  assert.equal(variant("bigint", 0, "9223372036854775807"), "9223372036854775807");
  assert.equal(variant("bit", 0, "1"), "true");
  assert.equal(variant("numeric", 4, "12.3400"), '"12.3400"');
  assert.equal(variant("float", 0, "1.0000000000000001e-001"), "0.1");
  assert.equal(variant("datetime2", 3, "2026-11-21 10:11:12.1230000"), '"2026-11-21T10:11:12.123"');
  assert.equal(variant("time", 0, "10:11:12.0000000"), '"10:11:12"');
  assert.equal(variant("datetimeoffset", 2, "2026-11-21 12:11:12.1200000 +02:00"), '"2026-11-21T12:11:12.12+02:00"');
  assert.equal(variant("varbinary", null, "000102"), '"AAEC"');
  assert.equal(variant("nvarchar", null, 'say "hi"'), '"say \\"hi\\""');
  assert.equal(
    variant("uniqueidentifier", null, "49FBEDAD-37B6-4870-BCE3-3F713F46BCF5"),
    '"49FBEDAD-37B6-4870-BCE3-3F713F46BCF5"',
  );
});

test('values = "string" makes every value a string, and leaves NULL', () => {
  const options = { values: "string" } as const;
  assert.equal(written({ type: "int" }, [42], options), '"42"');
  assert.equal(written({ type: "bit" }, [false], options), '"false"');
  assert.equal(written({ type: "float" }, [0.5], options), '"0.5"');
  assert.equal(written({ type: "nvarchar" }, ["x"], options), '"x"');
  assert.equal(written({ type: "int" }, [null], options), "null");
});

test("a type from a newer server is refused by name, with a way out", () => {
  assert.throws(
    () => written({ type: "vector" }, [1]),
    (error: SourceError) =>
      error.scope === "table" && error.message.includes("vector") && /columns_exclude/.test(error.advice!),
  );
});
