import type { Expr, ObjectName, TableSource, TypeName } from "./ast.ts";
import { condition } from "./parser-conditions.ts";
import { expression, startsQuery } from "./parser-expressions.ts";
import { call, functionCall } from "./parser-functions.ts";
import { query, windowFollows } from "./parser-queries.ts";
import { typeName } from "./parser-types.ts";
import { SqlSyntaxError, UnsupportedSyntax } from "./syntax-error.ts";
import type { TokenReader } from "./token-reader.ts";

type Join = "inner" | "left" | "right" | "full" | "cross";
type WithColumn = NonNullable<(TableSource & { kind: "function" })["withColumns"]>[number];

/** https://learn.microsoft.com/sql/t-sql/queries/hints-transact-sql-table */
const HINTS: ReadonlySet<string> = new Set(
  `FASTFIRSTROW FORCESCAN FORCESEEK HOLDLOCK IGNORE_CONSTRAINTS IGNORE_TRIGGERS INDEX KEEPDEFAULTS KEEPIDENTITY NOEXPAND
  NOLOCK NOWAIT PAGLOCK READCOMMITTED READCOMMITTEDLOCK READPAST READUNCOMMITTED REPEATABLEREAD ROWLOCK SERIALIZABLE
  SNAPSHOT SPATIAL_WINDOW_MAX_CELLS TABLOCK TABLOCKX UPDLOCK XLOCK`.split(/\s+/),
);

/** Table functions with an argument syntax of their own, or that leave the server. */
const FOREIGN_SOURCES: ReadonlySet<string> = new Set(
  `CHANGETABLE OPENROWSET OPENDATASOURCE OPENQUERY OPENXML CONTAINSTABLE FREETEXTTABLE SEMANTICKEYPHRASETABLE
  SEMANTICSIMILARITYDETAILSTABLE SEMANTICSIMILARITYTABLE`.split(/\s+/),
);

/** One element of a FROM list: a table and all that is joined to it. */
export function tableSource(p: TokenReader): TableSource {
  p.enter();
  let left = primary(p);
  while (joinFollows(p)) left = joined(p, left);
  p.leave();
  return left;
}

function joinFollows(p: TokenReader): boolean {
  const key = p.token.key;
  return (
    key === "JOIN" ||
    key === "INNER" ||
    key === "LEFT" ||
    key === "RIGHT" ||
    key === "FULL" ||
    key === "CROSS" ||
    key === "OUTER" ||
    key === "PIVOT" ||
    key === "UNPIVOT"
  );
}

function joined(p: TokenReader, left: TableSource): TableSource {
  switch (p.token.key) {
    case "PIVOT":
      return pivot(p, left);
    case "UNPIVOT":
      return unpivot(p, left);
    case "CROSS":
      p.advance();
      if (p.expectOne("JOIN", "APPLY") === "JOIN") return { kind: "join", join: "cross", left, right: primary(p) };
      return { kind: "apply", outer: false, left, right: primary(p) };
    case "OUTER":
      p.advance();
      p.expect("APPLY");
      return { kind: "apply", outer: true, left, right: primary(p) };
    default:
      return conditionalJoin(p, left);
  }
}

function conditionalJoin(p: TokenReader, left: TableSource): TableSource {
  let join: Join = "inner";
  if (p.at("JOIN") === false) {
    join = p.advance().key.toLowerCase() as Join;
    if (join !== "inner") p.accept("OUTER");
    // Join hints name an algorithm: they change no result.
    if (p.at("LOOP") || p.at("HASH") || p.at("MERGE") || p.at("REMOTE")) p.advance();
  }
  p.expect("JOIN");
  let right = primary(p);
  // `a JOIN b JOIN c ON … ON …`: the inner join ends before its ON comes.
  p.enter();
  while (!p.at("ON") && joinFollows(p)) right = joined(p, right);
  p.leave();
  p.expect("ON");
  return { kind: "join", join, left, right, on: condition(p) };
}

