/**
 * Compiles a result's columns and a template into straight-line code: from the bytes of a ROW or NBCROW token (MS-TDS 2.2.7.19
 * and .14) to the bytes of one encoded change, without an object on the way. What a configuration chooses (columns, masks,
 * how values are written) is decided here, not row by row.
 *
 * The generated functions read `s` (and `sv`, the same bytes) from `p` and write into the sink's buffer from `o`. They end
 * where the row ends, or answer -1 where its bytes are not all there: then nothing of it counts. Bytes that no value of the
 * column can have are an ImpossibleValue.
 *
 * It runs on the main thread. Measured with connection and decoding in worker threads that transfer the encoded bytes (1 and 4
 * tables of 19 columns, 2 cores, the simulator in a process of its own), each change took 0.8 to 2.7 us more CPU of 3 to 9. One
 * table gained nothing, alone or with the embedded queue behind it; four came to 94,000 to 125,000 changes/s into that queue
 * instead of 76,000 to 92,000, far beyond what the router takes out of it. A second ingester, which takes over half of the
 * tables, does as much without a second way of reading.
 */
import type { RowTemplate } from "../../../change/formats/row-template.ts";
import type { ValueOptions } from "../../../change/values.ts";
import { TYPE, type WireColumn } from "../wire/types.ts";
import { impossible } from "./bounds.ts";
import { text } from "./constant-text.ts";
import { runtime } from "./row-runtime.ts";
import type { RowSink } from "./row-sink.ts";
import { type ValueCode, valueCode } from "./value-code.ts";

/** Where the columns that are no values stand in the result; -1: it has none. */
export interface LeadingColumns {
  readonly lsn: number;
  readonly command: number;
  readonly seqval: number;
  readonly operation: number;
  readonly commitTime: number;
  /** Minutes east of UTC of the commit time. */
  readonly offset: number;
  readonly mask: number;
}

export interface RowField {
  readonly name: string;
  /**
   * When NULL means that the change table does not hold the value, which is then left out: never; on operation 1; on 1 and 3;
   * on 3 unless the update mask marks the column.
   */
  readonly unknown: "never" | "delete" | "delete and before" | "unmarked before";
  /** Bit `ordinal - 1` of the update mask. */
  readonly ordinal: number;
  /** Something else is written in place of every value. */
  readonly masked: boolean;
  /** Its place in the row's ordering key, counted from 0; -1: it is no part of it. */
  readonly key: number;
}

export interface RowPlan {
  readonly leading: LeadingColumns;
  /** Of the columns behind the leading ones, in order. */
  readonly fields: readonly RowField[];
  readonly template: RowTemplate;
  readonly values: ValueOptions;
}

/** Reads a row whose token byte is at `p - 1`; answers where it ends, -1 for not enough bytes. */
export type RowFunction = (s: Uint8Array, sv: DataView, p: number, end: number, sink: RowSink) => number;

export interface RowCode {
  readonly row: RowFunction;
  readonly nbcRow: RowFunction;
}

/** What stands in place of a masked value. */
export const MASKED = '"****"';

/**
 * Columns of one function. V8 takes long to optimise a large function, and leaves one of more than some 60 KB of bytecode as it
 * is, which a few hundred columns make: a row of more is read by several functions, one behind the other.
 */
const COLUMNS_A_FUNCTION = 64;

/** Throws ImpossibleValue where the columns are not those of the plan. */
export function compileRow(plan: RowPlan, columns: readonly WireColumn[]): RowCode {
  const wanted = plan.fields.length + Object.values(plan.leading).filter((index) => index >= 0).length;
  if (columns.length !== wanted)
    throw impossible(columns.at(-1)!.name, `the last of ${wanted} columns instead of ${columns.length}`);
  const constants = new Constants();
  const row = new Writer(plan, columns, constants, false).function("row");
  const nbcRow = new Writer(plan, columns, constants, true).function("nbcRow");
  const source = `"use strict";
const { ${Object.keys(runtime).join(", ")} } = runtime;
const [${constants.names.join(", ")}] = constants;
${row}
${nbcRow}
return { row, nbcRow };`;
  const make = new Function("runtime", "constants", source) as (runtime: object, constants: unknown[]) => RowCode;
  return make(runtime, constants.values);
}

/** What the generated code needs and cannot be written in it. */
export class Constants {
  readonly values: unknown[] = [];

  get names(): string[] {
    return this.values.map((_, index) => `k${index}`);
  }

