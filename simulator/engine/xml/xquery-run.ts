/** Evaluates XPath on trees. Values that come from nodes are untyped: what they are compared with says how they compare. */
import { unsupported } from "../errors.ts";
import { type Attribute, type Document, type Element, stringValue, type XmlNode } from "./tree.ts";
import type { Step, XQuery } from "./xquery-ast.ts";

export interface Atomic {
  kind: "atomic";
  /** A string whose type is not known. */
  untyped?: true;
  value: string | number | boolean;
}

export type Item = XmlNode | Atomic;

interface Focus {
  item: Item;
  position: number;
  size: number;
  /** What sql:variable and sql:column have. */
  sql: (Atomic | null)[];
}

export function runXQuery(query: XQuery, item: XmlNode, sql: (Atomic | null)[]): Item[] {
  return evaluate(query, { item, position: 1, size: 1, sql });
}

export function atomic(value: string | number | boolean): Atomic {
  return { kind: "atomic", value };
}

function evaluate(query: XQuery, focus: Focus): Item[] {
  switch (query.kind) {
    case "string":
    case "number":
      return [atomic(query.value)];
    case "context":
      return [focus.item];
    case "sql": {
      const value = focus.sql[query.place];
      return value ? [value] : [];
    }
    case "sequence":
      return query.items.flatMap((item) => evaluate(item, focus));
    case "negate": {
      const value = firstNumber(evaluate(query.operand, focus));
      return value === undefined ? [] : [atomic(-value)];
    }
    case "filter":
      return query.predicates.reduce(
        (items, predicate) => filtered(items, predicate, focus),
        evaluate(query.base, focus),
      );
    case "path":
      return path(query, focus);
    case "binary":
      return binary(query, focus);
    case "call":
      return call(query, focus);
  }
}

// ---------------------------------------------------------------- paths

function path({ from, steps }: XQuery & { kind: "path" }, focus: Focus): Item[] {
  let nodes: XmlNode[];
  if (from === "root") nodes = [rootOf(nodeOf(focus.item))];
  else if (from === "context") nodes = [nodeOf(focus.item)];
  else nodes = evaluate(from, focus).map(nodeOf);
  for (const step of steps) {
    const found = new Set<XmlNode>();
    for (const node of nodes) for (const next of stepFrom(node, step, focus)) found.add(next as XmlNode);
    const several = nodes.length > 1;
    nodes = [...found];
    if (several && nodes.length > 1) sortByPlace(nodes);
  }
  return nodes;
}

function nodeOf(item: Item): XmlNode {
  if (item.kind !== "atomic") return item;
  throw unsupported("a step from a value that is no node in XQuery");
}

function rootOf(node: XmlNode): XmlNode {
  let at = node;
  while (at.kind !== "document") at = at.parent;
  return at;
}

function stepFrom(node: XmlNode, step: Step, focus: Focus): Item[] {
  const candidates: Item[] = along(node, step).filter((candidate) => passes(candidate, step));
  return step.predicates.reduce((items, predicate) => filtered(items, predicate, focus), candidates);
}

function along(node: XmlNode, { axis }: Step): XmlNode[] {
  switch (axis) {
    case "self":
      return [node];
    case "parent":
      return node.kind === "document" ? [] : [node.parent];
    case "attribute":
      return node.kind === "element" ? node.attributes : [];
    case "child":
      return node.kind === "element" || node.kind === "document" ? node.children : [];
    case "descendant-or-self": {
      const all: XmlNode[] = [];
      const visit = (each: XmlNode): void => {
        all.push(each);
        if (each.kind === "element" || each.kind === "document") for (const child of each.children) visit(child);
      };
      visit(node);
      return all;
    }
  }
}

function passes(node: XmlNode, { test, axis }: Step): boolean {
  if (test.kind === "node") return true;
  if (test.kind !== "name") return node.kind === test.kind;
  if (node.kind !== (axis === "attribute" ? "attribute" : "element")) return false;
  const { local, uri } = node as Element | Attribute;
  return (test.local === "*" || test.local === local) && (test.uri === null || test.uri === uri);
}

