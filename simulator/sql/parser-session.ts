import type { Statement } from "./ast.ts";
import { tableElements } from "./parser-columns.ts";
import { declareCursor, namesCursor, setCursor } from "./parser-cursors.ts";
import { expression } from "./parser-expressions.ts";
import { assignOp } from "./parser-queries.ts";
import { typeName } from "./parser-types.ts";
import { SqlSyntaxError, UnsupportedSyntax } from "./syntax-error.ts";
import type { TokenReader } from "./token-reader.ts";

type Declared = (Statement & { kind: "declare" })["variables"][number];

/** DECLARE of variables, table variables and cursors; a list that mixes tables in becomes a block. */
export function declare(p: TokenReader, line: number): Statement {
  p.expect("DECLARE");
  if (p.token.kind !== "variable") return declareCursor(p, line);
  const statements: Statement[] = [];
  const names = new Set<string>();
  let variables: Declared[] = [];
  const flush = () => {
    if (variables.length > 0) statements.push({ line, kind: "declare", variables });
    variables = [];
  };
  p.list(() => {
    const { line: namedOn } = p.token;
    const name = p.variable();
    if (names.has(name.toLowerCase()))
      throw new SqlSyntaxError(
        134,
        `The variable name '${name}' has already been declared. Variable names must be unique within a query batch or stored procedure.`,
        namedOn,
        2,
      );
    names.add(name.toLowerCase());
    p.accept("AS");
    if (p.accept("TABLE")) {
      flush();
      statements.push({ line, kind: "declare_table", name, ...tableElements(p) });
      return;
    }
    if (p.accept("CURSOR")) {
      flush();
      statements.push({ line, kind: "declare_cursor_variable", name });
      return;
    }
    const variable: Declared = { name, type: typeName(p) };
    if (p.accept("=")) variable.value = expression(p);
    variables.push(variable);
  });
  flush();
  return statements.length === 1 ? statements[0]! : { line, kind: "block", body: statements };
}

/** Options that are ON or OFF, several of which one SET may name. https://learn.microsoft.com/sql/t-sql/statements/set-statements-transact-sql */
const SWITCHES: ReadonlySet<string> = new Set(
  `ANSI_DEFAULTS ANSI_NULL_DFLT_OFF ANSI_NULL_DFLT_ON ANSI_NULLS ANSI_PADDING ANSI_WARNINGS ARITHABORT ARITHIGNORE
  CONCAT_NULL_YIELDS_NULL CURSOR_CLOSE_ON_COMMIT DISABLE_DEF_CNST_CHK FMTONLY FORCEPLAN IMPLICIT_TRANSACTIONS NOCOUNT
  NOEXEC NO_BROWSETABLE NUMERIC_ROUNDABORT PARSEONLY QUOTED_IDENTIFIER REMOTE_PROC_TRANSACTIONS SHOWPLAN_ALL
  SHOWPLAN_TEXT SHOWPLAN_XML XACT_ABORT`.split(/\s+/),
);

const VALUES: ReadonlySet<string> = new Set(
  `CONTEXT_INFO DATEFIRST DATEFORMAT DEADLOCK_PRIORITY FIPS_FLAGGER LANGUAGE LOCK_TIMEOUT QUERY_GOVERNOR_COST_LIMIT ROWCOUNT
  TEXTSIZE`.split(/\s+/),
);

export function set(p: TokenReader, line: number): Statement {
  p.expect("SET");
  if (p.token.kind === "variable") return setVariable(p, line);
  switch (p.token.key) {
    case "TRANSACTION":
      p.expectAll("TRANSACTION", "ISOLATION", "LEVEL");
      return { line, kind: "set_isolation", level: isolationLevel(p) };
    case "IDENTITY_INSERT": {
      p.advance();
      const table = p.objectName();
      return { line, kind: "set_option", option: "IDENTITY_INSERT", value: p.expectOne("ON", "OFF"), table };
    }
    case "STATISTICS":
      p.advance();
      return switches(p, line, () => `STATISTICS ${p.expectOne("IO", "TIME", "XML", "PROFILE")}`);
    case "OFFSETS":
      throw new UnsupportedSyntax("SET OFFSETS");
  }
  if (VALUES.has(p.token.key)) {
    const option = p.advance().key;
    return { line, kind: "set_option", option, value: optionValue(p) };
  }
  return switches(p, line, () => {
    const token = p.token;
    if (!SWITCHES.has(token.key)) {
      if (token.kind !== "word") p.fail();
      throw new SqlSyntaxError(195, `'${token.text}' is not a recognized SET option.`, token.line, 5);
    }
    return p.advance().key;
  });
}

/** `SET ANSI_NULLS, QUOTED_IDENTIFIER ON`: one statement an option, in a block when there are several. */
function switches(p: TokenReader, line: number, option: () => string): Statement {
  const options = p.list(option);
  const value = p.expectOne("ON", "OFF");
  const body = options.map((name): Statement => ({ line, kind: "set_option", option: name, value }));
  return body.length === 1 ? body[0]! : { line, kind: "block", body };
}

function optionValue(p: TokenReader): string {
  const sign = p.accept("-") ? "-" : "";
  const { kind } = p.token;
  if (kind === "end" || kind === "symbol" || (kind === "reserved" && !p.at("OFF"))) p.fail();
  return sign + p.advance().text;
}

function setVariable(p: TokenReader, line: number): Statement {
  const name = p.variable();
  if (p.at(".") || p.at("::")) throw new UnsupportedSyntax("a method call on a variable");
  const op = assignOp(p);
  if (op === "=" && (p.at("CURSOR") || namesCursor(p))) return setCursor(p, line, name);
  return { line, kind: "set_variable", name, op, value: expression(p) };
}

function isolationLevel(p: TokenReader): (Statement & { kind: "set_isolation" })["level"] {
  if (p.accept("READ"))
    return p.expectOne("UNCOMMITTED", "COMMITTED") === "COMMITTED" ? "read committed" : "read uncommitted";
  if (p.accept("REPEATABLE")) {
    p.expect("READ");
    return "repeatable read";
  }
  return p.expectOne("SNAPSHOT", "SERIALIZABLE") === "SNAPSHOT" ? "snapshot" : "serializable";
}
