/** Change tables as they come over the wire, what a reader wants of them, and both readings: the compiled one and the reference. */
import { envelopeTemplate } from "../../../../src/change/formats/provider-envelope.ts";
import { rowTemplate } from "../../../../src/change/formats/row-message.ts";
import type { Message } from "../../../../src/change/message.ts";
import { defaultValueOptions, type ValueOptions } from "../../../../src/change/values.ts";
import { BufferPool } from "../../../../src/sources/sqlserver/rows/buffer-pool.ts";
import { ChangeRows, type RowLimit } from "../../../../src/sources/sqlserver/rows/change-rows.ts";
import { CompiledRows } from "../../../../src/sources/sqlserver/rows/compiled-rows.ts";
import type { LeadingColumns, RowField } from "../../../../src/sources/sqlserver/rows/row-code.ts";
import { StreamedResponse } from "../../../../src/sources/sqlserver/wire/streamed-response.ts";
import { payloadOf, plainRow, readResponse } from "../wire/reference-response.ts";
import * as tds from "../wire/token-writer.ts";
import { type ReferencePlan, referenceElements, referenceMessages } from "./reference-messages.ts";
import { dateTimeOf } from "./reference-values.ts";

export interface Plan extends ReferencePlan {
  format: "row" | "envelope";
}

export const table = { schema: "dbo", table: "T" };
const origin = "0123456789abcdef01234567";

/** What a reader of `fields` wants; `offset`: with the clock's offset in each row. */
export function planOf(
  fields: readonly Partial<RowField>[],
  more: Partial<Plan> & { options?: Partial<ValueOptions>; offset?: boolean; mask?: boolean } = {},
): Plan {
  const { options, offset = false, mask = true, ...rest } = more;
  const whole = fields.map((field, index) => ({
    name: `c${index}`,
    unknown: "never" as const,
    ordinal: index + 1,
    masked: false,
    key: -1,
    ...field,
  }));
  return {
    leading: leadingColumns(offset, mask),
    fields: whole,
    values: { ...defaultValueOptions, ...options },
    table,
    destination: "server.database.t.events",
    ingestQueue: "ingest-queue",
    origin,
    keyColumns: null,
    format: "row",
    ...rest,
  };
}

function leadingColumns(offset: boolean, mask: boolean): LeadingColumns {
  const behind = offset ? 6 : 5;
  return {
    lsn: 0,
    command: 1,
    seqval: 2,
    operation: 3,
    commitTime: 4,
    offset: offset ? 5 : -1,
    mask: mask ? behind : -1,
  };
}

/** The columns that are no values, as a reader asks for them. */
export function leadingWire({ leading }: Plan): tds.WireColumn[] {
  const int = tds.byteLength(0x26, 4);
  const lsn = tds.shortLength(0xad, 10);
  return [
    { name: "__$start_lsn", type: lsn },
    { name: "", type: int },
    { name: "__$seqval", type: lsn },
    { name: "__$operation", type: int },
    { name: "tran_end_time", type: tds.byteLength(0x6f, 8) },
    ...(leading.offset < 0 ? [] : [{ name: "", type: int }]),
    ...(leading.mask < 0 ? [] : [{ name: "__$update_mask", type: tds.shortLength(0xa5, 128) }]),
  ];
}

export interface Leading {
  lsn?: string;
  command?: number;
  seqval?: string;
  operation?: number;
  /** Days since 1900, 1/300 s; null: NULL. */
  time?: [days: number, ticks: number] | null;
  offset?: number | null;
  mask?: Buffer | null;
}

/** 2026-11-21T10:11:12.123 */
export const TIME: [number, number] = [46_345, 11_001_637];

export function leadingValues({ leading }: Plan, row: Leading): tds.Value[] {
  const {
    lsn = "0000003600000b200003",
    seqval = "0000003600000b200002",
    command = 1,
    operation = 2,
    time = TIME,
  } = row;
  const { offset = 0, mask = Buffer.of(0xff) } = row;
  const int = (value: number | null) => (value === null ? null : tds.u32(value >>> 0));
  return [
    Buffer.from(lsn, "hex"),
    int(command),
    Buffer.from(seqval, "hex"),
    int(operation),
    time && Buffer.concat([tds.u32(time[0] >>> 0), tds.u32(time[1])]),
    ...(leading.offset < 0 ? [] : [int(offset)]),
    ...(leading.mask < 0 ? [] : [mask]),
  ];
}

