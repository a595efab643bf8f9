/**
 * The rows of a bulk load, as a client sends them behind its INSERT BULK: MS-TDS 2.2.6.1. They have the form in which the server
 * would send the same rows, except that the table's name of a text column is one string.
 */
import { type BulkLoad, SqlError } from "../engine/session.ts";
import type { Value } from "../engine/values.ts";
import { ByteReader, ProtocolError } from "./bytes.ts";
import { readTypeInfo, UnservedType, type WireType } from "./decoding.ts";
import type { Dialect } from "./dialect.ts";
import { TOKEN } from "./tokens.ts";
import { TYPE } from "./types.ts";

/** Throws what SQL Server answers where a column's type is not for bulk loads. */
export function parseBulkLoad(data: Buffer, dialect: Dialect): BulkLoad {
  const reader = new ByteReader(data);
  if (reader.u8() !== TOKEN.colMetadata) throw new ProtocolError("a bulk load begins without COLMETADATA");
  const columns: { name: string; wire: WireType }[] = [];
  for (let count = reader.u16(); columns.length < count; )
    columns.push(readColumn(reader, dialect, columns.length + 1));
  return {
    columns: columns.map(({ name, wire }) => ({ name, type: wire.type })),
    rows: readRows(
      reader,
      columns.map(({ wire }) => (isLong(wire) ? behindPointer(wire) : wire.read)),
    ),
  };
}

function readColumn(reader: ByteReader, dialect: Dialect, ordinal: number): { name: string; wire: WireType } {
  if (dialect.atLeast72) reader.u32();
  else reader.u16();
  reader.u16();
  const wire = typeOf(reader, ordinal);
  if (isLong(wire)) reader.usVarchar();
  return { name: reader.bVarchar(), wire };
}

/** XML travels as nvarchar(max), instances of CLR types as varbinary. */
function typeOf(reader: ByteReader, ordinal: number): WireType {
  const refused = () => new SqlError(4816, `Invalid column type from bcp client for colid ${ordinal}.`, 16, 1);
  try {
    const wire = readTypeInfo(reader);
    if (wire.token === TYPE.xml) throw refused();
    return wire;
  } catch (error) {
    throw error instanceof UnservedType ? refused() : error;
  }
}

function isLong({ token }: WireType): boolean {
  return token === TYPE.text || token === TYPE.ntext || token === TYPE.image;
}

/** A text pointer and a timestamp go before the value; a pointer of no bytes is NULL. */
function behindPointer({ read }: WireType): WireType["read"] {
  const TIMESTAMP_BYTES = 8;
  return (from) => {
    const pointer = from.u8();
    if (pointer === 0) return null;
    from.raw(pointer + TIMESTAMP_BYTES);
    return read(from);
  };
}

function* readRows(reader: ByteReader, reads: WireType["read"][]): Generator<Value[]> {
  while (reader.rest > 0) {
    const token = reader.u8();
    if (token === TOKEN.done) return;
    if (token !== TOKEN.row) throw new ProtocolError(`a bulk load has token 0x${token.toString(16)} between its rows`);
    yield reads.map((read) => read(reader));
  }
}
