import type { Expr, TypeName } from "./ast.ts";
import { expression } from "./parser-expressions.ts";
import { call } from "./parser-functions.ts";
import type { TokenReader } from "./token-reader.ts";

/**
 * ODBC's escapes inside expressions: `{fn name(…)}`, `{ts '…'}`, `{d '…'}`, `{t '…'}`, `{guid '…'}`. Functions that T-SQL
 * has under another name come out under that name. https://learn.microsoft.com/sql/t-sql/functions/odbc-scalar-functions-transact-sql
 */
export function escapeClause(p: TokenReader): Expr {
  p.enter();
  p.expect("{");
  const result = escapeBody(p);
  p.expect("}");
  p.leave();
  return result;
}

function escapeBody(p: TokenReader): Expr {
  switch (p.expectOne("FN", "TS", "D", "T", "GUID")) {
    case "FN":
      return scalarFunction(p);
    case "T":
      return timeOfToday(literal(p));
    case "GUID":
      return cast(literal(p), "uniqueidentifier");
    default:
      // A date without a time is a datetime too. https://learn.microsoft.com/sql/t-sql/data-types/datetime-transact-sql
      return cast(literal(p), "datetime");
  }
}

function literal(p: TokenReader): Expr {
  return { kind: "literal", type: "string", text: p.string() };
}

function cast(operand: Expr, name: string): Expr {
  return { kind: "cast", operand, type: { name, args: [] }, try: false };
}

/** A time escape is that time of the current day. */
function timeOfToday(time: Expr): Expr {
  const today = cast(cast(builtin("GETDATE", []), "date"), "datetime");
  return { kind: "binary", op: "+", left: today, right: cast(time, "datetime") };
}

function builtin(name: string, args: Expr[]): Expr {
  return { kind: "call", name: { parts: [name] }, args };
}

function datePart(name: string, part: string, args: Expr[]): Expr {
  return { kind: "datecall", name, part, args };
}

const RENAMED: Record<string, string> = {
  UCASE: "UPPER",
  LCASE: "LOWER",
  LENGTH: "LEN",
  IFNULL: "ISNULL",
  LOCATE: "CHARINDEX",
  REPEAT: "REPLICATE",
  INSERT: "STUFF",
  NOW: "GETDATE",
  CURRENT_TIMESTAMP: "GETDATE",
  DAYOFMONTH: "DAY",
  DATABASE: "DB_NAME",
  USER: "USER_NAME",
  TRUNCATE: "ROUND",
};

const DATE_PARTS: Record<string, [name: string, part: string]> = {
  DAYNAME: ["DATENAME", "weekday"],
  MONTHNAME: ["DATENAME", "month"],
  DAYOFWEEK: ["DATEPART", "weekday"],
  DAYOFYEAR: ["DATEPART", "dayofyear"],
  HOUR: ["DATEPART", "hour"],
  MINUTE: ["DATEPART", "minute"],
  SECOND: ["DATEPART", "second"],
  QUARTER: ["DATEPART", "quarter"],
  WEEK: ["DATEPART", "week"],
};

/** SQL_TSI_FRAC_SECOND counts billionths of a second. */
const INTERVALS: Record<string, string> = {
  SQL_TSI_FRAC_SECOND: "nanosecond",
  SQL_TSI_SECOND: "second",
  SQL_TSI_MINUTE: "minute",
  SQL_TSI_HOUR: "hour",
  SQL_TSI_DAY: "day",
  SQL_TSI_WEEK: "week",
  SQL_TSI_MONTH: "month",
  SQL_TSI_QUARTER: "quarter",
  SQL_TSI_YEAR: "year",
};

const SQL_TYPES: Record<string, string> = {
  SQL_BIGINT: "bigint",
  SQL_BINARY: "binary",
  SQL_BIT: "bit",
  SQL_CHAR: "char",
  SQL_DATE: "date",
  SQL_DECIMAL: "decimal",
  SQL_DOUBLE: "float",
  SQL_FLOAT: "float",
  SQL_GUID: "uniqueidentifier",
  SQL_INTEGER: "int",
  SQL_LONGVARCHAR: "text",
  SQL_NUMERIC: "numeric",
  SQL_REAL: "real",
  SQL_SMALLINT: "smallint",
  SQL_TIME: "time",
  SQL_TIMESTAMP: "datetime",
  SQL_TINYINT: "tinyint",
  SQL_VARBINARY: "varbinary",
  SQL_VARCHAR: "varchar",
  SQL_WCHAR: "nchar",
  SQL_WLONGVARCHAR: "ntext",
  SQL_WVARCHAR: "nvarchar",
};

function scalarFunction(p: TokenReader): Expr {
  const token = p.token;
  if (token.kind !== "word" && token.kind !== "reserved") p.fail();
  const name = p.advance().key;
  if (!p.at("(")) {
    if (name === "CURRENT_TIMESTAMP" || name === "USER") return builtin(RENAMED[name]!, []);
    p.fail();
  }
  if (name === "CONVERT") return convert(p);
  if (name === "EXTRACT") return extract(p);
  if (name === "TIMESTAMPADD" || name === "TIMESTAMPDIFF") return timestampCall(p, name);
  const made = call(p, { parts: [RENAMED[name] ?? token.text] }) as Expr & { kind: "call" };
  const part = DATE_PARTS[name];
  if (part !== undefined) return datePart(part[0], part[1], made.args);
  if (name === "CURDATE" || name === "CURRENT_DATE") return cast(builtin("GETDATE", []), "date");
  if (name === "CURTIME" || name === "CURRENT_TIME") return cast(builtin("GETDATE", []), "time");
  const [left, right] = made.args;
  if (name === "MOD" && left !== undefined && right !== undefined) return { kind: "binary", op: "%", left, right };
  if (name === "TRUNCATE") made.args.push({ kind: "literal", type: "int", text: "1" });
  return made;
}

/** `{fn CONVERT(x, SQL_INTEGER)}` */
function convert(p: TokenReader): Expr {
  p.expect("(");
  const operand = expression(p);
  p.expect(",");
  const type: TypeName = { name: SQL_TYPES[p.token.key] ?? p.fail(), args: [] };
  p.advance();
  p.expect(")");
  return { kind: "cast", operand, type, try: false };
}

/** `{fn EXTRACT(YEAR FROM x)}` */
function extract(p: TokenReader): Expr {
  p.expect("(");
  const part = p.identifier().toLowerCase();
  p.expect("FROM");
  const operand = expression(p);
  p.expect(")");
  return datePart("DATEPART", part, [operand]);
}

/** `{fn TIMESTAMPADD(SQL_TSI_DAY, 1, x)}` */
function timestampCall(p: TokenReader, name: string): Expr {
  p.expect("(");
  const part = INTERVALS[p.token.key] ?? p.fail();
  p.advance();
  p.expect(",");
  const first = expression(p);
  p.expect(",");
  const second = expression(p);
  p.expect(")");
  return datePart(name === "TIMESTAMPADD" ? "DATEADD" : "DATEDIFF", part, [first, second]);
}
