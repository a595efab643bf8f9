/** FOR XML PATH: what the columns' names make of them. https://learn.microsoft.com/sql/relational-databases/xml/use-path-mode-with-for-xml */
import type { Row } from "../database.ts";
import { SqlError } from "../session.ts";
import { elementName, markup, nil, wrapped, type XmlColumns } from "./for-xml.ts";
import { escapeAttribute } from "./tree.ts";

type Part =
  | { kind: "attribute"; name: string; column: number }
  | { kind: "element"; name: string; parts: Part[] }
  /** `separated`: data(), whose values have blanks between them. */
  | { kind: "text"; column: number; separated: boolean }
  | { kind: "comment"; column: number }
  | { kind: "instruction"; name: string; column: number };

/** `rowName` "" leaves the element around each row out. */
export function pathElements(columns: XmlColumns, rowName: string, declared: string): (rows: Row[]) => string {
  const row: Part & { kind: "element" } = { kind: "element", name: elementName(rowName), parts: [] };
  for (const [column, name] of columns.names.entries()) place(row, name === "" ? [] : name.split("/"), name, column);
  if (rowName === "" && row.parts.some(({ kind }) => kind === "attribute"))
    throw new SqlError(
      6864,
      "Row tag omission (empty row tag name) cannot be used with attribute-centric FOR XML serialization.",
      16,
      1,
    );
  const separated =
    rowName === "" && row.parts.length === 1 && row.parts[0]!.kind === "text" && row.parts[0]!.separated;
  return (rows) => {
    const written = rows.map((values) => content(row.parts, values, columns));
    if (separated)
      return written
        .map(({ inner }) => inner)
        .filter((inner) => inner !== "")
        .join(" ");
    return written
      .map(({ attributes, inner }) => (rowName === "" ? inner : wrapped(row.name, declared + attributes, inner)))
      .join("");
  };
}

function place(into: Part & { kind: "element" }, steps: string[], name: string, column: number): void {
  const [step = "*", ...rest] = steps;
  const { parts } = into;
  if (rest.length > 0) {
    const last = parts[parts.length - 1];
    const key = elementName(step);
    // Only neighbours come into one element.
    if (last?.kind === "element" && last.name === key && last.parts.length > 0) {
      place(last, rest, name, column);
      return;
    }
    const made: Part = { kind: "element", name: key, parts: [] };
    parts.push(made);
    place(made, rest, name, column);
    return;
  }
  if (step.startsWith("@")) {
    if (parts.some(({ kind }) => kind !== "attribute"))
      throw new SqlError(
        6852,
        `Attribute-centric column '${name}' must not come after a non-attribute-centric sibling in XML hierarchy in FOR XML PATH.`,
        16,
        1,
      );
    parts.push({ kind: "attribute", name: elementName(step.slice(1)), column });
    return;
  }
  const instruction = /^processing-instruction\((.*)\)$/.exec(step)?.[1];
  if (instruction !== undefined) parts.push({ kind: "instruction", name: instruction, column });
  else if (step === "comment()") parts.push({ kind: "comment", column });
  else if (step === "*" || step === "node()" || step === "text()" || step === "data()")
    parts.push({ kind: "text", column, separated: step === "data()" });
  else parts.push({ kind: "element", name: elementName(step), parts: [{ kind: "text", column, separated: false }] });
}

function content(parts: Part[], row: Row, columns: XmlColumns): { attributes: string; inner: string; empty: boolean } {
  let attributes = "";
  let inner = "";
  let empty = true;
  let afterData = false;
  for (const part of parts) {
    if (part.kind === "element") {
      const only = part.parts.length === 1 ? part.parts[0]! : undefined;
      const made = content(part.parts, row, columns);
      if (!made.empty) inner += wrapped(part.name, made.attributes, made.inner);
      else if (columns.nils && only?.kind === "text") inner += nil(part.name);
      if (!made.empty || columns.nils) empty = false;
      afterData = false;
      continue;
    }
    const value = row[part.column]!;
    if (value === null) continue;
    empty = false;
    switch (part.kind) {
      case "attribute":
        attributes += ` ${part.name}="${escapeAttribute(columns.text(part.column, value))}"`;
        break;
      case "comment":
        inner += `<!--${columns.text(part.column, value)}-->`;
        break;
      case "instruction":
        inner += `<?${part.name} ${columns.text(part.column, value)}?>`;
        break;
      case "text":
        inner += (afterData && part.separated ? " " : "") + markup(columns, part.column, value);
        break;
    }
    afterData = part.kind === "text" && part.separated;
  }
  return { attributes, inner, empty };
}
