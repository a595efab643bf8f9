/**
 * The stored state that the engine, the catalogue and capture share: databases, tables, rows, and the transaction log that
 * CDC's capture job reads. Only shapes and promises are here; storage.ts holds the rows.
 */
import type { ColumnDefinition, IndexFilter, TableConstraint } from "../sql/ast.ts";
import type { SqlType, Value } from "./values.ts";

/** Values in column order (by column index, not by column id). */
export type Row = Value[];

export interface Column {
  name: string;
  /** sys.columns.column_id: never reused within a table. */
  columnId: number;
  type: SqlType;
  /** The declared name where it differs from type.id: sysname, or rowversion. */
  declaredType?: string;
  /** The alias by which the type was named, where it was. */
  userType?: { userTypeId: number; schema: string; name: string };
  nullable: boolean;
  identity?: { seed: bigint; increment: bigint; next: bigint };
  /** Set for computed columns; `evaluate` is filled in by the engine. */
  computed?: { text: string; persisted: boolean; definition: ColumnDefinition };
  default?: { name: string; text: string; definition: ColumnDefinition["default"] };
  masked?: string;
  rowGuid?: boolean;
}

export interface Index {
  name: string;
  /** sys.indexes.index_id: 1 clustered, 2… others. */
  indexId: number;
  unique: boolean;
  clustered: boolean;
  primaryKey: boolean;
  uniqueConstraint: boolean;
  columns: { column: number; descending: boolean }[];
  include: number[];
  /** Of a filtered index: the rows that it is of. The others are kept in it too, but it says nothing of them. */
  filter?: IndexFilter;
  /** Of the key constraint, where there is one. */
  constraintObjectId?: number;
}

/** Whether a CHECK or FOREIGN KEY constraint is looked at, and whether the rows that are there all satisfy it. */
export interface Enforcement {
  disabled?: boolean;
  notTrusted?: boolean;
}

/** What is common to tables of users, of cdc and of sys that hold rows. */
export interface TableSchema {
  objectId: number;
  schema: string;
  name: string;
  createDate: Date;
  columns: Column[];
  indexes: Index[];
  checks: ({ name: string; text: string; objectId: number; constraint: TableConstraint } & Enforcement)[];
  foreignKeys: ({ name: string; objectId: number; constraint: TableConstraint } & Enforcement)[];
  /** Made by CDC or the system: sys.tables.is_ms_shipped. */
  msShipped: boolean;
  trackedByCdc: boolean;
}

/**
 * One row's change as the log has it. Rows are immutable once logged. An UPDATE is one record, also if it changed a key
 * (`keyChanged` says that a column of the primary key or another unique index got another value: capture makes delete and
 * insert of it where SQL Server does).
 */
export interface LogRecord {
  /** The record's own LSN: becomes __$seqval. */
  lsn: bigint;
  /** The LSN of the insert that a key-changing update ends in, where the statement changed several rows. */
  insertLsn?: bigint;
  objectId: number;
  kind: "insert" | "delete" | "update";
  before: Row | null;
  after: Row | null;
  /** Which columns the statement assigned or changed is derived from before and after. */
  keyChanged: boolean;
  /** Counts the statements of the transaction that wrote rows, from 1: for __$command_id. */
  command: number;
}

/** A committed transaction, in commit order. LSNs are 80-bit integers: VLF (32) block (32) slot (16). */
export interface LoggedTransaction {
  beginLsn: bigint;
  commitLsn: bigint;
  beginTime: Date;
  commitTime: Date;
  transactionId: bigint;
  records: LogRecord[];
  /** DDL on tracked tables, for cdc.ddl_history, in order. */
  ddl: { lsn: bigint; objectId: number; command: string; time: Date }[];
}

/** Ten bytes, big-endian, as binary(10). */
export function lsnToBuffer(lsn: bigint): Buffer {
  return Buffer.from(lsn.toString(16).padStart(20, "0"), "hex");
}

export function lsnFromBuffer(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString("hex") || "0"}`);
}