function filtered(items: Item[], predicate: XQuery, focus: Focus): Item[] {
  const size = items.length;
  if (predicate.kind === "number") return items.slice(predicate.value - 1, predicate.value);
  return items.filter((item, i) => {
    const result = evaluate(predicate, { item, position: i + 1, size, sql: focus.sql });
    const only = result.length === 1 ? result[0]! : undefined;
    if (only?.kind === "atomic" && typeof only.value === "number") return only.value === i + 1;
    return truth(result);
  });
}

const places = new WeakMap<Document, Map<XmlNode, number>>();

function sortByPlace(nodes: XmlNode[]): void {
  const root = rootOf(nodes[0]!) as Document;
  let known = places.get(root);
  if (!known) {
    known = new Map();
    const visit = (node: XmlNode): void => {
      known!.set(node, known!.size);
      if (node.kind === "element") for (const attribute of node.attributes) visit(attribute);
      if (node.kind === "element" || node.kind === "document") for (const child of node.children) visit(child);
    };
    visit(root);
    places.set(root, known);
  }
  nodes.sort((a, b) => known.get(a)! - known.get(b)!);
}

// ---------------------------------------------------------------- values

export function atomize(item: Item): Atomic {
  return item.kind === "atomic" ? item : { kind: "atomic", untyped: true, value: stringValue(item) };
}

/** A value as text: what value() converts. */
export function textOf({ value }: Atomic): string {
  return String(value);
}

function truth(items: Item[]): boolean {
  const first = items[0];
  if (!first) return false;
  if (first.kind !== "atomic") return true;
  return first.value !== false && first.value !== 0 && first.value !== "" && !Number.isNaN(first.value);
}

function numberOf(value: Atomic): number {
  const { value: raw } = value;
  if (typeof raw !== "string") return Number(raw);
  return raw.trim() === "" ? Number.NaN : Number(raw);
}

function firstNumber(items: Item[]): number | undefined {
  return items.length === 0 ? undefined : numberOf(atomize(items[0]!));
}

function firstText(items: Item[] | undefined): string {
  return items === undefined || items.length === 0 ? "" : textOf(atomize(items[0]!));
}

const TESTS: Record<string, (order: number) => boolean> = {
  "=": (order) => order === 0,
  "!=": (order) => order !== 0,
  "<": (order) => order < 0,
  "<=": (order) => order <= 0,
  ">": (order) => order > 0,
  ">=": (order) => order >= 0,
};
const VALUE_TESTS: Record<string, string> = { eq: "=", ne: "!=", lt: "<", le: "<=", gt: ">", ge: ">=" };

function binary({ op, left, right }: XQuery & { kind: "binary" }, focus: Focus): Item[] {
  if (op === "and") return [atomic(truth(evaluate(left, focus)) && truth(evaluate(right, focus)))];
  if (op === "or") return [atomic(truth(evaluate(left, focus)) || truth(evaluate(right, focus)))];
  const a = evaluate(left, focus).map(atomize);
  const b = evaluate(right, focus).map(atomize);
  const general = TESTS[op];
  if (general) return [atomic(a.some((x) => b.some((y) => holds(x, y, general))))];
  if (a.length === 0 || b.length === 0) return [];
  const value = VALUE_TESTS[op];
  if (value !== undefined) return [atomic(holds(a[0]!, b[0]!, TESTS[value]!))];
  const [x, y] = [numberOf(a[0]!), numberOf(b[0]!)];
  const computed = { "+": x + y, "-": x - y, "*": x * y, div: x / y, mod: x % y }[op];
  return computed === undefined ? [] : [atomic(computed)];
}

function holds(a: Atomic, b: Atomic, test: (order: number) => boolean): boolean {
  const numeric = typeof a.value === "number" || typeof b.value === "number";
  const boolean = typeof a.value === "boolean" || typeof b.value === "boolean";
  if (boolean) return test(Number(toBoolean(a)) - Number(toBoolean(b)));
  if (!numeric) return test(a.value < b.value ? -1 : a.value > b.value ? 1 : 0);
  const [x, y] = [numberOf(a), numberOf(b)];
  return !Number.isNaN(x) && !Number.isNaN(y) && test(x - y);
}

