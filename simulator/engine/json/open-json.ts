/** OPENJSON in FROM. https://learn.microsoft.com/sql/t-sql/functions/openjson-transact-sql */
import type { TableSource } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import { unsupported } from "../errors.ts";
import type { Compiled } from "../expressions/compiled.ts";
import type { SourceColumn } from "../expressions/scope.ts";
import { text } from "../functions/builtin.ts";
import type { TableFunction } from "../functions/table-functions.ts";
import { SqlError } from "../session.ts";
import { converter } from "../types/conversion.ts";
import { isBinary, isText, resolveType } from "../types/types.ts";
import type { SqlType, Value } from "../values.ts";
import { scalarText } from "./functions.ts";
import { type JsonNode, parseJson } from "./parse.ts";
import { find, type JsonPath, notFound, parsePath, pathReader } from "./path.ts";

type WithColumn = NonNullable<(TableSource & { kind: "function" })["withColumns"]>[number];

/** What the column `type` says. */
const KINDS: Record<JsonNode["kind"], number> = {
  null: 0,
  string: 1,
  number: 2,
  true: 3,
  false: 3,
  array: 4,
  object: 5,
};

const DEFAULT_COLUMNS: SourceColumn[] = [
  { name: "key", type: { id: "nvarchar", length: 4000, collation: "Latin1_General_BIN2" }, nullable: false },
  { name: "value", type: { id: "nvarchar", length: -1 }, nullable: true },
  { name: "type", type: { id: "tinyint" }, nullable: false },
];

export function openJson(args: Compiled[], withColumns: WithColumn[] | undefined): TableFunction {
  const [json, path] = args;
  if (!json || args.length > 2) throw new SqlError(174, "The openjson function requires 1 to 2 arguments.", 15, 1);
  const source = text(json);
  const wanted = path && text(path);
  const read = pathReader();
  const columns = withColumns?.map(columnReader);
  return {
    columns: columns?.map(({ column }) => column) ?? DEFAULT_COLUMNS,
    *rows(frame): Iterable<Row> {
      const whole = source.evaluate(frame) as string | null;
      const way = wanted ? (wanted.evaluate(frame) as string | null) : "$";
      if (whole === null || way === null) return;
      const opened = open(whole, read(way));
      if (!opened) return;
      if (!columns) yield* defaultRows(whole, opened);
      else
        for (const element of opened.kind === "array" ? opened.items : [opened])
          yield columns.map((each) => each.read(whole, element));
    },
  };
}

function open(text: string, { strict, steps }: JsonPath): (JsonNode & { kind: "object" | "array" }) | undefined {
  const node = find(parseJson(text), steps);
  if (node?.kind === "object" || node?.kind === "array") return node;
  if (!strict) return undefined;
  if (!node) throw notFound(3);
  throw new SqlError(
    13611,
    "Value referenced by JSON path is not an array or object and cannot be opened with OPENJSON.",
    16,
    1,
  );
}

function* defaultRows(text: string, node: JsonNode & { kind: "object" | "array" }): Generator<Row> {
  const entries: [string, JsonNode][] =
    node.kind === "array"
      ? node.items.map((item, i) => [String(i), item])
      : node.members.map(({ key, value }) => [key, value]);
  for (const [key, value] of entries) {
    const scalar = scalarText(text, value);
    yield [key, scalar === undefined ? text.slice(value.start, value.end) : scalar, KINDS[value.kind]];
  }
}

/** One column of WITH: by its path, or by its name as a key. */
function columnReader({ name, type: written, path: given, json }: WithColumn): {
  column: SourceColumn;
  read(text: string, element: JsonNode): Value;
} {
  const type = resolveType(written);
  const path: JsonPath =
    given === undefined ? { strict: false, append: false, steps: [{ key: name }] } : parsePath(given);
  if (json && !(type.id === "nvarchar" && type.length === -1))
    throw new SqlError(
      13618,
      "AS JSON option can be specified only for column of nvarchar(max) type in WITH clause.",
      16,
      1,
    );
  const fit = json ? undefined : fitter(type, path.strict);
  return {
    column: { name, type, nullable: true },
    read(text, element) {
      const node = find(element, path.steps);
      if (!node) {
        if (path.strict) throw notFound(6);
        return null;
      }
      const scalar = scalarText(text, node);
      if (json) {
        if (scalar === undefined) return text.slice(node.start, node.end);
        if (!path.strict || scalar === null) return null;
        throw new SqlError(13624, "Object or array cannot be found in the specified JSON path.", 16, 2);
      }
      if (scalar === undefined) {
        if (!path.strict) return null;
        throw new SqlError(13624, "Object or array cannot be found in the specified JSON path.", 16, 1);
      }
      return scalar === null ? null : fit!(scalar);
    },
  };
}

function fitter(type: SqlType, strict: boolean): (text: string) => Value {
  if (isBinary(type)) throw unsupported("OPENJSON … WITH a binary column");
  const convert = converter({ id: "nvarchar", length: -1 }, type, { implicit: true });
  const limit = isText(type) && type.length !== undefined && type.length !== -1 ? type.length : undefined;
  return (text) => {
    if (limit !== undefined && text.length > limit && strict)
      throw new SqlError(13625, "String value in the specified JSON path would be truncated.", 16, 1);
    return convert ? convert(text) : text;
  };
}
