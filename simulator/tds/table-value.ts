/** Table-valued parameters: MS-TDS 2.2.5.5.5.3. */
import type { TableValue } from "../engine/session.ts";
import type { Value } from "../engine/values.ts";
import { type ByteReader, ProtocolError } from "./bytes.ts";
import { readTypeInfo, type WireType } from "./decoding.ts";

const NULL_TABLE = 0xffff;
const COLUMN_DEFAULT = 0x0200;
const TOKEN = { end: 0x00, row: 0x01, orderUnique: 0x10, columnOrdering: 0x11 } as const;

/** From the type's byte on. */
export function readTableValue(from: ByteReader): TableValue {
  from.u8();
  // The database of a table type is that of the procedure.
  from.bVarchar();
  const schema = from.bVarchar();
  const name = from.bVarchar();
  const columns: { wire: WireType; default: boolean }[] = [];
  const count = from.u16();
  while (count !== NULL_TABLE && columns.length < count) columns.push(readColumn(from));
  skipHints(from);
  const reads = columns.flatMap((column) => (column.default ? [] : [column.wire.read]));
  return {
    schema,
    name,
    columns: columns.map((column) => ({ type: column.wire.type, default: column.default })),
    rows: readRows(from, reads),
  };
}

function readColumn(from: ByteReader): { wire: WireType; default: boolean } {
  from.u32();
  const flags = from.u16();
  const wire = readTypeInfo(from);
  from.bVarchar();
  return { wire, default: (flags & COLUMN_DEFAULT) !== 0 };
}

/** How the rows are sorted and which columns are unique, and another order of the columns; up to the end token. */
function skipHints(from: ByteReader): void {
  for (;;) {
    const token = from.u8();
    if (token === TOKEN.end) return;
    if (token === TOKEN.orderUnique) from.raw(from.u16() * 3);
    else if (token === TOKEN.columnOrdering) from.raw(from.u16() * 2);
    else throw new ProtocolError(`a table-valued parameter has token 0x${token.toString(16)} behind its columns`);
  }
}

function readRows(from: ByteReader, reads: WireType["read"][]): Value[][] {
  const rows: Value[][] = [];
  for (;;) {
    const token = from.u8();
    if (token === TOKEN.end) return rows;
    if (token !== TOKEN.row)
      throw new ProtocolError(`a table-valued parameter has token 0x${token.toString(16)} between its rows`);
    rows.push(reads.map((read) => read(from)));
  }
}
