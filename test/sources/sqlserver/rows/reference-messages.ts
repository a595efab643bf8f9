/**
 * The messages that the rows of a change table become, slowly: as formats.md describes them. Shares no code with the compiled
 * decoder.
 */
import type { Message } from "../../../../src/change/message.ts";
import type { Origin } from "../../../../src/change/message-id.ts";
import type { ValueOptions } from "../../../../src/change/values.ts";
import type { TableName } from "../../../../src/ingester/checkpoint.ts";
import type { LeadingColumns, RowField } from "../../../../src/sources/sqlserver/rows/row-code.ts";
import { RowMessageEncoder } from "../../../change/row-encoder.ts";
import type { ReferenceSet } from "../wire/reference-response.ts";
import { dateTimeOf, must, referenceText } from "./reference-values.ts";

export interface ReferencePlan {
  leading: LeadingColumns;
  fields: readonly RowField[];
  values: ValueOptions;
  table: TableName;
  destination: string;
  ingestQueue: string;
  origin: Origin;
  keyColumns: readonly string[] | null;
}

interface ReferenceChange {
  lsn: Buffer;
  command: number;
  seqval: Buffer;
  operation: number;
  /** UTC; null: not known. */
  commitTime: Date | null;
  /** JSON text of each value; undefined: left out. */
  values: (string | undefined)[];
  before: (string | undefined)[] | null;
}

/** Row messages. */
export function referenceMessages(set: ReferenceSet, plan: ReferencePlan, clockOffset: number): Message[] {
  const encoder = new RowMessageEncoder(plan);
  return changesOf(set, plan, clockOffset).map((change) => {
    const position = {
      startLsn: change.lsn.toString("hex"),
      commandId: change.command,
      seqval: change.seqval.toString("hex"),
      operation: change.operation,
    };
    const keys: string[] = [];
    for (const [index, { key }] of plan.fields.entries()) if (key >= 0) keys[key] = change.values[index] ?? "null";
    const time = change.commitTime?.toISOString() ?? null;
    const before = change.before && objectOf(plan.fields, change.before);
    return encoder.encode(position, time, objectOf(plan.fields, change.values), before, keys);
  });
}

/** Elements of a provider envelope's `changes`. */
export function referenceElements(set: ReferenceSet, plan: ReferencePlan, clockOffset: number): string[] {
  const name = JSON.stringify(`${plan.table.schema}.${plan.table.table}`);
  return changesOf(set, plan, clockOffset).map((change) => {
    const type = { 1: "delete", 2: "insert", 4: "update" }[change.operation]!;
    const time = JSON.stringify(change.commitTime?.toISOString().replace(".000Z", "Z") ?? null);
    const hex = change.lsn.toString("hex");
    const lsn = `${hex.slice(0, 8)}:${hex.slice(8, 16)}:${hex.slice(16)}`;
    const before = change.before === null ? "" : `,"before":${objectOf(plan.fields, change.before)}`;
    const data = objectOf(plan.fields, change.values);
    return `{"table_name":${name},"change_type":"${type}","data":${data},"timestamp":${time},"lsn":"${lsn}"${before}}`;
  });
}

function objectOf(fields: readonly RowField[], values: (string | undefined)[]): string {
  const members = fields.flatMap(({ name }, index) =>
    values[index] === undefined ? [] : [`${JSON.stringify(name)}:${values[index]}`],
  );
  return `{${members.join(",")}}`;
}

function changesOf(set: ReferenceSet, plan: ReferencePlan, clockOffset: number): ReferenceChange[] {
  const first = set.columns.length - plan.fields.length;
  must(first === Object.values(plan.leading).filter((index) => index >= 0).length, "the columns that were asked for");
  const changes: ReferenceChange[] = [];
  let old: ReferenceChange | null = null;
  for (const row of set.rows) {
    const change = changeOf(set, row, plan, clockOffset, first);
    if (change.operation === 3) {
      old = change;
      continue;
    }
    const pair =
      change.operation === 4 &&
      old?.lsn.equals(change.lsn) &&
      old.seqval.equals(change.seqval) &&
      old.command === change.command;
    if (pair) change.before = old!.values;
    old = null;
    changes.push(change);
  }
  return changes;
}

function changeOf(
  set: ReferenceSet,
  row: (Buffer | null)[],
  plan: ReferencePlan,
  clockOffset: number,
  first: number,
): ReferenceChange {
  const { leading, fields } = plan;
  const bytes10 = (index: number) => {
    must(set.columns[index]!.type.kind === "binary" && row[index]?.length === 10, "an LSN of 10 bytes");
    return row[index]!;
  };
  const integer = (index: number, absent?: number) => {
    const bytes = row[index]!;
    must(set.columns[index]!.type.kind === "integer" && set.columns[index]!.size <= 4, "an int");
    must(bytes !== null || absent !== undefined, "no NULL");
    if (bytes === null) return absent!;
    return bytes.length === 1 ? bytes[0]! : bytes.readIntLE(0, bytes.length);
  };
  const operation = integer(leading.operation);
  must(operation >= 1 && operation <= 4, "operation 1 to 4");
  const mask = leading.mask < 0 ? null : row[leading.mask]!;
  if (leading.mask >= 0) must(set.columns[leading.mask]!.token === 0xa5 && !set.columns[leading.mask]!.large, "a mask");
  let commitTime: Date | null = null;
  const offset = leading.offset < 0 ? clockOffset : integer(leading.offset, 0);
  if (leading.commitTime >= 0) {
    const { type, size } = set.columns[leading.commitTime]!;
    must(type.kind === "datetime" && size === 8, "a datetime");
    const local = row[leading.commitTime]!;
    must(Math.abs(offset) <= 840, "an offset of at most 14 hours");
    if (local) commitTime = new Date(dateTimeOf(local) - offset * 60_000);
    if (commitTime) must(commitTime.getTime() < Date.UTC(10_000, 0), "a time up to 9999-12-31");
  }
  const values = fields.map((field, at) => {
    const bytes = row[first + at]!;
    if (bytes !== null)
      return field.masked ? '"****"' : referenceText(set.columns[first + at]!.type, bytes, plan.values);
    const leftOut =
      (field.unknown === "delete" && operation === 1) ||
      (field.unknown === "delete and before" && (operation === 1 || operation === 3)) ||
      (field.unknown === "unmarked before" && operation === 3 && !marks(mask, field.ordinal));
    return leftOut ? undefined : "null";
  });
  const lsn = bytes10(leading.lsn);
  return {
    lsn,
    command: integer(leading.command),
    seqval: bytes10(leading.seqval),
    operation,
    commitTime,
    values,
    before: null,
  };
}

/** Bit (ordinal - 1) of a number whose last byte is the lowest. */
function marks(mask: Buffer | null, ordinal: number): boolean {
  if (mask === null || mask.length === 0) return false;
  return ((BigInt(`0x${mask.toString("hex")}`) >> BigInt(ordinal - 1)) & 1n) === 1n;
}
