/**
 * One round trip that tells which of many tables have changes. It always asks for all tables of the catalogue, in the order
 * of their change tables, and gives those that are not asked for NULL as their LSN: so the text stays the same from poll to
 * poll, whichever tables are asked for. The capture instances come last: the low watermark, which clean-up raises before it
 * deletes, is then at least as new as the answer. The maximum comes first: an answer of a replica that has not seen the
 * wanted bound yet means nothing.
 */
import type { Lsn } from "../../change/position.ts";
import type { CapturedTable, CaptureInstance } from "./capture-instance.ts";
import type { Parameter } from "./connection.ts";
import { lsnBytes } from "./lsn.ts";

/** SELECTs in one UNION ALL: long ones take long to compile. */
const UNION_LENGTH = 50;
/** A request takes 2,100 parameters (https://learn.microsoft.com/sql/sql-server/maximum-capacity-specifications-for-sql-server). */
const MOST_INSTANCES = 2_000;

export class WatchQuery {
  readonly #instances: CaptureInstance[];
  readonly #requests: { sql: string; from: number; to: number }[] = [];

  constructor(tables: readonly CapturedTable[]) {
    this.#instances = tables.flatMap((table) => table.instances).sort((a, b) => a.objectId - b.objectId);
    for (let from = 0; from < Math.max(1, this.#instances.length); from += MOST_INSTANCES) {
      const to = Math.min(this.#instances.length, from + MOST_INSTANCES);
      this.#requests.push({ sql: this.#text(from, to), from, to });
    }
  }

  /**
   * `after`: by the change table's object id, the LSN above which changes count. The first result set of each request holds
   * the connection's own maximum LSN; the last of the last request (object_id, source_object_id, start_lsn) of all
   * instances; all others hold object ids of change tables.
   */
  requests(after: ReadonlyMap<number, Lsn>, upTo: Lsn): { sql: string; parameters: Parameter[] }[] {
    return this.#requests.map(({ sql, from, to }) => {
      const parameters: Parameter[] = [{ name: "upTo", type: "binary10", value: lsnBytes(upTo) }];
      for (let index = from; index < to; index++) {
        const lsn = after.get(this.#instances[index]!.objectId);
        parameters.push({ name: `a${index}`, type: "binary10", value: lsn === undefined ? null : lsnBytes(lsn) });
      }
      return { sql, parameters };
    });
  }

  #text(from: number, to: number): string {
    const statements = ["SELECT sys.fn_cdc_get_max_lsn()"];
    for (let start = from; start < to; start += UNION_LENGTH) {
      const part = this.#instances.slice(start, Math.min(to, start + UNION_LENGTH));
      const seeks = part.map(
        ({ objectId, changeTable }, index) =>
          `SELECT ${objectId} AS changed WHERE EXISTS (SELECT 1 FROM ${changeTable} ` +
          `WHERE [__$start_lsn] > @a${start + index} AND [__$start_lsn] <= @upTo)`,
      );
      statements.push(seeks.join("\nUNION ALL\n"));
    }
    if (to === this.#instances.length)
      statements.push("SELECT object_id, source_object_id, start_lsn FROM cdc.change_tables");
    return `${statements.join(";\n")};`;
  }
}
