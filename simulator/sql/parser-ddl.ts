import type { AlterTableAction, ObjectName, Query, Statement } from "./ast.ts";
import { checkControl } from "./control-checks.ts";
import { statementList } from "./parser.ts";
import {
  alteredType,
  indexColumns,
  indexFilter,
  mask,
  storageOptions,
  type TableElements,
  tableElement,
  tableElements,
} from "./parser-columns.ts";
import { createFunction } from "./parser-create-function.ts";
import { wholeQuery } from "./parser-queries.ts";
import { createPrincipal } from "./parser-security.ts";
import { alterSequence, createSequence, createSynonym } from "./parser-sequences.ts";
import { createTrigger, triggerNames } from "./parser-triggers.ts";
import { parameterDefinition, typeName } from "./parser-types.ts";
import { SqlSyntaxError, UnsupportedSyntax } from "./syntax-error.ts";
import type { TokenReader } from "./token-reader.ts";

/** What begins with CREATE. */
export function create(p: TokenReader, line: number): Statement {
  const start = p.pos;
  p.expect("CREATE");
  const orAlter = p.acceptAll("OR", "ALTER");
  switch (p.token.key) {
    case "PROC":
    case "PROCEDURE":
      return procedure(p, line, start, orAlter, false);
    case "VIEW":
      return view(p, line, start, orAlter, false);
    case "FUNCTION":
      return createFunction(p, line, start, orAlter, false);
    case "TRIGGER":
      return createTrigger(p, line, start, orAlter, false);
  }
  if (orAlter) p.fail();
  switch (p.token.key) {
    case "TABLE":
      return createTable(p, line);
    case "UNIQUE":
    case "CLUSTERED":
    case "NONCLUSTERED":
    case "INDEX":
      return createIndex(p, line);
    case "SEQUENCE":
      return createSequence(p, line);
    case "SYNONYM":
      return createSynonym(p, line);
    case "SCHEMA":
      return createSchema(p, line, start);
    case "TYPE":
      return createType(p, line);
    case "DATABASE":
      return createDatabase(p, line);
    case "USER":
    case "LOGIN":
    case "ROLE":
      return createPrincipal(p, line);
    default:
      return unsupported(p, line, start, 2);
  }
}

/** What begins with ALTER, but roles. */
export function alter(p: TokenReader, line: number): Statement {
  const start = p.pos;
  p.expect("ALTER");
  switch (p.token.key) {
    case "TABLE":
      return alterTable(p, line);
    case "DATABASE":
      return alterDatabase(p, line, start);
    case "PROC":
    case "PROCEDURE":
      return procedure(p, line, start, true, true);
    case "VIEW":
      return view(p, line, start, true, true);
    case "FUNCTION":
      return createFunction(p, line, start, true, true);
    case "SEQUENCE":
      return alterSequence(p, line);
    case "TRIGGER":
      return createTrigger(p, line, start, true, true);
    case "INDEX":
      return alterIndex(p, line, start);
    default:
      return unsupported(p, line, start, 2);
  }
}

/** https://learn.microsoft.com/sql/t-sql/statements/alter-index-transact-sql */
function alterIndex(p: TokenReader, line: number, start: number): Statement {
  p.expect("INDEX");
  const name = p.accept("ALL") ? undefined : p.identifier();
  p.expect("ON");
  const table = p.objectName();
  if (p.at("DISABLE") || p.at("RESUME") || p.at("PAUSE") || p.at("ABORT"))
    throw new UnsupportedSyntax(`ALTER INDEX … ${p.token.key}`);
  const action = p.expectOne("REBUILD", "REORGANIZE", "SET");
  if (action === "SET" && p.at("(")) p.skipParenthesised();
  else p.skipStatement(start);
  return { line, kind: "alter_index", table, ...(name === undefined ? {} : { name }) };
}

/** A statement that the tree has no node for, named by its first words. */
export function unsupported(p: TokenReader, line: number, start: number, words: number): Statement {
  let named = start;
  while (named < start + words && p.tokens[named]!.kind !== "end" && p.tokens[named]!.key.length > 1) named++;
  p.seek(Math.max(named, start + 1));
  const what = p.rawFrom(start);
  // `ALTER INDEX i ON t SET (…)`: SET is a statement of its own only when it begins one.
  if (words > 1 && p.atIdentifier()) p.nameParts();
  p.accept("SET");
  p.skipStatement(start);
  return { line, kind: "unsupported", what };
}

/** Error 111: some objects are made by the only statement of a batch. */
export function onlyFirst(p: TokenReader, start: number, what: string): void {
  if (p.tokens.findIndex((token) => token.key !== ";") === start) return;
  throw new SqlSyntaxError(111, `'${what}' must be the first statement in a query batch.`, p.tokens[start]!.line);
}

function createTable(p: TokenReader, line: number): Statement {
  p.expect("TABLE");
  const name = p.objectName();
  if (p.at("AS")) throw new UnsupportedSyntax("CREATE TABLE … AS");
  const { columns, constraints } = tableElements(p);
  if (p.at("AS")) throw new UnsupportedSyntax("CREATE TABLE … AS");
  storageOptions(p);
  return { line, kind: "create_table", name, columns, constraints };
}

