/**
 * A syntax tree to values: literals, lists, objects, strings and heredocs with `${ }`, `env("X")`, `env("X", "default")` and
 * `local.x`. Whatever else HCL has (conditions, loops, operators, other functions) is refused by name.
 */
import type { Node } from "web-tree-sitter";
import {
  type Attribute,
  type Block,
  type Body,
  type Environment,
  type Note,
  type Place,
  placeFinder,
  type Value,
} from "./document.ts";
import type { Syntax } from "./parse.ts";
import type { EnvTemplate } from "./protect.ts";

const supported =
  'Values are strings, numbers, true, false, lists, objects, env("X"), local.x and strings that hold these.';

/** Blocks of the file that are not `wanted` are left out, and nothing in them is looked at. */
export function evaluateHcl(
  syntax: Syntax,
  env: Environment,
  note: Note,
  wanted: (type: string, labels: readonly string[]) => boolean = () => true,
): Body {
  return new Evaluation(syntax, env, note).file(wanted);
}

class Evaluation {
  private readonly syntax: Syntax;
  private readonly env: Environment;
  private readonly note: Note;
  private readonly placeAt: (offset: number) => Place;
  private readonly locals = new Map<string, { node: Node; value: Value | "evaluating" | undefined }>();

  constructor(syntax: Syntax, env: Environment, note: Note) {
    this.syntax = syntax;
    this.env = env;
    this.note = note;
    this.placeAt = placeFinder(syntax.text);
  }

  file(wanted: (type: string, labels: readonly string[]) => boolean): Body {
    const body = named(this.syntax.root, "body");
    const definitions = body?.namedChildren ?? [];
    const isLocals = (node: Node) => node.type === "block" && node.firstNamedChild?.text === "locals";
    for (const block of definitions.filter(isLocals)) this.declareLocals(block);
    for (const name of this.locals.keys()) this.local(name);
    const isWanted = (node: Node) => node.type !== "block" || wanted(node.firstNamedChild?.text ?? "", labelsOf(node));
    return this.definitions(definitions.filter((node) => !isLocals(node) && isWanted(node)));
  }

  private declareLocals(block: Node): void {
    for (const node of named(block, "body")?.namedChildren ?? []) {
      const name = node.firstNamedChild;
      const expression = named(node, "expression");
      if (node.type === "comment") continue;
      if (name === null || expression === undefined) this.note(place(node), "locals holds name = value only");
      else if (this.locals.has(name.text)) this.note(place(name), `local.${name.text} is defined twice`);
      else this.locals.set(name.text, { node: expression, value: undefined });
    }
  }

  private local(name: string): Value | undefined {
    const local = this.locals.get(name);
    if (local === undefined) return undefined;
    if (local.value === "evaluating") {
      this.note(place(local.node), `local.${name} is defined by itself`);
      return { at: place(local.node), secret: false, kind: "unknown" };
    }
    if (local.value === undefined) {
      local.value = "evaluating";
      local.value = this.value(local.node);
    }
    return local.value;
  }

  private definitions(nodes: Node[]): Body {
    const attributes: Attribute[] = [];
    const blocks: Block[] = [];
    for (const node of nodes) {
      const name = node.firstNamedChild;
      if (name === null) continue;
      const at = place(name);
      if (node.type === "attribute") {
        const expression = named(node, "expression");
        if (expression !== undefined) attributes.push({ name: name.text, at, value: this.value(expression) });
      } else if (node.type === "block") {
        const body = this.definitions(named(node, "body")?.namedChildren ?? []);
        blocks.push({ type: name.text, at, labels: labelsOf(node), body });
      }
    }
    return { attributes, blocks };
  }

  /** Of an `expression`, or of anything in one. */
  private value(node: Node): Value {
    const at = place(node);
    const first = node.firstNamedChild;
    switch (node.type) {
      case "expression":
        return this.expression(node);
      case "literal_value":
      case "collection_value":
      case "template_expr":
        if (first !== null) return this.value(first);
        break;
      case "string_lit":
      case "quoted_template":
        return this.quotedString(node);
      case "heredoc_template":
        return this.heredoc(node);
      case "numeric_lit":
        return { at, secret: false, kind: "number", value: Number(node.text) };
      case "bool_lit":
        return { at, secret: false, kind: "boolean", value: node.text === "true" };
      case "null_lit":
        return { at, secret: false, kind: "null" };
      case "tuple": {
        const items = node.namedChildren.filter(({ type }) => type === "expression").map((item) => this.value(item));
        return { at, secret: false, kind: "list", items };
      }
      case "object":
        return this.object(node);
      case "function_call":
        return this.call(node);
      case "operation":
        return this.operation(node);
    }
    return this.refuse(node);
  }