function toBoolean({ value }: Atomic): boolean {
  return value === true || value === "true" || value === "1" || value === 1;
}

// ---------------------------------------------------------------- functions

/** https://learn.microsoft.com/sql/xquery/xquery-functions-against-the-xml-data-type */
function call({ name, args }: XQuery & { kind: "call" }, focus: Focus): Item[] {
  if (name === "position") return [atomic(focus.position)];
  if (name === "last") return [atomic(focus.size)];
  const given = args.map((arg) => evaluate(arg, focus));
  const first = given[0] ?? [focus.item];
  const numbers = () => first.map((item) => numberOf(atomize(item)));
  switch (name) {
    case "count":
      return [atomic(first.length)];
    case "empty":
      return [atomic(first.length === 0)];
    case "not":
      return [atomic(!truth(first))];
    case "true":
      return [atomic(true)];
    case "false":
      return [atomic(false)];
    case "sum":
      return [atomic(numbers().reduce((sum, n) => sum + n, 0))];
    case "avg":
      return first.length === 0 ? [] : [atomic(numbers().reduce((sum, n) => sum + n, 0) / first.length)];
    case "min":
      return first.length === 0 ? [] : [atomic(Math.min(...numbers()))];
    case "max":
      return first.length === 0 ? [] : [atomic(Math.max(...numbers()))];
    case "data":
      return first.map(atomize);
    case "distinct-values": {
      const seen = new Map(first.map((item) => [textOf(atomize(item)), atomize(item)]));
      return [...seen.values()];
    }
    case "string":
    case "xs:string":
      return [atomic(firstText(first))];
    case "number":
      return first.length === 0 ? [] : numberOrNothing(numbers()[0]!);
    case "xs:int":
    case "xs:integer":
    case "xs:long":
    case "xs:decimal":
    case "xs:double":
    case "xs:float":
      return first.length === 0 ? [] : numberOrNothing(numbers()[0]!);
    case "xs:boolean":
      return first.length === 0 ? [] : [atomic(toBoolean(atomize(first[0]!)))];
    case "round":
      return first.length === 0 ? [] : [atomic(Math.floor(numbers()[0]! + 0.5))];
    case "floor":
      return first.length === 0 ? [] : [atomic(Math.floor(numbers()[0]!))];
    case "ceiling":
      return first.length === 0 ? [] : [atomic(Math.ceil(numbers()[0]!))];
    case "contains":
      return [atomic(firstText(first).includes(firstText(given[1])))];
    case "concat":
      return [atomic(given.map(firstText).join(""))];
    case "substring":
      return [atomic(substring(firstText(first), firstNumber(given[1] ?? []), given[2] && firstNumber(given[2])))];
    case "string-length":
      return [atomic(firstText(first).length)];
    case "lower-case":
      return [atomic(firstText(first).toLowerCase())];
    case "upper-case":
      return [atomic(firstText(first).toUpperCase())];
    case "local-name":
    case "namespace-uri": {
      const node = first[0];
      const named = node?.kind === "element" || node?.kind === "attribute" ? node : undefined;
      return [atomic((name === "local-name" ? named?.local : named?.uri) ?? "")];
    }
    default:
      throw unsupported(`the XQuery function ${name}()`);
  }
}

/** What is no number is the empty sequence, as SQL Server has no NaN here. */
function numberOrNothing(value: number): Item[] {
  return Number.isNaN(value) ? [] : [atomic(value)];
}

function substring(text: string, start = Number.NaN, length: number | undefined): string {
  const from = Math.round(start);
  const to = length === undefined ? Number.POSITIVE_INFINITY : from + Math.round(length);
  return [...text].filter((_, i) => i + 1 >= from && i + 1 < to).join("");
}
