/** Which rows an UPDATE or DELETE is about: its target, joined with its FROM clause, where its condition holds. */

import { invalidObject, unsupported } from "../errors.ts";
import type { Frame } from "../expressions/compiled.ts";
import { newFrame } from "../expressions/compiled.ts";
import type { Compiler } from "../expressions/compiler.ts";
import { type Names, Scope } from "../expressions/scope.ts";
import { FromClause, type Leaf, tableLeaf } from "../query/from.ts";
import { wholeNumber } from "../query/ordering.ts";
import { findObject } from "../query/sources.ts";
import type { Run } from "../run.ts";
import { SqlError } from "../session.ts";
import type { Entry, Table } from "../table.ts";
import { type Kind, targetTable } from "./changes.ts";
import type { Executor } from "./executor.ts";

export class TargetRows {
  readonly table: Table;
  readonly scope: Scope;
  readonly slot: number;
  readonly #from: FromClause;
  readonly #limit: ((frame: Frame) => number) | null;

  constructor(
    executor: Executor,
    statement: Kind<"update"> | Kind<"delete">,
    compiler: Compiler,
    permission: "UPDATE" | "DELETE",
  ) {
    const names = statement.ctes.reduce<Names | null>((before, definition) => ({ definition, before }), null);
    this.scope = new Scope(null, names);
    const { target } = statement;
    const named =
      names && target.kind === "table" && target.name.parts.length === 1
        ? this.scope.findNamed(target.name.parts[0]!)
        : undefined;
    if (named) throw unsupported(`${permission} through a common table expression`);
    this.#from = new FromClause(statement.from, this.scope, compiler);
    const leaf = statement.from.length > 0 ? this.#named(executor, statement, compiler) : undefined;
    if (leaf) {
      this.table = leaf.table!;
      if (!this.table.temporary) compiler.require(permission, this.table.database, this.table);
      this.slot = leaf.slot;
    } else {
      this.table = targetTable(executor, target, permission);
      const parts = target.kind === "table" ? target.name.parts : [target.name];
      const own = tableLeaf(this.table, parts, this.scope);
      if (target.kind === "table" && target.hints.includes("readpast")) own.readPast = true;
      this.#from.addLeaf(own);
      this.slot = own.slot;
    }
    this.#from.where(statement.where);
    if (statement.top) {
      if (statement.top.percent) throw unsupported(`${permission} TOP … PERCENT`);
      const count = compiler.expression(statement.top.count, new Scope(null));
      this.#limit = (frame) => wholeNumber(count.evaluate(frame));
    } else this.#limit = null;
  }

  /** The source that the target names: by its alias, or by the table's name. */
  #named(executor: Executor, { target }: Kind<"update"> | Kind<"delete">, compiler: Compiler): Leaf | undefined {
    const { leaves } = this.#from;
    if (target.kind === "table_variable") {
      const table = executor.activation.tableVariables.get(target.name.toLowerCase());
      return leaves.find((leaf) => leaf.table !== undefined && leaf.table === table);
    }
    const { parts } = target.name;
    const wanted = parts[parts.length - 1]!.toLowerCase();
    if (parts.length === 1) {
      const byAlias = leaves.filter(
        (leaf) => leaf.source.parts[leaf.source.parts.length - 1]!.toLowerCase() === wanted,
      );
      const aliased = byAlias.find((leaf) => leaf.source.parts.length === 1) ?? byAlias[0];
      if (aliased && !aliased.table) throw unsupported(`changing the derived table ${parts[0]}`);
      if (aliased) return aliased;
    }
    const found = findObject(parts, compiler);
    if (found.kind !== "table") throw invalidObject(parts.join("."));
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
    const seen = this.#from.leaves.length > 1 ? new Set<Entry>() : null;
    let count = 0;
    for (const found of this.#from.open(frame)) {
      if (!found) {
        yield false;
        continue;
      }
      const entry = frame.entries![this.slot];
      if (!entry) continue;
      if (seen) {
        if (seen.has(entry)) continue;
        seen.add(entry);
      }
      yield true;
      if (++count >= limit) return;
    }
  }
}
