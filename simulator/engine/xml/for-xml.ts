/** FOR XML RAW, AUTO and PATH. https://learn.microsoft.com/sql/relational-databases/xml/for-xml-sql-server */
import type { Query } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import { unsupported } from "../errors.ts";
import { runs } from "../json/for-json.ts";
import { type Formatter, type Level, levelsOf, rootOf } from "../query/for-clause.ts";
import type { Plan } from "../query/plan.ts";
import { SqlError } from "../session.ts";
import { plainText } from "../types/plain-text.ts";
import { isBinary } from "../types/types.ts";
import type { SqlType, Value, Variant } from "../values.ts";
import { pathElements } from "./for-xml-path.ts";
import { escapeAttribute, escapeText } from "./tree.ts";

type ForClause = NonNullable<Query["forClause"]>;

/** How the columns of a row are written. */
export interface XmlColumns {
  names: string[];
  types: SqlType[];
  /** As text that is yet to be escaped; xml as it is. */
  text(column: number, value: NonNullable<Value>): string;
  /** NULL as an element that says so. */
  nils: boolean;
}

const NIL = ' xsi:nil="true"';
const XSI = ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';

export function xmlFormatter(
  plan: Plan,
  clause: ForClause,
  client: boolean,
  namespaces: [prefix: string, uri: string][],
): Formatter {
  const { mode, options } = clause;
  if (mode === "EXPLICIT") throw unsupported("FOR XML EXPLICIT");
  const known = /^(?:TYPE|ELEMENTS(?: XSINIL| ABSENT)?|BINARY BASE64|ROOT(?: \(.*\))?)$/i;
  for (const option of options) if (!known.test(option)) throw unsupported(`FOR XML … ${option}`);
  const typed = options.includes("TYPE");
  const elements = mode === "PATH" || options.some((option) => option.startsWith("ELEMENTS"));
  const nils = options.includes("ELEMENTS XSINIL");
  const root = rootOf(options, "root");
  const binary = plan.columns.findIndex(({ type }) => isBinary(type));
  if (binary >= 0 && mode !== "PATH" && !options.includes("BINARY BASE64"))
    throw unsupported(`FOR XML ${mode} of binary columns without BINARY BASE64`);
  const writers = plan.columns.map(({ type }) => textOf(type));
  const columns: XmlColumns = {
    names: plan.columns.map(({ name }) => name),
    types: plan.columns.map(({ type }) => type),
    text: (column, value) => writers[column]!(value),
    nils,
  };
  // The last one that was declared comes first.
  const declared = [...namespaces]
    .reverse()
    .map(([prefix, uri]) => ` ${prefix === "" ? "xmlns" : `xmlns:${prefix}`}="${escapeAttribute(uri)}"`)
    .concat(nils ? [XSI] : [])
    .join("");
  const write = writerOf(plan, clause, columns, elements, root === undefined ? declared : "");
  return {
    column: typed
      ? { name: "", type: { id: "xml" } }
      : {
          name: "XML_F52E2B61-18A1-11d1-B105-00805F49916B",
          type: client ? { id: "ntext" } : { id: "nvarchar", length: -1 },
        },
    text(rows) {
      if (rows.length === 0 && root === undefined) return null;
      const inner = write(rows);
      if (root === undefined) return inner;
      const name = elementName(root);
      return inner === "" ? `<${name}${declared}/>` : `<${name}${declared}>${inner}</${name}>`;
    },
  };
}

function writerOf(
  plan: Plan,
  { mode, name }: ForClause,
  columns: XmlColumns,
  elements: boolean,
  declared: string,
): (rows: Row[]) => string {
  if (mode === "PATH") return pathElements(columns, name ?? "row", declared);
  const unnamed = columns.names.indexOf("");
  if (unnamed >= 0)
    throw new SqlError(
      6809,
      "Unnamed tables cannot be used as XML identifiers as well as unnamed columns cannot be used for attribute names. Name unnamed columns/tables using AS in the SELECT statement.",
      16,
      1,
    );
  if (mode === "RAW") {
    const level = { name: name ?? "row", columns: plan.columns.map((_, i) => i) };
    return (rows) => rows.map((row) => element(level, row, columns, elements, "", declared)).join("");
  }
  const levels = levelsOf(plan);
  if (levels.length === 0)
    throw new SqlError(
      6800,
      "FOR XML AUTO requires at least one table for generating XML tags. Use FOR XML RAW or add a FROM clause with a table name.",
      16,
      1,
    );
  return (rows) => nested(levels, 0, rows, columns, elements, declared);
}

