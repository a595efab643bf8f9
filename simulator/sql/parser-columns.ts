import type { ColumnDefinition, IndexFilter, ReferentialAction, TableConstraint } from "./ast.ts";
import { definitionOfCondition, definitionOfExpression } from "./definition-text.ts";
import { condition } from "./parser-conditions.ts";
import { expression } from "./parser-expressions.ts";
import { collated } from "./parser-tables.ts";
import type { typeName } from "./parser-types.ts";
import { UnsupportedSyntax } from "./syntax-error.ts";
import type { TokenReader } from "./token-reader.ts";

/**
 * Columns and constraints of tables and table variables.
 * https://learn.microsoft.com/sql/t-sql/statements/create-table-transact-sql
 */
export interface TableElements {
  columns: ColumnDefinition[];
  constraints: TableConstraint[];
}

/** `(a int, PRIMARY KEY (a))`; SQL Server lets a comma stand before the closing parenthesis. */
export function tableElements(p: TokenReader): TableElements {
  const elements: TableElements = { columns: [], constraints: [] };
  p.expect("(");
  do {
    if (elements.columns.length > 0 && p.at(")")) break;
    tableElement(p, elements);
    // A table constraint may follow a column without a comma.
    while (startsConstraint(p)) tableElement(p, elements);
  } while (p.accept(","));
  p.expect(")");
  return elements;
}

function startsConstraint(p: TokenReader): boolean {
  return ["CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN", "CHECK", "INDEX"].includes(p.token.key);
}

/** One column or table constraint, put where it belongs. */
export function tableElement(p: TokenReader, into: TableElements): void {
  if (p.at("PERIOD") && p.peek().key === "FOR") throw new UnsupportedSyntax("PERIOD FOR SYSTEM_TIME");
  if (startsConstraint(p) || p.at("DEFAULT")) into.constraints.push(tableConstraint(p));
  else into.columns.push(columnDefinition(p));
}

export function columnDefinition(p: TokenReader): ColumnDefinition {
  const first = p.token;
  const column: ColumnDefinition = { name: p.identifier(), constraints: [] };
  if (p.accept("AS")) {
    computedColumn(p, column);
  } else if (first.key === "TIMESTAMP" && !p.atIdentifier()) {
    // A timestamp column may go without a name of its own.
    column.type = { name: first.text, args: [] };
  } else {
    column.type = collated(p);
  }
  while (columnOption(p, column));
  return column;
}

function computedColumn(p: TokenReader, column: ColumnDefinition): void {
  const from = p.token;
  const expr = expression(p);
  column.computed = { expr, persisted: false, text: definitionOfExpression(expr, p.sourceFrom(from)) };
  column.computed.persisted = p.accept("PERSISTED");
}

/** Reads one of the options behind a column's type; false when there is none. */
function columnOption(p: TokenReader, column: ColumnDefinition): boolean {
  switch (p.token.key) {
    case "NULL":
      p.advance();
      column.nullable = true;
      return true;
    case "NOT":
      if (p.acceptAll("NOT", "FOR", "REPLICATION")) return true;
      p.expectAll("NOT", "NULL");
      column.nullable = false;
      return true;
    case "IDENTITY":
      p.advance();
      column.identity = identity(p);
      return true;
    case "COLLATE":
      p.advance();
      if (column.type === undefined) p.fail();
      column.type.collation = p.identifier();
      return true;
    case "ROWGUIDCOL":
      p.advance();
      column.rowGuid = true;
      return true;
    case "SPARSE":
      p.advance();
      column.sparse = true;
      return true;
    case "MASKED":
      p.advance();
      column.masked = mask(p);
      return true;
    case "GENERATED":
    case "ENCRYPTED":
    case "FILESTREAM":
    case "COLUMN_SET":
      throw new UnsupportedSyntax(`a column with ${p.token.key}`);
    case "CONSTRAINT":
      p.advance();
      if (!columnConstraint(p, column, p.identifier())) p.fail();
      return true;
    default:
      return columnConstraint(p, column, undefined);
  }
}

