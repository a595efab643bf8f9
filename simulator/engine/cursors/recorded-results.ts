/** What statements give, kept until it is known whether it goes to the client or becomes a cursor. */
import type { Row } from "../database.ts";
import type { ResultColumn, ResultSink } from "../session.ts";
import type { Value } from "../values.ts";

interface RecordedSet {
  columns: ResultColumn[];
  rows: Row[];
}

type Event = RecordedSet | ((sink: ResultSink) => void);

export class RecordedResults implements ResultSink {
  readonly #events: Event[] = [];

  /** The result set, where there is exactly one. */
  get only(): RecordedSet | null {
    const sets = this.#events.filter((event) => typeof event !== "function");
    return sets.length === 1 ? sets[0]! : null;
  }

  /** Gives everything on, but for `kept`. */
  async replay(sink: ResultSink, kept: RecordedSet | null): Promise<void> {
    for (const event of this.#events) {
      if (typeof event === "function") event(sink);
      else if (event !== kept) {
        sink.columns(event.columns);
        for (const row of event.rows) await sink.row(row);
      }
    }
  }

  columns(columns: ResultColumn[]): void {
    this.#events.push({ columns, rows: [] });
  }

  row(values: readonly Value[]): void {
    (this.#events.findLast((event) => typeof event !== "function") as RecordedSet).rows.push([...values]);
  }

  statementDone(done: Parameters<ResultSink["statementDone"]>[0]): void {
    // The end of a result that becomes a cursor is the cursor's own.
    this.#events.push((sink) => {
      if (!done.select || !this.only) sink.statementDone(done);
    });
  }

  message(message: Parameters<ResultSink["message"]>[0]): void {
    this.#events.push((sink) => sink.message(message));
  }

  environment(change: Parameters<ResultSink["environment"]>[0]): void {
    this.#events.push((sink) => sink.environment(change));
  }

  output(...args: Parameters<ResultSink["output"]>): void {
    this.#events.push((sink) => sink.output(...args));
  }

  /** Of a call within: the caller's own comes at its end. */
  returnStatus(): void {}
}
