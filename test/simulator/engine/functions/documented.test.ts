/** Scalar functions give what the examples on their pages print. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { type Client, start } from "../client.ts";

let sql: Client;
before(async () => {
  ({ sql } = await start());
});

const row = async (query: string) => (await sql.rows(query))[0]!;

// https://learn.microsoft.com/sql/t-sql/functions/format-transact-sql
describe("FORMAT", () => {
  test("example A: dates in several cultures", async () => {
    const dates = "DECLARE @d DATE = '20201122';";
    assert.deepEqual(
      await row(
        `${dates} SELECT FORMAT(@d, 'd', 'en-US'), FORMAT(@d, 'd', 'en-gb'), FORMAT(@d, 'd', 'de-de'), FORMAT(@d, 'd', 'zh-cn')`,
      ),
      ["11/22/2020", "22/11/2020", "22.11.2020", "2020/11/22"],
    );
    assert.deepEqual(
      await row(
        `${dates} SELECT FORMAT(@d, 'D', 'en-US'), FORMAT(@d, 'D', 'en-gb'), FORMAT(@d, 'D', 'de-de'), FORMAT(@d, 'D', 'zh-cn')`,
      ),
      ["Sunday, November 22, 2020", "22 November 2020", "Sonntag, 22. November 2020", "2020年11月22日"],
    );
  });

  test("example B: custom formats", async () => {
    assert.deepEqual(
      await row(
        "DECLARE @d DATE = '20201122'; SELECT FORMAT(@d, 'dd/MM/yyyy', 'en-US'), FORMAT(123456789, '###-##-####')",
      ),
      ["22/11/2020", "123-45-6789"],
    );
  });

  test("example C: numbers and currencies", async () => {
    assert.deepEqual(
      await row("SELECT FORMAT(1.0002, 'N', 'en-us'), FORMAT(1.0002, 'G', 'en-us'), FORMAT(1.0002, 'C', 'en-us')"),
      ["1.00", "1.0002", "$1.00"],
    );
    assert.deepEqual(
      await row("SELECT FORMAT(1.0002, 'N', 'de-de'), FORMAT(1.0002, 'G', 'de-de'), FORMAT(1.0002, 'C', 'de-de')"),
      ["1,00", "1,0002", "1,00 €"],
    );
  });

  test("examples D to G: times, of day and of dates", async () => {
    assert.deepEqual(
      await row(
        String.raw`SELECT FORMAT(cast('07:35' as time), N'hh.mm'), FORMAT(cast('07:35' as time), N'hh:mm'), FORMAT(cast('07:35' as time), N'hh\.mm'), FORMAT(cast('07:35' as time), N'hh\:mm')`,
      ),
      [null, null, "07.35", "07:35"],
    );
    assert.deepEqual(
      await row(
        "SELECT FORMAT(CAST('2018-01-01 01:00' AS datetime2), N'hh:mm tt'), FORMAT(CAST('2018-01-01 01:00' AS datetime2), N'hh:mm t'), FORMAT(CAST('2018-01-01 14:00' AS datetime2), N'hh:mm tt'), FORMAT(CAST('2018-01-01 14:00' AS datetime2), N'HH:mm')",
      ),
      ["01:00 AM", "01:00 A", "02:00 PM", "14:00"],
    );
  });

  test("other formats of .NET's pages", async () => {
    // https://learn.microsoft.com/dotnet/standard/base-types/standard-numeric-format-strings
    assert.deepEqual(
      await row(
        "SELECT FORMAT(1234, 'D6'), FORMAT(-1234, 'D6'), FORMAT(255, 'X'), FORMAT(1052.0329112756, 'E2'), FORMAT(-1234.56, 'F4'), FORMAT(-1234.56, 'N1'), FORMAT(1.0, 'P'), FORMAT(12.5, 'D')",
      ),
      ["001234", "-001234", "FF", "1.05E+003", "-1234.5600", "-1,234.6", "100.00 %", null],
    );
    // https://learn.microsoft.com/dotnet/standard/base-types/custom-numeric-format-strings
    assert.deepEqual(
      await row(
        "SELECT FORMAT(1234.5678, '00000'), FORMAT(0.45678, '0.00'), FORMAT(1234.5678, '#####'), FORMAT(0.45678, '#.##'), FORMAT(2147483647, '##,#'), FORMAT(2147483647, '#,#,,'), FORMAT(0.3697, '%#0.00'), FORMAT(68, '# ''degrees'''), FORMAT(-12.345, '#0.0#;(#0.0#);-0-')",
      ),
      ["01235", "0.46", "1235", ".46", "2,147,483,647", "2,147", "%36.97", "68 degrees", "(12.35)"],
    );
    assert.deepEqual(
      await row(
        "SELECT FORMAT(CAST('2009-06-15T13:45:30.617' AS datetime2(3)), 'yyyy-MM-ddTHH:mm:ss.fff'), FORMAT(CAST('2009-06-15T13:45:30' AS datetime), 's'), FORMAT(CAST('2009-06-15T13:45:30' AS datetime), 'ddd, dd MMM yyyy'), FORMAT(CAST('2009-06-15T13:45:30-07:00' AS datetimeoffset), 'zzz')",
      ),
      ["2009-06-15T13:45:30.617", "2009-06-15T13:45:30", "Mon, 15 Jun 2009", "-07:00"],
    );
    assert.equal(await sql.error("SELECT FORMAT('x', 'd')"), 8116);
    assert.equal(await sql.error("SELECT FORMAT(1, 'N', '!')"), 9818);
  });
});

describe("dates", () => {
  // https://learn.microsoft.com/sql/t-sql/functions/date-bucket-transact-sql
  test("DATE_BUCKET", async () => {
    const bucket = (part: string, width: number, rest = "") => `DATE_BUCKET(${part}, ${width}, @date${rest})`;
    const { sets } = await sql.run(`DECLARE @date DATETIME2 = '2020-04-15 21:22:11';
      SELECT ${["WEEK", "DAY", "HOUR", "MINUTE", "SECOND"].map((part) => bucket(part, 1)).join(", ")}`);
    assert.deepEqual(sets[0]!.columns.map(({ type }) => [type.id, type.scale])[0], ["datetime2", 7]);
    assert.deepEqual(sets[0]!.rows, [
      [
        "2020-04-13 00:00:00.0000000",
        "2020-04-15 00:00:00.0000000",
        "2020-04-15 21:00:00.0000000",
        "2020-04-15 21:22:00.0000000",
        "2020-04-15 21:22:11.0000000",
      ],
    ]);
    assert.deepEqual(
      await row(`DECLARE @date DATETIME2 = '2020-06-15 21:22:11'; DECLARE @origin DATETIME2 = '2019-01-01 00:00:00';
        SELECT ${bucket("WEEK", 5, ", @origin")}, ${bucket("MONTH", 2)}, ${bucket("YEAR", 10)}, DATE_BUCKET(DAY, 7, CAST('1899-12-31' AS date))`),
      ["2020-06-09 00:00:00.0000000", "2020-05-01 00:00:00.0000000", "2020-01-01 00:00:00.0000000", "1899-12-25"],
    );
    assert.equal(await sql.error("SELECT DATE_BUCKET(DAY, 0, SYSDATETIME())"), 9834);
  });
});

describe("bits and bytes", () => {
  // https://learn.microsoft.com/sql/t-sql/functions/bit-manipulation-functions-overview
  test("LEFT_SHIFT, RIGHT_SHIFT, GET_BIT, SET_BIT, BIT_COUNT", async () => {
    assert.deepEqual(
      await row(
        "SELECT LEFT_SHIFT(12345, 5), LEFT_SHIFT(12345, -5), RIGHT_SHIFT(12345, 5), GET_BIT(0xabcdef, 2), GET_BIT(0xabcdef, 4), SET_BIT(0x00, 2), SET_BIT(0xabcdef, 0, 0), BIT_COUNT(0xabcdef), BIT_COUNT(17)",
      ),
      [395040, 385, 385, true, false, "0x04", "0xabcdee", 17n, 2n],
    );
    assert.equal(await sql.error("SELECT GET_BIT(1, 32)"), 4199);
  });

  // https://learn.microsoft.com/sql/t-sql/functions/decompress-transact-sql
  test("COMPRESS packs and DECOMPRESS unpacks", async () => {
    assert.deepEqual(
      await row(
        "SELECT CAST(DECOMPRESS(COMPRESS(N'日本')) AS nvarchar(max)), CAST(DECOMPRESS(COMPRESS('abc')) AS varchar(max)), DECOMPRESS(CAST(NULL AS varbinary(5)))",
      ),
      ["日本", "abc", null],
    );
    assert.deepEqual(await row("SELECT SUBSTRING(COMPRESS('abc'), 1, 2)"), ["0x1f8b"]);
  });

  test("CHECKSUM of integers and BINARY_CHECKSUM of varchar are SQL Server's numbers", async () => {
    assert.deepEqual(
      await row("SELECT CHECKSUM(1), CHECKSUM(1, 2), CHECKSUM(NULL), BINARY_CHECKSUM('a'), BINARY_CHECKSUM('abc')"),
      [1, 18, 2147483647, 97, 26435],
    );
    assert.deepEqual(await row("SELECT CHECKSUM('ABC') - CHECKSUM('abc')"), [0]);
  });
});

describe("choices and series", () => {
  test("GREATEST and LEAST", async () => {
    // https://learn.microsoft.com/sql/t-sql/functions/logical-functions-greatest-transact-sql
    const { sets } = await sql.run(
      "SELECT GREATEST('6.62', 3.1415, N'7') AS GreatestVal, LEAST('6.62', 3.1415, N'7') AS LeastVal",
    );
    assert.deepEqual(sets[0]!.rows, [["7.0000", "3.1415"]]);
    assert.equal(sets[0]!.columns[0]!.type.scale, 4);
  });

  // https://learn.microsoft.com/sql/t-sql/functions/generate-series-transact-sql
  test("GENERATE_SERIES", async () => {
    assert.deepEqual(
      await sql.rows("SELECT value FROM GENERATE_SERIES(1, 50, 5)"),
      [1, 6, 11, 16, 21, 26, 31, 36, 41, 46].map((n) => [n]),
    );
    const { sets } = await sql.run(
      "DECLARE @start decimal(2, 1) = 0.0; DECLARE @stop decimal(2, 1) = 1.0; DECLARE @step decimal(2, 1) = 0.1; SELECT value FROM GENERATE_SERIES(@start, @stop, @step)",
    );
    assert.deepEqual(sets[0]!.rows.flat(), [
      "0.0",
      "0.1",
      "0.2",
      "0.3",
      "0.4",
      "0.5",
      "0.6",
      "0.7",
      "0.8",
      "0.9",
      "1.0",
    ]);
    assert.deepEqual(sets[0]!.columns[0]!.type, { id: "decimal", precision: 2, scale: 1 });
    assert.equal(await sql.error("SELECT value FROM GENERATE_SERIES(1, 2.5)"), 5373);
  });

  test("APPROX_COUNT_DISTINCT", async () => {
    assert.deepEqual(await row("SELECT APPROX_COUNT_DISTINCT(x) FROM (VALUES (1), (2), (2), (NULL)) v (x)"), [2n]);
  });
});

// https://learn.microsoft.com/sql/t-sql/functions/left-shift-transact-sql and right-shift-transact-sql
test("<< and >> are LEFT_SHIFT and RIGHT_SHIFT, of the same precedence as + and &", async () => {
  assert.deepEqual(await row("SELECT 12345 << 5, 12345 >> 5, 12345 << -5"), [395040, 385, 385]);
  assert.deepEqual(await row("SELECT 1 + 1 << 2, 1 << 1 + 1, 2 * 3 << 1"), [8, 3, 12]);
  assert.deepEqual(await row("SELECT CASE WHEN 1 << 2 > 3 THEN 'more' END"), ["more"]);
});

// https://learn.microsoft.com/sql/t-sql/functions/sessionproperty-transact-sql
test("SESSIONPROPERTY tells the seven SET options of the session as 1 and 0, and NULL for what is none", async () => {
  const { sql: own } = await start();
  // These two are always on here.
  const fixed = ["ANSI_NULLS", "CONCAT_NULL_YIELDS_NULL"];
  const free = ["ANSI_PADDING", "ANSI_WARNINGS", "ARITHABORT", "NUMERIC_ROUNDABORT", "QUOTED_IDENTIFIER"];
  for (const option of [...fixed, ...free])
    for (const on of fixed.includes(option) ? [true] : [true, false]) {
      await own.run(`SET ${option} ${on ? "ON" : "OFF"}`);
      const found = await own.rows(`SELECT CAST(SESSIONPROPERTY('${option.toLowerCase()}') AS int)`);
      assert.deepEqual(found, [[on ? 1 : 0]], option);
    }
  assert.deepEqual(await own.rows("SELECT SESSIONPROPERTY('NOCOUNT')"), [[null]]);
});

// https://learn.microsoft.com/sql/t-sql/functions/system-statistical-functions-transact-sql
test("system statistical functions are integers, and the idle time grows in ticks of 31.25 ms", async () => {
  const names =
    "@@CPU_BUSY, @@IO_BUSY, @@PACK_SENT, @@PACK_RECEIVED, @@PACKET_ERRORS, @@TOTAL_READ, @@TOTAL_WRITE, @@TOTAL_ERRORS";
  for (const value of await row(`SELECT ${names}`)) assert.ok(Number.isInteger(value));
  assert.deepEqual(await row("SELECT @@TIMETICKS"), [31250]);
  const [idle, connections] = (await row("SELECT @@IDLE, @@CONNECTIONS")) as number[];
  assert.ok(idle! >= 0 && connections! >= 1);
});

test("a date with an offset alone is a datetimeoffset at midnight; styles of the Hijri calendar are refused", async () => {
  const convert = "SELECT CONVERT(varchar(40), CAST('2022-01-01 +05:00' AS datetimeoffset(0)))";
  assert.deepEqual(await row(convert), ["2022-01-01 00:00:00 +05:00"]);
  assert.deepEqual(
    await row("SELECT CAST('20220101 -08:30' AS datetime2(0))"),
    await row("SELECT CAST('20220101' AS datetime2(0))"),
  );
  assert.equal(await sql.error("SELECT CAST('2022-01-01 +15:00' AS datetimeoffset)"), 241);
  assert.equal(await sql.error("SELECT CAST('2022-13-01 +05:00' AS datetimeoffset)"), 241);
  assert.equal(await sql.error("SELECT CONVERT(nvarchar(40), GETDATE(), 130)"), 40510);
  assert.equal(await sql.error("SELECT CONVERT(datetime, '22/12/1440', 131)"), 40510);
});

// https://learn.microsoft.com/sql/t-sql/functions/isnumeric-transact-sql
test("ISNUMERIC is 1 for plus, minus, a currency symbol and what float and money read, too", async () => {
  const numeric = ["+", "-", "$", ".", ",", "€5", "1,000", "1e5", "1d5", " 12 ", "-$1.5"];
  const not = ["", " ", "abc", "1 2", "0x1", "1e5e", "--1", "$$"];
  const asked = [...numeric, ...not].map((text) => `ISNUMERIC(N'${text}')`);
  assert.deepEqual(await row(`SELECT ${asked.join(", ")}`), [...numeric.map(() => 1), ...not.map(() => 0)]);
});

// https://learn.microsoft.com/sql/t-sql/language-elements/like-transact-sql: "In range searches, the characters included in the range
// may vary depending on the sorting rules of the collation."
test("LIKE and PATINDEX have in a range what sorts between its ends, and by code points under a binary collation", async () => {
  const is = (text: string, pattern: string, collation = "") =>
    `IIF(N'${text}' ${collation && `COLLATE ${collation}`} LIKE N'${pattern}', 1, 0)`;
  const asked = [
    is("é", "[a-f]"),
    is("É", "[a-f]"),
    is("é", "[f-z]"),
    is("é", "[^a-z]"),
    is("5", "[0-9]"),
    is("x", "[0-9]"),
    is("b", "[A-C]", "Latin1_General_CS_AS"),
    is("a", "[A-C]", "Latin1_General_CS_AS"),
    is("b", "[A-C]", "Latin1_General_BIN2"),
    is("é", "[a-z]", "Latin1_General_BIN2"),
    is("ж", "[а-я]"),
    "PATINDEX(N'%[a-z]%', N'1é')",
  ];
  assert.deepEqual(await row(`SELECT ${asked.join(", ")}`), [1, 1, 0, 0, 1, 0, 1, 0, 0, 0, 1, 2]);
});

test("REPLACE of two hundred thousand places is done in a moment", { timeout: 20_000 }, async () => {
  assert.deepEqual(await row("SELECT LEN(REPLACE(REPLICATE(CAST('a-' AS varchar(max)), 200000), '-', '++'))"), [
    600000n,
  ]);
});
