import type { FunctionReturns, ParameterDefinition, Statement } from "./ast.ts";
import { statementList } from "./parser.ts";
import { tableElements } from "./parser-columns.ts";
import { onlyFirst } from "./parser-ddl.ts";
import { query, wholeQuery } from "./parser-queries.ts";
import { parameterDefinition, typeName } from "./parser-types.ts";
import { UnsupportedSyntax } from "./syntax-error.ts";
import type { TokenReader } from "./token-reader.ts";

/** CREATE and ALTER FUNCTION. https://learn.microsoft.com/sql/t-sql/statements/create-function-transact-sql */
export function createFunction(
  p: TokenReader,
  line: number,
  start: number,
  orAlter: boolean,
  mustExist: boolean,
): Statement {
  p.expect("FUNCTION");
  const name = p.objectName();
  onlyFirst(p, start, `${mustExist ? "ALTER" : "CREATE"} FUNCTION`);
  const parameters = functionParameters(p);
  p.expect("RETURNS");
  const returns = functionReturns(p);
  const statement: Statement = { line, kind: "create_function", name, parameters, returns, orAlter };
  statement.text = p.sourceFrom(p.tokens[start]!);
  if (mustExist) statement.mustExist = true;
  return statement;
}

function functionParameters(p: TokenReader): ParameterDefinition[] {
  p.expect("(");
  const parameters = p.at(")") ? [] : p.list(() => parameterDefinition(p));
  p.expect(")");
  return parameters;
}

function functionReturns(p: TokenReader): FunctionReturns {
  if (p.at("TABLE")) return inlineTable(p);
  if (p.token.kind === "variable") {
    const variable = p.variable();
    p.expect("TABLE");
    const { columns, constraints } = tableElements(p);
    functionOptions(p);
    p.accept("AS");
    return { kind: "table", variable, columns, constraints, body: functionBody(p) };
  }
  const type = typeName(p);
  const { strict } = functionOptions(p);
  p.accept("AS");
  return { kind: "scalar", type, strict, body: functionBody(p) };
}

function inlineTable(p: TokenReader): FunctionReturns {
  p.expect("TABLE");
  functionOptions(p);
  p.accept("AS");
  if (p.at("EXTERNAL")) throw new UnsupportedSyntax("CREATE FUNCTION … AS EXTERNAL");
  p.expect("RETURN");
  const enclosed = p.at("(") && p.closingOf(p.pos) === lastToken(p);
  if (!enclosed) return { kind: "inline", query: rest(p, wholeQuery(p)) };
  p.expect("(");
  const inner = p.at("WITH") ? wholeQuery(p) : query(p);
  p.expect(")");
  return { kind: "inline", query: rest(p, inner) };
}

/** The place of the batch's last token that is no semicolon. */
function lastToken(p: TokenReader): number {
  let last = p.tokens.length - 2;
  while (p.tokens[last]?.key === ";") last--;
  return last;
}

function rest<T>(p: TokenReader, result: T): T {
  while (p.accept(";"));
  if (!p.atEnd) p.fail();
  return result;
}

function functionBody(p: TokenReader): Statement[] {
  if (p.at("EXTERNAL")) throw new UnsupportedSyntax("CREATE FUNCTION … AS EXTERNAL");
  p.expect("BEGIN");
  const body = statementList(p, "END");
  p.expect("END");
  return rest(p, body);
}

function functionOptions(p: TokenReader): { strict: boolean } {
  let strict = false;
  if (p.accept("WITH"))
    p.list(() => {
      if (p.acceptAll("RETURNS", "NULL", "ON", "NULL", "INPUT")) strict = true;
      else if (p.accept("INLINE")) {
        p.expect("=");
        p.expectOne("ON", "OFF");
      } else if (p.accept("EXECUTE") || p.accept("EXEC")) {
        p.expect("AS");
        if (p.token.kind === "string") p.advance();
        else p.identifier();
      } else if (!p.acceptAll("CALLED", "ON", "NULL", "INPUT")) {
        p.expectOne("SCHEMABINDING", "ENCRYPTION", "NATIVE_COMPILATION");
      }
    });
  return { strict };
}
