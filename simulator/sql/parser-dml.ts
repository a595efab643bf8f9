import type {
  CommonTable,
  Expr,
  InsertSource,
  MergeWhen,
  Output,
  SetClause,
  Statement,
  TableSource,
  Target,
} from "./ast.ts";
import { condition } from "./parser-conditions.ts";
import { cursorReference } from "./parser-cursors.ts";
import { execute } from "./parser-execute.ts";
import { expression, startsQuery } from "./parser-expressions.ts";
import {
  assignOp,
  atAssignment,
  fromClause,
  optionClause,
  selectItem,
  topClause,
  wholeQuery,
  withClause,
} from "./parser-queries.ts";
import { tableAlias, tableHints, tableSource } from "./parser-tables.ts";
import { typeName } from "./parser-types.ts";
import { SqlSyntaxError, UnsupportedSyntax } from "./syntax-error.ts";
import type { TokenReader } from "./token-reader.ts";

/** SELECT, INSERT, UPDATE, DELETE or MERGE, with the common tables before it. */
export function dataStatement(p: TokenReader, line: number): Statement {
  const before = withClause(p);
  const { ctes, namespaces } = before;
  if (namespaces && !p.at("SELECT") && !p.at("(")) throw new UnsupportedSyntax(`WITH XMLNAMESPACES … ${p.token.key}`);
  switch (p.token.key) {
    case "INSERT":
      return insert(p, line, ctes);
    case "UPDATE":
      return update(p, line, ctes);
    case "DELETE":
      return remove(p, line, ctes);
    case "MERGE":
      return merge(p, line, ctes);
    default:
      return { line, kind: "query", query: wholeQuery(p, before) };
  }
}

function target(p: TokenReader): Target {
  if (p.token.kind === "variable") return { kind: "table_variable", name: p.variable() };
  if (p.at("OPENQUERY") || p.at("OPENROWSET") || p.at("OPENDATASOURCE")) throw new UnsupportedSyntax(p.token.key);
  const name = p.objectName();
  return { kind: "table", name, hints: tableHints(p) };
}

/** A list of columns; a qualified one counts by its last part, as SQL Server has it. */
function targetColumns(p: TokenReader): string[] {
  return p.parenthesised(() => p.nameParts().at(-1)!);
}

function outputClause(p: TokenReader): Output | undefined {
  if (!p.accept("OUTPUT")) return undefined;
  const output: Output = { items: p.list(() => selectItem(p)) };
  if (p.accept("INTO")) {
    const into: Target =
      p.token.kind === "variable"
        ? { kind: "table_variable", name: p.variable() }
        : { kind: "table", name: p.objectName(), hints: [] };
    output.into = { target: into, columns: p.at("(") ? targetColumns(p) : [] };
    if (p.at("OUTPUT")) throw new UnsupportedSyntax("two OUTPUT clauses");
  }
  return output;
}

function valueOrDefault(p: TokenReader): Expr | "default" {
  return p.accept("DEFAULT") ? "default" : expression(p);
}

function insert(p: TokenReader, line: number, ctes: CommonTable[]): Statement {
  p.expect("INSERT");
  if (p.at("BULK")) return bulkInsert(p, line);
  const top = topClause(p);
  p.accept("INTO");
  const into = target(p);
  const columns = p.at("(") && !startsQuery(p, p.pos) ? targetColumns(p) : [];
  const output = outputClause(p);
  const statement: Statement = { line, kind: "insert", ctes, target: into, columns, source: insertSource(p) };
  if (top !== undefined) statement.top = top;
  if (output !== undefined) statement.output = output;
  optionClause(p);
  return statement;
}

/** https://learn.microsoft.com/sql/t-sql/statements/insert-transact-sql: at most 1,000 rows in VALUES, else 10738. */
const MAX_ROWS = 1000;

function insertSource(p: TokenReader): InsertSource {
  if (p.accept("DEFAULT")) {
    p.expect("VALUES");
    return { kind: "default_values" };
  }
  if (p.accept("VALUES")) {
    const rows = p.list(() => p.parenthesised(() => valueOrDefault(p)));
    if (rows.length > MAX_ROWS) {
      throw new SqlSyntaxError(
        10738,
        "The number of row value expressions in the INSERT statement exceeds the maximum allowed number of 1000 row values.",
        p.previous.line,
      );
    }
    return { kind: "values", rows };
  }
  if (p.at("EXEC") || p.at("EXECUTE")) return { kind: "execute", statement: execute(p, p.token.line) };
  if (!p.at("SELECT") && !p.at("(")) p.fail();
  return { kind: "query", query: wholeQuery(p, { ctes: [] }) };
}

/** `INSERT BULK t (a int, …) WITH (…)`: what bulk copy clients send before the rows. */
function bulkInsert(p: TokenReader, line: number): Statement {
  p.expect("BULK");
  const table = p.objectName();
  const columns = p.at("(")
    ? p.parenthesised(() => {
        const column = { name: p.identifier(), type: typeName(p) };
        if (p.accept("COLLATE")) p.identifier();
        if (!p.accept("NULL")) p.acceptAll("NOT", "NULL");
        return column;
      })
    : [];
  const options: string[] = [];
  if (p.accept("WITH")) {
    p.parenthesised(() => {
      const from = p.pos;
      while (!p.at(",") && !p.at(")")) {
        if (p.atEnd) p.fail();
        if (p.at("(")) p.skipParenthesised();
        else p.advance();
      }
      options.push(p.rawFrom(from));
    });
  }
  return { line, kind: "insert_bulk", table, columns, options };
}

