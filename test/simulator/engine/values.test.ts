/** Values and conversions, against what Microsoft's documentation states. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { start } from "./client.ts";

const { sql } = await start();

async function values(expectations: [expression: string, expected: unknown][]): Promise<void> {
  for (const [expression, expected] of expectations)
    assert.deepEqual(await sql.value(expression), expected, expression);
}

describe("numbers", () => {
  test("integers divide as integers, and overflow is an error", async () => {
    await values([
      ["7 / 2", 3],
      ["-7 / 2", -3],
      ["-7 % 3", -1],
      ["2147483647 + CAST(1 AS bigint)", 2147483648n],
      ["~5", -6],
      ["5 & 3", 1],
      ["5 | 3", 7],
      ["5 ^ 3", 6],
    ]);
    assert.equal(await sql.error("SELECT 2147483647 + 1"), 8115);
    assert.equal(await sql.error("SELECT CAST(300 AS tinyint)"), 220);
    assert.equal(await sql.error("SELECT CAST(CAST(3000000000 AS bigint) AS int)"), 8115);
    assert.equal(await sql.error("SELECT 1 / 0"), 8134);
  });

  // https://learn.microsoft.com/sql/t-sql/data-types/precision-scale-and-length-transact-sql (its table and examples)
  test("decimal results have the documented precision and scale", async () => {
    const type = async (expression: string) => {
      const [set] = (await sql.run(`SELECT ${expression}`)).sets;
      const { precision, scale } = set!.columns[0]!.type;
      return `${precision},${scale}`;
    };
    assert.equal(await type("CAST(1 AS decimal(10,2)) + CAST(1 AS decimal(8,4))"), "13,4");
    assert.equal(await type("CAST(1 AS decimal(5,2)) * CAST(1 AS decimal(5,2))"), "11,4");
    assert.equal(await type("CAST(1 AS decimal(5,2)) / CAST(1 AS decimal(5,2))"), "13,8");
    assert.equal(await type("CAST(1 AS decimal(38,20)) * CAST(1 AS decimal(38,20))"), "38,6");
    // "CAST(0.0000009000 AS DECIMAL(30,20)) * CAST(1.0000000000 AS DECIMAL(30,20))": decimal(38,17), and with (30,10): (38,6).
    await values([
      ["CAST(0.0000009000 AS decimal(30,20)) * CAST(1.0000000000 AS decimal(30,20))", "0.00000090000000000"],
      ["CAST(0.0000009000 AS decimal(30,10)) * CAST(1.0000000000 AS decimal(30,10))", "0.000001"],
    ]);
  });

  test("exact numbers stay exact, quotients are cut off, conversions round half away from zero", async () => {
    await values([
      ["0.1 + 0.2", "0.3"],
      ["2.0 / 3", "0.666666"],
      ["CAST(2.345 AS decimal(10,2))", "2.35"],
      ["CAST(-2.345 AS decimal(10,2))", "-2.35"],
      ["CAST(12345678901234567890.12345678 AS decimal(28,8)) * 1", "12345678901234567890.12345678"],
      ["CAST(10.6496 AS int)", 10],
      ["CAST(-10.6496 AS int)", -10],
      ["CAST(10.6496 AS numeric)", "11"],
      ["CAST($10.5 AS int)", 11],
      ["CAST('12.34' AS money)", "12.3400"],
      ["$1 / 3", "0.3333"],
      ["ROUND(748.58, -1)", "750.00"],
      ["ROUND(123.4545, 2)", "123.4500"],
      ["ROUND(150.75, 0, 1)", "150.00"],
      ["CEILING(-123.45)", "-123"],
      ["CEILING(123.45)", "124"],
      ["FLOOR(-123.45)", "-124"],
    ]);
    assert.equal(await sql.error("SELECT ROUND(748.58, -3)"), 8115);
    assert.equal(await sql.error("SELECT CAST(1000 AS decimal(3,0))"), 8115);
  });
});

describe("conversions", () => {
  test("what cannot be converted fails with SQL Server's numbers", async () => {
    const failures: [string, number][] = [
      ["CAST('abc' AS int)", 245],
      ["CAST('99999999999' AS int)", 248],
      ["CAST('300' AS tinyint)", 244],
      ["CAST('abc' AS bigint)", 8114],
      ["CAST('abc' AS decimal(5,2))", 8114],
      ["CAST('abc' AS float)", 8114],
      ["CAST('2024-02-30' AS date)", 241],
      ["CAST('2024-02-30' AS datetime)", 242],
      ["CAST('nonsense' AS datetime)", 241],
      ["CAST('x' AS uniqueidentifier)", 8169],
      ["CAST(1 AS date)", 529],
      ["CAST(NEWID() AS varchar(10))", 8170],
    ];
    for (const [expression, number] of failures)
      assert.equal(await sql.error(`SELECT ${expression}`), number, expression);
    await values([
      ["TRY_CAST('abc' AS int)", null],
      ["TRY_CONVERT(date, '2024-02-30')", null],
    ]);
  });

  test("text is cut or padded; a number that does not fit is an asterisk or an error", async () => {
    await values([
      ["CAST('abcdef' AS varchar(3))", "abc"],
      ["CAST('ab' AS char(4))", "ab  "],
      ["CAST(12345 AS varchar(3))", "*"],
      ["CAST(0x4142 AS varchar(10))", "AB"],
      ["CAST('AB' AS varbinary(10))", "0x4142"],
      ["CAST(N'AB' AS varbinary(10))", "0x41004200"],
      ["CAST(1 AS varbinary(10))", "0x00000001"],
      ["CAST(0x00000100 AS int)", 256],
      ["CONVERT(varchar(20), 0x4E616d65, 1)", "0x4E616D65"],
      ["CONVERT(varchar(20), 0x4E616d65, 2)", "4E616D65"],
      ["CONVERT(binary(4), '0x4E616D65', 1)", "0x4e616d65"],
      ["CAST('true' AS bit)", true],
      ["CAST(1e10 AS varchar(20))", "1e+010"],
      ["CAST(0.1 AS varchar(20))", "0.1"],
      ["CONVERT(varchar(30), CAST(1234567.891 AS money), 1)", "1,234,567.89"],
    ]);
    assert.equal(await sql.error("SELECT CAST(123.45 AS varchar(2))"), 8115);
  });

  // https://www.unicode.org/Public/MAPPINGS/VENDORS/MICSFT/WindowsBestFit/bestfit1252.txt
  test("a character that code page 1252 lacks becomes the nearest that it has, or a question mark", async () => {
    await values([
      ["CAST(N'čœŁΩ' AS varchar(10))", "cœLO"],
      ["CAST(N'ＡＢ１' AS varchar(10))", "AB1"],
      ["CAST(N'Д語😀' AS varchar(10))", "????"],
    ]);
  });

  // https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql#date-and-time-styles
  test("dates are written in the styles of CONVERT", async () => {
    const at = "CAST('2006-04-18T16:05:06.993' AS datetime)";
    const styles: [number, string][] = [
      [0, "Apr 18 2006  4:05PM"],
      [1, "04/18/06"],
      [3, "18/04/06"],
      [9, "Apr 18 2006  4:05:06:993PM"],
      [12, "060418"],
      [20, "2006-04-18 16:05:06"],
      [21, "2006-04-18 16:05:06.993"],
      [23, "2006-04-18"],
      [101, "04/18/2006"],
      [104, "18.04.2006"],
      [106, "18 Apr 2006"],
      [108, "16:05:06"],
      [112, "20060418"],
      [113, "18 Apr 2006 16:05:06:993"],
      [114, "16:05:06:993"],
      [120, "2006-04-18 16:05:06"],
      [121, "2006-04-18 16:05:06.993"],
      [126, "2006-04-18T16:05:06.993"],
    ];
    for (const [style, expected] of styles)
      assert.equal(await sql.value(`CONVERT(varchar(40), ${at}, ${style})`), expected, `style ${style}`);
    await values([
      [
        "CONVERT(varchar(40), CAST('2006-04-18 16:05:06.1234567 +02:00' AS datetimeoffset), 126)",
        "2006-04-18T16:05:06.1234567+02:00",
      ],
      [
        "CONVERT(varchar(40), CAST('2006-04-18 16:05:06.1234567 +02:00' AS datetimeoffset), 127)",
        "2006-04-18T14:05:06.1234567Z",
      ],
      ["CAST(CAST('2006-04-18' AS date) AS varchar(40))", "2006-04-18"],
      ["CAST(CAST('16:05:06.5' AS time(3)) AS varchar(40))", "16:05:06.500"],
    ]);
  });

  // https://learn.microsoft.com/sql/t-sql/data-types/datetime-transact-sql#rounding-of-datetime-fractional-second-precision
  test("datetime keeps 1/300 seconds, as its documentation's table has it", async () => {
    const table: [string, string][] = [
      ["01/01/98 23:59:59.999", "1998-01-02 00:00:00.000"],
      ["01/01/98 23:59:59.995", "1998-01-01 23:59:59.997"],
      ["01/01/98 23:59:59.994", "1998-01-01 23:59:59.993"],
      ["01/01/98 23:59:59.991", "1998-01-01 23:59:59.990"],
    ];
    for (const [written, kept] of table) assert.equal(await sql.value(`CAST('${written}' AS datetime)`), kept);
    await values([
      // https://learn.microsoft.com/sql/t-sql/data-types/smalldatetime-transact-sql: 29.998 rounds down, 29.999 up.
      ["CAST('2007-05-08 12:35:29.998' AS smalldatetime)", "2007-05-08 12:35:00.000"],
      ["CAST('2007-05-08 12:35:29.999' AS smalldatetime)", "2007-05-08 12:36:00.000"],
      ["CAST('12:34:54.1237' AS time(3))", "12:34:54.124"],
    ]);
  });
});

describe("comparison", () => {
  test("trailing blanks and, under a CI collation, case do not count", async () => {
    const holds = async (condition: string) =>
      sql.value(`CASE WHEN ${condition} THEN 1 WHEN NOT (${condition}) THEN 0 END`);
    const table: [string, number | null][] = [
      ["'abc' = 'ABC  '", 1],
      ["'abc' COLLATE Latin1_General_CS_AS = 'ABC'", 0],
      ["N'é' = N'e'", 0],
      ["N'é' COLLATE Latin1_General_CI_AI = N'E'", 1],
      ["'a' < 'B'", 1],
      ["'a' COLLATE Latin1_General_BIN2 < 'B'", 0],
      ["NULL = NULL", null],
      ["1 IN (2, NULL)", null],
      ["1 NOT IN (2, NULL)", null],
      ["NULL IS NOT DISTINCT FROM NULL", 1],
      ["'abc' LIKE 'A_C%'", 1],
      ["'5%' LIKE '5[%]'", 1],
      ["'a_b' LIKE 'a!_b' ESCAPE '!'", 1],
      ["'b' LIKE '[a-c]'", 1],
      ["'d' LIKE '[^a-c]'", 1],
      ["CAST('2024-01-01' AS date) < CAST('2024-01-01T00:00:01' AS datetime2)", 1],
      ["CAST('2024-01-01 12:00 +02:00' AS datetimeoffset) = CAST('2024-01-01 10:00 +00:00' AS datetimeoffset)", 1],
      ["0x01 = 0x0100", 1],
      ["1.0 = 1", 1],
      ["'10' = 10", 1],
    ];
    for (const [condition, expected] of table) assert.equal(await holds(condition), expected, condition);
    assert.equal(
      await sql.error("SELECT 1 WHERE 'a' COLLATE Latin1_General_CS_AS = 'b' COLLATE Latin1_General_CI_AS"),
      468,
    );
  });
});

describe("functions", () => {
  test("strings", async () => {
    await values([
      ["LEN('abc  ')", 3],
      ["DATALENGTH(N'abc')", 6],
      ["LEFT('abcdef', 2) + RIGHT('abcdef', 2)", "abef"],
      ["SUBSTRING('abcdef', 2, 3)", "bcd"],
      ["SUBSTRING('abcdef', 0, 3)", "ab"],
      ["SUBSTRING(0x010203, 2, 1)", "0x02"],
      ["CHARINDEX('C', 'abcabc')", 3],
      ["CHARINDEX('c', 'abcabc', 4)", 6],
      ["PATINDEX('%ter%', 'interesting data')", 3],
      ["REPLACE('abcdefghicde', 'CDE', 'xxx')", "abxxxfghixxx"],
      ["STUFF('abcdef', 2, 3, 'ijklmn')", "aijklmnef"],
      ["REPLICATE('0', 4)", "0000"],
      ["REVERSE('abc')", "cba"],
      ["QUOTENAME('abc[]def')", "[abc[]]def]"],
      ["PARSENAME('a.b.c', 1)", "c"],
      ["CONCAT('a', NULL, 1)", "a1"],
      ["CONCAT_WS(',', 'a', NULL, 'b')", "a,b"],
      ["'a' + NULL", null],
      ["STR(123.45, 6, 1)", " 123.5"],
      ["TRANSLATE('2*[3+4]/{7-2}', '[]{}', '()()')", "2*(3+4)/(7-2)"],
      ["UPPER('straße')", "STRAßE"],
      ["LTRIM('  a ') + '|'", "a |"],
      ["ASCII('A')", 65],
      ["NCHAR(8364)", "€"],
      ["CHAR(65)", "A"],
    ]);
  });

  test("dates", async () => {
    await values([
      ["DATEADD(month, 1, CAST('2006-08-31' AS date))", "2006-09-30"],
      ["DATEADD(year, -1, CAST('2024-02-29' AS datetime))", "2023-02-28 00:00:00.000"],
      ["DATEDIFF(year, '2005-12-31 23:59:59.9999999', '2006-01-01 00:00:00.0000000')", 1],
      ["DATEDIFF(week, '2024-01-06', '2024-01-07')", 1],
      ["DATEDIFF_BIG(nanosecond, '2024-01-01', '2024-01-02')", 86400000000000n],
      ["DATEPART(week, '2007-04-21')", 16],
      ["DATEPART(iso_week, '2005-01-01')", 53],
      ["DATEPART(weekday, '2007-04-21')", 7],
      ["DATENAME(month, '2007-04-21')", "April"],
      ["DATEPART(TZOFFSET, '2007-05-10 00:00:01.1234567 +05:10')", 310],
      ["EOMONTH('2024-02-10')", "2024-02-29"],
      ["DATEFROMPARTS(2024, 2, 29)", "2024-02-29"],
      [
        "SWITCHOFFSET(CAST('1998-09-20 7:45:50.71345 -5:00' AS datetimeoffset), '-08:00')",
        "1998-09-20 04:45:50.7134500 -08:00",
      ],
      ["TODATETIMEOFFSET(CAST('2024-01-01T12:00:00' AS datetime2(0)), 120)", "2024-01-01 12:00:00 +02:00"],
      [
        "CAST('2015-03-29 02:30:00' AS datetime2(0)) AT TIME ZONE 'Central European Standard Time'",
        "2015-03-29 02:30:00 +01:00",
      ],
      ["DATETRUNC(hour, CAST('2024-01-01T12:34:56' AS datetime2(0)))", "2024-01-01 12:00:00"],
      ["ISDATE('2024-13-01')", 0],
    ]);
    assert.equal(await sql.error("SELECT DATEDIFF(millisecond, '2000-01-01', '2024-01-01')"), 535);
    assert.equal(await sql.error("SELECT DATEADD(year, 9000, CAST('2024-01-01' AS date))"), 517);
  });

  test("hashes are those of the bytes of the type", async () => {
    await values([
      ["HASHBYTES('MD5', 'abc')", "0x900150983cd24fb0d6963f7d28e17f72"],
      ["HASHBYTES('SHA2_256', 'abc')", "0xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
      ["HASHBYTES('MD5', N'a')", "0x4144e195f46de78a3623da7364d04f11"],
    ]);
  });

  test("choices have the type of the highest precedence", async () => {
    await values([
      ["COALESCE(NULL, 1, 2.5)", "1.0"],
      ["ISNULL(CAST(NULL AS varchar(3)), 'abcdef')", "abc"],
      ["NULLIF(1, 1)", null],
      ["IIF(1 > 0, 'yes', 'no')", "yes"],
      ["CHOOSE(2, 'a', 'b')", "b"],
      ["CASE 3 WHEN 1 THEN 'a' ELSE 'c' END", "c"],
      ["GREATEST(1, 3, 2)", 3],
    ]);
  });

  // https://learn.microsoft.com/sql/t-sql/functions/parse-transact-sql
  test("PARSE reads numbers and dates as .NET does, and says with 9819 what it cannot read", async () => {
    await values([
      ["PARSE('1,234.50' AS decimal(10,2))", "1234.50"],
      ["PARSE('100.00' AS int)", 100],
      ["PARSE('5-' AS int)", -5],
      ["PARSE('($1,000.5)' AS money USING 'en-US')", "-1000.5000"],
      ["PARSE('Monday, 13 December 2010' AS datetime2)", "2010-12-13 00:00:00.0000000"],
      ["PARSE('12:34:56.1234567' AS time)", "12:34:56.1234567"],
      ["TRY_PARSE('13/09/2015' AS date)", null],
      ["TRY_PARSE('1,0' AS float)", null],
    ]);
    assert.equal(await sql.error("SELECT PARSE('13/09/2015' AS date)"), 9819);
    assert.equal(await sql.error("SELECT PARSE(NULL AS int)"), 8116);
    assert.equal(await sql.error("SELECT PARSE('1' AS varchar(10))"), 10761);
    assert.equal(await sql.error("SELECT PARSE('1,5' AS float USING 'de-DE')"), 40510);
  });

  test("what is not there is refused by name", async () => {
    const [error] = (await sql.attempt("SELECT FORMAT(1, 'N', 'sw-KE')")).errors;
    assert.match(error!.message, /does not support the culture sw-KE/);
    assert.equal(await sql.error("SELECT nosuch(1)"), 195);
    assert.equal(await sql.error("SELECT dbo.nosuch(1)"), 4121);
  });
});