function primary(p: TokenReader): TableSource {
  const { kind, key } = p.token;
  if (key === "(") return parenthesis(p);
  if (kind === "variable") return variableSource(p);
  if (kind === "global") p.fail();
  if (key === "{" && p.peek().key === "OJ") {
    p.seek(p.pos + 2);
    const source = tableSource(p);
    p.expect("}");
    return source;
  }
  if (FOREIGN_SOURCES.has(key) && (kind === "reserved" || p.peek().key === "(")) throw new UnsupportedSyntax(key);
  const name = p.objectName();
  if (p.at("(") && !hintsFollow(p)) return functionSource(p, name);
  if (p.at("::")) throw new UnsupportedSyntax("the :: form of a table function");
  if (p.at("FOR") && p.peek().key === "SYSTEM_TIME") throw new UnsupportedSyntax("FOR SYSTEM_TIME");
  let hints = tableHints(p);
  const alias = tableAlias(p);
  const sample = tableSample(p);
  if (hints.length === 0) hints = tableHints(p);
  const source: TableSource & { kind: "table" } = { kind: "table", name, hints };
  if (alias !== undefined) source.alias = alias;
  if (sample) source.sample = sample;
  return source;
}

/** `TABLESAMPLE SYSTEM (10 PERCENT) REPEATABLE (5)`, or undefined. */
function tableSample(p: TokenReader): (TableSource & { kind: "table" })["sample"] {
  if (!p.accept("TABLESAMPLE")) return undefined;
  p.accept("SYSTEM");
  p.expect("(");
  const count = expression(p);
  const rows = p.accept("ROWS");
  if (!rows) p.accept("PERCENT");
  p.expect(")");
  if (!p.accept("REPEATABLE")) return { count, rows };
  p.expect("(");
  const seed = expression(p);
  p.expect(")");
  return { count, rows, seed };
}

function variableSource(p: TokenReader): TableSource {
  const name = p.variable();
  if (p.at(".")) {
    p.advance();
    return functionSource(p, { parts: [name, p.identifier()] });
  }
  const alias = tableAlias(p);
  const hints = tableHints(p);
  return alias === undefined ? { kind: "table_variable", name, hints } : { kind: "table_variable", name, alias, hints };
}

/** `[AS] alias`, or undefined. */
export function tableAlias(p: TokenReader): string | undefined {
  if (p.accept("AS")) return p.identifier();
  if (windowFollows(p)) return undefined;
  if (p.token.kind === "quoted" || (p.token.kind === "word" && p.peek().key !== ":")) return p.advance().text;
  return undefined;
}

function aliasColumns(p: TokenReader): string[] {
  return p.at("(") ? p.columnNames() : [];
}

/** `t (nolock)` has hints where `f (x)` has arguments. */
function hintsFollow(p: TokenReader): boolean {
  const after = p.peek(2).key;
  return HINTS.has(p.peek().key) && (after === ")" || after === "," || after === "(" || after === "=");
}

/** `WITH (NOLOCK, INDEX(ix))`, or the old `(NOLOCK)`; none gives []. */
export function tableHints(p: TokenReader): string[] {
  if (p.at("(")) {
    if (!hintsFollow(p)) return [];
  } else {
    if (!p.at("WITH")) return [];
    if (p.peek().key !== "(") {
      const near = p.peek();
      // `FROM t WITH c AS (…)` reads as a hint, so the server guesses what was meant.
      if (near.kind !== "word" && near.kind !== "quoted") return [];
      throw new SqlSyntaxError(
        336,
        `Incorrect syntax near '${near.text}'. If this is intended to be a common table expression, you need to explicitly terminate the previous statement with a semi-colon.`,
        near.line,
      );
    }
    p.advance();
  }
  p.expect("(");
  const hints: string[] = [];
  do {
    hints.push(hint(p));
    p.accept(",");
  } while (!p.accept(")"));
  return hints;
}

