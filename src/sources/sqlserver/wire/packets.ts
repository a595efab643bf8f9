/** Packets (MS-TDS 2.2.3) of a response: strips their headers, wherever the chunks of the stream are cut. */
import { MalformedResponse } from "./malformed.ts";

const HEADER = 8;
const TABULAR_RESULT = 0x04;
const END_OF_MESSAGE = 0x01;

export class PacketStream {
  readonly #payload: (bytes: Buffer, from: number, to: number) => void;
  readonly #header = Buffer.alloc(HEADER);
  #headerLength = 0;
  /** Of the present packet. */
  #remaining = 0;
  #last = false;
  /** Payload bytes before the present chunk's place. */
  #offset = 0;

  /** `payload` gets the bytes between two offsets of a chunk. */
  constructor(payload: (bytes: Buffer, from: number, to: number) => void) {
    this.#payload = payload;
  }

  /** Answers how many of the bytes belong to the response that they end; -1 where there is more of it to come. */
  push(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length) {
      if (this.#remaining > 0) {
        const to = Math.min(chunk.length, at + this.#remaining);
        this.#payload(chunk, at, to);
        this.#remaining -= to - at;
        this.#offset += to - at;
        at = to;
        if (this.#remaining === 0 && this.#last) return at;
        continue;
      }
      at = this.#readHeader(chunk, at);
      if (this.#headerLength === 0 && this.#remaining === 0 && this.#last) return at;
    }
    return -1;
  }

  #readHeader(chunk: Buffer, from: number): number {
    const to = Math.min(chunk.length, from + HEADER - this.#headerLength);
    chunk.copy(this.#header, this.#headerLength, from, to);
    this.#headerLength += to - from;
    if (this.#headerLength < HEADER) return to;
    this.#headerLength = 0;
    const length = this.#header.readUInt16BE(2);
    if (this.#header[0] !== TABULAR_RESULT)
      throw new MalformedResponse(
        this.#offset,
        `a packet of type 0x04 instead of 0x${this.#header.toString("hex", 0, 1)}`,
      );
    if (length < HEADER) throw new MalformedResponse(this.#offset, `a packet of 8 bytes or more instead of ${length}`);
    this.#remaining = length - HEADER;
    this.#last = (this.#header[1]! & END_OF_MESSAGE) !== 0;
    return to;
  }
}

/** Tokens as the packets of one response, for a reader that takes only whole responses. */
export function packetize(tokens: Buffer): Buffer[] {
  const LARGEST = 32_767 - HEADER;
  const packets: Buffer[] = [];
  for (let at = 0; at === 0 || at < tokens.length; at += LARGEST) {
    const payload = tokens.subarray(at, at + LARGEST);
    const header = Buffer.alloc(HEADER);
    header[0] = TABULAR_RESULT;
    header[1] = at + LARGEST >= tokens.length ? END_OF_MESSAGE : 0;
    header.writeUInt16BE(HEADER + payload.length, 2);
    header[6] = packets.length + 1;
    packets.push(Buffer.concat([header, payload]));
  }
  return packets;
}
