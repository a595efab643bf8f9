/** Tables of rows alone, for triggers: their columns hold values, whatever made them. */
import type { Column, Row } from "../database.ts";
import type { Database } from "../storage.ts";
import { Table } from "../table.ts";

type Shape = {
  database: Database;
  createDate: Date;
  columns: readonly Pick<Column, "name" | "columnId" | "type" | "nullable">[];
};

export function tableOf({ database, createDate, columns }: Shape, name: string, rows: readonly Row[]): Table {
  const tempdb = database.engine.database("tempdb")!;
  const copy = new Table(tempdb, {
    objectId: -tempdb.allocateObjectId(),
    schema: "dbo",
    name,
    createDate,
    columns: columns.map(({ name: column, columnId, type, nullable }) => ({
      name: column,
      columnId,
      // The rows are compared as their own database would.
      type:
        type.collation === undefined && type.id.includes("char") ? { ...type, collation: database.collation } : type,
      nullable,
    })),
  });
  copy.temporary = true;
  const entries = tempdb.systemTransaction((system) => rows.map((row) => system.insert(copy, row)));
  // A SNAPSHOT transaction that began earlier is to see them, too.
  for (const entry of entries) entry.seq = 0;
  return copy;
}
