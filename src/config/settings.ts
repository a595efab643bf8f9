/**
 * From an evaluated file to its settings, key by key, so that one wrong value hides no other. What is wrong is noted and left
 * out of the result; what the file leaves out gets its default.
 */
import { z } from "zod";
import { closest } from "../text/closest.ts";
import type { FieldMeta } from "./fields.ts";
import type { Attribute, Block, Body, Note, Place, Value } from "./hcl/document.ts";
import { type FileSettings, fileSchema } from "./schema.ts";
import type { TablePattern } from "./tables.ts";
import type { Start } from "./units.ts";

/** Settings of which any may be missing, because it was wrong. */
export type Partly<T> = T extends TablePattern | Start | readonly TablePattern[] | readonly string[]
  ? T
  : T extends readonly (infer E)[]
    ? Partly<E>[]
    : T extends object
      ? { [K in keyof T]?: Partly<T[K]> | undefined }
      : T;

export type Path = readonly (string | number)[];

export interface Settings {
  values: Partly<FileSettings>;
  /** Where a setting stands; for one that the file leaves out, the block that it would stand in. */
  place(path: Path): Place;
  /** True if the file has the key, be its value right or wrong. */
  given(path: Path): boolean;
  /** True if the value came from the environment. */
  secret(path: Path): boolean;
}

export function readSettings(body: Body, note: Note): Settings {
  const found = new Map<string, { at: Place; secret: boolean }>();
  const values = new SettingsReader(found, note).block(fileSchema, withRouter(body, note), [], undefined);
  const at = (path: Path) => found.get(key(path));
  return {
    values: values as Partly<FileSettings>,
    given: (path) => at(path) !== undefined,
    secret: (path) => at(path)?.secret ?? false,
    place: (path) => {
      for (let length = path.length; length > 0; length--) {
        const exact = at(path.slice(0, length));
        if (exact !== undefined) return exact.at;
      }
      return { line: 1, column: 1 };
    },
  };
}

function key(path: Path): string {
  return path.join("\n");
}

/** Of one block, by a schema of its own. */
export function readBlock<T extends z.ZodObject>(schema: T, block: Block, note: Note): Partly<z.output<T>> {
  return new SettingsReader(new Map(), note).block(schema, block.body, [], block) as Partly<z.output<T>>;
}

/** `publisher`, the older name, as `router`. */
function withRouter(body: Body, note: Note): Body {
  const routers = body.blocks.filter(({ type }) => type === "router" || type === "publisher");
  const second = routers.find(({ type }) => type !== routers[0]?.type);
  if (second !== undefined) {
    note(second.at, "router and publisher are one block by two names: the file has both", "Keep router.");
  }
  const blocks = body.blocks.filter((block) => block !== second);
  return {
    ...body,
    blocks: blocks.map((block) => (block.type === "publisher" ? { ...block, type: "router" } : block)),
  };
}

/** What a key's schema is, beneath its default and its being optional. */
export function bare(schema: z.ZodType): z.ZodType {
  let inner = schema;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodPrefault) inner = inner.unwrap() as z.ZodType;
  return inner;
}

/** The fields' meta of all layers, the outermost first. */
export function metaOf(schema: z.ZodType): FieldMeta {
  const meta = (schema.meta() ?? {}) as FieldMeta;
  if (!(schema instanceof z.ZodOptional || schema instanceof z.ZodPrefault)) return meta;
  return { ...metaOf(schema.unwrap() as z.ZodType), ...meta };
}

/** The schema of a block that may stand several times. */
export function repeated(schema: z.ZodType): z.ZodObject | undefined {
  const inner = bare(schema);
  return inner instanceof z.ZodArray && inner.element instanceof z.ZodObject ? inner.element : undefined;
}

class SettingsReader {
  private readonly found: Map<string, { at: Place; secret: boolean }>;
  private readonly note: Note;

  constructor(found: Map<string, { at: Place; secret: boolean }>, note: Note) {
    this.found = found;
    this.note = note;
  }

