/** PRELOGIN (MS-TDS 2.2.6.5): versions, and whether the connection is encrypted. */
import { ByteReader, ByteWriter, ProtocolError } from "./bytes.ts";

const OPTION = {
  version: 0,
  encryption: 1,
  instance: 2,
  threadId: 3,
  mars: 4,
  traceId: 5,
  fedAuth: 6,
  nonce: 7,
} as const;
const TERMINATOR = 0xff;

export const ENCRYPT = { off: 0, on: 1, notSupported: 2, required: 3 } as const;

/** How the server is set up; strict (TDS 8.0) is a way of its own, seen from the first byte. */
export type EncryptionPolicy = "off" | "required" | "not_supported";

export interface Prelogin {
  encryption: number;
  /** The option was sent. */
  mars: boolean;
  fedAuth: number | undefined;
}

export function parsePrelogin(data: Buffer): Prelogin {
  const options = new Map<number, Buffer>();
  const reader = new ByteReader(data);
  // 3.3.5.1: a PRELOGIN whose first option is not the version is no PRELOGIN.
  if (data[0] !== OPTION.version) throw new ProtocolError("PRELOGIN does not begin with the VERSION option");
  for (let token = reader.u8(); token !== TERMINATOR; token = reader.u8()) {
    const offset = (reader.u8() << 8) | reader.u8();
    const length = (reader.u8() << 8) | reader.u8();
    if (offset + length > data.length) throw new ProtocolError(`PRELOGIN option ${token} reaches beyond the message`);
    options.set(token, data.subarray(offset, offset + length));
  }
  return {
    encryption: options.get(OPTION.encryption)?.[0] ?? ENCRYPT.notSupported,
    mars: options.has(OPTION.mars),
    fedAuth: options.get(OPTION.fedAuth)?.[0],
  };
}

export interface Encryption {
  /** What the server answers. */
  answer: number;
  /** What is encrypted; "refuse": the connection ends after the answer. */
  scope: "nothing" | "login" | "all" | "refuse";
}

/** The table of 2.2.6.5: what is asked for, against how the server is set up. */
export function negotiate(client: number, policy: EncryptionPolicy): Encryption {
  // The upper bits are about client certificates, which are not asked for.
  const asked = client & 0x03;
  const wants = asked === ENCRYPT.on || asked === ENCRYPT.required;
  if (policy === "not_supported") return { answer: ENCRYPT.notSupported, scope: wants ? "refuse" : "nothing" };
  if (wants) return { answer: ENCRYPT.on, scope: "all" };
  if (policy === "required") {
    return { answer: ENCRYPT.required, scope: asked === ENCRYPT.off ? "all" : "refuse" };
  }
  return asked === ENCRYPT.off
    ? { answer: ENCRYPT.off, scope: "login" }
    : { answer: ENCRYPT.notSupported, scope: "nothing" };
}

export interface PreloginAnswer {
  version: ServerVersion;
  encryption: number;
  mars: boolean;
  fedAuth: number | undefined;
}

/** As in 16.0.4135: major, minor, build. */
export type ServerVersion = readonly [major: number, minor: number, build: number];

export function parseVersion(text: string): ServerVersion {
  const parts = /^(\d+)\.(\d+)\.(\d+)/.exec(text);
  if (!parts) throw new Error(`serverVersion ${JSON.stringify(text)} is not of the form 16.0.4135`);
  return [Number(parts[1]), Number(parts[2]), Number(parts[3])];
}

/** Options come back only where the client sent them, but for version, encryption, instance and thread id. */
export function writePrelogin(answer: PreloginAnswer): Buffer {
  const [major, minor, build] = answer.version;
  const options: [number, Buffer][] = [
    [OPTION.version, Buffer.of(major, minor, build >> 8, build & 0xff, 0, 0)],
    [OPTION.encryption, Buffer.of(answer.encryption)],
    // 0: the instance that was asked for, whatever its name.
    [OPTION.instance, Buffer.of(0)],
    [OPTION.threadId, Buffer.alloc(0)],
  ];
  // MARS is not served: 0 tells the client so.
  if (answer.mars) options.push([OPTION.mars, Buffer.of(0)]);
  if (answer.fedAuth !== undefined) options.push([OPTION.fedAuth, Buffer.of(0)]);
  const writer = new ByteWriter(128);
  let offset = options.length * 5 + 1;
  for (const [token, value] of options) {
    writer.raw(Buffer.of(token, offset >> 8, offset & 0xff, 0, value.length));
    offset += value.length;
  }
  writer.u8(TERMINATOR);
  for (const [, value] of options) writer.raw(value);
  return writer.toBuffer();
}
