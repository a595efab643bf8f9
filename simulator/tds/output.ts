/**
 * The server's side of a connection's stream: tokens are written into one reusable buffer and leave it in packets of the
 * negotiated size. Written once for every response of a connection.
 */
import { ByteWriter } from "./bytes.ts";
import { FIRST_PACKET_SIZE, HEADER, PACKET, writeHeader } from "./packets.ts";

/**
 * Where packets go; `write` answers false when the client reads slower than we write, `drained` then resolves. `sent` may be
 * called once the bytes are no longer needed.
 */
export interface PacketSink {
  write(packets: Buffer, sent?: () => void): boolean;
  drained(): Promise<void>;
}

/** Packets are handed on when about this many bytes have come together, or four packets where those are large. */
const FLUSH_AT = 32 * 1024;
/** Buffers of this size are used again once their bytes were sent, by whichever connection. */
const LARGE = 512 * 1024;
const MOST_FREE = 8;
const free: Buffer[] = [];
/** After this many bytes without a pause the event loop gets a turn, so that an ATTENTION is read. */
const TURN_AFTER = 1024 * 1024;

export class Output {
  readonly tokens = new ByteWriter();
  packetSize = FIRST_PACKET_SIZE;
  spid = 0;
  readonly #sink: PacketSink;
  #packetId = 0;
  #sinceTurn = 0;
  #flushScheduled = false;

  constructor(sink: PacketSink) {
    this.#sink = sink;
  }

  /** At the end of a token. A promise asks the writer to wait. */
  flushSome(): void | Promise<void> {
    const { length } = this.tokens;
    if (length >= FLUSH_AT && length >= 4 * this.packetSize) return this.#flushPackets();
    if (length > this.packetSize && !this.#flushScheduled) {
      // Full packets go out even when the engine takes its time with the next row.
      this.#flushScheduled = true;
      setImmediate(() => {
        this.#flushScheduled = false;
        void this.#flushPackets();
      });
    }
  }

  /** Sends the rest of the message, its last packet with EOM. */
  end(): void | Promise<void> {
    const { tokens } = this;
    const room = this.packetSize - HEADER;
    const packets = Math.max(1, Math.ceil(tokens.length / room));
    const out = this.#cut(packets, tokens.length, true);
    tokens.discard(tokens.length);
    this.#packetId = 0;
    return this.#hand(out);
  }

  #flushPackets(): void | Promise<void> {
    const room = this.packetSize - HEADER;
    // The last packet of a message has to be kept back: a message never ends with an empty one.
    const packets = Math.floor((this.tokens.length - 1) / room);
    if (packets <= 0) return;
    const out = this.#cut(packets, packets * room, false);
    this.tokens.discard(packets * room);
    return this.#hand(out);
  }

  #cut(packets: number, bytes: number, last: boolean): Buffer {
    const room = this.packetSize - HEADER;
    const size = bytes + packets * HEADER;
    const out =
      size >= FLUSH_AT && size <= LARGE ? (free.pop() ?? Buffer.allocUnsafeSlow(LARGE)) : Buffer.allocUnsafeSlow(size);
    const from = this.tokens.bytes;
    for (let i = 0, at = 0; i < packets; i++) {
      const length = Math.min(room, bytes - i * room);
      this.#packetId = (this.#packetId + 1) & 0xff;
      writeHeader(out, at, PACKET.response, last && i === packets - 1, length + HEADER, this.spid, this.#packetId);
      from.copy(out, at + HEADER, i * room, i * room + length);
      at += length + HEADER;
    }
    return out.subarray(0, size);
  }

  #hand(out: Buffer): void | Promise<void> {
    this.#sinceTurn += out.length;
    const sent = out.buffer.byteLength === LARGE ? () => keep(Buffer.from(out.buffer)) : undefined;
    if (!this.#sink.write(out, sent)) {
      this.#sinceTurn = 0;
      return this.#sink.drained();
    }
    if (this.#sinceTurn < TURN_AFTER) return;
    this.#sinceTurn = 0;
    return new Promise((resolve) => setImmediate(resolve));
  }
}

function keep(buffer: Buffer): void {
  if (free.length < MOST_FREE) free.push(buffer);
}
