/** Tokens of a response (MS-TDS 2.2.7) other than rows. */
import type { BrowseInfo, ServerMessage } from "../engine/session.ts";
import type { SqlType, Value } from "../engine/values.ts";
import type { ByteWriter } from "./bytes.ts";
import type { Dialect } from "./dialect.ts";
import type { Encoder } from "./encoding.ts";

export const TOKEN = {
  returnStatus: 0x79,
  colMetadata: 0x81,
  tableName: 0xa4,
  columnInfo: 0xa5,
  order: 0xa9,
  error: 0xaa,
  info: 0xab,
  returnValue: 0xac,
  loginAck: 0xad,
  featureExtAck: 0xae,
  row: 0xd1,
  nbcRow: 0xd2,
  envChange: 0xe3,
  done: 0xfd,
  doneProc: 0xfe,
  doneInProc: 0xff,
} as const;

/** Status bits of the DONE tokens (2.2.7.6). DONE_INXACT (0x04) is not among them: SQL Server does not use it, as tedious' parser notes. */
export const DONE = { final: 0, more: 0x01, error: 0x02, count: 0x10, attention: 0x20 } as const;

export const ENV = {
  database: 1,
  language: 2,
  packetSize: 4,
  collation: 7,
  beginTransaction: 8,
  commitTransaction: 9,
  rollbackTransaction: 10,
  resetDone: 18,
  routing: 20,
} as const;

/** SQL Server cuts messages at 2,047 characters (RAISERROR) or 4,000 (PRINT); this only keeps the token's length in range. */
const LONGEST_MESSAGE = 8_000;

export function writeDone(
  to: ByteWriter,
  dialect: Dialect,
  token: number,
  status: number,
  command: number,
  count: number,
): void {
  to.u8(token);
  to.u16(status);
  to.u16(command);
  to.u32(count);
  if (dialect.atLeast72) to.u32(Math.floor(count / 0x1_0000_0000));
}

export function writeMessage(to: ByteWriter, dialect: Dialect, message: ServerMessage, server: string): void {
  to.u8(message.severity > 10 ? TOKEN.error : TOKEN.info);
  const at = to.reserve(2);
  to.length = at + 2;
  to.u32(message.number);
  to.u8(message.state);
  to.u8(message.severity);
  to.usVarchar(message.message.slice(0, LONGEST_MESSAGE));
  to.bVarchar(server);
  to.bVarchar(message.procedure ?? "");
  if (dialect.atLeast72) to.u32(message.line);
  else to.u16(message.line);
  to.patchU16(at, to.length - at - 2);
}

export function writeEnvText(to: ByteWriter, kind: number, value: string, old: string): void {
  envChange(to, kind, () => {
    to.bVarchar(value);
    to.bVarchar(old);
  });
}

/** Collations, transaction descriptors and the like: B_VARBYTE. */
export function writeEnvBytes(to: ByteWriter, kind: number, value: Buffer, old: Buffer): void {
  envChange(to, kind, () => {
    to.u8(value.length);
    to.raw(value);
    to.u8(old.length);
    to.raw(old);
  });
}

/** Sends the client on to another server (2.2.7.9, type 20). */
export function writeRouting(to: ByteWriter, { host, port }: { host: string; port: number }): void {
  envChange(to, ENV.routing, () => {
    const at = to.reserve(2);
    to.length = at + 2;
    // TCP
    to.u8(0);
    to.u16(port);
    to.usVarchar(host);
    to.patchU16(at, to.length - at - 2);
    to.u16(0);
  });
}

function envChange(to: ByteWriter, kind: number, body: () => void): void {
  to.u8(TOKEN.envChange);
  const at = to.reserve(2);
  to.length = at + 2;
  to.u8(kind);
  body();
  to.patchU16(at, to.length - at - 2);
}

export function writeLoginAck(
  to: ByteWriter,
  dialect: Dialect,
  program: string,
  version: readonly [number, number, number],
): void {
  to.u8(TOKEN.loginAck);
  const at = to.reserve(2);
  to.length = at + 2;
  // SQL_TSQL
  to.u8(1);
  to.u32be(dialect.version);
  to.bVarchar(program);
  const [major, minor, build] = version;
  to.raw(Buffer.of(major, minor, build >> 8, build & 0xff));
  to.patchU16(at, to.length - at - 2);
}