/** `(1, 1)`, or nothing, which is the same. */
function identity(p: TokenReader): { seed: string; increment: string } {
  if (!p.accept("(")) return { seed: "1", increment: "1" };
  const seed = signedNumber(p);
  p.expect(",");
  const increment = signedNumber(p);
  p.expect(")");
  return { seed, increment };
}

function signedNumber(p: TokenReader): string {
  const sign = p.accept("-") ? "-" : "";
  p.accept("+");
  if (p.token.kind !== "int" && p.token.kind !== "decimal") p.fail();
  return sign + p.advance().text;
}

/** `WITH (FUNCTION = 'default()')` */
export function mask(p: TokenReader): string {
  p.expectAll("WITH", "(", "FUNCTION", "=");
  const text = p.string();
  p.expect(")");
  return text;
}

function columnConstraint(p: TokenReader, column: ColumnDefinition, name: string | undefined): boolean {
  if (p.at("DEFAULT")) {
    column.default = defaultValue(p, name);
    return true;
  }
  if (p.at("FOREIGN") || p.at("REFERENCES")) {
    if (p.acceptAll("FOREIGN", "KEY") && p.at("(")) column.constraints.push(references(p, name, p.columnNames()));
    else column.constraints.push(references(p, name, [column.name]));
    return true;
  }
  if (p.at("PRIMARY") || p.at("UNIQUE")) {
    column.constraints.push(keyConstraint(p, name, column.name));
    return true;
  }
  if (p.at("CHECK")) {
    column.constraints.push(check(p, name));
    return true;
  }
  if (p.at("INDEX")) {
    column.constraints.push(inlineIndex(p, column.name));
    return true;
  }
  return false;
}

function defaultValue(p: TokenReader, name: string | undefined): NonNullable<ColumnDefinition["default"]> {
  p.expect("DEFAULT");
  const from = p.token;
  const expr = expression(p);
  const text = definitionOfExpression(expr, p.sourceFrom(from));
  const withValues = p.acceptAll("WITH", "VALUES");
  return { ...named(name), expr, text, ...(withValues ? { withValues } : {}) };
}

/** A name that is absent leaves no property. */
function named(name: string | undefined): { name?: string } {
  return name === undefined ? {} : { name };
}

/** A constraint of the table: `[CONSTRAINT name] PRIMARY KEY (a)`, `… DEFAULT e FOR c`, `INDEX ix (a)`. */
export function tableConstraint(p: TokenReader): TableConstraint {
  const name = p.accept("CONSTRAINT") ? p.identifier() : undefined;
  switch (p.token.key) {
    case "PRIMARY":
    case "UNIQUE":
      return keyConstraint(p, name, undefined);
    case "FOREIGN":
      p.expectAll("FOREIGN", "KEY");
      return references(p, name, p.columnNames());
    case "CHECK":
      return check(p, name);
    case "DEFAULT": {
      const { expr, text } = defaultValue(p, undefined);
      p.expect("FOR");
      const column = p.identifier();
      p.acceptAll("WITH", "VALUES");
      return { kind: "default", ...named(name), expr, text, column };
    }
    case "INDEX":
      if (name === undefined) return inlineIndex(p, undefined);
      return p.fail();
    default:
      return p.fail();
  }
}

/** `own` is the column that the constraint belongs to, when it stands behind one. */
function keyConstraint(p: TokenReader, name: string | undefined, own: string | undefined): TableConstraint {
  const primary = p.accept("PRIMARY");
  p.expect(primary ? "KEY" : "UNIQUE");
  const clustered = clustering(p);
  const columns = own !== undefined && !p.at("(") ? [{ name: own, descending: false }] : indexColumns(p);
  storageOptions(p);
  return {
    kind: primary ? "primary_key" : "unique",
    ...named(name),
    ...(clustered === undefined ? {} : { clustered }),
    columns,
  };
}

function clustering(p: TokenReader): boolean | undefined {
  if (p.accept("CLUSTERED")) return true;
  if (p.accept("NONCLUSTERED")) return false;
  return undefined;
}

