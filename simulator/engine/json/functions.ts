/** https://learn.microsoft.com/sql/t-sql/functions/json-functions-transact-sql */
import { unsupported } from "../errors.ts";
import type { Compiled } from "../expressions/compiled.ts";
import { type Builtins, builtin, strict, text } from "../functions/builtin.ts";
import { SqlError } from "../session.ts";
import type { SqlType, Value } from "../values.ts";
import { modified } from "./modify.ts";
import { type JsonNode, parseJson } from "./parse.ts";
import { find, notFound, pathReader } from "./path.ts";
import { escapeJson, jsonWriter, quoted } from "./write.ts";

const NVARCHAR_MAX: SqlType = { id: "nvarchar", length: -1 };
const INT: SqlType = { id: "int" };

/** A scalar's text; undefined for an object or array, null for null. */
export function scalarText(source: string, node: JsonNode): string | null | undefined {
  switch (node.kind) {
    case "string":
      return node.value;
    case "null":
      return null;
    case "object":
    case "array":
      return undefined;
    default:
      return source.slice(node.start, node.end);
  }
}

/** Text that has the collation of the JSON that it was taken from. */
function asText(made: Compiled, source: Compiled, json = false): Compiled {
  return {
    ...made,
    nullable: true,
    ...(source.collation ? { collation: { name: source.collation.name, label: "implicit" as const } } : {}),
    ...(json ? { json: true as const } : {}),
  };
}

export const jsonFunctions: Builtins = {
  json_value: builtin(2, 2, ([json, path]) => {
    const read = pathReader();
    const made = strict([text(json!), text(path!)], { id: "nvarchar", length: 4000 }, ([source, wanted]) => {
      const { strict: exact, steps } = read(wanted as string);
      const node = find(parseJson(source as string), steps);
      if (!node) {
        if (exact) throw notFound(2);
        return null;
      }
      const found = scalarText(source as string, node);
      if (found === undefined && exact)
        throw new SqlError(13623, "Scalar value cannot be found in the specified JSON path.", 16, 2);
      if (found && found.length > 4000) {
        if (exact) throw new SqlError(13625, "String value in the specified JSON path would be truncated.", 16, 1);
        return null;
      }
      return found ?? null;
    });
    return asText(made, json!);
  }),
  json_query: builtin(1, 2, ([json, path]) => {
    const read = pathReader();
    const args = path ? [text(json!), text(path)] : [text(json!)];
    const made = strict(args, NVARCHAR_MAX, ([source, wanted = "$"]) => {
      const { strict: exact, steps } = read(wanted as string);
      const node = find(parseJson(source as string), steps);
      if (node?.kind === "object" || node?.kind === "array") return (source as string).slice(node.start, node.end);
      if (!exact || node?.kind === "null") return null;
      if (!node) throw notFound();
      throw new SqlError(13624, "Object or array cannot be found in the specified JSON path.", 16, 1);
    });
    return asText(made, json!, true);
  }),
  json_modify: builtin(3, 3, ([json, path, value]) => {
    const read = pathReader(true);
    const write = jsonWriter(value!);
    const [source, wanted] = [text(json!), text(path!)];
    const made: Compiled = {
      type: NVARCHAR_MAX,
      nullable: true,
      evaluate: (frame) => {
        const whole = source.evaluate(frame) as string | null;
        const way = wanted.evaluate(frame) as string | null;
        if (whole === null || way === null) return null;
        const given = value!.evaluate(frame);
        return modified(whole, read(way), given === null ? null : write(given));
      },
    };
    return asText(made, json!, true);
  }),
  json_path_exists: builtin(2, 2, ([json, path]) => {
    const read = pathReader();
    return strict([text(json!), text(path!)], INT, ([source, wanted]) =>
      find(parseJson(source as string), read(wanted as string).steps) ? 1 : 0,
    );
  }),
  // The second argument is a word, which the parser makes a literal.
  isjson: builtin(1, 2, ([json, constraint]) => {
    const wanted = String(constraint?.literal ?? "").toLowerCase();
    return strict([text(json!)], INT, ([source]) => (isJson(source as string, wanted) ? 1 : 0));
  }),
  // First what becomes of NULLs, then keys and values in turn.
  json_object: builtin(1, 1000, ([nulls, ...pairs]) => {
    const absent = nulls!.literal === "absent";
    const keys = pairs.filter((_, i) => i % 2 === 0).map(text);
    const values = pairs.filter((_, i) => i % 2 === 1);
    const writers = values.map(jsonWriter);
    return {
      type: NVARCHAR_MAX,
      nullable: false,
      json: true,
      evaluate: (frame) => {
        const parts: string[] = [];
        for (const [i, key] of keys.entries()) {
          const value = values[i]!.evaluate(frame);
          if (value === null && absent) continue;
          const name = key.evaluate(frame);
          if (name === null) throw unsupported("NULL as a key of JSON_OBJECT");
          parts.push(`${quoted(name as string)}:${writers[i]!(value)}`);
        }
        return `{${parts.join(",")}}`;
      },
    };
  }),
  json_array: builtin(1, 1000, ([nulls, ...values]) => {
    const absent = nulls!.literal === "absent";
    const writers = values.map(jsonWriter);
    return {
      type: NVARCHAR_MAX,
      nullable: false,
      json: true,
      evaluate: (frame) => {
        const written = values.map((value, i): [Value, string] => {
          const now = value.evaluate(frame);
          return [now, writers[i]!(now)];
        });
        return `[${written
          .filter(([value]) => value !== null || !absent)
          .map(([, shown]) => shown)
          .join(",")}]`;
      },
    };
  }),
  string_escape: builtin(2, 2, ([value, kind]) =>
    asText(
      strict([text(value!), text(kind!)], NVARCHAR_MAX, ([source, type]) => {
        if ((type as string).toLowerCase() !== "json") throw unsupported(`STRING_ESCAPE of the type ${type}`);
        return escapeJson(source as string);
      }),
      value!,
    ),
  ),
};

function isJson(source: string, wanted: string): boolean {
  let kind: JsonNode["kind"];
  try {
    ({ kind } = parseJson(source));
  } catch (error) {
    if (error instanceof SqlError) return false;
    throw error;
  }
  switch (wanted) {
    case "":
      return kind === "object" || kind === "array";
    case "value":
      return true;
    case "scalar":
      return kind === "string" || kind === "number";
    default:
      return kind === wanted;
  }
}