/** A row's token. */
export type RowToken = Leading & { values: tds.Value[]; nbc?: boolean };

/** The streamed result set, as a reader's query gets it: behind the set that has the clock's offset. */
export const STREAMED = 1;

export function responseOf(
  plan: Plan,
  types: readonly tds.WireType[],
  rows: readonly RowToken[],
  clockOffset = 0,
): Buffer {
  const columns = [...leadingWire(plan), ...types.map((type, index) => ({ name: plan.fields[index]!.name, type }))];
  return Buffer.concat([
    clockSet(clockOffset),
    tds.columnMetadata(columns),
    tds.order(1, 2, 3, 4),
    ...rows.map((row) => {
      const values = [...leadingValues(plan, row), ...row.values];
      return row.nbc ? tds.nbcRow(columns, values) : tds.row(columns, values);
    }),
    tds.doneInProc(rows.length),
    lastSet(),
    tds.endOfProcedure(),
  ]);
}

const clockColumns: tds.WireColumn[] = [
  { name: "", type: tds.byteLength(0x26, 4) },
  { name: "", type: tds.shortLength(0xad, 10) },
];

function clockSet(offset: number): Buffer {
  const lsn = Buffer.from("0000003600000b200003", "hex");
  return Buffer.concat([
    tds.columnMetadata(clockColumns),
    tds.row(clockColumns, [tds.u32(offset >>> 0), lsn]),
    tds.doneInProc(1),
  ]);
}

/** The types of columns, and the other types of a reader's small sets. */
function lastSet(): Buffer {
  const columns: tds.WireColumn[] = [
    { name: "name", type: tds.shortLength(0xe7, 256, tds.LATIN1) },
    { name: "size", type: tds.fixed(0x34) },
    { name: "scale", type: tds.byteLength(0x26, 1) },
    { name: "time", type: tds.byteLength(0x6f, 8) },
    { name: "flag", type: tds.byteLength(0x68, 1) },
  ];
  const name = Buffer.from("id", "utf16le");
  return Buffer.concat([
    tds.columnMetadata(columns),
    tds.row(columns, [name, tds.u16(4), Buffer.of(7), Buffer.concat([tds.u32(46_345), tds.u32(3)]), Buffer.of(1)]),
    tds.nbcRow(columns, [name, tds.u16(0xffff), null, null, null]),
    tds.doneInProc(2),
  ]);
}

// ---------------------------------------------------------------- readings

export interface Reading {
  messages: Message[];
  /** Elements of an envelope, in the format of envelopes. */
  elements: string;
  /** Rows of the sets that are not streamed. */
  sets: unknown[][][];
  /** Tokens that are left for others. */
  tokens: string;
  /** What follows the response. */
  rest: Buffer;
}

const unlimited: RowLimit = { maxRows: 1e9, maxBytes: 1e12 };

/** One reader after the other of one plan, compiled once. */
export class Reader {
  readonly plan: Plan;
  readonly #compiled: CompiledRows;
  readonly #pool = new BufferPool({ kept: 2, largest: 1 << 20 });

  constructor(plan: Plan) {
    this.plan = plan;
    const { format, leading, fields, values, table, destination, ingestQueue } = plan;
    const template = format === "row" ? rowTemplate({ table, destination, ingestQueue }) : envelopeTemplate(table);
    this.#compiled = new CompiledRows({ leading, fields, template, values });
  }

