/** Requests of a logged-in client: SQLBatch, RPC, transaction manager (MS-TDS 2.2.6.7, 2.2.6.6, 2.2.6.9). */
import type { RpcParameter, SqlSession } from "../engine/session.ts";
import { ByteReader, ProtocolError } from "./bytes.ts";
import { readTypedValue } from "./decoding.ts";
import type { Dialect } from "./dialect.ts";
import { readTableValue } from "./table-value.ts";
import { TYPE } from "./types.ts";

export interface RpcCall {
  procedure: string | number;
  parameters: RpcParameter[];
}

/** `distributed`: one of the requests of MS DTC. */
export type TransactionRequest = Parameters<SqlSession["transaction"]>[0] | { kind: "distributed" };

export function parseBatch(data: Buffer, dialect: Dialect): string {
  const reader = afterHeaders(data, dialect);
  return reader.utf16(reader.rest);
}

const TRANSACTION_HEADER = 2;

/** The transaction that the client believes to be in (2.2.5.3.2), 0 for none; undefined where it does not say. */
export function transactionOf(data: Buffer, dialect: Dialect): bigint | undefined {
  if (!dialect.atLeast72) return undefined;
  const end = afterHeaders(data, dialect).at;
  const headers = new ByteReader(data, 4, end);
  while (headers.rest > 0) {
    const length = headers.u32();
    if (length < 6) throw new ProtocolError(`a header of ALL_HEADERS says that it has ${length} bytes`);
    const type = headers.u16();
    const content = headers.raw(length - 6);
    if (type === TRANSACTION_HEADER) return new ByteReader(content).u64();
  }
  return undefined;
}

/** ALL_HEADERS (2.2.5.3): query notifications, transaction descriptor, trace activity. */
function afterHeaders(data: Buffer, dialect: Dialect): ByteReader {
  if (!dialect.atLeast72) return new ByteReader(data);
  if (data.length < 4) throw new ProtocolError("a request ends before ALL_HEADERS");
  const length = data.readUInt32LE(0);
  if (length < 4 || length > data.length) throw new ProtocolError(`ALL_HEADERS says that it has ${length} bytes`);
  return new ByteReader(data, length);
}

const BY_NUMBER = 0xffff;
const BATCH_FLAG = 0xff;
const BATCH_FLAG_71 = 0x80;
const NO_EXEC_FLAG = 0xfe;
const PARAMETER = { output: 0x01, default: 0x02, encrypted: 0x08 } as const;

/**
 * Reads one call after the other, so that calls before an unreadable one can be answered. The generator throws ProtocolError,
 * or UnservedType for a parameter of a type that is not served.
 */
export function* parseRpc(data: Buffer, dialect: Dialect): Generator<RpcCall> {
  const reader = afterHeaders(data, dialect);
  const separator = dialect.atLeast72 ? BATCH_FLAG : BATCH_FLAG_71;
  while (reader.rest > 0) {
    const length = reader.u16();
    const procedure = length === BY_NUMBER ? reader.u16() : reader.utf16(length * 2);
    reader.u16();
    const parameters: RpcParameter[] = [];
    while (reader.rest > 0) {
      const next = data[reader.at]!;
      if (next === NO_EXEC_FLAG) throw new ProtocolError("a call with NoExecFlag is not served");
      if (next === separator) {
        reader.u8();
        break;
      }
      parameters.push(readParameter(reader));
    }
    yield { procedure, parameters };
  }
}

function readParameter(reader: ByteReader): RpcParameter {
  const name = reader.bVarchar();
  const status = reader.u8();
  if (status & PARAMETER.encrypted) throw new ProtocolError(`parameter ${name} is encrypted, which was not negotiated`);
  const output = (status & PARAMETER.output) !== 0;
  let parameter: RpcParameter;
  if (reader.bytes[reader.at] === TYPE.table)
    parameter = { name, type: { id: "null" }, value: null, output, table: readTableValue(reader) };
  else parameter = { name, ...readTypedValue(reader), output };
  if (status & PARAMETER.default) parameter.default = true;
  return parameter;
}

const TM = { getAddress: 0, propagate: 1, begin: 5, promote: 6, commit: 7, rollback: 8, save: 9 } as const;

export function parseTransaction(data: Buffer, dialect: Dialect): TransactionRequest {
  const reader = afterHeaders(data, dialect);
  const type = reader.u16();
  const name = () => reader.utf16(reader.u8());
  const ending = () => {
    const ended = name();
    const begins = (reader.u8() & 0x01) !== 0;
    if (!begins) return { name: ended };
    const isolation = reader.u8();
    return { name: ended, begin: { isolation, name: name() } };
  };
  switch (type) {
    case TM.begin: {
      const isolation = reader.u8();
      return { kind: "begin", isolation, name: name() };
    }
    case TM.commit:
      return { kind: "commit", ...ending() };
    case TM.rollback:
      return { kind: "rollback", ...ending() };
    case TM.save:
      return { kind: "save", name: name() };
    case TM.getAddress:
    case TM.propagate:
    case TM.promote:
      return { kind: "distributed" };
    default:
      throw new ProtocolError(`transaction manager request ${type} does not exist`);
  }
}
