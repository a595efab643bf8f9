/** Rows of the checkpoint table, and what they mean. */
import { beforeTransaction, type Position, ZERO_LSN } from "../../change/position.ts";
import type { Checkpoint, Failure, StoredCheckpoint, TableName } from "../../ingester/checkpoint.ts";
import type { Parameter } from "./connection.ts";
import { lsnBytes, lsnOrNull } from "./lsn.ts";

/**
 * The first four are the table of dstream's first version, which may still write to it. It knows neither command id nor
 * operation, so those count only while `saved_lsn` says that they were written together with `last_lsn`.
 */
export const addedColumns: Readonly<Record<string, string>> = {
  last_seq: "varbinary(10) NULL",
  command_id: "int NULL",
  operation: "tinyint NULL",
  commit_time: "varchar(23) NULL",
  saved_lsn: "varbinary(10) NULL",
  fencing_token: "bigint NOT NULL DEFAULT 0",
  last_error: "nvarchar(4000) NULL",
  last_error_at: "datetime2(3) NULL",
};

/** T-SQL that makes the table; `table` is quoted. */
export function createTable(table: string): string {
  const first =
    "table_name nvarchar(257) NOT NULL PRIMARY KEY, last_lsn varbinary(10) NULL, updated_at datetime NULL DEFAULT GETDATE()";
  const added = Object.entries(addedColumns).map(([name, definition]) => `${name} ${definition}`);
  return `CREATE TABLE ${table} (${[first, ...added].join(", ")});`;
}

/** In the order that readRow expects. `prefix`: "inserted." or "". updated_at is the server's local time. */
export function rowColumns(prefix: string): string {
  const names = [
    "table_name",
    "last_lsn",
    "command_id",
    "last_seq",
    "operation",
    "commit_time",
    "saved_lsn",
    "fencing_token",
  ];
  return [...names.map((name) => prefix + name), updatedAt(prefix)].join(", ");
}

/** The same of a table that only the first version has written to, and nobody has upgraded yet. */
export const firstVersionColumns = `table_name, last_lsn, NULL, NULL, NULL, NULL, NULL, 0, ${updatedAt("")}`;

function updatedAt(prefix: string): string {
  return `DATEADD(minute, DATEDIFF(minute, GETDATE(), GETUTCDATE()), ${prefix}updated_at)`;
}

export function readRow(row: readonly unknown[]): {
  table: TableName;
  checkpoint: Checkpoint | null;
  token: number;
  updatedAt: Date;
} {
  const [name, lsn, command, seqval, operation, commitTime, savedLsn, token, updated] = row;
  return {
    table: tableOf(name as string),
    checkpoint: checkpointOf(lsnOrNull(lsn), lsnOrNull(savedLsn), {
      commandId: command as number | null,
      seqval: lsnOrNull(seqval),
      operation: operation as number | null,
      commitTime: commitTime as string | null,
    }),
    token: Number(token),
    updatedAt: (updated as Date | null) ?? new Date(0),
  };
}

export function storedCheckpoint(row: readonly unknown[]): StoredCheckpoint[] {
  const { table, checkpoint, token, updatedAt } = readRow(row);
  return checkpoint === null ? [] : [{ ...checkpoint, table, token, updatedAt }];
}

/** Of `table_name, last_error, last_error_at`. */
export function failureOf([name, error, at]: readonly unknown[]): Failure {
  return { table: tableOf(name as string), error: error as string, since: at as Date };
}

function checkpointOf(
  lsn: string | null,
  savedLsn: string | null,
  rest: { commandId: number | null; seqval: string | null; operation: number | null; commitTime: string | null },
): Checkpoint | null {
  if (lsn === null || lsn === ZERO_LSN) return null;
  const { commandId, seqval, operation, commitTime } = rest;
  if (savedLsn !== lsn || commandId === null || seqval === null || operation === null)
    return { position: beforeTransaction(lsn), commitTime: null };
  return { position: { startLsn: lsn, commandId, seqval, operation }, commitTime };
}

/** `Persons` for dbo, `sales.Orders` else: a name with a dot in dbo cannot be told apart, and is taken for a schema's. */
function tableOf(name: string): TableName {
  const dot = name.indexOf(".");
  return dot < 0 ? { schema: "dbo", table: name } : { schema: name.slice(0, dot), table: name.slice(dot + 1) };
}

/** @lsn, @command, … with a suffix; all NULL where there is no checkpoint. */
export function checkpointParameters(checkpoint: Checkpoint | null, suffix = ""): Parameter[] {
  const position: Position | undefined = checkpoint?.position;
  const bytes = (lsn: string | undefined) => (lsn === undefined ? null : lsnBytes(lsn));
  return [
    { name: `lsn${suffix}`, type: "varbinary", value: bytes(position?.startLsn) },
    { name: `command${suffix}`, type: "int", value: position?.commandId ?? null },
    { name: `seqval${suffix}`, type: "varbinary", value: bytes(position?.seqval) },
    { name: `operation${suffix}`, type: "int", value: position?.operation ?? null },
    { name: `time${suffix}`, type: "nvarchar", value: checkpoint?.commitTime ?? null },
  ];
}

/** SET list that writes a checkpoint; `from`: the prefix of its values' names, "@" or "v." */
export function assignments(from: string): string {
  return (
    `last_lsn = ${from}lsn, command_id = ${from}command, last_seq = ${from}seqval, operation = ${from}operation, ` +
    `commit_time = ${from}time, saved_lsn = ${from}lsn, updated_at = GETDATE(), last_error = NULL, last_error_at = NULL`
  );
}