function createIndex(p: TokenReader, line: number): Statement {
  const unique = p.accept("UNIQUE");
  const clustered = p.accept("CLUSTERED");
  if (!clustered) p.accept("NONCLUSTERED");
  if (p.at("COLUMNSTORE")) throw new UnsupportedSyntax("CREATE COLUMNSTORE INDEX");
  p.expect("INDEX");
  const name = p.identifier();
  p.expect("ON");
  const table = p.objectName();
  const columns = indexColumns(p);
  const include = p.accept("INCLUDE") ? p.columnNames() : [];
  const filter = indexFilter(p);
  storageOptions(p);
  const statement: Statement = { line, kind: "create_index", name, unique, clustered, table, columns, include };
  if (filter) statement.filter = filter;
  return statement;
}

/** https://learn.microsoft.com/sql/t-sql/statements/create-type-transact-sql */
function createType(p: TokenReader, line: number): Statement {
  p.expect("TYPE");
  const name = p.objectName();
  if (p.accept("AS")) {
    p.expect("TABLE");
    const elements = tableElements(p);
    storageOptions(p);
    return { line, kind: "create_type", name, ...elements };
  }
  if (p.at("EXTERNAL")) throw new UnsupportedSyntax("CREATE TYPE … EXTERNAL NAME");
  p.expect("FROM");
  const base = typeName(p);
  const nullable = p.accept("NULL") || !p.acceptAll("NOT", "NULL");
  return { line, kind: "create_type", name, base, nullable, columns: [], constraints: [] };
}

function createSchema(p: TokenReader, line: number, start: number): Statement {
  p.expect("SCHEMA");
  const name = p.at("AUTHORIZATION") ? undefined : p.identifier();
  const authorization = p.accept("AUTHORIZATION") ? p.identifier() : undefined;
  // A schema without a name is called after its owner.
  const statement: Statement = { line, kind: "create_schema", name: name ?? authorization! };
  if (authorization !== undefined) statement.authorization = authorization;
  onlyFirst(p, start, "CREATE SCHEMA");
  // What follows at once belongs to the schema: `CREATE SCHEMA s CREATE TABLE t (…)` makes s.t.
  if (["CREATE", "GRANT", "DENY", "REVOKE"].includes(p.token.key))
    throw new UnsupportedSyntax("CREATE SCHEMA with elements");
  return statement;
}

function createDatabase(p: TokenReader, line: number): Statement {
  const start = p.pos;
  p.expect("DATABASE");
  if (p.at("SCOPED") || p.at("AUDIT") || p.at("ENCRYPTION")) return unsupported(p, line, start - 1, 3);
  const statement: Statement = { line, kind: "create_database", name: p.identifier() };
  const from = p.pos;
  p.skipStatement(start);
  for (let i = from; i < p.pos; i++) {
    const key = p.tokens[i]!.key;
    if (key === "COLLATE") statement.collation = p.tokens[i + 1]!.text;
    const next = p.tokens[i + 1]!.key;
    if ((key === "FOR" && next.startsWith("ATTACH")) || (key === "AS" && (next === "SNAPSHOT" || next === "COPY"))) {
      throw new UnsupportedSyntax(`CREATE DATABASE ${key} ${next}`);
    }
  }
  return statement;
}

function alterDatabase(p: TokenReader, line: number, start: number): Statement {
  p.expect("DATABASE");
  if (p.at("SCOPED") || p.at("AUDIT") || p.at("ENCRYPTION")) return unsupported(p, line, start, 3);
  const current = p.accept("CURRENT");
  const name = current ? "CURRENT" : p.identifier();
  const from = p.pos;
  if (p.atEnd || p.at(";")) p.fail();
  p.advance();
  p.skipStatement(start);
  // The new name of MODIFY NAME is the one bare word whose case matters.
  const renamed = p.tokens[from]!.key === "MODIFY" && p.tokens[from + 1]!.key === "NAME" && p.previous.kind === "word";
  if (!renamed) return { line, kind: "alter_database", name, text: p.rawFrom(from) };
  return { line, kind: "alter_database", name, text: `MODIFY NAME = ${p.previous.text}` };
}

function alterTable(p: TokenReader, line: number): Statement {
  const start = p.pos;
  const alter = p.previous;
  p.expect("TABLE");
  const name = p.objectName();
  const action = alterTableAction(p, start);
  return { line, kind: "alter_table", name, action, text: p.sourceFrom(alter) };
}

