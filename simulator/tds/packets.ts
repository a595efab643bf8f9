/**
 * Packets and messages (MS-TDS 2.2.3): a message is a run of packets of one type, the last of which has the EOM bit. An
 * attention is a message too, and may come while the response to another one is being sent.
 */
import { ByteWriter, ProtocolError } from "./bytes.ts";

export const PACKET = {
  sqlBatch: 0x01,
  preTds7Login: 0x02,
  rpc: 0x03,
  response: 0x04,
  attention: 0x06,
  bulkLoad: 0x07,
  federatedToken: 0x08,
  transaction: 0x0e,
  login7: 0x10,
  sspi: 0x11,
  prelogin: 0x12,
} as const;

export const STATUS = { endOfMessage: 0x01, ignore: 0x02, reset: 0x08, resetKeepTransaction: 0x10 } as const;

export const HEADER = 8;
/** Before a size is negotiated (2.2.3.1.3). */
export const FIRST_PACKET_SIZE = 4096;
export const MIN_PACKET_SIZE = 512;
export const MAX_PACKET_SIZE = 32767;
/** No request of a client comes near this; a length field gone wrong would. */
const MAX_MESSAGE = 512 * 1024 * 1024;

export interface RequestMessage {
  readonly type: number;
  /** Status bits of the first packet; `ignore` from the last. */
  readonly status: number;
  readonly data: Buffer;
}

const knownTypes: ReadonlySet<number> = new Set(Object.values(PACKET));

/** Cuts what arrives, in pieces of any size, into messages. */
export class PacketReader {
  readonly #message: (message: RequestMessage) => void;
  /** Bytes of a packet that is not complete. */
  #pending: Buffer[] = [];
  #pendingLength = 0;
  #parts: Buffer[] = [];
  #partsLength = 0;
  #type = 0;
  #status = 0;
  #inside = false;

  constructor(message: (message: RequestMessage) => void) {
    this.#message = message;
  }

  /** Throws ProtocolError when a header cannot be one of TDS. */
  push(chunk: Buffer): void {
    this.#pending.push(chunk);
    this.#pendingLength += chunk.length;
    for (
      let length = this.#packetLength();
      length > 0 && this.#pendingLength >= length;
      length = this.#packetLength()
    ) {
      const joined = this.#joined();
      this.#pending = joined.length > length ? [joined.subarray(length)] : [];
      this.#pendingLength = joined.length - length;
      this.#packet(joined.subarray(0, length));
    }
  }

  /** The length of the packet that the pending bytes begin with, 0 while its header is not complete. */
  #packetLength(): number {
    if (this.#pendingLength < HEADER) {
      if (this.#pendingLength > 0) this.#checkType(this.#pending[0]![0]!);
      return 0;
    }
    const first = this.#pending[0]!.length >= HEADER ? this.#pending[0]! : this.#joined();
    this.#checkType(first[0]!);
    const length = first.readUInt16BE(2);
    if (length < HEADER) throw new ProtocolError(`a packet header announces ${length} bytes, less than a header has`);
    return length;
  }

  #checkType(type: number): void {
    if (!knownTypes.has(type)) throw new ProtocolError(`a packet has type 0x${type.toString(16)}, which TDS has not`);
  }

  #joined(): Buffer {
    if (this.#pending.length > 1) this.#pending = [Buffer.concat(this.#pending)];
    return this.#pending[0]!;
  }

  #packet(packet: Buffer): void {
    const type = packet[0]!;
    const status = packet[1]!;
    if (type === PACKET.attention) {
      // What was sent of a message before it will not go on.
      this.#begin();
      this.#message({ type, status, data: Buffer.alloc(0) });
      return;
    }
    if (!this.#inside) {
      this.#type = type;
      this.#status = status;
      this.#inside = true;
    } else if (type !== this.#type) {
      throw new ProtocolError(`a packet of type ${type} came inside a message of type ${this.#type}`);
    }
    this.#parts.push(packet.subarray(HEADER));
    this.#partsLength += packet.length - HEADER;
    if (this.#partsLength > MAX_MESSAGE) throw new ProtocolError(`a message is longer than ${MAX_MESSAGE} bytes`);
    if (!(status & STATUS.endOfMessage)) return;
    const data = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts, this.#partsLength);
    const message = { type, status: this.#status | (status & STATUS.ignore), data };
    this.#begin();
    this.#message(message);
  }

  #begin(): void {
    this.#inside = false;
    this.#parts = [];
    this.#partsLength = 0;
  }
}

/** One message in packets, for what is short and known at once. */
export function packetize(type: number, payload: Buffer, packetSize: number, spid: number): Buffer {
  const writer = new ByteWriter(payload.length + 64);
  const room = packetSize - HEADER;
  for (let at = 0, id = 1; at === 0 || at < payload.length; at += room, id++) {
    const part = payload.subarray(at, at + room);
    const last = at + room >= payload.length;
    const header = writer.reserve(HEADER);
    writeHeader(writer.bytes, header, type, last, part.length + HEADER, spid, id);
    writer.length += HEADER;
    writer.raw(part);
  }
  return writer.toBuffer();
}

export function writeHeader(
  to: Buffer,
  at: number,
  type: number,
  last: boolean,
  length: number,
  spid: number,
  id: number,
): void {
  to[at] = type;
  to[at + 1] = last ? STATUS.endOfMessage : 0;
  to[at + 2] = length >> 8;
  to[at + 3] = length;
  to[at + 4] = spid >> 8;
  to[at + 5] = spid;
  to[at + 6] = id;
  to[at + 7] = 0;
}
