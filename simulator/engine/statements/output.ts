/** The OUTPUT clause: what changed, to the client or into a table. https://learn.microsoft.com/sql/t-sql/queries/output-clause-transact-sql */
import type { Output } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import { invalidColumn } from "../errors.ts";
import type { Compiled, Frame } from "../expressions/compiled.ts";
import type { Compiler } from "../expressions/compiler.ts";
import { mayBeMissing, type Scope, type SourceColumn } from "../expressions/scope.ts";
import { expand } from "../query/select.ts";
import type { Run } from "../run.ts";
import type { Table } from "../table.ts";
import type { Transaction } from "../transactions.ts";
import type { Value } from "../values.ts";
import type { ChangeTarget } from "./change-target.ts";
import { targetTable } from "./changes.ts";
import type { Executor } from "./executor.ts";
import { stored, writerOf } from "./row-writer.ts";

export class OutputClause {
  readonly columns: SourceColumn[];
  readonly #shape: (row: Row | null) => Row | null;
  readonly #inserted: number;
  readonly #deleted: number;
  readonly #values: Compiled[];
  readonly #into: { table: Table; indexes: number[] } | null;
  readonly #executor: Executor;
  #rows: Row[] = [];

  /** `scope` is the statement's own: what it reads may be put out too. */
  constructor(
    executor: Executor,
    output: Output,
    target: ChangeTarget,
    scope: Scope,
    compiler: Compiler,
    action: boolean,
  ) {
    this.#executor = executor;
    this.#shape = (row) => target.shaped(row);
    const { columns } = target;
    this.#inserted = scope.slots++;
    this.#deleted = scope.slots++;
    scope.add({ slot: this.#inserted, parts: ["inserted"], columns, hidden: true });
    scope.add({ slot: this.#deleted, parts: ["deleted"], columns, hidden: true });
    if (action) {
      // An inserted row has no deleted one, and what matched nothing has no source.
      for (const source of scope.sources) mayBeMissing(source);
      scope.add({
        slot: scope.slots++,
        parts: ["$merge"],
        columns: [{ name: "$action", type: { id: "nvarchar", length: 10 }, nullable: false }],
      });
    }
    const outputs = output.items.flatMap((item) => {
      if (item.kind === "assign") throw invalidColumn(item.variable);
      return expand(item, scope, compiler);
    });
    this.columns = outputs.map(({ column }) => column);
    this.#values = outputs.map(({ value }) => value);
    this.#into = output.into ? this.#target(output.into) : null;
  }

  #target({ target, columns }: NonNullable<Output["into"]>): { table: Table; indexes: number[] } {
    const table = targetTable(this.#executor, target, "INSERT");
    const plain = table.columns.flatMap((column, i) =>
      column.computed || column.identity || column.type.id === "timestamp" ? [] : [i],
    );
    const indexes =
      columns.length === 0 ? plain.slice(0, this.columns.length) : columns.map((name) => table.columnIndex(name));
    const missing = indexes.indexOf(-1);
    if (missing >= 0) throw invalidColumn(columns[missing]!);
    return { table, indexes };
  }

  /** Begins anew: the statement does. */
  restart(): void {
    this.#rows = [];
  }

  add(frame: Frame, inserted: Row | null, deleted: Row | null, action?: string): void {
    frame.rows[this.#inserted] = this.#shape(inserted);
    frame.rows[this.#deleted] = this.#shape(deleted);
    if (action !== undefined) frame.rows[this.#deleted + 1] = [action];
    this.#rows.push(this.#values.map((value) => value.evaluate(frame)));
  }

  /** Puts the rows into the target table, as part of the statement. */
  store(run: Run, transaction: Transaction, frame: Frame): void {
    if (!this.#into) return;
    const { table, indexes } = this.#into;
    const { session } = this.#executor;
    const writer = writerOf(table, session);
    let current: Row = [];
    const assign = indexes.map((index, i) => {
      const column = this.columns[i]!;
      const value: Compiled = { type: column.type, nullable: true, evaluate: () => current[i]! };
      return stored(value, table, index, session.options.dateFormat);
    });
    for (const row of this.#rows) {
      current = row;
      const made: Row = table.columns.map((_, i): Value => {
        const place = indexes.indexOf(i);
        if (place >= 0) return assign[place]!(frame);
        const { identity } = table.columns[i]!;
        if (!identity) return writer.defaultOf(i, frame);
        const next = identity.next;
        identity.next += identity.increment;
        return table.columns[i]!.type.id === "bigint" ? next : Number(next);
      });
      writer.finish(made, run, "INSERT");
      transaction.insert(table, made);
    }
  }

  get visible(): boolean {
    return this.#into === null;
  }

  async send(): Promise<void> {
    if (this.#into) return;
    const { sink } = this.#executor;
    sink.columns(this.columns);
    for (const row of this.#rows) {
      const slow = sink.row(row);
      if (slow) await slow;
    }
  }
}
