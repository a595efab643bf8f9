/**
 * What generated row code writes into: a growing buffer of encoded changes, and what it tells of the row that it read last.
 * The buffer is used again for the next batch once nobody needs what it holds.
 */
import { DAYS_TO_1900, LAST_DAY, milliseconds, writeDate, writeTimeOfDay } from "./times.ts";

/** Bytes of a value that no value of its column can have. */
export class ImpossibleValue extends Error {
  readonly column: string;
  readonly expected: string;

  constructor(column: string, expected: string) {
    super(`${column}: expected ${expected}`);
    this.name = "ImpossibleValue";
    this.column = column;
    this.expected = expected;
  }
}

/** `"2026-11-21T10:11:12.123Z"` */
const TIME_LENGTH = 26;
const NULL = Buffer.from("null");
const DAY_MS = 86_400_000;

export class RowSink {
  bytes: Uint8Array;
  view: DataView;
  /** Where the next row begins: before it is what counts. */
  at: number;
  /** Where the row that was written last ends; while one is being written, how far it has come. */
  end = 0;

  // Of the row that was read last: offsets into the bytes that it was read from.
  lsnAt = 0;
  seqvalAt = 0;
  command = 0;
  operation = 0;
  /** From and to of each value of the ordering key, in `bytes`; a value that was left out ends before it begins. */
  readonly keys: Int32Array;
  /** Days since 1900 and 1/300 s of the commit time, in the server's time; -1 ticks: not known. */
  days = 0;
  ticks = -1;
  /** Minutes east of UTC of the server's clock. */
  clockOffset = 0;

  // A value in chunks, put together.
  chunkBytes: Uint8Array = NULL;
  chunkView: DataView = new DataView(new ArrayBuffer(0));
  chunkAt = 0;
  chunkLength = 0;
  #joined: Buffer = Buffer.alloc(0);

  beforeLength = 0;
  #before: Buffer = Buffer.alloc(4096);
  /** LSN and seqval of the row whose old values are held. */
  readonly #beforeKey = Buffer.alloc(20);
  #beforeCommand = 0;
  #holding = false;

  #offset = 0;
  readonly #time = Buffer.alloc(TIME_LENGTH);
  #timeLength = 4;

  /** `start`: where the first row begins; what is before it is somebody else's. */
  constructor(bytes: Uint8Array, start: number, keyColumns: number) {
    this.bytes = bytes;
    this.view = viewOf(bytes);
    this.at = start;
    this.keys = new Int32Array(keyColumns * 2);
    this.setTime(0, -1, 0);
    this.#offset = Number.NaN;
  }