function setClauses(p: TokenReader): SetClause[] {
  p.expect("SET");
  return p.list((): SetClause => {
    if (p.token.kind === "variable") {
      const variable = p.variable();
      const op = assignOp(p);
      // `@v = column = expr` sets both.
      if (op === "=" && p.atIdentifier()) {
        const start = p.pos;
        const column = p.nameParts().at(-1)!;
        if (atAssignment(p.token.key)) {
          const columnOp = assignOp(p);
          return { kind: "variable", variable, column, op: columnOp, value: expression(p) };
        }
        p.seek(start);
      }
      return { kind: "variable", variable, op, value: expression(p) };
    }
    const parts = p.nameParts();
    const column = parts.at(-1)!;
    if (p.at("(")) return written(p, parts);
    const op = assignOp(p);
    return { kind: "column", column, op, value: valueOrDefault(p) };
  });
}

/**
 * `column.WRITE (expression, @Offset, @Length)` becomes the column set to a function of itself.
 * https://learn.microsoft.com/sql/t-sql/queries/update-transact-sql
 */
function written(p: TokenReader, parts: string[]): SetClause {
  const method = parts.pop()!;
  const column = parts.at(-1);
  if (column === undefined || method.toUpperCase() !== "WRITE")
    throw new UnsupportedSyntax(`UPDATE … SET .${method}()`);
  const args = p.parenthesised(() => expression(p));
  if (args.length !== 3) p.fail();
  const value: Expr = {
    kind: "call",
    name: { parts: ["$WRITE"] },
    args: [{ kind: "column", parts: [column] }, ...args],
  };
  return { kind: "column", column, op: "=", value };
}

function update(p: TokenReader, line: number, ctes: CommonTable[]): Statement {
  p.expect("UPDATE");
  if (p.at("STATISTICS")) throw new UnsupportedSyntax("UPDATE STATISTICS");
  const top = topClause(p);
  const into = target(p);
  const set = setClauses(p);
  const output = outputClause(p);
  const statement: Statement = { line, kind: "update", ctes, target: into, set, from: fromClause(p) };
  finish(p, statement, top, output);
  return statement;
}

function remove(p: TokenReader, line: number, ctes: CommonTable[]): Statement {
  p.expect("DELETE");
  const top = topClause(p);
  p.accept("FROM");
  const into = target(p);
  const output = outputClause(p);
  const statement: Statement = { line, kind: "delete", ctes, target: into, from: fromClause(p) };
  finish(p, statement, top, output);
  return statement;
}

function finish(
  p: TokenReader,
  statement: Statement & { kind: "update" | "delete" },
  top: ReturnType<typeof topClause>,
  output: Output | undefined,
): void {
  if (top !== undefined) statement.top = top;
  if (output !== undefined) statement.output = output;
  if (p.accept("WHERE")) {
    if (p.acceptAll("CURRENT", "OF")) statement.currentOf = cursorReference(p);
    else statement.where = condition(p);
  }
  optionClause(p);
}

/** https://learn.microsoft.com/sql/t-sql/statements/merge-transact-sql; error 10713 without its semicolon. */
function merge(p: TokenReader, line: number, ctes: CommonTable[]): Statement {
  p.expect("MERGE");
  const top = topClause(p);
  p.accept("INTO");
  const into = target(p);
  const alias = p.at("USING") ? undefined : tableAlias(p);
  // The hints stand before the alias, but SQL Server takes them behind as well.
  const late = tableHints(p);
  if (into.kind === "table" && late.length > 0) into.hints = late;
  p.expect("USING");
  const using: TableSource = tableSource(p);
  p.expect("ON");
  const on = condition(p);
  const whens: MergeWhen[] = [];
  do whens.push(mergeWhen(p));
  while (p.at("WHEN"));
  const output = outputClause(p);
  optionClause(p);
  if (!p.at(";")) {
    throw new SqlSyntaxError(10713, "A MERGE statement must be terminated by a semi-colon (;).", p.previous.line);
  }
  const statement: Statement = { line, kind: "merge", ctes, target: into, using, on, whens };
  if (top !== undefined) statement.top = top;
  if (alias !== undefined) statement.alias = alias;
  if (output !== undefined) statement.output = output;
  return statement;
}

function mergeWhen(p: TokenReader): MergeWhen {
  p.expect("WHEN");
  let match: MergeWhen["match"] = "matched";
  if (p.accept("NOT")) {
    match = "not_matched";
    p.expect("MATCHED");
    if (p.accept("BY") && p.expectOne("TARGET", "SOURCE") === "SOURCE") match = "not_matched_by_source";
  } else {
    p.expect("MATCHED");
  }
  const and = p.accept("AND") ? condition(p) : undefined;
  p.expect("THEN");
  const action = mergeAction(p, match);
  return and === undefined ? { match, action } : { match, and, action };
}

function mergeAction(p: TokenReader, match: MergeWhen["match"]): MergeWhen["action"] {
  if (match === "not_matched") {
    p.expect("INSERT");
    const columns = p.at("(") ? targetColumns(p) : [];
    if (p.accept("DEFAULT")) {
      p.expect("VALUES");
      return { kind: "insert", columns, values: [], defaultValues: true };
    }
    p.expect("VALUES");
    return { kind: "insert", columns, values: p.parenthesised(() => valueOrDefault(p)) };
  }
  if (p.accept("DELETE")) return { kind: "delete" };
  p.expect("UPDATE");
  return { kind: "update", set: setClauses(p) };
}
