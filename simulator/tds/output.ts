/**
 * The server's side of a connection's stream: tokens are written into one reusable buffer and leave it in packets of the
 * negotiated size. Written once for every response of a connection.
 */
import { ByteWriter } from "./bytes.ts";
import { FIRST_PACKET_SIZE, HEADER, PACKET, writeHeader } from "./packets.ts";

/** Where packets go; `write` answers false when the client reads slower than we write, `drained` then resolves. */
export interface PacketSink {
  write(packets: Buffer): boolean;
  /** Nothing that was written is waiting: its bytes may be overwritten. */
  readonly idle: boolean;
  drained(): Promise<void>;
}

/** Packets are handed on when about this many bytes have come together, or four packets where those are large. */
const FLUSH_AT = 32 * 1024;
/** A buffer for packets is kept, to be used again, up to this size. */
const MOST_KEPT = 512 * 1024;
/** After this many bytes without a pause the event loop gets a turn, so that an ATTENTION is read. */
const TURN_AFTER = 1024 * 1024;

const NOTHING = Buffer.alloc(0);

export class Output {
  readonly tokens = new ByteWriter();
  packetSize = FIRST_PACKET_SIZE;
  spid = 0;
  readonly #sink: PacketSink;
  #packetId = 0;
  #packets: Buffer = NOTHING;
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

  /** Sends what there is, the last packet as short as it is. */
  flush(): void {
    void this.#all(false);
  }

  /** Sends the rest of the message, its last packet with EOM. */
  end(): void | Promise<void> {
    const sent = this.#all(true);
    this.#packetId = 0;
    return sent;
  }

  #all(last: boolean): void | Promise<void> {
    const { tokens } = this;
    const room = this.packetSize - HEADER;
    const packets = Math.max(1, Math.ceil(tokens.length / room));
    const out = this.#cut(packets, tokens.length, last);
    tokens.discard(tokens.length);
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
    const out = this.#buffer(size);
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

  /** The one that was written last, where that may be overwritten and is large enough. */
  #buffer(size: number): Buffer {
    if (this.#packets.length >= size && this.#sink.idle) return this.#packets;
    const made = Buffer.allocUnsafeSlow(size);
    this.#packets = size <= MOST_KEPT ? made : NOTHING;
    return made;
  }

  #hand(out: Buffer): void | Promise<void> {
    this.#sinceTurn += out.length;
    if (!this.#sink.write(out)) {
      this.#sinceTurn = 0;
      return this.#sink.drained();
    }
    if (this.#sinceTurn < TURN_AFTER) return;
    this.#sinceTurn = 0;
    return new Promise((resolve) => setImmediate(resolve));
  }
}
