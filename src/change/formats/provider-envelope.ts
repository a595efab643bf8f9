/**
 * The envelope that the SQL Server provider writes on standard output: one line with the changes of a batch. A change's
 * `timestamp` is its commit time in UTC, `poll_interval` the table's present one, so that it shows the backing off.
 */
import { fullName, type TableName } from "../../ingester/checkpoint.ts";
import type { RowTemplate } from "./row-template.ts";

/** One element of `changes`. */
export function envelopeTemplate(table: TableName): RowTemplate {
  return [
    { text: `{"table_name":${JSON.stringify(fullName(table))},"change_type":"` },
    { part: "changeType" },
    { text: '","data":' },
    { part: "data" },
    { text: ',"timestamp":' },
    { part: "timestamp" },
    { text: ',"lsn":"' },
    { part: "lsnParts" },
    { text: '"' },
    { part: "before", text: ',"before":' },
    { text: "}" },
  ];
}

export interface EnvelopeParts {
  table: TableName;
  /** The host of the connection string. */
  server: string;
  /** `5s`, `2m`. */
  pollInterval: string;
}

/** The line, with its line feed. `changes`: elements as the template writes them, with commas between them. */
export function envelopeLine(
  changes: Uint8Array,
  count: number,
  { table, server, pollInterval }: EnvelopeParts,
): Buffer {
  const head = `{"table_name":${JSON.stringify(fullName(table))},"server_name":${JSON.stringify(server)},"changes":[`;
  const tail = `],"metadata":{"batch_size":${count},"poll_interval":${JSON.stringify(pollInterval)}}}\n`;
  return Buffer.concat([Buffer.from(head), changes, Buffer.from(tail)]);
}