  block(schema: z.ZodObject, body: Body, path: Path, block: Block | undefined): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    const attributes = this.attributes(schema, body.attributes, block);
    const blocks = this.blocks(schema, body.blocks, block);
    for (const [name, field] of Object.entries(schema.shape as Record<string, z.ZodType>)) {
      const here = [...path, name];
      const inner = bare(field);
      const many = repeated(field);
      const own = blocks.get(name) ?? [];
      if (many !== undefined) {
        result[name] = own.map((child, index) => this.nested(many, child, [...here, index]));
      } else if (inner instanceof z.ZodObject) {
        result[name] = this.single(field, inner, own, here, block);
      } else {
        result[name] = this.attribute(name, field, attributes.get(name), here, block);
      }
    }
    return result;
  }

  private nested(schema: z.ZodObject, block: Block, path: Path): Record<string, unknown> {
    this.found.set(key(path), { at: block.at, secret: false });
    if (block.labels.length > 0) this.note(block.at, `${block.type} takes no label`, `Write ${block.type} { … }.`);
    return this.block(schema, block.body, path, block);
  }

  private single(
    field: z.ZodType,
    schema: z.ZodObject,
    blocks: Block[],
    path: Path,
    parent: Block | undefined,
  ): Record<string, unknown> | undefined {
    const [first, second] = blocks;
    if (second !== undefined) {
      this.note(second.at, `there is a second ${second.type} block: the first stands in line ${first?.at.line}`);
    }
    if (first !== undefined) return this.nested(schema, first, path);
    if (field instanceof z.ZodPrefault) return this.block(schema, { attributes: [], blocks: [] }, path, undefined);
    if (!(field instanceof z.ZodOptional))
      this.note(parent?.at ?? { line: 1, column: 1 }, `there is no ${path.at(-1)} block`);
    return undefined;
  }

  private attributes(schema: z.ZodObject, attributes: Attribute[], block: Block | undefined): Map<string, Attribute> {
    const known = new Map<string, Attribute>();
    for (const attribute of attributes) {
      const { name, at } = attribute;
      const field = (schema.shape as Record<string, z.ZodType>)[name];
      const first = known.get(name);
      if (field === undefined) this.unknown("key", name, at, schema, block);
      else if (bare(field) instanceof z.ZodObject || repeated(field) !== undefined) {
        this.note(at, `${name} is a block`, `Write ${name} { … }, without =.`);
      } else if (first !== undefined) this.note(at, `${name} is given twice: first in line ${first.at.line}`);
      else known.set(name, attribute);
    }
    return known;
  }

  private blocks(schema: z.ZodObject, blocks: Block[], block: Block | undefined): Map<string, Block[]> {
    const known = new Map<string, Block[]>();
    for (const child of blocks) {
      const field = (schema.shape as Record<string, z.ZodType>)[child.type];
      if (field === undefined) this.unknown("block", child.type, child.at, schema, block);
      else if (bare(field) instanceof z.ZodObject || repeated(field) !== undefined) {
        known.set(child.type, [...(known.get(child.type) ?? []), child]);
      } else this.note(child.at, `${child.type} is no block`, `Write ${child.type} = ….`);
    }
    return known;
  }

  private unknown(what: "key" | "block", name: string, at: Place, schema: z.ZodObject, block: Block | undefined): void {
    const names = Object.keys(schema.shape);
    const meant = closest(name, names);
    const where = block === undefined ? "" : ` in ${block.type}`;
    this.note(
      at,
      `unknown ${what} ${name}${where}`,
      meant === undefined ? `Known${where === "" ? "" : " here"} are ${names.join(", ")}.` : `Did you mean ${meant}?`,
    );
  }

  private attribute(
    name: string,
    field: z.ZodType,
    attribute: Attribute | undefined,
    path: Path,
    block: Block | undefined,
  ): unknown {
    if (attribute === undefined || attribute.value.kind === "null") {
      const absent = field.safeParse(undefined);
      if (absent.success) return absent.data;
      // What a variable of the environment can stand in for is looked for where all is put together.
      if (metaOf(field).env === undefined) {
        this.note(
          block?.at ?? { line: 1, column: 1 },
          `${name} is missing${block === undefined ? "" : ` in ${block.type}`}`,
        );
      }
      return undefined;
    }
    const { value } = attribute;
    this.found.set(key(path), { at: value.at, secret: value.secret });
    const inner = bare(field);
    if (inner instanceof z.ZodArray && value.kind === "list") {
      return this.list(name, inner.element as z.ZodType, value.items, path);
    }
    return this.value(name, inner, value);
  }

  private list(name: string, element: z.ZodType, items: Value[], path: Path): unknown[] | undefined {
    const values: unknown[] = [];
    for (const item of items) {
      const value = this.value(name, element, item);
      if (value === undefined) continue;
      this.found.set(key([...path, values.length]), { at: item.at, secret: item.secret });
      values.push(value);
    }
    // An empty list is one thing, a list of which nothing was right another, and that was noted.
    return values.length === 0 && items.length > 0 ? undefined : values;
  }

  private value(name: string, schema: z.ZodType, value: Value): unknown {
    if (value.kind === "unknown") return undefined;
    const parsed = schema.safeParse(plain(value));
    if (parsed.success) return parsed.data;
    const meta = metaOf(schema);
    const secret = value.secret || meta.secret === true;
    const [issue] = parsed.error.issues;
    if (issue?.code === "custom") {
      const suggestion: unknown = issue.params?.["suggestion"];
      const shown = secret ? "" : ` ${show(value)}`;
      this.note(
        value.at,
        `${name}${shown === "" ? "" : ` =${shown}`} ${issue.message}`,
        typeof suggestion === "string" && !secret ? suggestion : undefined,
      );
    } else {
      const listed = meta.kind?.startsWith("a list") === true && value.kind === "string";
      this.note(value.at, `${name} must be ${meta.kind}`, listed ? `Put it in brackets: ${name} = [ … ].` : undefined);
    }
    return undefined;
  }
}

function plain(value: Value): unknown {
  if ("value" in value) return value.value;
  return value.kind === "list" ? [] : {};
}

function show(value: Value): string {
  if (!("value" in value)) return value.kind;
  const text = JSON.stringify(value.value);
  return text.length > 60 ? `${text.slice(0, 57)}…"` : text;
}
