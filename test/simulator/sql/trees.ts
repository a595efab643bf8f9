/** Short forms of the tree's commonest nodes, for expectations. */
import type { Expr, Statement } from "../../../simulator/sql/ast.ts";
import { parseBatch } from "../../../simulator/sql/parser.ts";

export function one(text: string): Statement {
  const statements = parseBatch(text);
  if (statements.length !== 1) throw new Error(`${statements.length} statements in: ${text}`);
  return statements[0]!;
}

export function kindsOf(text: string): string[] {
  return parseBatch(text).map((statement) => statement.kind);
}

export function column(...parts: string[]): Expr {
  return { kind: "column", parts };
}

export function int(text: string | number): Expr {
  return { kind: "literal", type: "int", text: String(text) };
}

export function string(text: string): Expr {
  return { kind: "literal", type: "string", text };
}

export function variable(name: string): Expr {
  return { kind: "variable", name };
}
