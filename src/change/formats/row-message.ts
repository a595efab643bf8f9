/** The row message: one change, one line of JSON, members in the order that its readers have always seen. */
import type { TableName } from "../../ingester/checkpoint.ts";
import type { RowTemplate } from "./row-template.ts";

export const operationTypes: Readonly<Record<number, string>> = { 0: "Read", 1: "Delete", 2: "Insert", 4: "Update" };

/** Names the property in which messages ordered by key say which columns make it up, as a JSON array. */
export const KEY_COLUMNS = "KeyColumns";

export function rowTemplate(options: { table: TableName; destination: string; ingestQueue: string }): RowTemplate {
  const { table, destination, ingestQueue } = options;
  return [
    { text: '{"data":' },
    { part: "data" },
    {
      text: `,"metadata":{"Destination":${JSON.stringify(destination)},"IngestQueue":${JSON.stringify(ingestQueue)},"LSN":"`,
    },
    { part: "lsn" },
    { text: '","OperationID":' },
    { part: "operation" },
    { text: ',"OperationType":"' },
    { part: "operationType" },
    { text: `","TableName":${JSON.stringify(table.table)},"Schema":${JSON.stringify(table.schema)},"CommandID":` },
    { part: "command" },
    { text: ',"Seq":"' },
    { part: "seqval" },
    { text: '","CommitTime":' },
    { part: "commitTime" },
    { text: "}" },
    { part: "before", text: ',"before":' },
    { text: "}" },
  ];
}