  /** A term, possibly with `.name` behind it, possibly in parentheses. */
  private expression(node: Node): Value {
    const [term, ...rest] = node.namedChildren.filter(({ type }) => type !== "comment");
    if (term === undefined) return this.refuse(node);
    if (term.type === "variable_expr") return this.reference(term, rest);
    return rest.length === 0 ? this.value(term) : this.refuse(node);
  }

  private reference(term: Node, path: Node[]): Value {
    const at = place(term);
    const unknown: Value = { at, secret: false, kind: "unknown" };
    if (term.text !== "local") {
      this.note(at, "a bare word is no value", "Text stands in quotes; a name from locals is written local.name.");
      return unknown;
    }
    const names = path.map((step) => (step.type === "get_attr" ? step.firstNamedChild?.text : undefined));
    const name = names.join(".");
    const [first, ...members] = names;
    let value = first === undefined ? undefined : this.local(first);
    for (const member of members) {
      if (value?.kind === "unknown") return unknown;
      value = value?.kind === "object" && member !== undefined ? value.entries.get(member) : undefined;
    }
    if (value !== undefined) return { ...value, at };
    const known = [...this.locals.keys()].map((local) => `local.${local}`).join(", ");
    this.note(
      at,
      `local.${name} is not defined`,
      known === "" ? "Define it in locals { … }." : `Defined are ${known}.`,
    );
    return unknown;
  }

  private object(node: Node): Value {
    const entries = new Map<string, Value>();
    for (const element of node.namedChildren.filter(({ type }) => type === "object_elem")) {
      const key = element.childForFieldName("key");
      const value = element.childForFieldName("val");
      if (key === null || value === null) continue;
      const term = key.firstNamedChild;
      const name = term?.type === "variable_expr" ? term.text : this.text(this.value(key));
      if (name === undefined) this.note(place(key), "a key is a name or a string");
      else if (entries.has(name)) this.note(place(key), `the key ${name} is given twice`);
      else entries.set(name, this.value(value));
    }
    return { at: place(node), secret: false, kind: "object", entries };
  }

  private text(value: Value): string | undefined {
    return value.kind === "string" && !value.secret ? value.value : undefined;
  }

  private operation(node: Node): Value {
    const unary = node.firstNamedChild;
    const operand = unary?.type === "unary_operation" ? unary.firstNamedChild : null;
    if (unary?.text.startsWith("-") && operand?.firstNamedChild?.type === "numeric_lit") {
      return { at: place(node), secret: false, kind: "number", value: -Number(operand.text) };
    }
    return this.refuse(node);
  }

  private call(node: Node): Value {
    const at = place(node);
    const name = node.firstNamedChild?.text;
    if (name !== "env") return this.refuse(node);
    const expressions =
      named(node, "function_arguments")?.namedChildren.filter(({ type }) => type === "expression") ?? [];
    const values = expressions.map((argument) => this.value(argument));
    const [variable, fallback] = values.map((value) => (value.kind === "string" ? value.value : undefined));
    if (values.some(({ kind }) => kind === "unknown")) return { at, secret: true, kind: "unknown" };
    if (variable === undefined || values.length > 2 || (values.length === 2 && fallback === undefined)) {
      this.note(at, "env takes a name and, if you like, a default", 'Write env("NAME") or env("NAME", "default").');
      return { at, secret: true, kind: "unknown" };
    }
    return this.variable(
      at,
      variable,
      fallback,
      values.some(({ secret }) => secret),
    );
  }

  /** An empty variable counts as unset where there is a default, as in Go's templates. */
  private variable(at: Place, name: string, fallback: string | undefined, nameIsSecret = false): Value {
    const value = this.env[name];
    if (value !== undefined && (value !== "" || fallback === undefined))
      return { at, secret: true, kind: "string", value };
    if (fallback !== undefined) return { at, secret: nameIsSecret, kind: "string", value: fallback };
    this.note(
      at,
      `the environment variable ${nameIsSecret ? "named here" : name} is not set`,
      `Set it, or give a default: {{ env "NAME" | default "…" }}.`,
    );
    return { at, secret: true, kind: "unknown" };
  }

  private quotedString(node: Node): Value {
    const start = node.firstNamedChild;
    const end = node.lastNamedChild;
    if (start?.type !== "quoted_template_start" || end?.type !== "quoted_template_end") return this.refuse(node);
    return this.joined(place(node), this.pieces(node, start.endIndex, end.startIndex, plainText));
  }

