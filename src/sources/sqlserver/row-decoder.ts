/**
 * From rows of a change table to messages. Rows of operation 3 become the `before` of the row of operation 4 that follows.
 *
 * A column that the change table does not hold for a row is left out, so that null always means NULL
 * (https://learn.microsoft.com/sql/relational-databases/system-tables/cdc-capture-instance-ct-transact-sql):
 * - computed columns are never captured;
 * - text, ntext and image are NULL on operations 1 and 3;
 * - max types, and other types kept as large objects, are NULL on operation 3 unless the update changed them;
 * - a delete was seen with NULL for a bit column that allows none.
 */
import type { RowMessageEncoder } from "../../change/formats/row-message.ts";
import type { Message } from "../../change/message.ts";
import type { Position } from "../../change/position.ts";
import type { ValueOptions } from "../../change/values.ts";
import { SourceError } from "../../errors.ts";
import { fullName, type TableName } from "../../ingester/checkpoint.ts";
import type { CapturedColumn, CaptureInstance } from "./capture-instance.ts";
import { ROW, type RowLayout } from "./change-query.ts";
import { type ColumnWriter, columnWriter } from "./column-writer.ts";
import { lsnOf } from "./lsn.ts";
import { localText, utcText } from "./server-time.ts";

export interface ColumnChoice {
  include?: readonly string[] | undefined;
  exclude?: readonly string[] | undefined;
}

/** The captured columns that are sent. Throws SourceError for a name that is none. */
export function chosenColumns(table: TableName, instance: CaptureInstance, choice: ColumnChoice): CapturedColumn[] {
  const captured = new Set(instance.columns.map((column) => column.name.toLowerCase()));
  for (const name of [...(choice.include ?? []), ...(choice.exclude ?? [])])
    if (!captured.has(name.toLowerCase()))
      throw new SourceError("table", `${fullName(table)} has no captured column ${name}.`, {
        advice: `Captured are: ${instance.columns.map((column) => column.name).join(", ")}.`,
      });
  const include = choice.include && new Set(choice.include.map((name) => name.toLowerCase()));
  const exclude = new Set(choice.exclude?.map((name) => name.toLowerCase()));
  return instance.columns.filter((column) => {
    const name = column.name.toLowerCase();
    return !column.computed && (include?.has(name) ?? true) && !exclude.has(name);
  });
}

interface Field {
  column: CapturedColumn;
  writer: ColumnWriter;
  /** `"name":` */
  label: string;
  /** Offset of its first value behind layout.values. */
  at: number;
  /** NULL on these operations says nothing. */
  unknown: (operation: number, mask: Buffer | null) => boolean;
}

export class RowFields {
  readonly columns: readonly string[];
  readonly expressions: readonly string[];
  readonly #fields: Field[];
  readonly #key: Field[];

  /** `keyNames`: the columns of the ordering key, which are among the others. */
  constructor(columns: readonly CapturedColumn[], keyNames: readonly string[], options: ValueOptions) {
    let at = 0;
    this.#fields = columns.map((column) => {
      const writer = columnWriter(column.name, column, options, ROW);
      const label = `${JSON.stringify(column.name)}:`;
      const field = { column, writer, label, at, unknown: unknownFor(column) };
      at += writer.expressions.length;
      return field;
    });
    this.#key = keyNames.map((name) => this.#fields.find((field) => field.column.name === name)!);
    this.columns = this.#fields.map((field) => field.column.name);
    this.expressions = this.#fields.flatMap((field) => field.writer.expressions);
  }

  /** JSON object of the row whose values begin at `start`. */
  json(values: readonly unknown[], start: number, operation: number, mask: Buffer | null): string {
    let json = "{";
    for (const field of this.#fields) {
      const at = start + field.at;
      if (values[at] === null && field.unknown(operation, mask)) continue;
      if (json.length > 1) json += ",";
      json += field.label + field.writer.write(values, at);
    }
    return `${json}}`;
  }

  keyValues(values: readonly unknown[], start: number): string[] {
    return this.#key.map((field) => field.writer.write(values, start + field.at));
  }
}

const oldLargeTypes = new Set(["text", "ntext", "image"]);
const alwaysLargeTypes = new Set(["xml", "clr"]);

function unknownFor(column: CapturedColumn): Field["unknown"] {
  if (oldLargeTypes.has(column.type)) return (operation) => operation === 1 || operation === 3;
  if (column.maxLength === -1 || alwaysLargeTypes.has(column.type))
    return (operation, mask) => operation === 3 && !isMarked(mask, column.ordinal);
  if (column.type === "bit" && column.sourceNullable === false) return (operation) => operation === 1;
  return () => false;
}

/** Bit (ordinal - 1), counted from the lowest bit of the last byte. */
function isMarked(mask: Buffer | null, ordinal: number): boolean {
  if (mask === null) return false;
  const byte = mask[mask.length - 1 - ((ordinal - 1) >> 3)] ?? 0;
  return (byte & (1 << ((ordinal - 1) & 7))) !== 0;
}

export interface DecodedChange {
  message: Message;
  position: Position;
  /** The server's local time; null where its mapping is gone. */
  commitTime: string | null;
}

/** Decodes the rows of one result, in order. */
export class RowDecoder {
  readonly #layout: RowLayout;
  readonly #fields: RowFields;
  readonly #encoder: RowMessageEncoder;
  readonly #clockOffset: number;
  #before: { json: string; key: string } | null = null;
  #timeAt = Number.NaN;
  #local: string | null = null;
  #utc: string | null = null;

  /** `clockOffset`: of the server's clock, used where the query does not ask for the offset of each commit time. */
  constructor(layout: RowLayout, fields: RowFields, encoder: RowMessageEncoder, clockOffset: number) {
    this.#layout = layout;
    this.#fields = fields;
    this.#encoder = encoder;
    this.#clockOffset = clockOffset;
  }

  static position(row: readonly unknown[]): Position {
    return {
      startLsn: lsnOf(row[0]),
      commandId: row[1] as number,
      seqval: lsnOf(row[2]),
      operation: row[3] as number,
    };
  }

  /** Null for a row of operation 3: it goes with the next one. */
  decode(row: readonly unknown[]): DecodedChange | null {
    const layout = this.#layout;
    const position = RowDecoder.position(row);
    const mask = layout.mask < 0 ? null : (row[layout.mask] as Buffer | null);
    const json = this.#fields.json(row, layout.values, position.operation, mask);
    const key = `${position.startLsn}${position.commandId}.${position.seqval}`;
    if (position.operation === 3) {
      this.#before = { json, key };
      return null;
    }
    const before = position.operation === 4 && this.#before?.key === key ? this.#before.json : null;
    this.#before = null;
    this.#readTime(row);
    const keyValues = this.#fields.keyValues(row, layout.values);
    const message = this.#encoder.encode(position, this.#utc, json, before, keyValues);
    return { message, position, commitTime: this.#local };
  }

  /** Neighbours mostly share a transaction, and so the time. */
  #readTime(row: readonly unknown[]): void {
    const date = row[this.#layout.commitTime] as Date | null;
    if (date === null) {
      this.#timeAt = Number.NaN;
      this.#local = null;
      this.#utc = null;
      return;
    }
    if (date.getTime() === this.#timeAt) return;
    this.#timeAt = date.getTime();
    this.#local = localText(date);
    const offset = this.#layout.offset < 0 ? this.#clockOffset : (row[this.#layout.offset] as number);
    this.#utc = utcText(date, offset);
  }
}