  /** Makes room for `room` bytes from `used` on. */
  grow(used: number, room: number): void {
    const bytes = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, used + room));
    bytes.set(this.bytes.subarray(0, used));
    this.bytes = bytes;
    this.view = viewOf(bytes);
  }

  // ---------------------------------------------------------------- commit times

  /** Neighbours mostly share a transaction, and so the time. */
  setTime(days: number, ticks: number, offset: number): void {
    if (days === this.days && ticks === this.ticks && offset === this.#offset) return;
    this.days = days;
    this.ticks = ticks;
    this.#offset = offset;
    if (ticks < 0) {
      this.#time.set(NULL);
      this.#timeLength = NULL.length;
      return;
    }
    const local = milliseconds(ticks);
    const whole = days * DAY_MS + local - offset * 60_000;
    const day = Math.floor(whole / DAY_MS);
    if (day > LAST_DAY - DAYS_TO_1900) throw new ImpossibleValue("of the commit time", "a day up to 9999-12-31, UTC");
    const time = this.#time;
    time[0] = 0x22;
    writeDate(time, 1, day + DAYS_TO_1900);
    time[11] = 0x54;
    const seconds = Math.floor((whole - day * DAY_MS) / 1_000);
    writeTimeOfDay(time, 12, seconds, whole - day * DAY_MS - seconds * 1_000, 3);
    time[24] = 0x5a;
    time[25] = 0x22;
    this.#timeLength = TIME_LENGTH;
  }

  putTime(at: number): number {
    const { bytes } = this;
    const length = this.#timeLength;
    for (let i = 0; i < length; i++) bytes[at + i] = this.#time[i]!;
    return at + length;
  }

  /** Without a fraction that is zero. */
  putShortTime(at: number): number {
    const end = this.putTime(at);
    const { bytes } = this;
    if (this.#timeLength < TIME_LENGTH) return end;
    for (let i = end - 5; i < end - 2; i++) if (bytes[i] !== 0x30) return end;
    bytes[end - 6] = 0x5a;
    bytes[end - 5] = 0x22;
    return end - 4;
  }

  // ---------------------------------------------------------------- old rows

  /** Keeps what was written from `at` to `end`, for the row of operation 4 that follows. */
  holdBefore(from: Uint8Array): void {
    const length = this.end - this.at;
    if (length > this.#before.length) this.#before = Buffer.allocUnsafeSlow(length * 2);
    this.#before.set(this.bytes.subarray(this.at, this.end));
    this.beforeLength = length;
    this.#beforeKey.set(from.subarray(this.lsnAt, this.lsnAt + 10));
    this.#beforeKey.set(from.subarray(this.seqvalAt, this.seqvalAt + 10), 10);
    this.#beforeCommand = this.command;
    this.#holding = true;
  }

  dropBefore(): void {
    this.#holding = false;
  }

  hasBefore(from: Uint8Array, lsnAt: number, command: number, seqvalAt: number, operation: number): boolean {
    if (!this.#holding || operation !== 4 || command !== this.#beforeCommand) return false;
    for (let i = 0; i < 10; i++) {
      if (this.#beforeKey[i] !== from[lsnAt + i] || this.#beforeKey[i + 10] !== from[seqvalAt + i]) return false;
    }
    return true;
  }

  putBefore(at: number): number {
    this.bytes.set(this.#before.subarray(0, this.beforeLength), at);
    return at + this.beforeLength;
  }

  // ---------------------------------------------------------------- values in chunks

  /**
   * PARTLENTYPE (MS-TDS 2.2.5.2.3) from `p`: answers where it ends, -1 for not enough bytes; the value is then
   * `chunkLength` bytes of `chunkBytes` from `chunkAt` on.
   */
  chunks(column: string, s: Uint8Array, sv: DataView, p: number, end: number): number {
    const low = sv.getUint32(p, true);
    const high = sv.getUint32(p + 4, true);
    let length = 0;
    let count = 0;
    let first = p + 8;
    let at = p + 8;
    for (;;) {
      if (at + 4 > end) return -1;
      const chunk = sv.getUint32(at, true);
      at += 4;
      if (chunk === 0) break;
      if (chunk > 0x7fffffff) throw new ImpossibleValue(column, "a chunk of at most 2147483647 bytes");
      if (at + chunk > end) return -1;
      if (count++ === 0) first = at;
      length += chunk;
      at += chunk;
    }
    // 0xFFFFFFFFFFFFFFFE: the length was not known when the value was begun.
    const unknown = high === 0xffffffff && low === 0xfffffffe;
    if (!unknown && high * 4_294_967_296 + low !== length)
      throw new ImpossibleValue(column, `chunks of ${high * 4_294_967_296 + low} bytes in all instead of ${length}`);
    this.chunkLength = length;
    if (count <= 1) {
      this.chunkBytes = s;
      this.chunkView = sv;
      this.chunkAt = first;
      return at;
    }
    if (this.#joined.length < length) this.#joined = Buffer.allocUnsafeSlow(length);
    for (let from = p + 8, to = 0; to < length; ) {
      const chunk = sv.getUint32(from, true);
      this.#joined.set(s.subarray(from + 4, from + 4 + chunk), to);
      from += 4 + chunk;
      to += chunk;
    }
    this.chunkBytes = this.#joined;
    this.chunkView = viewOf(this.#joined);
    this.chunkAt = 0;
    return at;
  }
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