  private heredoc(node: Node): Value {
    const [first, last] = [node.namedChildren[1], node.lastNamedChild];
    if (first?.type !== "heredoc_identifier" || last === null) return this.refuse(node);
    const { text } = this.syntax;
    const start = text.indexOf("\n", first.endIndex) + 1;
    const end = Math.max(start, text.lastIndexOf("\n", last.startIndex - 1) + 1);
    const lines: { start: number; end: number }[] = [];
    for (let at = start; at < end; ) {
      const lineEnd = text.indexOf("\n", at) + 1;
      lines.push({ start: at, end: lineEnd });
      at = lineEnd;
    }
    const indents = lines.flatMap((line) => {
      const content = text.slice(line.start, line.end);
      return content.trim() === "" ? [] : [content.search(/[^ \t]/)];
    });
    const indent = node.firstNamedChild?.text === "<<-" && indents.length > 0 ? Math.min(...indents) : 0;
    const plain = (piece: string) => piece.replaceAll("\r\n", "\n").replace(/([$%])\1\{/g, "$1{");
    const pieces = lines.flatMap((line) => {
      const from = Math.min(line.start + indent, line.end - 1);
      return this.pieces(node, from, line.end, plain);
    });
    return this.joined(place(node), pieces);
  }

  /** What stands from `start` to `end`: text, `${ }` and templates, in order. */
  private pieces(node: Node, start: number, end: number, plain: (text: string) => string): Value[] {
    const inserted: { start: number; end: number; value: () => Value }[] = [];
    for (const child of node.namedChildren) {
      if (child.startIndex < start || child.startIndex >= end) continue;
      if (child.type !== "template_interpolation" && child.type !== "template_directive") continue;
      inserted.push({ start: child.startIndex, end: child.endIndex, value: () => this.interpolation(child) });
    }
    const within = (t: EnvTemplate) => t.start >= start && t.end <= end;
    const covered = inserted.slice();
    for (const found of this.syntax.templates.filter(within)) {
      if (covered.some((other) => found.start >= other.start && found.end <= other.end)) continue;
      const at = this.placeAt(found.start);
      inserted.push({ ...found, value: () => this.variable(at, found.variable, found.fallback) });
    }
    inserted.sort((a, b) => a.start - b.start);
    const values: Value[] = [];
    let done = start;
    const addText = (to: number) => {
      if (to <= done) return;
      const at = this.placeAt(done);
      values.push({ at, secret: false, kind: "string", value: plain(this.syntax.text.slice(done, to)) });
    };
    for (const piece of inserted) {
      addText(piece.start);
      values.push(piece.value());
      done = piece.end;
    }
    addText(end);
    return values;
  }

  private interpolation(node: Node): Value {
    const expression = named(node, "expression");
    if (
      node.type !== "template_interpolation" ||
      expression === undefined ||
      named(node, "strip_marker") !== undefined
    ) {
      return this.refuse(node);
    }
    return this.value(expression);
  }

  private joined(at: Place, pieces: Value[]): Value {
    const secret = pieces.some((piece) => piece.secret);
    let text = "";
    for (const piece of pieces) {
      if (piece.kind === "string" || piece.kind === "number" || piece.kind === "boolean") text += String(piece.value);
      else {
        if (piece.kind !== "unknown") this.note(piece.at, `a ${piece.kind} cannot be put into a string`);
        return { at, secret, kind: "unknown" };
      }
    }
    return { at, secret, kind: "string", value: text };
  }

  private refuse(node: Node): Value {
    this.note(
      place(node),
      `${kinds[node.type] ?? "an expression of this kind"} is not supported in a configuration`,
      supported,
    );
    return { at: place(node), secret: false, kind: "unknown" };
  }
}

const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", '"': '"', "\\": "\\" };

/** Which escapes there are was checked when the text was covered. */
function plainText(text: string): string {
  const sequence = /\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))|([$%])\4\{/gsu;
  return text.replace(sequence, (whole, short?: string, long?: string, letter?: string, marker?: string) => {
    if (marker !== undefined) return `${marker}{`;
    const code = short ?? long;
    if (code !== undefined) return String.fromCodePoint(Number.parseInt(code, 16));
    return (letter !== undefined ? escapes[letter] : undefined) ?? whole;
  });
}

const kinds: Readonly<Record<string, string>> = {
  function_call: "a function other than env",
  conditional: "a condition",
  for_expr: "a for expression",
  operation: "an operator",
  template_directive: "%{ }",
};

function named(node: Node, type: string): Node | undefined {
  return node.namedChildren.find((child) => child.type === type);
}

function place(node: Node): Place {
  return { line: node.startPosition.row + 1, column: node.startPosition.column + 1 };
}

function labelsOf(block: Node): string[] {
  const labels = block.namedChildren.slice(1).filter(({ type }) => type === "identifier" || type === "string_lit");
  return labels.map(({ text }) => text.replace(/^"|"$/g, ""));
}