/** `(a, b DESC)` */
export function indexColumns(p: TokenReader): { name: string; descending: boolean }[] {
  return p.parenthesised(() => {
    const name = p.identifier();
    const descending = p.accept("DESC");
    if (!descending) p.accept("ASC");
    return { name, descending };
  });
}

function inlineIndex(p: TokenReader, own: string | undefined): TableConstraint {
  p.expect("INDEX");
  const name = p.identifier();
  const unique = p.accept("UNIQUE");
  const clustered = clustering(p) ?? false;
  if (p.at("COLUMNSTORE") || p.at("HASH")) throw new UnsupportedSyntax(`an index with ${p.token.key}`);
  const columns = own !== undefined && !p.at("(") ? [{ name: own, descending: false }] : indexColumns(p);
  const include = p.accept("INCLUDE") ? p.columnNames() : [];
  const filter = indexFilter(p);
  storageOptions(p);
  return { kind: "index", name, unique, clustered, columns, include, ...(filter ? { filter } : {}) };
}

function references(p: TokenReader, name: string | undefined, columns: string[]): TableConstraint {
  p.expect("REFERENCES");
  const target = p.objectName();
  const referenced = p.at("(") ? p.columnNames() : [];
  const result: TableConstraint & { kind: "foreign_key" } = {
    kind: "foreign_key",
    ...named(name),
    columns,
    references: target,
    referenced,
  };
  while (p.at("ON") && (p.peek().key === "DELETE" || p.peek().key === "UPDATE")) {
    p.advance();
    if (p.advance().key === "DELETE") result.onDelete = referentialAction(p);
    else result.onUpdate = referentialAction(p);
  }
  p.acceptAll("NOT", "FOR", "REPLICATION");
  return result;
}

function referentialAction(p: TokenReader): ReferentialAction {
  if (p.accept("CASCADE")) return "cascade";
  if (p.accept("SET")) return p.expectOne("NULL", "DEFAULT") === "NULL" ? "set null" : "set default";
  p.expectAll("NO", "ACTION");
  return "no action";
}

function check(p: TokenReader, name: string | undefined): TableConstraint {
  p.expect("CHECK");
  p.acceptAll("NOT", "FOR", "REPLICATION");
  p.expect("(");
  const from = p.token;
  const test = condition(p);
  const text = definitionOfCondition(test, p.sourceFrom(from));
  p.expect(")");
  return { kind: "check", ...named(name), test, text };
}

/** Where and how rows are kept: `WITH (…)`, `ON [PRIMARY]`, `TEXTIMAGE_ON`. Read and dropped: the simulator has one place. */
export function storageOptions(p: TokenReader): void {
  for (;;) {
    if (p.at("WITH") && p.peek().key === "(") {
      p.advance();
      p.skipParenthesised();
    } else if (p.atAll("WITH", "FILLFACTOR", "=")) {
      p.seek(p.pos + 4);
    } else if (p.at("TEXTIMAGE_ON") || p.at("FILESTREAM_ON") || atFilegroup(p)) {
      p.advance();
      if (p.token.kind === "string") p.advance();
      else p.identifier();
      if (p.at("(")) p.columnNames();
    } else {
      return;
    }
  }
}

/** `ON fg`, not `ON DELETE`. */
function atFilegroup(p: TokenReader): boolean {
  const next = p.peek().kind;
  return p.at("ON") && (next === "word" || next === "quoted" || next === "string");
}

/** `WHERE a IS NOT NULL`: what a filtered index is made of. */
export function indexFilter(p: TokenReader): IndexFilter | undefined {
  if (!p.accept("WHERE")) return undefined;
  const from = p.token;
  const test = condition(p);
  return { test, text: definitionOfCondition(test, p.sourceFrom(from)) };
}

/** `type COLLATE c`, `NULL` or `NOT NULL`, of ALTER COLUMN. */
export function alteredType(p: TokenReader): { type: ReturnType<typeof typeName>; nullable?: boolean } {
  const type = collated(p);
  p.accept("SPARSE");
  if (p.accept("NULL")) return { type, nullable: true };
  if (p.acceptAll("NOT", "NULL")) return { type, nullable: false };
  return { type };
}