export function writeFeatureAck(to: ByteWriter, features: readonly (readonly [id: number, data: Buffer])[]): void {
  to.u8(TOKEN.featureExtAck);
  for (const [id, data] of features) {
    to.u8(id);
    to.u32(data.length);
    to.raw(data);
  }
  to.u8(0xff);
}

export interface DescribedColumn {
  name: string;
  userType: number;
  flags: number;
  encoder: Encoder;
}

/** 2.2.7.4. */
export function writeColumns(to: ByteWriter, dialect: Dialect, columns: readonly DescribedColumn[]): void {
  to.u8(TOKEN.colMetadata);
  to.u16(columns.length);
  for (const { name, userType, flags, encoder } of columns) {
    writeTypeHead(to, dialect, userType, flags);
    encoder.typeInfo(to);
    if (encoder.tableName) {
      // The name of the table, which the engine does not say: of one empty part.
      if (dialect.atLeast72) to.u8(1);
      to.usVarchar("");
    }
    to.bVarchar(name);
  }
}

const COLUMN_STATUS = { expression: 0x04, key: 0x08, hidden: 0x10, differentName: 0x20 } as const;

/** TABNAME and COLINFO (2.2.7.22 and 2.2.7.3): which tables the columns come from. */
export function writeBrowseInfo(to: ByteWriter, dialect: Dialect, { tables, columns }: BrowseInfo): void {
  to.u8(TOKEN.tableName);
  const tablesAt = to.length;
  to.u16(0);
  for (const parts of tables) {
    if (dialect.atLeast72) {
      to.u8(parts.length);
      for (const part of parts) to.usVarchar(part);
    } else to.usVarchar(parts.join("."));
  }
  to.patchU16(tablesAt, to.length - tablesAt - 2);
  to.u8(TOKEN.columnInfo);
  const columnsAt = to.length;
  to.u16(0);
  for (const [i, { table, expression, key, hidden, name }] of columns.entries()) {
    to.u8((i + 1) & 0xff);
    to.u8(table);
    to.u8(
      (expression ? COLUMN_STATUS.expression : 0) |
        (key ? COLUMN_STATUS.key : 0) |
        (hidden ? COLUMN_STATUS.hidden : 0) |
        (name === undefined ? 0 : COLUMN_STATUS.differentName),
    );
    if (name !== undefined) to.bVarchar(name);
  }
  to.patchU16(columnsAt, to.length - columnsAt - 2);
}

/**
 * ORDER (2.2.7.17): the columns by which ORDER BY has sorted, from 1. Whether it is sent where a query sorts by what is no column of
 * its result is not documented; it is not, here.
 */
export function writeOrder(to: ByteWriter, columns: readonly number[]): void {
  to.u8(TOKEN.order);
  to.u16(columns.length * 2);
  for (const column of columns) to.u16(column);
}

function writeTypeHead(to: ByteWriter, dialect: Dialect, userType: number, flags: number): void {
  if (dialect.atLeast72) to.u32(userType);
  else to.u16(userType);
  to.u16(flags);
}

export function writeReturnStatus(to: ByteWriter, status: number): void {
  to.u8(TOKEN.returnStatus);
  to.u32(status);
}

/** 2.2.7.19: an output parameter. `ordinal` is its place among the parameters of the call. */
export function writeReturnValue(
  to: ByteWriter,
  dialect: Dialect,
  parameter: { ordinal: number; name: string; type: SqlType; value: Value },
  encoder: Encoder,
): void {
  to.u8(TOKEN.returnValue);
  to.u16(parameter.ordinal);
  to.bVarchar(parameter.name);
  to.u8(1);
  writeTypeHead(to, dialect, 0, 0x01);
  encoder.typeInfo(to);
  if (parameter.value === null) encoder.null(to);
  else encoder.value(to, parameter.value);
}
