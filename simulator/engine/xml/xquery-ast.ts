/** The XPath part of XQuery, as SQL Server's xml methods take it. */

export type XQuery =
  | { kind: "string"; value: string }
  | { kind: "number"; value: number }
  | { kind: "context" }
  | { kind: "path"; from: "root" | "context" | XQuery; steps: Step[] }
  | { kind: "filter"; base: XQuery; predicates: XQuery[] }
  | { kind: "call"; name: string; args: XQuery[] }
  | { kind: "binary"; op: string; left: XQuery; right: XQuery }
  | { kind: "negate"; operand: XQuery }
  | { kind: "sequence"; items: XQuery[] }
  /** sql:variable("@x") and sql:column("t.c"): its place among those of the query. */
  | { kind: "sql"; place: number };

export type Axis = "child" | "descendant-or-self" | "attribute" | "self" | "parent";

export interface Step {
  axis: Axis;
  test: { kind: "name"; uri: string | null; local: string } | { kind: "node" | "text" | "comment" | "instruction" };
  predicates: XQuery[];
}

export interface ParsedQuery {
  body: XQuery;
  /** The names of sql:variable and sql:column. */
  sql: string[];
}

/**
 * Whether there can be at most one item: what value() asks for before it runs.
 * https://learn.microsoft.com/sql/t-sql/xml/value-method-xml-data-type
 */
export function single(query: XQuery): boolean {
  switch (query.kind) {
    case "path": {
      const start = query.from === "root" || query.from === "context" || single(query.from);
      return start && query.steps.every(singleStep);
    }
    case "filter":
      return single(query.base) || query.predicates.some(oneOf);
    case "call":
      return query.name !== "data" && query.name !== "distinct-values";
    case "sequence":
      return query.items.length === 0 || (query.items.length === 1 && single(query.items[0]!));
    default:
      return true;
  }
}

function singleStep({ axis, test, predicates }: Step): boolean {
  if (axis === "self" || axis === "parent") return true;
  if (axis === "attribute" && test.kind === "name" && test.local !== "*") return true;
  return predicates.some(oneOf);
}

function oneOf(predicate: XQuery): boolean {
  return predicate.kind === "number" || (predicate.kind === "call" && predicate.name === "last");
}