  rows(pool: BufferPool, limit: RowLimit): ChangeRows {
    return new ChangeRows(this.#compiled, this.plan, limit, pool, 0);
  }

  /** Null: the response was not over with the chunks. Throws what the reader throws. */
  read(chunks: Iterable<Buffer>, limit = unlimited): Reading | null {
    const rows = this.rows(this.#pool, limit);
    const response = new StreamedResponse({ set: STREAMED, rows }, () => {});
    let over = false;
    const rest: Buffer[] = [];
    for (const chunk of chunks) {
      if (over) {
        rest.push(chunk);
        continue;
      }
      const end = response.push(chunk);
      if (end < 0) continue;
      over = true;
      rest.push(chunk.subarray(end));
    }
    if (!over) return null;
    const run = rows.run();
    const reading = {
      messages: run.messages().map((message) => ({ ...message, body: Buffer.from(message.body) })),
      elements: run
        .messages()
        .map(({ body }) => body.toString())
        .join(","),
      sets: response.sets.map(({ rows }) => rows),
      tokens: response.tokens.toString("hex"),
      rest: Buffer.concat(rest),
    };
    run.release();
    return reading;
  }
}

/** The same by the reference. */
export function referenceReading(stream: Buffer, plan: Plan): Reading | null {
  const whole = payloadOf(stream);
  if (whole === null) return null;
  const { sets, kept } = readResponse(whole.tokens);
  const clock = sets[0]?.rows[0]?.[0];
  const streamed = sets[STREAMED];
  const offset = clock ? clock.readInt32LE() : 0;
  return {
    messages: streamed && plan.format === "row" ? referenceMessages(streamed, plan, offset) : [],
    elements: streamed && plan.format === "envelope" ? referenceElements(streamed, plan, offset).join(",") : "",
    sets: sets.map((set, index) => (index === STREAMED ? [] : set.rows.map((row) => plainValues(set, row)))),
    tokens: kept.toString("hex"),
    rest: whole.rest,
  };
}

function plainValues(set: Parameters<typeof plainRow>[0], row: (Buffer | null)[]): unknown[] {
  return plainRow(set, row).map((value, index) => {
    const isTime = set.columns[index]!.type.kind === "datetime" && value !== null;
    return isTime ? new Date(dateTimeOf(value as Buffer)) : value;
  });
}

/** Null where both readings are the same in all; else what they differ in first. */
export function difference(actual: Reading, expected: Reading, plan: Plan): string | null {
  const a = shown(actual, plan);
  const b = shownOnce(expected, plan);
  if (a === b) return null;
  let at = 0;
  while (a[at] === b[at]) at++;
  const around = (text: string) => text.slice(Math.max(0, at - 60), at + 60);
  return `at ${at}: …${around(a)}… instead of …${around(b)}…`;
}

const texts = new WeakMap<Reading, string>();

/** What is expected is often held against many. */
function shownOnce(reading: Reading, plan: Plan): string {
  const known = texts.get(reading) ?? shown(reading, plan);
  texts.set(reading, known);
  return known;
}

function shown({ messages, elements, sets, tokens, rest }: Reading, { format }: Plan): string {
  const bodies = messages.map(({ body, ...others }) => [body.toString(), others]);
  return JSON.stringify([format === "row" ? bodies : elements, sets, tokens, rest.toString("hex")]);
}

/** The bodies of one table's messages, one after another, without any on the way. */
export function bodiesOf(
  plan: Plan,
  types: readonly tds.WireType[],
  rows: readonly RowToken[],
  clockOffset = 0,
): string[] {
  const stream = tds.packets(responseOf(plan, types, rows, clockOffset));
  return new Reader(plan).read([stream])!.messages.map(({ body }) => body.toString());
}

/** The JSON text of one value of the type, as it stands in a message; `bytes` in hexadecimal may have blanks. */
export function written(type: tds.WireType, bytes: string | tds.Value, options: Partial<ValueOptions> = {}): string {
  const value = typeof bytes === "string" ? Buffer.from(bytes.replaceAll(" ", ""), "hex") : bytes;
  return writtenAll(type, [value], options)[0]!;
}

/** Each in a row of its own, as ROW and as NBCROW. */
export function writtenAll(
  type: tds.WireType,
  values: readonly tds.Value[],
  options: Partial<ValueOptions> = {},
): string[] {
  const plan = planOf([{ name: "c" }], { options });
  const rows = values.flatMap((value) => [{ values: [value] }, { values: [value], nbc: true }]);
  const texts = bodiesOf(plan, [type], rows).map((body) => /^\{"data":\{"c":(.*)\},"metadata":/s.exec(body)![1]!);
  return values.map((_, index) => {
    const [row, nbc] = [texts[index * 2]!, texts[index * 2 + 1]!];
    if (row !== nbc) throw new Error(`${row} in a ROW, ${nbc} in an NBCROW`);
    return row;
  });
}
