/**
 * What a name in an expression can mean: the sources of its query block, then those of the blocks around it. A block that
 * groups has two phases: its rows, and then its groups, in which only the grouping expressions and aggregates have a value.
 */
import type { CommonTable, Expr } from "../../sql/ast.ts";
import type { Column } from "../database.ts";
import { invalidColumn } from "../errors.ts";
import type { Sequence } from "../sequences.ts";
import { SqlError } from "../session.ts";
import type { SqlType } from "../values.ts";
import type { Compiled } from "./compiled.ts";
import type { SequenceError } from "./next-value.ts";

export interface SourceColumn {
  name: string;
  type: SqlType;
  nullable: boolean;
  identity?: boolean;
  computed?: boolean;
  rowGuid?: boolean;
  userType?: Column["userType"];
  /** The node itself, from nodes(): only xml methods can use it. */
  xmlNode?: true;
  /** The text is JSON, which FOR JSON takes as it is. */
  json?: true;
}

export interface Source {
  slot: number;
  /** What it is called in the block: its alias, or its name's parts as written. */
  parts: string[];
  columns: readonly SourceColumn[];
  /** Not part of `*` and not found without its qualifier: inserted and deleted in OUTPUT, the target behind MERGE's source. */
  hidden?: boolean;
}

/** The common table expressions in sight: each sees those before it. */
export interface Names {
  readonly definition: CommonTable;
  /** Set while the recursive part of the expression itself is compiled: where it finds the rows of the last round. */
  readonly recursion?: { columns: SourceColumn[]; key: object; used: boolean };
  readonly before: Names | null;
}

export interface Grouping {
  /** Keys of the grouping expressions, each at its place in the group's row. */
  keys: Map<string, { index: number; compiled: Compiled }>;
  slot: number;
  /** Registers an aggregate; gives its place in the group's row. */
  aggregate(call: Expr & { kind: "call" }): { index: number; type: SqlType; nullable: boolean };
  /** GROUPING and GROUPING_ID. */
  grouping(call: Expr & { kind: "call" }): Compiled;
}

export class Scope {
  readonly outer: Scope | null;
  readonly names: Names | null;
  readonly sources: Source[] = [];
  /** Set while expressions of the grouped phase are compiled. */
  grouping: Grouping | null = null;
  /** Registers a window function and gives its place in the row of window values. */
  window:
    | ((call: Expr & { kind: "call" }, sequence?: Sequence) => { index: number; type: SqlType; slot: number })
    | null = null;
  /** Why NEXT VALUE FOR may not stand here; undefined: it may. */
  noSequences: SequenceError | undefined;
  /** Collects the slots of this scope that an expression refers to, also from inner blocks. */
  touched: Set<number> | null = null;
  /** How many places a frame of this block has. */
  slots = 0;
  /** How many blocks outwards anything compiled in here has reached. */
  reach = 0;

  constructor(outer: Scope | null, names: Names | null = null) {
    this.outer = outer;
    this.names = names;
  }

  /** Compiles where NEXT VALUE FOR may not stand. */
  without<T>(error: SequenceError, compile: () => T): T {
    const before = this.noSequences;
    this.noSequences ??= error;
    try {
      return compile();
    } finally {
      this.noSequences = before;
    }
  }

  add(source: Source): void {
    const name = source.parts[source.parts.length - 1]!.toLowerCase();
    for (const other of this.sources) {
      if (other.hidden || source.hidden || other.parts.length !== source.parts.length) continue;
      if (other.parts.every((part, i) => part.toLowerCase() === source.parts[i]!.toLowerCase()))
        throw new SqlError(
          1013,
          `The objects "${name}" and "${name}" in the FROM clause have the same exposed names. Use correlation names to distinguish them.`,
          16,
          1,
        );
    }
    this.sources.push(source);
  }

  findNamed(name: string): Names | undefined {
    const wanted = name.toLowerCase();
    for (let scope: Scope | null = this; scope; scope = scope.outer)
      for (let names = scope.names; names; names = names.before)
        if (names.definition.name.toLowerCase() === wanted) return names;
    return undefined;
  }

  /** Where a column name leads; notes what it touches on the way. */
  resolve(parts: string[]): { scope: Scope; depth: number; source: Source; column: number } {
    let depth = 0;
    for (let scope: Scope | null = this; scope; scope = scope.outer, depth++) {
      const found = scope.#find(parts);
      if (!found) continue;
      scope.touched?.add(found.source.slot);
      let inner: Scope | null = this;
      for (let left = depth; left > 0; left--, inner = inner!.outer) inner!.reach = Math.max(inner!.reach, left);
      return { scope, depth, ...found };
    }
    if (parts.length > 1)
      throw new SqlError(4104, `The multi-part identifier "${parts.join(".")}" could not be bound.`, 16, 1);
    throw invalidColumn(parts[0]!);
  }

  /** The alias type of a column. */
  userTypeOf(parts: string[]): Column["userType"] {
    const { source, column } = this.resolve(parts);
    return source.columns[column]!.userType;
  }

  /** Whether the name means anything here. */
  knows(parts: string[]): boolean {
    for (let scope: Scope | null = this; scope; scope = scope.outer) if (scope.#find(parts)) return true;
    return false;
  }

  #find(parts: string[]): { source: Source; column: number } | undefined {
    const name = parts[parts.length - 1]!.toLowerCase();
    const qualifier = parts.slice(0, -1);
    let found: { source: Source; column: number } | undefined;
    let qualified = false;
    for (const source of this.sources) {
      if (qualifier.length === 0 ? source.hidden : !matches(source, qualifier)) continue;
      qualified = true;
      const column = columnOf(source, name);
      if (column < 0) continue;
      if (found) throw new SqlError(209, `Ambiguous column name '${parts[parts.length - 1]}'.`, 16, 1);
      found = { source, column };
    }
    if (!found && qualified && qualifier.length > 0) throw invalidColumn(parts[parts.length - 1]!);
    return found;
  }
}

function columnOf(source: Source, name: string): number {
  if (name === "$rowguid") return source.columns.findIndex((column) => column.rowGuid);
  if (name === "$identity") return source.columns.findIndex((column) => column.identity);
  for (let i = 0; i < source.columns.length; i++) if (source.columns[i]!.name.toLowerCase() === name) return i;
  return -1;
}

/** `dbo.t.x` is a column of a source that is written t or dbo.t, not of one with an alias other than t. */
export function matches(source: Source, qualifier: string[]): boolean {
  const parts = source.parts;
  for (let i = 1; i <= qualifier.length; i++) {
    const wanted = qualifier[qualifier.length - i]!.toLowerCase();
    const have = parts[parts.length - i];
    // A schema that the source does not spell out is the default one.
    if (have === undefined) return wanted === "dbo" || wanted === "sys" || i > 2;
    if (have !== "" && wanted !== "" && have.toLowerCase() !== wanted) return false;
  }
  return true;
}

/** What an outer join can leave without a row: each of its columns can be NULL, whatever the table says. */
export function mayBeMissing(source: Source): void {
  source.columns = source.columns.map((column) => ({ ...column, nullable: true }));
}

export function sourceColumn(column: Column): SourceColumn {
  return {
    name: column.name,
    type: column.type,
    nullable: column.nullable,
    ...(column.identity ? { identity: true } : {}),
    ...(column.rowGuid ? { rowGuid: true } : {}),
    ...(column.computed ? { computed: true } : {}),
    ...(column.userType ? { userType: column.userType } : {}),
  };
}
