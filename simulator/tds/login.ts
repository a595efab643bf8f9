/** LOGIN7 (MS-TDS 2.2.6.4). */
import { type Login, SqlError } from "../engine/session.ts";
import { ByteReader, ProtocolError } from "./bytes.ts";

export const FEATURE = { sessionRecovery: 0x01, fedAuth: 0x02, utf8: 0x0a } as const;

export interface LoginRequest {
  /** The first byte highest: 0x74000004. */
  tdsVersion: number;
  /** As asked for; 0 leaves it to the server. */
  packetSize: number;
  integratedSecurity: boolean;
  /** A file to attach as the database. */
  attachFile: string;
  features: Map<number, Buffer>;
  login: Login;
}

const FIXED = 94;
/** TDS 7.1 ends before ChangePassword and cbSSPILong. */
const FIXED_71 = 86;

export function parseLogin(data: Buffer): LoginRequest {
  if (data.length < FIXED_71)
    throw new ProtocolError(`LOGIN7 has ${data.length} bytes, at least ${FIXED_71} are needed`);
  const length = data.readUInt32LE(0);
  if (length > data.length) throw new ProtocolError(`LOGIN7 says that it has ${length} bytes, and has ${data.length}`);
  const tdsVersion = data.readUInt32LE(4);
  const options2 = data[25]!;
  const typeFlags = data[26]!;
  const options3 = data[27]!;
  const atLeast = (version: number) => tdsVersion >= version || tdsVersion >>> 24 === 0x08;
  const field = (at: number): Buffer => {
    const offset = data.readUInt16LE(at);
    const bytes = data.readUInt16LE(at + 2) * 2;
    if (bytes > 0 && offset + bytes > data.length)
      throw new ProtocolError(`LOGIN7 field at ${at} lies beyond the message`);
    return data.subarray(offset, offset + bytes);
  };
  const text = (at: number) => field(at).toString("utf16le");
  const changesPassword = atLeast(0x72000000) && data.length >= FIXED && (options3 & 0x01) !== 0;
  return {
    tdsVersion,
    packetSize: data.readUInt32LE(8),
    integratedSecurity: (options2 & 0x80) !== 0,
    attachFile: text(82),
    features: atLeast(0x74000000) && (options3 & 0x10) !== 0 ? parseFeatures(data) : new Map(),
    login: {
      host: text(36),
      user: text(40),
      password: clearPassword(field(44)),
      application: text(48),
      clientInterface: text(60),
      language: text(64),
      database: text(68),
      readOnlyIntent: (typeFlags & 0x20) !== 0,
      ...(changesPassword && { newPassword: clearPassword(field(86)) }),
    },
  };
}

/** Each byte was XORed with 0xA5 after its halves had been swapped. */
function clearPassword(field: Buffer): string {
  const clear = Buffer.alloc(field.length);
  for (let i = 0; i < field.length; i++) {
    const byte = field[i]! ^ 0xa5;
    clear[i] = (byte << 4) | (byte >> 4);
  }
  return clear.toString("utf16le");
}

/** ibExtension points to the offset of FEATUREEXT: id, length, data, …, 0xFF. */
function parseFeatures(data: Buffer): Map<number, Buffer> {
  const features = new Map<number, Buffer>();
  const pointer = data.readUInt16LE(56);
  if (data.readUInt16LE(58) === 0) return features;
  if (pointer + 4 > data.length) throw new ProtocolError("LOGIN7's extension lies beyond the message");
  const start = data.readUInt32LE(pointer);
  if (start >= data.length) throw new ProtocolError("LOGIN7's features lie beyond the message");
  const reader = new ByteReader(data, start);
  for (let id = reader.u8(); id !== 0xff; id = reader.u8()) features.set(id, reader.raw(reader.u32()));
  return features;
}

/** The error for what this server does not do: integrated and federated logins, attached files. */
export function unservedLogin({ integratedSecurity, attachFile, features, login }: LoginRequest): SqlError | null {
  if (integratedSecurity) {
    const why = "The login is from an untrusted domain and cannot be used with Integrated authentication.";
    return new SqlError(18452, `Login failed. ${why}`, 14, 1);
  }
  if (features.has(FEATURE.fedAuth)) {
    return new SqlError(
      18456,
      `Login failed for user '${login.user}'. Only SQL Server authentication is served.`,
      14,
      1,
    );
  }
  if (attachFile !== "")
    return new SqlError(40510, `The simulator does not support attaching a file at login (${attachFile}).`, 16, 1);
  return null;
}