/** AUTO: the second table's rows are elements inside the first's. */
function nested(
  levels: Level[],
  depth: number,
  rows: Row[],
  columns: XmlColumns,
  elements: boolean,
  declared: string,
): string {
  const level = levels[depth]!;
  if (depth === levels.length - 1)
    return rows.map((row) => element(level, row, columns, elements, "", depth === 0 ? declared : "")).join("");
  const keyOf = (row: Row) =>
    JSON.stringify(level.columns.map((column) => (row[column] === null ? null : columns.text(column, row[column]!))));
  return runs(rows, keyOf)
    .map((group) => {
      const inner = nested(levels, depth + 1, group, columns, elements, "");
      return element(level, group[0]!, columns, elements, inner, depth === 0 ? declared : "");
    })
    .join("");
}

function element(
  level: Level,
  row: Row,
  columns: XmlColumns,
  elements: boolean,
  inner: string,
  declared: string,
): string {
  const name = elementName(level.name);
  let attributes = declared;
  let content = "";
  for (const column of level.columns) {
    const value = row[column]!;
    const key = elementName(columns.names[column]!);
    // XML has no place in an attribute.
    if (elements || columns.types[column]!.id === "xml") {
      if (value !== null) content += wrapped(key, "", markup(columns, column, value));
      else if (columns.nils) content += `<${key}${NIL}/>`;
    } else if (value !== null) attributes += ` ${key}="${escapeAttribute(columns.text(column, value))}"`;
  }
  return wrapped(name, attributes, content + inner);
}

export function wrapped(name: string, attributes: string, content: string): string {
  return content === "" ? `<${name}${attributes}/>` : `<${name}${attributes}>${content}</${name}>`;
}

export function nil(name: string): string {
  return `<${name}${NIL}/>`;
}

/** A value inside an element. */
export function markup(columns: XmlColumns, column: number, value: NonNullable<Value>): string {
  const text = columns.text(column, value);
  return columns.types[column]!.id === "xml" ? text : escapeText(checked(text, columns.names[column]!));
}

/** Error 6841 on what XML has no way to write. */
function checked(text: string, name: string): string {
  const found = [...text.matchAll(/\p{Cc}/gu)].find(([c]) => c < " " && !"\t\n\r".includes(c));
  if (!found) return text;
  const code = found[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
  throw new SqlError(
    6841,
    `FOR XML could not serialize the data for node '${name === "" ? "NoName" : name}' because it contains a character (0x${code}) which is not allowed in XML. To retrieve this data using FOR XML, convert it to binary, varbinary or image data type and use the BINARY BASE64 directive.`,
    16,
    1,
  );
}

/** Characters that a name may not have are written as _x0020_. */
export function elementName(name: string): string {
  let result = "";
  for (const [i, c] of [...name].entries()) {
    const fits = i === 0 ? /[\p{L}_:]/u.test(c) : /[\p{L}\p{N}\p{M}_.\-:·]/u.test(c);
    const looksEscaped = c === "_" && /^_x[\da-fA-F]{4}_/.test(name.slice(i));
    result += fits && !looksEscaped ? c : `_x${c.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}_`;
  }
  return result;
}

function textOf(type: SqlType): (value: NonNullable<Value>) => string {
  if (type.id === "sql_variant")
    return (value) => {
      const { type: base, value: inner } = value as Variant;
      return inner === null ? "" : textOf(base)(inner);
    };
  if (isBinary(type)) return (value) => (value as Buffer).toString("base64");
  return plainText(type);
}
