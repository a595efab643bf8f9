/** value(), query(), exist() and nodes() of the xml type. https://learn.microsoft.com/sql/t-sql/xml/xml-data-type-methods */
import type { Expr } from "../../sql/ast.ts";
import { typeName } from "../../sql/parser-types.ts";
import { TokenReader } from "../../sql/token-reader.ts";
import type { Row } from "../database.ts";
import { unsupported } from "../errors.ts";
import type { Compiled, Frame } from "../expressions/compiled.ts";
import type { Compiler } from "../expressions/compiler.ts";
import type { Scope, SourceColumn } from "../expressions/scope.ts";
import { SqlError } from "../session.ts";
import { converter } from "../types/conversion.ts";
import { plainText } from "../types/plain-text.ts";
import { isNumber, isText, resolveType } from "../types/types.ts";
import type { Value } from "../values.ts";
import { parseXml } from "./parse.ts";
import { type Document, serializeAlone, type XmlNode } from "./tree.ts";
import { single, type XQuery } from "./xquery-ast.ts";
import { parseXQuery } from "./xquery-parser.ts";
import { type Atomic, atomic, atomize, type Item, runXQuery, textOf } from "./xquery-run.ts";

/** Method names count in lower case only. */
export const XML_METHODS: ReadonlySet<string> = new Set(["value", "query", "exist", "nodes", "modify"]);

/** Where the method is called: its operand, and how an error names it. */
export interface MethodCall {
  operand: Compiled;
  /** "value()", "t.c.value()" */
  label: string;
  name: string;
  args: Expr[];
}

export function compileMethod(call: MethodCall, scope: Scope, compiler: Compiler): Compiled {
  const { name, args } = call;
  switch (name) {
    case "exist": {
      const items = itemsOf(call, scope, compiler, 1).items;
      return {
        type: { id: "bit" },
        nullable: true,
        evaluate: (frame) => {
          const found = items(frame);
          return found && found.length > 0;
        },
      };
    }
    case "query": {
      const items = itemsOf(call, scope, compiler, 1).items;
      return {
        type: { id: "xml" },
        nullable: true,
        evaluate: (frame) => {
          const found = items(frame);
          return found && serialized(found);
        },
      };
    }
    case "value": {
      const { items, body } = itemsOf(call, scope, compiler, 2);
      if (!single(body))
        throw new SqlError(
          2389,
          `XQuery [${call.label}]: 'value()' requires a singleton (or empty sequence), found operand of type 'xdt:untypedAtomic *'`,
          16,
          1,
        );
      const type = resolveType(typeName(new TokenReader(literalOf(args[1]!, call))));
      if (
        type.id === "xml" ||
        type.id === "sql_variant" ||
        type.id === "text" ||
        type.id === "ntext" ||
        type.id === "image"
      )
        throw unsupported(`the xml method value() as ${type.id}`);
      const convert = converter({ id: "nvarchar", length: -1 }, type, { style: 0 });
      return {
        type,
        nullable: true,
        ...(isText(type) ? { collation: { name: compiler.collation, label: "default" as const } } : {}),
        evaluate: (frame) => {
          const first = items(frame)?.[0];
          if (!first) return null;
          const text = textOf(atomize(first));
          return convert ? convert(text) : text;
        },
      };
    }
    default:
      throw unsupported(`the xml method ${name}() here`);
  }
}

/** nodes(): a row for each node, with the node itself, which only other methods can use. */
export function nodesOf(
  call: MethodCall,
  scope: Scope,
  compiler: Compiler,
  column: string,
): { columns: SourceColumn[]; rows(frame: Frame): Row[] } {
  const { items } = itemsOf(call, scope, compiler, 1);
  return {
    columns: [{ name: column, type: { id: "xml" }, nullable: true, xmlNode: true }],
    rows: (frame) => (items(frame) ?? []).map((item): Row => [item as unknown as Value]),
  };
}

function serialized(items: Item[]): string {
  let text = "";
  let afterAtomic = false;
  for (const item of items) {
    const isAtomic = item.kind === "atomic";
    text += (afterAtomic && isAtomic ? " " : "") + (isAtomic ? textOf(item) : serializeAlone(item));
    afterAtomic = isAtomic;
  }
  return text;
}

/** The query's items for a frame's xml; null for NULL. */
function itemsOf(
  call: MethodCall,
  scope: Scope,
  compiler: Compiler,
  count: number,
): { items: (frame: Frame) => Item[] | null; body: XQuery } {
  const { operand, args, label, name } = call;
  if (operand.type.id !== "xml") throw new SqlError(258, `Cannot call methods on ${operand.type.id}.`, 15, 1);
  if (args.length !== count) throw new SqlError(174, `The ${name} function requires ${count} argument(s).`, 15, 1);
  const { body, sql } = parseXQuery(literalOf(args[0]!, call), label, compiler.namespaces);
  const sources = sql.map((text) => sqlValue(text, scope, compiler));
  return {
    body,
    items: (frame) => {
      const value = operand.evaluate(frame);
      if (value === null) return null;
      const node = typeof value === "string" ? documentOf(value) : (value as unknown as XmlNode);
      return runXQuery(
        body,
        node,
        sources.map((source) => source(frame)),
      );
    },
  };
}

/** The argument 1 of the xml data type method "value" must be a string literal. */
function literalOf(arg: Expr, { name }: MethodCall): string {
  if (arg.kind === "literal" && (arg.type === "string" || arg.type === "nstring")) return arg.text;
  throw new SqlError(8172, `The argument 1 of the XML data type method "${name}" must be a string literal.`, 16, 1);
}

/** sql:variable("@x") or sql:column("t.c") as the query sees it. */
function sqlValue(text: string, scope: Scope, compiler: Compiler): (frame: Frame) => Atomic | null {
  const compiled = text.startsWith("@")
    ? compiler.expression({ kind: "variable", name: text }, scope)
    : compiler.expression(
        { kind: "column", parts: text.split(".").map((part) => part.replace(/^\[|\]$/g, "")) },
        scope,
      );
  const { type } = compiled;
  if (type.id === "bit") return (frame) => boxed(compiled.evaluate(frame), (value) => value === true);
  const write = plainText(type);
  return (frame) => boxed(compiled.evaluate(frame), (value) => (isNumber(type) ? Number(write(value)) : write(value)));
}

function boxed(value: Value, convert: (value: NonNullable<Value>) => string | number | boolean): Atomic | null {
  return value === null ? null : atomic(convert(value));
}

const KEPT = 64;
const documents = new Map<string, Document>();

/** Several methods of one value are usual: its tree is kept for a while. */
function documentOf(text: string): Document {
  let known = documents.get(text);
  if (!known) {
    known = parseXml(text, { keepBlanks: true });
    if (documents.size >= KEPT) documents.delete(documents.keys().next().value!);
    documents.set(text, known);
  }
  return known;
}
