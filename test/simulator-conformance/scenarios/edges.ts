/**
 * Every type with its edge values: how T-SQL writes one, and what must come back. Ranges, rounding and storage sizes are those of
 * https://learn.microsoft.com/sql/t-sql/data-types/data-types-transact-sql and the page of each type.
 */
export interface EdgeType {
  type: string;
  /** As declared in a column, where it says more than the type. */
  column?: string;
  /** [literal, text] */
  values: (readonly [literal: string, text: string])[];
  /** text, ntext, image and xml have no `=`. */
  incomparable?: true;
  /** A column has it, a parameter does not. */
  columnOnly?: true;
}

const quoted = (text: string): string => `'${text}'`;
const plain = (...texts: string[]): [string, string][] => texts.map((text) => [text, text]);
const strings = (...texts: string[]): [string, string][] => texts.map((text) => [quoted(text), text]);
const unicode = (...texts: string[]): [string, string][] => texts.map((text) => [`N${quoted(text)}`, text]);

const NINES = "9".repeat(38);

export const edgeTypes: EdgeType[] = [
  { type: "bit", values: plain("0", "1") },
  { type: "tinyint", values: plain("0", "255") },
  { type: "smallint", values: plain("-32768", "32767", "0") },
  { type: "int", values: plain("-2147483648", "2147483647", "0") },
  { type: "bigint", values: plain("-9223372036854775808", "9223372036854775807", "0", "9007199254740993") },
  // One of each storage size: 5, 9, 13 and 17 bytes.
  { type: "decimal(9,2)", values: plain("-9999999.99", "9999999.99", "0.00", "-0.01") },
  { type: "decimal(19,4)", values: plain("-999999999999999.9999", "999999999999999.9999", "12.3400") },
  { type: "decimal(28,14)", values: plain("-99999999999999.99999999999999", "99999999999999.99999999999999") },
  { type: "decimal(38,0)", values: plain(`-${NINES}`, NINES, "18446744073709551616") },
  { type: "decimal(38,38)", values: [...plain(`0.${NINES}`, `-0.${NINES}`), ["0", `0.${"0".repeat(38)}`]] },
  { type: "numeric(10,5)", values: plain("-99999.99999", "99999.99999", "1.50000") },
  {
    type: "money",
    values: plain("-922337203685477.5808", "922337203685477.5807", "0.0000", "-0.0001", "12.3400"),
  },
  { type: "smallmoney", values: plain("-214748.3648", "214748.3647", "0.0001") },
  {
    type: "float",
    values: plain(
      "-1.7976931348623157E308",
      "1.7976931348623157E308",
      "2.2250738585072014E-308",
      "0.1E0",
      "0E0",
      "1E15",
    ),
  },
  { type: "real", values: plain("-3.4028235E38", "3.4028235E38", "1.1754944E-38", "0.1E0", "0E0") },
  { type: "date", values: strings("0001-01-01", "9999-12-31", "2024-02-29", "1582-10-15", "1900-03-01") },
  { type: "time(0)", values: strings("00:00:00", "23:59:59") },
  { type: "time(3)", values: strings("00:00:00.001", "23:59:59.999") },
  { type: "time(7)", values: strings("00:00:00.0000000", "23:59:59.9999999", "10:11:12.1234567") },
  {
    type: "datetime",
    // Rounded to .000, .003, .007: the table of the page on datetime.
    values: [
      ["'1753-01-01T00:00:00.000'", "1753-01-01T00:00:00.000"],
      ["'9999-12-31T23:59:59.997'", "9999-12-31T23:59:59.997"],
      ["'1998-01-01T23:59:59.999'", "1998-01-02T00:00:00.000"],
      ["'1998-01-01T23:59:59.995'", "1998-01-01T23:59:59.997"],
      ["'1998-01-01T23:59:59.994'", "1998-01-01T23:59:59.993"],
      ["'1998-01-01T23:59:59.991'", "1998-01-01T23:59:59.990"],
      ["'1899-12-31T12:00:00.003'", "1899-12-31T12:00:00.003"],
    ],
  },
  {
    type: "smalldatetime",
    // 29.998 seconds and less round down: the page on smalldatetime.
    values: [
      ["'1900-01-01T00:00:00'", "1900-01-01T00:00:00"],
      ["'2079-06-06T23:59:00'", "2079-06-06T23:59:00"],
      ["'2007-05-08T12:35:29.998'", "2007-05-08T12:35:00"],
      ["'2007-05-08T12:35:29.999'", "2007-05-08T12:36:00"],
    ],
  },
  { type: "datetime2(0)", values: strings("0001-01-01T00:00:00", "9999-12-31T23:59:59") },
  { type: "datetime2(3)", values: strings("2026-11-21T10:11:12.001", "9999-12-31T23:59:59.999") },
  {
    type: "datetime2(7)",
    values: strings("0001-01-01T00:00:00.0000000", "9999-12-31T23:59:59.9999999", "2026-11-21T10:11:12.1234567"),
  },
  { type: "datetimeoffset(0)", values: strings("2026-11-21T12:11:12+02:00") },
  {
    type: "datetimeoffset(7)",
    values: strings(
      "0001-01-01T00:00:00.0000000+00:00",
      "9999-12-31T23:59:59.9999999+00:00",
      "2026-11-21T12:11:12.1234567+02:00",
      "2026-11-21T00:30:00.0000001+14:00",
      "2026-11-21T23:30:00.0000000-14:00",
      "2026-03-01T01:02:03.4000000+05:30",
    ),
  },
  { type: "char(5)", values: [...strings("abcde", "é €  "), ["''", "     "], ["'ab'", "ab   "]] },
  { type: "varchar(20)", values: strings("", "ab  ", "naïve €uro", "'' quoted".replaceAll("'", "")) },
  {
    type: "varchar(max)",
    values: [...strings("", "naïve €uro"), ["REPLICATE(CAST('ab€' AS varchar(max)), 7000)", "ab€".repeat(7000)]],
  },
  {
    type: "text",
    incomparable: true,
    values: [...strings("naïve €uro"), ["REPLICATE(CAST('abc' AS varchar(max)), 5000)", "abc".repeat(5000)]],
  },
  { type: "nchar(3)", values: [...unicode("é日x"), ["N'x'", "x  "]] },
  { type: "nvarchar(20)", values: unicode("", "ünï😀", "日本語", "x  ") },
  {
    type: "nvarchar(max)",
    values: [...unicode("", "Ω😀"), ["REPLICATE(CAST(N'日本' AS nvarchar(max)), 5000)", "日本".repeat(5000)]],
  },
  { type: "ntext", incomparable: true, values: unicode("ünï😀 日本") },
  { type: "xml", incomparable: true, values: unicode('<a b="1">é日</a>', "<a/>") },
  {
    type: "uniqueidentifier",
    values: strings(
      "49FBEDAD-37B6-4870-BCE3-3F713F46BCF5",
      "00000000-0000-0000-0000-000000000000",
      "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
    ),
  },
  { type: "binary(4)", values: [...plain("0x00010AFF"), ["0x01", "0x01000000"]] },
  { type: "varbinary(20)", values: plain("0x", "0x00", "0x00FF80") },
  {
    type: "varbinary(max)",
    values: [
      ...plain("0x", "0x0102"),
      ["CONVERT(varbinary(max), REPLICATE(CAST('A' AS varchar(max)), 20000))", `0x${"41".repeat(20_000)}`],
    ],
  },
  { type: "image", incomparable: true, values: plain("0x0102FF") },
  // Other code pages: 1251, 932, 936, UTF-8.
  {
    type: "varchar(20)",
    column: "varchar(20) COLLATE Cyrillic_General_CI_AS",
    columnOnly: true,
    values: unicode("Привет"),
  },
  { type: "varchar(20)", column: "varchar(20) COLLATE Japanese_CI_AS", columnOnly: true, values: unicode("日本ｱ") },
  { type: "varchar(20)", column: "varchar(20) COLLATE Chinese_PRC_CI_AS", columnOnly: true, values: unicode("中文") },
  {
    type: "varchar(30)",
    column: "varchar(30) COLLATE Latin1_General_100_CI_AS_SC_UTF8",
    columnOnly: true,
    values: unicode("ü日😀"),
  },
];

/** sql_variant keeps the base type of each value. */
export const variants: [literal: string, type: string, text: string][] = [
  ["CAST(42 AS int)", "int", "42"],
  ["CAST(9223372036854775807 AS bigint)", "bigint", "9223372036854775807"],
  ["CAST(1.25 AS decimal(10,2))", "decimal(10,2)", "1.25"],
  ["CAST(-1.5 AS float)", "float", "-1.5"],
  ["CAST(1 AS bit)", "bit", "1"],
  ["CAST('2026-11-21' AS date)", "date", "2026-11-21"],
  ["CAST('2026-11-21T10:11:12.123' AS datetime2(3))", "datetime2(3)", "2026-11-21T10:11:12.123"],
  ["CAST('naïve' AS varchar(10))", "varchar(10)", "naïve"],
  ["CAST(N'日本' AS nvarchar(10))", "nvarchar(10)", "日本"],
  ["CAST(0x0102 AS varbinary(10))", "varbinary(10)", "0x0102"],
  [
    "CAST('49FBEDAD-37B6-4870-BCE3-3F713F46BCF5' AS uniqueidentifier)",
    "uniqueidentifier",
    "49FBEDAD-37B6-4870-BCE3-3F713F46BCF5",
  ],
];