function hint(p: TokenReader): string {
  const token = p.token;
  if (!HINTS.has(token.key)) {
    if (token.kind !== "word") p.fail();
    throw new SqlSyntaxError(
      321,
      `"${token.text}" is not a recognized table hints option. If it is intended as a parameter to a table-valued function or to the CHANGETABLE function, ensure that your database compatibility mode is set to 90.`,
      token.line,
    );
  }
  p.advance();
  const word = token.key.toLowerCase();
  if (p.accept("=")) {
    if (!p.at("(")) return `${word}(${p.advance().text.toLowerCase()})`;
  } else if (!p.at("(")) {
    return word;
  }
  const from = p.token;
  p.skipParenthesised();
  return `${word}${p
    .sourceFrom(from)
    .replace(/[[\]"\s]/g, "")
    .toLowerCase()}`;
}

function functionSource(p: TokenReader, name: ObjectName): TableSource {
  const made = call(p, name);
  if (made.kind !== "call" || made.star || made.distinct || made.over) p.fail();
  const source: TableSource & { kind: "function" } = { kind: "function", name, args: made.args, columns: [] };
  if (p.atAll("WITH", "(") && !HINTS.has(p.peek(2).key)) {
    p.advance();
    source.withColumns = p.parenthesised(() => withColumn(p));
  }
  const alias = tableAlias(p);
  if (alias !== undefined) {
    source.alias = alias;
    if (!hintsFollow(p)) source.columns = aliasColumns(p);
  }
  tableHints(p);
  return source;
}

/** `name type 'path' AS JSON` of OPENJSON. */
function withColumn(p: TokenReader): WithColumn {
  const column: WithColumn = { name: p.identifier(), type: collated(p) };
  if (p.token.kind === "string" || p.token.kind === "nstring") column.path = p.string();
  if (p.acceptAll("AS", "JSON")) column.json = true;
  return column;
}

/** A type that may have its collation behind it. */
export function collated(p: TokenReader): TypeName {
  const type = typeName(p);
  if (p.accept("COLLATE")) type.collation = p.identifier();
  return type;
}

function parenthesis(p: TokenReader): TableSource {
  p.enter();
  const source = p.peek().key === "VALUES" ? valuesSource(p) : startsQuery(p, p.pos) ? derived(p) : nestedJoin(p);
  p.leave();
  return source;
}

function derived(p: TokenReader): TableSource {
  p.expect("(");
  const inner = query(p);
  p.expect(")");
  const alias = tableAlias(p) ?? p.fail(p.atEnd ? undefined : p.token);
  return { kind: "derived", query: inner, alias, columns: aliasColumns(p) };
}

function valuesSource(p: TokenReader): TableSource {
  p.expectAll("(", "VALUES");
  const rows = p.list(() => p.parenthesised(() => expression(p)));
  p.expect(")");
  const alias = tableAlias(p) ?? p.fail();
  return { kind: "values", rows, alias, columns: aliasColumns(p) };
}

function nestedJoin(p: TokenReader): TableSource {
  p.expect("(");
  const inner = tableSource(p);
  p.expect(")");
  return inner;
}

/** `UNPIVOT (v FOR n IN (a, b)) AS u` */
function unpivot(p: TokenReader, source: TableSource): TableSource {
  p.expectAll("UNPIVOT", "(");
  const value = p.identifier();
  p.expect("FOR");
  const name = p.identifier();
  p.expect("IN");
  const columns = p.columnNames();
  p.expect(")");
  return { kind: "unpivot", source, value, name, columns, alias: tableAlias(p) ?? p.fail() };
}

/** `PIVOT (SUM(x) FOR c IN ([a], [b])) AS p` */
function pivot(p: TokenReader, source: TableSource): TableSource {
  p.expectAll("PIVOT", "(");
  const aggregate: Expr = functionCall(p) ?? call(p, p.objectName());
  p.expect("FOR");
  const column = p.nameParts().at(-1)!;
  p.expect("IN");
  const values = p.columnNames();
  p.expect(")");
  const alias = tableAlias(p) ?? p.fail();
  return { kind: "pivot", source, aggregate, column, values, alias };
}
