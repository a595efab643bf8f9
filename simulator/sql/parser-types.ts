import type { Expr, ParameterDefinition, TypeName } from "./ast.ts";
import { simpleValue } from "./parser-expressions.ts";
import type { TokenReader } from "./token-reader.ts";

/** ISO synonyms. https://learn.microsoft.com/sql/t-sql/data-types/data-type-synonyms-transact-sql */
const SYNONYMS: Record<string, string> = {
  INTEGER: "int",
  DEC: "decimal",
  CHARACTER: "char",
};

/** A data type with its arguments, without COLLATE; ISO synonyms come out as SQL Server's own names. */
export function typeName(p: TokenReader): TypeName {
  const first = p.token;
  if (p.accept("NATIONAL")) {
    if (p.accept("TEXT")) return { name: "ntext", args: [] };
    p.expectOne("CHAR", "CHARACTER");
    return { name: p.accept("VARYING") ? "nvarchar" : "nchar", args: typeArguments(p) };
  }
  if (p.accept("DOUBLE")) {
    p.expect("PRECISION");
    return { name: "float", args: [] };
  }
  // Drivers write [sys].[sysname]; a varying type may be spelled in two words.
  const parts = p.nameParts();
  if (parts.length > 2) p.fail(first);
  const written = parts.at(-1)!;
  const schema = parts.length === 2 ? parts[0] : undefined;
  const varying = first.kind === "word" && schema === undefined && p.accept("VARYING");
  const base = (first.kind === "word" && schema === undefined && SYNONYMS[written.toUpperCase()]) || written;
  const name = varying ? `var${base.toLowerCase()}` : base;
  const args = written.toLowerCase() === "xml" && p.at("(") ? xmlSchema(p) : typeArguments(p);
  return schema === undefined ? { name, args } : { name, schema, args };
}

function typeArguments(p: TokenReader): number[] {
  if (!p.at("(")) return [];
  return p.parenthesised(() => {
    if (p.accept("MAX")) return -1;
    if (p.token.kind !== "int") p.fail();
    return Number(p.advance().text);
  });
}

/** `xml(DOCUMENT collection)`: the schema collection only validates, so it is read and dropped. */
function xmlSchema(p: TokenReader): number[] {
  p.expect("(");
  if (!p.accept("CONTENT")) p.accept("DOCUMENT");
  p.objectName();
  p.expect(")");
  return [];
}

/** `@a int = 1 OUTPUT`, as procedures and sp_executesql declare their parameters. */
export function parameterDefinition(p: TokenReader): ParameterDefinition {
  const name = p.variable();
  p.accept("AS");
  const type = typeName(p);
  p.accept("VARYING");
  if (!p.accept("NULL")) p.acceptAll("NOT", "NULL");
  const parameter: ParameterDefinition = { name, type, output: false };
  if (p.accept("=")) parameter.default = constantArgument(p);
  if (p.accept("OUT") || p.accept("OUTPUT")) parameter.output = true;
  if (p.accept("READONLY")) parameter.readOnly = true;
  return parameter;
}

/**
 * What may be passed to a procedure or be a parameter's default: a constant, a variable, a bare word that stands for a
 * string (`EXEC sp_help Orders`); no other expression.
 */
export function constantArgument(p: TokenReader): Expr {
  if (p.atIdentifier()) return { kind: "literal", type: "nstring", text: p.advance().text };
  const op = p.token.key;
  if (op === "-" || op === "+") {
    p.advance();
    return { kind: "unary", op, operand: simpleValue(p) };
  }
  return simpleValue(p);
}
