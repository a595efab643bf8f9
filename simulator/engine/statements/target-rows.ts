/** Which rows an UPDATE or DELETE is about: its target, joined with its FROM clause, where its condition holds. */

import type { Cursor } from "../cursors/cursor.ts";
import { unsupported } from "../errors.ts";
import type { Frame } from "../expressions/compiled.ts";
import { newFrame } from "../expressions/compiled.ts";
import type { Compiler } from "../expressions/compiler.ts";
import { type Names, Scope } from "../expressions/scope.ts";
import { FromClause, type Leaf, tableLeaf } from "../query/from.ts";
import { percentOf, wholeNumber } from "../query/ordering.ts";
import { findObject, findSource } from "../query/sources.ts";
import type { Run } from "../run.ts";
import { SqlError } from "../session.ts";
import { type Entry, visible } from "../table.ts";
import { ChangeTarget } from "./change-target.ts";
import { type Kind, refuseSystem } from "./changes.ts";
import { findCursor } from "./cursors.ts";
import type { Executor } from "./executor.ts";
import { writableVariable } from "./table-variables.ts";

export class TargetRows {
  readonly target: ChangeTarget;
  readonly scope: Scope;
  readonly #from: FromClause;
  readonly #limit: ((frame: Frame) => number) | null;
  readonly #percent: boolean;
  /** Of WHERE CURRENT OF. */
  readonly #cursor: Cursor | null;

  constructor(
    executor: Executor,
    statement: Kind<"update"> | Kind<"delete">,
    compiler: Compiler,
    permission: "UPDATE" | "DELETE",
  ) {
    const names = statement.ctes.reduce<Names | null>((before, definition) => ({ definition, before }), null);
    this.scope = new Scope(null, names);
    const { target } = statement;
    const wanted = target.kind === "table" ? target.name.parts[target.name.parts.length - 1]! : target.name;
    this.#from = new FromClause(
      statement.from,
      this.scope,
      compiler,
      (exposed) => exposed.toLowerCase() === wanted.toLowerCase(),
    );
    const leaf = this.#named(executor, statement, compiler) ?? this.#added(executor, statement, compiler);
    const written =
      statement.kind === "delete"
        ? null
        : statement.set.flatMap((clause) => (clause.column === undefined ? [] : [clause.column]));
    this.target = new ChangeTarget(leaf, wanted, written);
    this.target.require(compiler, permission);
    this.#from.where(statement.where);
    this.#cursor = statement.currentOf ? findCursor(executor, statement.currentOf) : null;
    if (this.#cursor && !leaf.table) throw unsupported(`${permission} … WHERE CURRENT OF through a view`);
    if (this.#cursor && written) refuseUnlisted(this.#cursor, written);
    const { top } = statement;
    const count = top && compiler.expression(top.count, new Scope(null));
    this.#percent = top?.percent === true;
    this.#limit = count ? (frame) => wholeNumber(count.evaluate(frame)) : null;
  }

  /** The target, which the FROM clause does not have: it is joined to all that is there. */
  #added(executor: Executor, { target }: Kind<"update"> | Kind<"delete">, compiler: Compiler): Leaf {
    let leaf: Leaf;
    if (target.kind === "table_variable") {
      leaf = tableLeaf(writableVariable(executor, target.name), [target.name], this.scope);
    } else {
      if (!this.scope.findNamed(target.name.parts.join("."))) refuseSystem(findObject(target.name.parts, compiler));
      leaf = findSource({ kind: "table", name: target.name, hints: target.hints }, this.scope, compiler, false, true);
    }
    this.#from.addLeaf(leaf);
    return leaf;
  }

  /** The source that the target names: by its alias, or by the table's name. */
  #named(executor: Executor, { target }: Kind<"update"> | Kind<"delete">, compiler: Compiler): Leaf | undefined {
    const { leaves } = this.#from;
    if (target.kind === "table_variable") {
      const table = writableVariable(executor, target.name);
      return leaves.find((leaf) => leaf.table === table);
    }
    const { parts } = target.name;
    const wanted = parts[parts.length - 1]!.toLowerCase();
    if (parts.length === 1) {
      const byAlias = leaves.filter(
        (leaf) => leaf.source.parts[leaf.source.parts.length - 1]!.toLowerCase() === wanted,
      );
      const aliased = byAlias.find((leaf) => leaf.source.parts.length === 1) ?? byAlias[0];
      if (aliased || this.scope.findNamed(parts[0]!)) return aliased;
    }
    if (leaves.length === 0) return undefined;
    const found = findObject(parts, compiler);
    if (found.kind !== "table")
      return leaves.find((leaf) => leaf.origins && leaf.source.parts.at(-1)?.toLowerCase() === wanted);
    const same = leaves.filter((leaf) => leaf.table === found.table);
    if (same.length > 1) throw new SqlError(8154, `The table '${parts.join(".")}' is ambiguous.`, 15, 1);
    return same[0];
  }

  /** When everything that refers to its rows is compiled. */
  build(): void {
    this.#from.build(null);
  }

  frame(run: Run): Frame {
    const frame = newFrame(this.scope.slots, null, run);
    frame.entries = new Array<Entry | null>(this.scope.slots).fill(null);
    return frame;
  }

  /** True for each row to change, once: where several rows of the other sources fit it, the first counts. */
  *open(frame: Frame): Generator<boolean> {
    const limit = this.#limit ? this.#limit(frame) : Number.POSITIVE_INFINITY;
    if (limit <= 0) return;
    if (this.#cursor) {
      const { entry } = this.#cursor.current(this.target.table);
      frame.rows[this.target.slot] = visible(entry, frame.run.snapshot);
      frame.entries![this.target.slot] = entry;
      if (frame.rows[this.target.slot]) yield true;
      return;
    }
    if (!this.#percent) {
      yield* this.#rows(frame, limit);
      return;
    }
    let count = 0;
    for (const found of this.#rows(frame, Number.POSITIVE_INFINITY)) {
      if (found) count++;
      else yield false;
    }
    yield* this.#rows(frame, percentOf(count, limit));
  }

  /** After the row that a cursor stands on was changed: where it is stored now. */
  changed(before: Entry, now: Entry): void {
    if (before === now) this.#cursor?.current(this.target.table, true).changed(now);
  }

  *#rows(frame: Frame, limit: number): Generator<boolean> {
    // A single source has each row once, unless it is a query with joins of its own.
    const seen = this.#from.leaves.length > 1 || this.#from.leaves[0]!.origins ? new Set<Entry>() : null;
    let count = 0;
    for (const found of this.#from.open(frame)) {
      if (!found) {
        yield false;
        continue;
      }
      if (count >= limit) return;
      const entry = this.target.entry(frame);
      if (!entry || seen?.has(entry)) continue;
      seen?.add(entry);
      count++;
      yield true;
    }
  }
}

/** Error 16932: FOR UPDATE OF names the columns that may be changed. */
function refuseUnlisted({ options }: Cursor, written: string[]): void {
  const listed = options.columns?.map((name) => name.toLowerCase());
  if (!listed || written.every((name) => listed.includes(name.toLowerCase()))) return;
  throw new SqlError(
    16932,
    "The cursor has a FOR UPDATE list and the requested column to be updated is not in this list.",
    16,
    1,
  );
}
