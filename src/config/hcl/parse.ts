/** HCL text to a syntax tree, by the grammar that editors use (tree-sitter), and what is wrong with its syntax. */
import { readFile } from "node:fs/promises";
import { Language, type Node, Parser } from "web-tree-sitter";
import type { Note } from "./document.ts";
import { type EnvTemplate, protectTemplates } from "./protect.ts";
import { checkShape } from "./shape.ts";

export interface Syntax {
  /** As long as the source, line for line; templates are covered. */
  text: string;
  templates: EnvTemplate[];
  root: Node;
  /** Frees the tree's memory, which lies outside JavaScript's. */
  free(): void;
}

let language: Promise<Language> | undefined;

async function loadLanguage(): Promise<Language> {
  await Parser.init();
  return Language.load(await readFile(new URL("./tree-sitter-hcl.wasm", import.meta.url)));
}

/** The tree where the syntax is right, else undefined, and all that is wrong is noted. */
export async function parseHcl(source: string, note: Note): Promise<Syntax | undefined> {
  let wrong = false;
  const noted = new Set<number>();
  const take: Note = (at, message, suggestion) => {
    wrong = true;
    noted.add(at.line);
    note(at, message, suggestion);
  };
  const covered = protectTemplates(source, take);
  const shape = checkShape(covered, take);

  language ??= loadLanguage();
  const hcl = await language;
  const parser = new Parser();
  parser.setLanguage(hcl);
  const tree = parser.parse(shape.text);
  parser.delete();
  if (tree === null) throw new Error("The HCL grammar gave up on the configuration.");
  if (shape.balanced) {
    for (const { at, message } of syntaxErrors(tree.rootNode)) if (!noted.has(at.line)) take(at, message);
  }
  if (!wrong) return { text: shape.text, templates: covered.templates, root: tree.rootNode, free: () => tree.delete() };
  tree.delete();
  return undefined;
}

function* syntaxErrors(node: Node): Generator<{ at: { line: number; column: number }; message: string }> {
  if (!node.hasError) return;
  const { row, column } = node.startPosition;
  const at = { line: row + 1, column: column + 1 };
  if (node.isMissing) yield { at, message: `${node.type} is missing here` };
  else if (node.isError) yield { at, message: "this is not HCL" };
  else for (const child of node.children) yield* syntaxErrors(child);
}