/** https://learn.microsoft.com/sql/t-sql/statements/alter-table-transact-sql */
function alterTableAction(p: TokenReader, start: number): AlterTableAction {
  const first = p.token;
  const checking = p.at("WITH") && (p.peek().key === "CHECK" || p.peek().key === "NOCHECK") ? p.peek().key : undefined;
  const verb = checking === undefined ? p.token.key : p.peek(2).key;
  if (verb === "ADD" && p.peek().key !== "PERIOD") {
    if (checking !== undefined) p.seek(p.pos + 2);
    p.advance();
    const elements: TableElements = { columns: [], constraints: [] };
    do tableElement(p, elements);
    while (p.accept(","));
    return { kind: "add", ...elements, ...(checking === "NOCHECK" ? { unchecked: true } : {}) };
  }
  if (verb === "CHECK" || verb === "NOCHECK") {
    if (checking !== undefined) p.seek(p.pos + 2);
    p.advance();
    p.expect("CONSTRAINT");
    const names = p.accept("ALL") ? [] : p.list(() => p.identifier());
    return { kind: "enforce", enabled: verb === "CHECK", verified: checking === "CHECK", names };
  }
  if (p.at("DROP") && p.peek().key !== "PERIOD") {
    p.advance();
    return dropElements(p);
  }
  if (p.atAll("ALTER", "COLUMN")) {
    p.seek(p.pos + 2);
    return alterColumn(p);
  }
  if ((p.at("ENABLE") || p.at("DISABLE")) && p.peek().key === "TRIGGER") {
    const enable = p.advance().key === "ENABLE";
    p.advance();
    return { kind: "triggers", enable, names: triggerNames(p) };
  }
  if (p.atEnd || p.at(";")) p.fail();
  p.advance();
  p.skipStatement(start);
  return { kind: "other", text: p.sourceFrom(first) };
}

function dropElements(p: TokenReader): AlterTableAction {
  const columns: string[] = [];
  const constraints: string[] = [];
  let ifExists = false;
  let into = constraints;
  p.list(() => {
    // One keyword goes for all names up to the next.
    if (p.accept("COLUMN")) into = columns;
    else if (p.accept("CONSTRAINT")) into = constraints;
    if (p.acceptAll("IF", "EXISTS")) ifExists = true;
    into.push(p.identifier());
    storageOptions(p);
  });
  return { kind: "drop", columns, constraints, ifExists };
}

function alterColumn(p: TokenReader): AlterTableAction {
  const column = p.identifier();
  if (p.at("ADD") || p.at("DROP")) {
    const add = p.advance().key === "ADD";
    if (!p.accept("MASKED")) throw new UnsupportedSyntax(`ALTER COLUMN … ${add ? "ADD" : "DROP"} ${p.near()}`);
    return add ? { kind: "alter_column_masking", column, mask: mask(p) } : { kind: "alter_column_masking", column };
  }
  const altered: AlterTableAction = { kind: "alter_column", column, ...alteredType(p) };
  storageOptions(p);
  return altered;
}

function view(p: TokenReader, line: number, start: number, orAlter: boolean, mustExist: boolean): Statement {
  p.expect("VIEW");
  const name = p.objectName();
  onlyFirst(p, start, `${mustExist ? "ALTER" : "CREATE"} VIEW`);
  const columns = p.at("(") ? p.columnNames() : [];
  const options = p.accept("WITH") ? p.list(() => p.expectOne("SCHEMABINDING", "VIEW_METADATA", "ENCRYPTION")) : [];
  p.expect("AS");
  const query: Query = wholeQuery(p);
  const checked = p.acceptAll("WITH", "CHECK", "OPTION");
  const statement: Statement = { line, kind: "create_view", name, columns, query, orAlter };
  if (checked) statement.checked = true;
  if (options.includes("SCHEMABINDING")) statement.schemaBound = true;
  statement.text = p.sourceFrom(p.tokens[start]!);
  if (mustExist) statement.mustExist = true;
  return statement;
}

/** A procedure, whose body is all that is left of the batch. */
function procedure(p: TokenReader, line: number, start: number, orAlter: boolean, mustExist: boolean): Statement {
  p.expectOne("PROC", "PROCEDURE");
  const name: ObjectName = p.objectName();
  onlyFirst(p, start, "CREATE/ALTER PROCEDURE");
  if (p.at(";") && p.peek().kind === "int") p.seek(p.pos + 2);
  const enclosed = p.accept("(");
  const parameters = p.token.kind === "variable" ? p.list(() => parameterDefinition(p)) : [];
  if (enclosed) p.expect(")");
  if (p.accept("WITH")) {
    p.list(() => {
      if (
        p
          .expectOne("RECOMPILE", "ENCRYPTION", "NATIVE_COMPILATION", "SCHEMABINDING", "EXECUTE", "EXEC")
          .startsWith("EXEC")
      ) {
        p.expect("AS");
        if (p.token.kind === "string") p.advance();
        else p.identifier();
      }
    });
  }
  p.acceptAll("FOR", "REPLICATION");
  p.expect("AS");
  if (p.at("EXTERNAL")) throw new UnsupportedSyntax("CREATE PROCEDURE … AS EXTERNAL");
  const body = statementList(p, undefined);
  if (body.length === 0 || !p.atEnd) p.fail();
  checkControl(body, true);
  const statement: Statement = { line, kind: "create_procedure", name, parameters, body, orAlter };
  statement.text = p.sourceFrom(p.tokens[start]!);
  if (mustExist) statement.mustExist = true;
  return statement;
}
