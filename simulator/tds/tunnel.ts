/**
 * TLS inside TDS (MS-TDS 3.3.5.2): the handshake travels in PRELOGIN packets; when it is done, bare TLS records take over.
 *
 * The change is seen in what arrives: where a packet should begin, a byte that is not the PRELOGIN type begins a TLS record.
 * The server says nothing between its last handshake message and that, so it changes over at the same point.
 */
import { Duplex } from "node:stream";
import { ProtocolError } from "./bytes.ts";
import { FIRST_PACKET_SIZE, HEADER, PACKET, packetize } from "./packets.ts";

export interface TunnelEnds {
  /** To the client; false asks to wait for `drained`. */
  write(bytes: Buffer): boolean;
  drained(): Promise<void>;
}

export class TlsTunnel extends Duplex {
  readonly #ends: TunnelEnds;
  #wrapped = true;
  #pending: Buffer = Buffer.alloc(0);

  constructor(ends: TunnelEnds) {
    super();
    this.#ends = ends;
  }

  /** What came from the client. */
  feed(chunk: Buffer): void {
    if (!this.#wrapped) {
      this.push(chunk);
      return;
    }
    let bytes = this.#pending.length > 0 ? Buffer.concat([this.#pending, chunk]) : chunk;
    while (bytes.length > 0) {
      if (bytes[0] !== PACKET.prelogin) {
        this.#wrapped = false;
        this.push(bytes);
        bytes = Buffer.alloc(0);
        break;
      }
      if (bytes.length < HEADER) break;
      const length = bytes.readUInt16BE(2);
      if (length < HEADER) throw new ProtocolError(`a packet header announces ${length} bytes, less than a header has`);
      if (bytes.length < length) break;
      this.push(bytes.subarray(HEADER, length));
      bytes = bytes.subarray(length);
    }
    this.#pending = bytes;
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#send(chunk, done);
  }

  /** One flight of the handshake goes as one message. */
  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  #send(bytes: Buffer, done: (error?: Error | null) => void): void {
    const out = this.#wrapped ? packetize(PACKET.prelogin, bytes, FIRST_PACKET_SIZE, 0) : bytes;
    if (this.#ends.write(out)) done();
    else void this.#ends.drained().then(() => done());
  }
}
