import type { SequenceOptions, Statement } from "./ast.ts";
import { typeName } from "./parser-types.ts";
import { SqlSyntaxError } from "./syntax-error.ts";
import type { TokenReader } from "./token-reader.ts";

/** CREATE SEQUENCE. https://learn.microsoft.com/sql/t-sql/statements/create-sequence-transact-sql */
export function createSequence(p: TokenReader, line: number): Statement {
  p.expect("SEQUENCE");
  const name = p.objectName();
  const type = p.accept("AS") ? typeName(p) : undefined;
  const options = sequenceOptions(p);
  if (options.restart !== undefined)
    throw new SqlSyntaxError(11709, "The 'RESTART WITH' argument cannot be used in a CREATE SEQUENCE statement.", line);
  return { line, kind: "create_sequence", name, ...(type ? { type } : {}), options };
}

/** ALTER SEQUENCE. https://learn.microsoft.com/sql/t-sql/statements/alter-sequence-transact-sql */
export function alterSequence(p: TokenReader, line: number): Statement {
  p.expect("SEQUENCE");
  const name = p.objectName();
  if (p.at("AS")) throw new SqlSyntaxError(11711, "Argument 'AS' cannot be used in an ALTER SEQUENCE statement.", line);
  const options = sequenceOptions(p);
  if (options.start !== undefined)
    throw new SqlSyntaxError(11710, "Argument 'START WITH' cannot be used in an ALTER SEQUENCE statement.", line);
  return { line, kind: "alter_sequence", name, options };
}

/** CREATE SYNONYM. https://learn.microsoft.com/sql/t-sql/statements/create-synonym-transact-sql */
export function createSynonym(p: TokenReader, line: number): Statement {
  p.expect("SYNONYM");
  const name = p.objectName();
  p.expect("FOR");
  return { line, kind: "create_synonym", name, target: p.objectName() };
}

function sequenceOptions(p: TokenReader): SequenceOptions {
  const options: SequenceOptions = {};
  for (;;) {
    if (p.acceptAll("START", "WITH")) options.start = whole(p);
    else if (p.accept("RESTART")) options.restart = p.accept("WITH") ? whole(p) : null;
    else if (p.acceptAll("INCREMENT", "BY")) options.increment = whole(p);
    else if (p.accept("MINVALUE")) options.minimum = whole(p);
    else if (p.accept("MAXVALUE")) options.maximum = whole(p);
    else if (p.accept("CYCLE")) options.cycle = true;
    else if (p.accept("CACHE")) options.cache = p.token.kind === "int" ? Number(whole(p)) : null;
    else if (p.at("NO")) {
      p.advance();
      const what = p.expectOne("MINVALUE", "MAXVALUE", "CYCLE", "CACHE");
      if (what === "MINVALUE") options.minimum = null;
      else if (what === "MAXVALUE") options.maximum = null;
      else if (what === "CYCLE") options.cycle = false;
      else options.cache = 0;
    } else return options;
  }
}

function whole(p: TokenReader): bigint {
  const negative = p.accept("-");
  if (!negative) p.accept("+");
  if (p.token.kind !== "int") p.fail();
  const value = BigInt(p.advance().text);
  return negative ? -value : value;
}
