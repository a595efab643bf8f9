/**
 * Which columns a table had when a log record was written. Records hold rows in column order, and capture may read them after
 * the columns have changed.
 */
import type { Column } from "../engine/database.ts";
import type { Table } from "../engine/table.ts";

export interface PastLayout {
  /** The last LSN before the change. */
  until: bigint;
  columns: readonly Column[];
}

export class Layouts {
  /** By object id, oldest first. */
  readonly past = new Map<number, PastLayout[]>();

  /** The columns are about to change. Returns how to forget that (the statement was rolled back). */
  changing(table: Table, until: bigint): () => void {
    const layout: PastLayout = { until, columns: table.columns.map((column) => ({ ...column })) };
    const list = this.past.get(table.objectId) ?? [];
    list.push(layout);
    this.past.set(table.objectId, list);
    return () => {
      list.splice(list.indexOf(layout), 1);
    };
  }

  /** Of a record with this LSN. */
  at(table: Table, lsn: bigint): readonly Column[] {
    return this.past.get(table.objectId)?.find((layout) => layout.until >= lsn)?.columns ?? table.columns;
  }

  /** Of the time just before the DDL statement that has this LSN. */
  before(table: Table, ddl: bigint): readonly Column[] {
    return this.past.get(table.objectId)?.findLast((layout) => layout.until < ddl)?.columns ?? this.at(table, ddl);
  }

  /** Everything up to this LSN has been captured. */
  forget(captured: bigint): void {
    for (const [objectId, list] of this.past) {
      const left = list.filter((layout) => layout.until > captured);
      if (left.length > 0) this.past.set(objectId, left);
      else this.past.delete(objectId);
    }
  }
}
