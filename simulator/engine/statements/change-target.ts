/**
 * What UPDATE, DELETE, MERGE and INSERT write to: a table, or the table behind a view, a common table expression or a derived table.
 * https://learn.microsoft.com/sql/t-sql/statements/create-view-transact-sql#updatable-views
 */
import type { Row } from "../database.ts";
import { invalidColumn } from "../errors.ts";
import { type Frame, newFrame } from "../expressions/compiled.ts";
import type { Compiler } from "../expressions/compiler.ts";
import { type SourceColumn, sourceColumn } from "../expressions/scope.ts";
import type { Leaf } from "../query/from.ts";
import type { Origin } from "../query/plan.ts";
import type { Run } from "../run.ts";
import { SqlError } from "../session.ts";
import { type Entry, type Table, visible } from "../table.ts";
import type { Changed } from "./changes.ts";

export class ChangeTarget {
  readonly table: Table;
  readonly slot: number;
  /** As they are called in the statement: inserted and deleted have them. */
  readonly columns: readonly SourceColumn[];
  readonly #leaf: Leaf;
  readonly #origin: Origin | null;
  readonly #name: string;
  /** The table's column behind each of `columns`; -1 where there is none. */
  readonly #places: number[];

  /** `written`: the columns that the statement assigns, which decide for one of several tables; null: whole rows go. */
  constructor(leaf: Leaf, name: string, written: string[] | null) {
    this.slot = leaf.slot;
    this.#leaf = leaf;
    this.#name = name;
    this.columns = leaf.source.columns;
    this.#origin = leaf.table ? null : originOf(leaf, name, written);
    this.table = leaf.table ?? this.#origin!.table;
    const origin = this.#origin;
    this.#places = this.columns.map((_, i) => (origin ? (origin.columns.get(i) ?? -1) : i));
    if (leaf.table) this.columns = leaf.table.columns.map(sourceColumn);
  }

  /** The table's column behind a name; errors 207 and 4406. */
  columnIndex(name: string): number {
    const wanted = name.split(".").pop()!.toLowerCase();
    const found =
      wanted === "$identity"
        ? this.columns.findIndex((column) => column.identity)
        : this.columns.findIndex((column) => column.name.toLowerCase() === wanted);
    if (found < 0) throw invalidColumn(name);
    const place = this.#places[found]!;
    if (place < 0) throw derivedField(this.#name);
    return place;
  }

  /** The stored row that the frame is at; null: the target has none here. */
  entry(frame: Frame): Entry | null {
    if (!this.#origin) return frame.rows[this.slot] ? frame.entries![this.slot]! : null;
    return (frame.rows[this.slot]?.[this.#origin.place] as unknown as Entry | null | undefined) ?? null;
  }

  /** Its values as the statement sees them. */
  row(frame: Frame): Row | null {
    if (!this.#origin) return frame.rows[this.slot]!;
    const entry = this.entry(frame);
    return entry && visible(entry, frame.run.snapshot);
  }

  /** Error 229 where the session's user may not change it. */
  require(compiler: Compiler, permission: string): void {
    const { view } = this.#leaf;
    if (view) compiler.require(permission, view.database, view.view);
    else if (!this.table.temporary) compiler.require(permission, this.table.database, this.table);
  }

  /** WITH CHECK OPTION: what was written through the view must be seen through it; error 550. */
  check(run: Run, { written }: Pick<Changed, "written">): void {
    if (!this.#leaf.view?.view.checked) return;
    const seen = new Set<unknown>();
    for (const row of this.#leaf.rows!(newFrame(0, null, run), run)) seen.add(row[this.#origin!.place]);
    if (written.every(({ entry }) => seen.has(entry))) return;
    throw new SqlError(
      550,
      "The attempted insert or update failed because the target view either specifies WITH CHECK OPTION or spans a view that specifies WITH CHECK OPTION and one or more rows resulting from the operation did not qualify under the CHECK OPTION constraint.",
      16,
      1,
    );
  }

  /** A row of the table in the shape of `columns`. */
  shaped(row: Row | null): Row | null {
    return row && this.#origin ? this.#places.map((place) => (place < 0 ? null : row[place]!)) : row;
  }
}

/** The one table that is written to. */
function originOf(leaf: Leaf, name: string, written: string[] | null): Origin {
  const { origins } = leaf;
  if (!origins)
    throw new SqlError(
      4403,
      `Cannot update the view or function '${name}' because it contains aggregates, or a DISTINCT or GROUP BY clause, or PIVOT or UNPIVOT operator.`,
      16,
      1,
    );
  const several = () =>
    new SqlError(
      4405,
      `View or function '${name}' is not updatable because the modification affects multiple base tables.`,
      16,
      1,
    );
  if (written === null) {
    if (origins.length !== 1) throw origins.length > 1 ? several() : derivedField(name);
    return origins[0]!;
  }
  const places = written.map((column) => {
    const wanted = column.split(".").pop()!.toLowerCase();
    const place = leaf.source.columns.findIndex((other) => other.name.toLowerCase() === wanted);
    if (place < 0) throw invalidColumn(column);
    return place;
  });
  const fitting = origins.filter((origin) => places.every((place) => origin.columns.has(place)));
  if (fitting.length === 1) return fitting[0]!;
  const known = places.every((place) => origins.some((origin) => origin.columns.has(place)));
  throw known && places.length > 0 ? several() : derivedField(name);
}

function derivedField(name: string): SqlError {
  return new SqlError(
    4406,
    `Update or insert of view or function '${name}' failed because it contains a derived or constant field.`,
    16,
    1,
  );
}