  /** The name under which the code finds it. */
  add(value: unknown): string {
    return `k${this.values.push(value) - 1}`;
  }
}

/** The source of one function, and of those that it hands parts of its work to. */
class Writer {
  readonly #plan: RowPlan;
  readonly #columns: readonly WireColumn[];
  readonly #constants: Constants;
  readonly #nbc: boolean;
  /** Of the function that is being written. */
  #lines: string[] = [];
  /** The bodies of the functions that read a part of the values each. */
  readonly #parts: string[][] = [];
  /** What the row takes at most, but for what asks for room by itself. */
  #room = 64;

  constructor(plan: RowPlan, columns: readonly WireColumn[], constants: Constants, nbc: boolean) {
    this.#plan = plan;
    this.#columns = columns;
    this.#constants = constants;
    this.#nbc = nbc;
  }

  function(name: string): string {
    this.#body(name);
    const parts = this.#parts.map(
      (lines, index) => `function ${partOf(name, index)} {
const ROOM = ${this.#room};
let d = sink.bytes, dv = sink.view, o = sink.end, n = 0, q = 0;
${lines.join("\n")}
sink.end = o;
return p;
}`,
    );
    return `${parts.join("\n")}
function ${name}(s, sv, p, end, sink) {
const ROOM = ${this.#room};
let d = sink.bytes, dv = sink.view, o = sink.at, n = 0, q = 0;
${this.#nbc ? this.#bitmap() : "const nulls = 0;"}
if (d.length - o < ROOM) { sink.grow(o, ROOM); d = sink.bytes; dv = sink.view; }
${this.#lines.join("\n")}
sink.end = o;
return p;
}`;
  }

  #bitmap(): string {
    const length = (this.#columns.length + 7) >> 3;
    return `const nulls = p; p += ${length}; if (p > end) return -1;`;
  }

  #add(line: string): void {
    this.#lines.push(line);
  }

  #isNull(index: number): string {
    return `(s[nulls + ${index >> 3}] & ${1 << (index & 7)}) !== 0`;
  }

  #body(name: string): void {
    const { leading, fields, template } = this.#plan;
    const first = this.#columns.length - fields.length;
    for (let index = 0; index < first; index++) this.#leading(index);
    this.#add(`sink.lsnAt = lsnAt; sink.seqvalAt = seqvalAt; sink.command = command; sink.operation = operation;`);
    if (leading.mask < 0) this.#add("const maskAt = 0, maskLength = 0;");
    if (leading.commitTime < 0) this.#add("sink.setTime(0, -1, 0);");
    const data = template.findIndex((part) => "part" in part && part.part === "data");
    this.#add("if (operation !== 3) {");
    for (const part of template.slice(0, data)) this.#piece(part);
    this.#add("}");
    this.#data(name, first);
    this.#add("if (operation !== 3) {");
    for (const part of template.slice(data + 1)) this.#piece(part);
    this.#add("}");
  }

  // ---------------------------------------------------------------- the columns that are no values

  #leading(index: number): void {
    const { leading } = this.#plan;
    const column = this.#columns[index]!;
    const { name } = column;
    switch (index) {
      case leading.lsn:
        this.#bytes10(index, column, "lsnAt");
        break;
      case leading.seqval:
        this.#bytes10(index, column, "seqvalAt");
        break;
      case leading.command:
        this.#integer(index, column, "command");
        break;
      case leading.operation:
        this.#integer(index, column, "operation");
        this.#add(`if (operation < 1 || operation > 4) throw impossible(${JSON.stringify(name)}, "operation 1 to 4");`);
        break;
      case leading.offset:
        this.#integer(index, column, "offset", "0");
        this.#add(`sink.setTime(days, ticks, checkOffset(${JSON.stringify(name)}, offset));`);
        break;
      case leading.commitTime:
        this.#commitTime(index, column);
        break;
      case leading.mask:
        this.#mask(index, column);
        break;
      default:
        throw new Error(`Nothing is known of the result's column ${index} (${name}).`);
    }
  }

  #required(index: number, column: WireColumn): void {
    if (this.#nbc)
      this.#add(`if (${this.#isNull(index)}) throw impossible(${JSON.stringify(column.name)}, "no NULL");`);
  }

  #bytes10(index: number, column: WireColumn, name: string): void {
    if ((column.type !== TYPE.bigbinary && column.type !== TYPE.bigvarbinary) || column.size < 10)
      throw wrongType(column, "binary(10)");
    this.#required(index, column);
    this.#add(`if (p + 12 > end) return -1;
