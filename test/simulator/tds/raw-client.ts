/** A client that sends what a test says, byte by byte, and takes answers apart no further than a test needs. */
import { connect, type Socket } from "node:net";

export const PACKET = { batch: 1, rpc: 3, attention: 6, transaction: 14, login: 16, prelogin: 18 } as const;

/** One message in one packet; `status` 1 ends it. */
export function packet(type: number, data: Buffer, status = 1): Buffer {
  const header = Buffer.of(type, status, 0, 0, 0, 0, 1, 0);
  header.writeUInt16BE(8 + data.length, 2);
  return Buffer.concat([header, data]);
}

/** No encryption, no other option than the version. */
export function prelogin(): Buffer {
  const options = Buffer.from("00000b00060100110001ff", "hex");
  return Buffer.concat([options, Buffer.from("11000000000002", "hex")]);
}

export interface LoginFields {
  tdsVersion?: number;
  packetSize?: number;
  user?: string;
  password?: string;
  newPassword?: string;
  database?: string;
  language?: string;
  attachFile?: string;
  readOnly?: boolean;
  /** FEATUREEXT, without its terminator. */
  features?: [id: number, data: Buffer][];
}

function scrambled(text: string): Buffer {
  return Buffer.from(text, "utf16le").map((byte) => (((byte << 4) | (byte >> 4)) & 0xff) ^ 0xa5) as Buffer;
}

/** LOGIN7 (MS-TDS 2.2.6.4). */
export function login7(fields: LoginFields = {}): Buffer {
  const { tdsVersion = 0x74000004, packetSize = 4096, user = "sa", password = "Simulator!1" } = fields;
  const fixed = Buffer.alloc(94);
  fixed.writeUInt32LE(tdsVersion, 4);
  fixed.writeUInt32LE(packetSize, 8);
  fixed[24] = 0xe0;
  fixed[25] = 0x03;
  fixed[26] = fields.readOnly ? 0x20 : 0;
  fixed[27] = (fields.newPassword === undefined ? 0 : 1) | (fields.features ? 0x10 : 0);
  const parts: Buffer[] = [fixed];
  let length = fixed.length;
  const put = (at: number, bytes: Buffer, characters = bytes.length / 2) => {
    fixed.writeUInt16LE(length, at);
    fixed.writeUInt16LE(characters, at + 2);
    parts.push(bytes);
    length += bytes.length;
  };
  const text = (value = "") => Buffer.from(value, "utf16le");
  put(36, text("host"));
  put(40, text(user));
  put(44, scrambled(password));
  put(48, text("raw"));
  put(52, text("server"));
  put(60, text("raw"));
  put(64, text(fields.language));
  put(68, text(fields.database));
  put(82, text(fields.attachFile));
  if (fields.newPassword !== undefined) put(86, scrambled(fields.newPassword));
  if (fields.features) {
    const pointer = Buffer.alloc(4);
    pointer.writeUInt32LE(length + 4);
    put(56, pointer, 4);
    for (const [id, data] of fields.features) {
      const head = Buffer.alloc(5);
      head[0] = id;
      head.writeUInt32LE(data.length, 1);
      parts.push(head, data);
    }
    parts.push(Buffer.of(0xff));
  }
  const all = Buffer.concat(parts);
  all.writeUInt32LE(all.length, 0);
  return all;
}

/** ALL_HEADERS with a transaction descriptor (2.2.5.3). */
export function headers(descriptor = 0n): Buffer {
  const bytes = Buffer.alloc(22);
  bytes.writeUInt32LE(22, 0);
  bytes.writeUInt32LE(18, 4);
  bytes.writeUInt16LE(2, 8);
  bytes.writeBigUInt64LE(descriptor, 10);
  bytes.writeUInt32LE(1, 18);
  return bytes;
}

export function batch(text: string): Buffer {
  return Buffer.concat([headers(), Buffer.from(text, "utf16le")]);
}

export class RawClient {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => {};

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.socket.on("error", () => {});
    this.socket.on("data", (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    this.socket.on("close", () => {
      this.#ended = true;
      this.#wake();
    });
  }

  send(bytes: Buffer): void {
    if (!this.#ended) this.socket.write(bytes);
  }

  /** The next message's tokens; null where the server ended the connection before it was complete. */
  async message(): Promise<Buffer | null> {
    const parts: Buffer[] = [];
    for (;;) {
      while (this.#received.length < 8 || this.#received.length < this.#received.readUInt16BE(2)) {
        if (this.#ended) return null;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      const length = this.#received.readUInt16BE(2);
      parts.push(this.#received.subarray(8, length));
      const last = (this.#received[1]! & 1) !== 0;
      this.#received = this.#received.subarray(length);
      if (last) return Buffer.concat(parts);
    }
  }

  /** PRELOGIN and LOGIN7; the answer to the latter. */
  async login(fields?: LoginFields): Promise<Buffer | null> {
    this.send(packet(PACKET.prelogin, prelogin()));
    await this.message();
    this.send(packet(PACKET.login, login7(fields)));
    return this.message();
  }

  closed(): Promise<void> {
    return this.#ended ? Promise.resolve() : new Promise((resolve) => this.socket.once("close", () => resolve()));
  }

  close(): void {
    this.socket.destroy();
  }
}

/** Tokens that begin with a length of two bytes, as [token, body], up to the first other one. */
export function tokens(message: Buffer): [token: number, body: Buffer][] {
  const found: [number, Buffer][] = [];
  const known = new Set([0xe3, 0xaa, 0xab, 0xad]);
  for (let at = 0; known.has(message[at]!); ) {
    const length = message.readUInt16LE(at + 1);
    found.push([message[at]!, message.subarray(at + 3, at + 3 + length)]);
    at += 3 + length;
  }
  return found;
}

/** Of an ERROR or INFO token. */
export function numberOf(body: Buffer): number {
  return body.readUInt32LE(0);
}
