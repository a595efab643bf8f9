/**
 * A TDS client that only counts: it logs in, sends a batch and reads the answer to its end without looking into it, so that what is
 * measured is the server (or, beside another reader, what no reader can be faster than).
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

const HEADER = 8;
const BATCH = 0x01;
const LOGIN7 = 0x10;
const PRELOGIN = 0x12;
const LAST = 0x01;
const PACKET_SIZE = 32_767;
const DONE = 0xfd;

export interface Drained {
  /** Of packets, headers included. */
  bytes: number;
  /** The count of the last DONE. */
  rows: number;
}

export class DrainingClient {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async connect(port: number, user: string, password: string, database: string): Promise<DrainingClient> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    const client = new DrainingClient(socket);
    await client.#exchange(PRELOGIN, prelogin());
    const { bytes } = await client.#exchange(LOGIN7, login(user, password, database));
    if (bytes < 100) throw new Error("the login was refused");
    return client;
  }

  drain(sql: string): Promise<Drained> {
    const text = Buffer.from(sql, "utf16le");
    const headers = Buffer.alloc(22);
    headers.writeUInt32LE(22, 0);
    headers.writeUInt32LE(18, 4);
    headers.writeUInt16LE(2, 8);
    headers.writeUInt32LE(1, 18);
    return this.#exchange(BATCH, Buffer.concat([headers, text]));
  }

  /** Reads nothing until `resume`. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }

  #exchange(type: number, payload: Buffer): Promise<Drained> {
    const socket = this.#socket;
    return new Promise((resolve, reject) => {
      const packets = new PacketCounter();
      const end = (error?: Error) => {
        socket.off("data", data);
        socket.off("close", closed);
        if (error) reject(error);
        else resolve({ bytes: packets.bytes, rows: packets.rows });
      };
      const data = (chunk: Buffer) => {
        if (packets.take(chunk)) end();
      };
      const closed = () => end(new Error("the server closed the connection"));
      socket.on("data", data);
      socket.on("close", closed);
      for (let at = 0; at < payload.length; at += 4096 - HEADER) {
        const part = payload.subarray(at, at + 4096 - HEADER);
        const header = Buffer.from([type, at + part.length < payload.length ? 0 : LAST, 0, 0, 0, 0, 1, 0]);
        header.writeUInt16BE(part.length + HEADER, 2);
        socket.write(Buffer.concat([header, part]));
      }
    });
  }
}

/** Goes from packet header to packet header; knows the end of a message, and its last bytes. */
class PacketCounter {
  bytes = 0;
  readonly #header = Buffer.alloc(HEADER);
  #headerBytes = 0;
  /** Bytes of the packet that are still to come. */
  #rest = 0;
  #last = false;
  #tail: Buffer = Buffer.alloc(0);

  /** True at the end of the message. */
  take(chunk: Buffer): boolean {
    this.bytes += chunk.length;
    let at = 0;
    while (at < chunk.length) {
      if (this.#rest > 0) {
        const step = Math.min(this.#rest, chunk.length - at);
        at += step;
        this.#rest -= step;
      } else {
        this.#header[this.#headerBytes++] = chunk[at++]!;
        if (this.#headerBytes < HEADER) continue;
        this.#headerBytes = 0;
        this.#last = (this.#header[1]! & LAST) !== 0;
        this.#rest = this.#header.readUInt16BE(2) - HEADER;
      }
      if (this.#rest === 0 && this.#headerBytes === 0 && this.#last) {
        this.#tail = chunk.length >= 13 ? chunk.subarray(-13) : Buffer.concat([this.#tail, chunk]).subarray(-13);
        return true;
      }
    }
    this.#tail = chunk.length >= 13 ? chunk.subarray(-13) : Buffer.concat([this.#tail, chunk]).subarray(-13);
    return false;
  }

  get rows(): number {
    return this.#tail.length === 13 && this.#tail[0] === DONE ? Number(this.#tail.readBigUInt64LE(5)) : 0;
  }
}

/** VERSION and ENCRYPTION, which the client does without. */
function prelogin(): Buffer {
  return Buffer.from([0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 17, 0, 0, 0, 0, 0, 2]);
}

function login(user: string, password: string, database: string): Buffer {
  const head = Buffer.alloc(94);
  head.writeUInt32LE(0x74000004, 4);
  head.writeUInt32LE(PACKET_SIZE, 8);
  head.writeUInt32LE(0x07000000, 12);
  // Which of host, user, password, application, server, (unused), client, language, database follow, where, and how long.
  const texts = ["bench", user, password, "bench", "", "", "bench", "", database];
  const data: Buffer[] = [];
  let offset = head.length;
  for (const [i, value] of texts.entries()) {
    const bytes = Buffer.from(value, "utf16le");
    if (i === 2) for (const [k, byte] of bytes.entries()) bytes[k] = (((byte & 0x0f) << 4) | (byte >> 4)) ^ 0xa5;
    head.writeUInt16LE(offset, 36 + i * 4);
    head.writeUInt16LE(value.length, 38 + i * 4);
    data.push(bytes);
    offset += bytes.length;
  }
  for (const at of [78, 82, 86]) head.writeUInt16LE(offset, at);
  const message = Buffer.concat([head, ...data]);
  message.writeUInt32LE(message.length, 0);
  return message;
}