if (sv.getUint16(p, true) !== 10) throw impossible(${JSON.stringify(column.name)}, "10 bytes");
const ${name} = p + 2; p += 12;`);
  }

  /** `absent`: what NULL counts as; without it NULL is impossible. */
  #integer(index: number, column: WireColumn, name: string, absent?: string): void {
    const { type, size } = column;
    const read = size === 1 ? "s[p]" : size === 2 ? "sv.getInt16(p, true)" : "sv.getInt32(p, true)";
    if (!INTEGERS.has(type) || size > 4) throw wrongType(column, "an integer");
    const missing = absent === undefined ? `throw impossible(${JSON.stringify(column.name)}, "no NULL")` : "";
    this.#add(`let ${name} = ${absent ?? "0"};`);
    if (this.#nbc) this.#add(`if (${this.#isNull(index)}) { ${missing} } else {`);
    if (type === TYPE.intn)
      this.#add(`if (p >= end) return -1;
n = s[p++];
if (n === 0) { ${missing} } else {
if (n !== ${size}) throw impossible(${JSON.stringify(column.name)}, "${size} bytes");
if (p + ${size} > end) return -1;
${name} = ${read}; p += ${size};
}`);
    else this.#add(`if (p + ${size} > end) return -1;\n${name} = ${read}; p += ${size};`);
    if (this.#nbc) this.#add("}");
  }

  #commitTime(index: number, column: WireColumn): void {
    const { type, size, name } = column;
    const fixed = type === TYPE.datetime;
    if (!fixed && !(type === TYPE.datetimen && size === 8)) throw wrongType(column, "datetime");
    this.#add("let days = 0, ticks = -1;");
    if (this.#nbc) this.#add(`if (!(${this.#isNull(index)})) {`);
    if (!fixed)
      this.#add(`if (p >= end) return -1;
n = s[p++];
if (n !== 0) {
if (n !== 8) throw impossible(${JSON.stringify(name)}, "8 bytes");`);
    this.#add(`if (p + 8 > end) return -1;
days = sv.getInt32(p, true); ticks = sv.getUint32(p + 4, true); p += 8;
checkDateTime(${JSON.stringify(name)}, days, ticks);`);
    if (!fixed) this.#add("}");
    if (this.#nbc) this.#add("}");
    if (this.#plan.leading.offset < 0) this.#add("sink.setTime(days, ticks, sink.clockOffset);");
  }

  #mask(index: number, column: WireColumn): void {
    if (column.type !== TYPE.bigvarbinary || column.framing !== "short") throw wrongType(column, "varbinary(128)");
    this.#add("let maskAt = 0, maskLength = 0;");
    if (this.#nbc) this.#add(`if (!(${this.#isNull(index)})) {`);
    this.#add(`if (p + 2 > end) return -1;
n = sv.getUint16(p, true); p += 2;
if (n !== 65535) {
if (n > ${column.size}) throw impossible(${JSON.stringify(column.name)}, "at most ${column.size} bytes");
if (p + n > end) return -1; maskAt = p; maskLength = n; p += n; }`);
    if (this.#nbc) this.#add("}");
  }

  // ---------------------------------------------------------------- the values

  #data(name: string, first: number): void {
    const { length } = this.#plan.fields;
    // Every member begins with a comma; the first one's becomes the opening brace.
    this.#add("const opened = o;");
    if (length <= COLUMNS_A_FUNCTION) this.#members(first, 0, length);
    else
      for (let from = 0; from < length; from += COLUMNS_A_FUNCTION)
        this.#part(name, () => this.#members(first, from, Math.min(length, from + COLUMNS_A_FUNCTION)));
    this.#add("if (o === opened) { d[o] = 123; d[o + 1] = 125; o += 2; } else { d[opened] = 123; d[o++] = 125; }");
  }

  #part(name: string, write: () => void): void {
    const lines = this.#lines;
    this.#lines = [];
    write();
    const index = this.#parts.push(this.#lines) - 1;
    this.#lines = lines;
    this.#add(`sink.end = o;
p = ${partOf(name, index)};
if (p < 0) return -1;
o = sink.end; d = sink.bytes; dv = sink.view;`);
  }

  #members(first: number, from: number, to: number): void {
    for (const [index, field] of this.#plan.fields.slice(from, to).entries()) {
      const { key } = field;
      if (key >= 0) this.#add(`const keyFrom${key} = o + ${labelOf(field).length};`);
      this.#value(first + from + index, this.#columns[first + from + index]!, field);
      if (key >= 0) this.#add(`sink.keys[${key * 2}] = keyFrom${key}; sink.keys[${key * 2 + 1}] = o;`);
    }
  }

  #value(index: number, column: WireColumn, field: RowField): void {
    const code = valueCode(column, this.#plan.values, this.#constants);
    this.#room += labelOf(field).length + Math.max(MASKED.length, code.room);
    if (this.#nbc) this.#add(`if (${this.#isNull(index)}) {\n${this.#null(field)}\n} else {`);
    this.#add(code.open);
    if (code.isNull !== null) this.#add(`if (${code.isNull}) {\n${this.#null(field)}\n} else {`);
    this.#add(code.enough);
    if (field.masked) this.#add(`${this.#label(field)}${text(MASKED)}`);
    else this.#add(`${this.#label(field)}${quoted(code, this.#plan.values)}`);
    this.#add(code.skip);
    if (code.isNull !== null) this.#add("}");
    if (this.#nbc) this.#add("}");
  }

  #null(field: RowField): string {
    const written = `${this.#label(field)}${text("null")}`;
    switch (field.unknown) {
      case "never":
        return written;
      case "delete":
        return `if (operation !== 1) {\n${written}\n}`;
      case "delete and before":
        return `if (operation !== 1 && operation !== 3) {\n${written}\n}`;
      case "unmarked before": {
        const marked = this.#plan.leading.mask < 0 ? "false" : `isMarked(s, maskAt, maskLength, ${field.ordinal})`;
        return `if (operation !== 3 || ${marked}) {\n${written}\n}`;
      }
    }
  }

  #label(field: RowField): string {
    return text(labelOf(field).toString());
  }

  // ---------------------------------------------------------------- the rest of the template

  #piece(part: RowTemplate[number]): void {
    if ("text" in part && !("part" in part)) {
      this.#room += Buffer.byteLength(part.text);
      this.#add(text(part.text));
      return;
    }
    this.#room += 32;
    switch (part.part) {
      case "data":
        throw new Error("A template has data once.");
      case "before":
        this.#room += Buffer.byteLength(part.text);
        this.#add(`if (sink.hasBefore(s, lsnAt, command, seqvalAt, operation)) {
if (d.length - o < sink.beforeLength + ROOM) { sink.grow(o, sink.beforeLength + ROOM); d = sink.bytes; dv = sink.view; }
${text(part.text)}
o = sink.putBefore(o);
}`);
        break;
      case "lsn":
        this.#add("o = writeLsn(dv, o, s, lsnAt);");
        break;
      case "lsnParts":
        this.#add("o = writeLsnParts(dv, o, s, lsnAt);");
        break;
      case "seqval":
        this.#add("o = writeLsn(dv, o, s, seqvalAt);");
        break;
      case "operation":
        this.#add("d[o++] = 48 + operation;");
        break;
      case "command":
        this.#add("o = writeInt(d, o, command);");
        break;
      case "operationType":
        this.#add(byOperation("Delete", "Insert", "Update"));
        break;
      case "changeType":
        this.#add(byOperation("delete", "insert", "update"));
        break;
      case "commitTime":
        this.#add("o = sink.putTime(o);");
        break;
      case "timestamp":
        this.#add("o = sink.putShortTime(o);");
        break;
    }
  }
}

/** As it is declared and as it is called: both have the same names for what it needs. */
function partOf(name: string, index: number): string {
  return `${name}${index}(s, sv, p, end, sink, operation, nulls, maskAt, maskLength)`;
}

const INTEGERS: ReadonlySet<number> = new Set([TYPE.tinyint, TYPE.smallint, TYPE.int, TYPE.intn]);

function labelOf(field: RowField): Buffer {
  return Buffer.from(`,${JSON.stringify(field.name)}:`);
}

function wrongType(column: WireColumn, wanted: string): Error {
  return impossible(column.name, `${wanted} instead of the type 0x${column.type.toString(16)}`);
}

function byOperation(one: string, two: string, four: string): string {
  return `if (operation === 2) {\n${text(two)}\n} else if (operation === 4) {\n${text(four)}\n} else {\n${text(one)}\n}`;
}

/** A value that is no JSON string becomes one where every value is to be. */
function quoted(code: ValueCode, values: ValueOptions): string {
  return values.values === "string" && !code.string ? `d[o++] = 34;\n${code.write}\nd[o++] = 34;` : code.write;
}
