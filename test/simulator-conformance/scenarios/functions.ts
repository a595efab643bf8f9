/** Scalar functions and conversions. Expected texts are those of the examples on Microsoft's pages, or plain arithmetic. */
import type { Scenario } from "../scenario.ts";
import { fails, rows } from "./steps.ts";

export const functions: Scenario[] = [
  {
    name: "computes with strings",
    steps: [
      rows("SELECT LEN('ab  '), DATALENGTH('ab  '), DATALENGTH(N'ab'), LEN(N'日本')", [[2, 4, 4, 2]]),
      rows(
        "SELECT SUBSTRING('abcdef', 2, 3), LEFT('abc', 2), RIGHT('abc', 2), CHARINDEX('cd', 'abcd'), PATINDEX('%[0-9]%', 'ab1')",
        [["bcd", "ab", "bc", 3, 3]],
      ),
      rows(
        "SELECT UPPER('aé'), LOWER('AB'), LTRIM('  a'), RTRIM('a  ') + '|', TRIM('  a  ') + '|', REVERSE('abc'), REPLICATE('ab', 3)",
        [["AÉ", "ab", "a", "a|", "a|", "cba", "ababab"]],
      ),
      rows(
        "SELECT REPLACE('abcabc', 'b', 'xy'), STUFF('abcdef', 2, 3, 'ijklmn'), CONCAT('a', NULL, 1, 'b'), CONCAT_WS('-', 'a', NULL, 'b')",
        [["axycaxyc", "aijklmnef", "a1b", "a-b"]],
      ),
      rows("SELECT 'a' + NULL, ASCII('A'), CHAR(66), UNICODE(N'日'), NCHAR(26085), SPACE(2) + '|', QUOTENAME('a]b')", [
        [null, 65, "B", 26085, "日", "  |", "[a]]b]"],
      ]),
      rows("SELECT STR(123.45, 6, 1), TRANSLATE('2*[3+4]', '[]', '()')", [[" 123.5", "2*(3+4)"]]),
      rows("SELECT value FROM STRING_SPLIT('a,b,,c', ',')", [["a"], ["b"], [""], ["c"]]),
    ],
  },
  {
    name: "computes with numbers, and types results as SQL Server does",
    steps: [
      rows(
        "SELECT 7 / 2, 7 % 2, -7 / 2, 7.0 / 2, 1 / 3.0",
        [[3, 1, -3, "3.500000", "0.333333"]],
        ["int", "int", "int", "decimal(8,6)", "decimal(8,6)"],
      ),
      rows(
        "SELECT CAST(1.25 AS decimal(5,2)) * CAST(2.5 AS decimal(5,1)), CAST(10 AS decimal(10,2)) / CAST(3 AS decimal(10,2))",
        [["3.125", "3.3333333333333"]],
        ["decimal(11,3)", "decimal(23,13)"],
      ),
      rows(
        "SELECT ABS(-5), SIGN(-2), CEILING(1.2), FLOOR(-1.2), ROUND(123.4545, 2), ROUND(123.45, -2), ROUND(150.75, 0, 1)",
        [[5, -1, "2", "-2", "123.4500", "100.00", "150.00"]],
        ["int", "int", "decimal", "decimal", "decimal", "decimal", "decimal"],
      ),
      rows(
        "SELECT POWER(2, 10), SQRT(2.25E0), SQUARE(3), 5 & 3, 5 | 3, 5 ^ 3, ~5",
        [[1024, "1.5", "9", 1, 7, 6, -6]],
        ["int", "float", "float", "int", "int", "int", "int"],
      ),
      rows("SELECT SUM(x), AVG(x) FROM (VALUES (CAST(1 AS bigint)), (2), (4)) v(x)", [[7, 2]]),
    ],
  },
  {
    name: "computes with dates and times",
    steps: [
      rows(
        "SELECT DATEADD(month, 1, CAST('2024-01-31' AS date)), DATEADD(day, -1, CAST('2024-03-01' AS date)), EOMONTH('2023-02-10')",
        [["2024-02-29", "2024-02-29", "2023-02-28"]],
        ["date", "date", "date"],
      ),
      // DATEDIFF counts boundaries crossed: the page on DATEDIFF.
      rows(
        "SELECT DATEDIFF(year, '2005-12-31 23:59:59.9999999', '2006-01-01 00:00:00.0000000'), DATEDIFF(second, '2026-01-01T00:00:00', '2026-01-01T00:01:01'), DATEDIFF_BIG(ms, '1900-01-01', '2026-01-01')",
        [[1, 61, 3976214400000]],
      ),
      rows(
        "SELECT DATEPART(year, d), DATEPART(dayofyear, d), DATEPART(hour, d), DATEPART(ms, d), DATENAME(month, d), YEAR(d), MONTH(d), DAY(d) FROM (SELECT CAST('2026-11-21T10:11:12.123' AS datetime2(3)) AS d) x",
        [[2026, 325, 10, 123, "November", 2026, 11, 21]],
      ),
      rows(
        "SELECT DATEFROMPARTS(2026, 2, 3), DATETIME2FROMPARTS(2026, 2, 3, 4, 5, 6, 7, 3)",
        [["2026-02-03", "2026-02-03T04:05:06.007"]],
        ["date", "datetime2(3)"],
      ),
      rows(
        "SELECT SWITCHOFFSET(CAST('2026-11-21T12:00:00+02:00' AS datetimeoffset(0)), '-05:00'), TODATETIMEOFFSET(CAST('2026-11-21T12:00:00' AS datetime2(0)), 60)",
        [["2026-11-21T05:00:00-05:00", "2026-11-21T12:00:00+01:00"]],
        ["datetimeoffset(0)", "datetimeoffset(0)"],
      ),
      rows(
        "SELECT CAST('2026-07-01T12:00:00' AS datetime2(0)) AT TIME ZONE 'Central European Standard Time', ISDATE('2026-02-30'), DATEDIFF(day, SYSUTCDATETIME(), GETUTCDATE())",
        [["2026-07-01T12:00:00+02:00", 0, (seen) => seen === "0"]],
        ["datetimeoffset(0)", "int", "int"],
      ),
    ],
  },
  {
    name: "converts with CAST, CONVERT and its styles, and the TRY_ forms",
    steps: [
      rows(
        "SELECT CAST(1.6 AS int), CAST(-1.6 AS int), CAST(1.65 AS decimal(3,1)), CAST('42' AS int), CAST(65 AS varchar(5)), CAST(1 AS bit)",
        [[1, -1, "1.7", 42, "65", 1]],
        ["int", "int", "decimal(3,1)", "int", "varchar", "bit"],
      ),
      rows(
        "SELECT CONVERT(varchar(30), d, 120), CONVERT(varchar(30), d, 121), CONVERT(varchar(30), d, 126), CONVERT(varchar(30), d, 112), CONVERT(varchar(30), d, 101), CONVERT(varchar(30), d, 104), CONVERT(varchar(30), d, 108), CONVERT(varchar(30), d) FROM (SELECT CAST('2006-12-30T00:38:54.840' AS datetime) AS d) x",
        [
          [
            "2006-12-30 00:38:54",
            "2006-12-30 00:38:54.840",
            "2006-12-30T00:38:54.840",
            "20061230",
            "12/30/2006",
            "30.12.2006",
            "00:38:54",
            "Dec 30 2006 12:38AM",
          ],
        ],
      ),
      rows(
        "SELECT CONVERT(varchar(30), 0x0102FF, 1), CONVERT(varchar(30), 0x0102FF, 2), CONVERT(varbinary(5), '0x0A0B', 1), CONVERT(varbinary(5), 'AB'), CAST(258 AS binary(4)), CAST(0x0102 AS int)",
        [["0x0102FF", "0102FF", "0x0A0B", "0x4142", "0x00000102", 258]],
        ["varchar", "varchar", "varbinary(5)", "varbinary(5)", "binary(4)", "int"],
      ),
      rows("SELECT TRY_CONVERT(int, 'x'), TRY_CAST('2026-13-01' AS date), TRY_CONVERT(int, '7')", [[null, null, 7]]),
      rows(
        "SELECT CAST(1234567.891 AS varchar(20)), CAST(CAST(0.1 AS float) AS varchar(20)), CAST(CAST(1E10 AS float) AS varchar(20)), CONVERT(varchar(20), CAST(1234.5678 AS money), 1), CAST(CAST(1234.5678 AS money) AS varchar(20))",
        [["1234567.891", "0.1", "1e+010", "1,234.57", "1234.57"]],
      ),
      rows(
        "SELECT CAST('abc' AS char(2)), CAST('abc' AS varchar(2)), CAST(N'日本' AS nchar(3)) + N'|', CONVERT(varchar, REPLICATE('x', 40))",
        [["ab", "ab", "日本 |", "x".repeat(30)]],
      ),
      // Too small a field is an asterisk for an int: the page on CAST and CONVERT, truncating and rounding results.
      rows("SELECT CAST(12345 AS varchar(3))", [["*"]]),
      fails("SELECT CAST(12345 AS nchar(3))", 8115),
      fails("SELECT CONVERT(int, 'abc')", 245, { severity: 16, state: 1 }),
    ],
  },
  {
    name: "knows the server, the session and the database",
    steps: [
      rows(
        "SELECT DB_NAME(), CASE WHEN DB_ID() = DB_ID(DB_NAME()) THEN 1 END, SUSER_SNAME(), USER_NAME(), SCHEMA_NAME(), @@SERVERNAME",
        [[(seen) => seen?.startsWith("Play") === true, 1, "sa", "dbo", "dbo", "SIMULATOR"]],
      ),
      rows(
        "SELECT @@TRANCOUNT, @@ERROR, @@ROWCOUNT, CASE WHEN @@SPID > 50 THEN 1 END, CASE WHEN @@VERSION LIKE 'Microsoft SQL Server%' THEN 1 END",
        [[0, 0, (seen) => seen !== null, 1, 1]],
      ),
      rows(
        "SELECT CAST(SERVERPROPERTY('ProductMajorVersion') AS int), CAST(SERVERPROPERTY('EngineEdition') AS int), HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE')",
        [[16, (seen) => seen === "2" || seen === "3", 1]],
      ),
      rows(
        "SELECT CASE WHEN NEWID() <> NEWID() THEN 1 END, CASE WHEN RAND() < 1 THEN 1 END, CHECKSUM('a') - CHECKSUM('a')",
        [[1, 1, 0]],
      ),
    ],
  },
];
