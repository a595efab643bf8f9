/** The rows of series that a table has: those that have not become entries. */
import type { Index, Row } from "./database.ts";
import type { Probe } from "./ordered-pages.ts";
import { type Part, Series } from "./series.ts";
import { sortedPart } from "./series-cursor.ts";
import type { Snapshot } from "./table.ts";

/** Takes a row that becomes an entry. */
export type Put = (id: number, row: Row, seq: number) => void;

export class SeriesRows {
  #parts: Part[] = [];
  /** Rises whenever rows become entries. */
  extractions = 0;

  get empty(): boolean {
    return this.#parts.length === 0;
  }

  add(series: Series, firstId: number, seq: number): void {
    this.#parts.push({ rows: series, from: 0, to: series.length, firstId, seq });
  }

  /** Whether all of them come in the order of an index. */
  follow(index: Index | null): boolean {
    return this.#parts.every(({ rows }) => rows instanceof Series && rows.follows(index));
  }

  /** What a snapshot sees of them; with null all. */
  seen(snapshot: Snapshot | null): Part[] {
    if (!snapshot || snapshot.dirty) return this.#parts;
    return this.#parts.filter(({ seq }) => seq <= snapshot.seq);
  }

  /** For an index that they do not follow: what it would give, in its order. */
  sorted(snapshot: Snapshot | null, probe: Probe, compare: (a: Row, b: Row) => number): Part[] {
    return this.seen(snapshot).map((part) => sortedPart(part, probe, compare));
  }

  /** With the id of each. */
  *all(): Generator<[id: number, row: Row]> {
    for (const { rows, from, to, firstId } of this.#parts)
      for (let number = from; number < to; number++) yield [firstId + number, rows.row(number)];
  }

  /** Gives up rows of a part. Returns what is left of it behind them. */
  extract(part: Part, from: number, to: number, put: Put): Part {
    const before = { ...part, to: from };
    const behind = { ...part, from: to };
    this.#parts.splice(this.#parts.indexOf(part), 1, ...[before, behind].filter((rest) => rest.from < rest.to));
    for (let number = from; number < to; number++) put(part.firstId + number, part.rows.row(number), part.seq);
    this.extractions++;
    return behind;
  }

  extractWhere(probe: Probe, put: Put): void {
    for (const part of [...this.#parts]) {
      let rest = part;
      for (let number = part.from; number < part.to; number++)
        if (probe(part.rows.row(number)) === 0) rest = this.extract(rest, number, number + 1, put);
    }
  }
}
