/** Little-endian reading and writing: a writer that grows and is reused, a reader that never reads past its end. */

/** What the client sent is not TDS as MS-TDS has it. The connection is closed; the reason goes to `onProblem`. */
export class ProtocolError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ProtocolError";
  }
}

const SHORT_TEXT = 24;
const scratch = new DataView(new ArrayBuffer(8));

export class ByteWriter {
  bytes: Buffer;
  length = 0;
  readonly #initial: number;

  constructor(initial = 64 * 1024) {
    this.#initial = initial;
    this.bytes = Buffer.allocUnsafeSlow(initial);
  }

  /** Makes room for `count` more bytes and returns where they begin; the caller writes them and moves `length` on. */
  reserve(count: number): number {
    const needed = this.length + count;
    if (needed > this.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
      this.bytes.copy(grown, 0, 0, this.length);
      this.bytes = grown;
    }
    return this.length;
  }

  u8(value: number): void {
    if (this.length === this.bytes.length) this.reserve(1);
    this.bytes[this.length++] = value;
  }

  u16(value: number): void {
    const at = this.reserve(2);
    this.bytes[at] = value;
    this.bytes[at + 1] = value >> 8;
    this.length = at + 2;
  }

  u24(value: number): void {
    const at = this.reserve(3);
    this.bytes[at] = value;
    this.bytes[at + 1] = value >> 8;
    this.bytes[at + 2] = value >> 16;
    this.length = at + 3;
  }

  /** Also for signed numbers: two's complement. */
  u32(value: number): void {
    const at = this.reserve(4);
    this.bytes[at] = value;
    this.bytes[at + 1] = value >> 8;
    this.bytes[at + 2] = value >> 16;
    this.bytes[at + 3] = value >> 24;
    this.length = at + 4;
  }

  u32be(value: number): void {
    const at = this.reserve(4);
    this.bytes[at] = value >> 24;
    this.bytes[at + 1] = value >> 16;
    this.bytes[at + 2] = value >> 8;
    this.bytes[at + 3] = value;
    this.length = at + 4;
  }

  /** A non-negative number up to 2^53 as `count` bytes, up to 8. */
  uint(value: number, count: number): void {
    const at = this.reserve(8);
    const { bytes } = this;
    const low = value >>> 0;
    const high = (value - low) / 0x1_0000_0000;
    bytes[at] = low;
    bytes[at + 1] = low >> 8;
    bytes[at + 2] = low >> 16;
    bytes[at + 3] = low >> 24;
    bytes[at + 4] = high;
    bytes[at + 5] = high >> 8;
    bytes[at + 6] = high >> 16;
    bytes[at + 7] = high >> 24;
    this.length = at + count;
  }

  /** Two's complement. */
  i64(value: bigint): void {
    scratch.setBigInt64(0, BigInt.asIntN(64, value), true);
    this.u32(scratch.getInt32(0, true));
    this.u32(scratch.getInt32(4, true));
  }

  /** As bytes, where all of it is ASCII; false, and nothing, where it is not. */
  ascii(text: string): boolean {
    const at = this.reserve(text.length);
    const { bytes } = this;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) return false;
      bytes[at + i] = unit;
    }
    this.length = at + text.length;
    return true;
  }

  f32(value: number): void {
    scratch.setFloat32(0, value, true);
    this.u32(scratch.getInt32(0, true));
  }

  f64(value: number): void {
    scratch.setFloat64(0, value, true);
    this.u32(scratch.getInt32(0, true));
    this.u32(scratch.getInt32(4, true));
  }

  raw(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.bytes.set(bytes, at);
    this.length = at + bytes.length;
  }

  zeros(count: number): void {
    const at = this.reserve(count);
    this.bytes.fill(0, at, at + count);
    this.length = at + count;
  }

  utf16(text: string): void {
    const count = text.length * 2;
    const at = this.reserve(count);
    if (text.length <= SHORT_TEXT) {
      for (let i = 0, to = at; i < text.length; i++) {
        const unit = text.charCodeAt(i);
        this.bytes[to++] = unit;
        this.bytes[to++] = unit >> 8;
      }
    } else {
      this.bytes.write(text, at, count, "utf16le");
    }
    this.length = at + count;
  }

  /** B_VARCHAR: a byte of characters, then UTF-16. */
  bVarchar(text: string): void {
    const cut = text.length > 255 ? text.slice(0, 255) : text;
    this.u8(cut.length);
    this.utf16(cut);
  }

  /** US_VARCHAR: two bytes of characters, then UTF-16. */
  usVarchar(text: string): void {
    this.u16(text.length);
    this.utf16(text);
  }

  /** Writes a u16 over what is at `at`. */
  patchU16(at: number, value: number): void {
    this.bytes[at] = value;
    this.bytes[at + 1] = value >> 8;
  }

  patchU32(at: number, value: number): void {
    this.patchU16(at, value & 0xffff);
    this.patchU16(at + 2, value >>> 16);
  }

  /** A copy of what was written. */
  toBuffer(): Buffer {
    return Buffer.from(this.bytes.subarray(0, this.length));
  }

  /** Forgets the first `count` bytes; what is behind them moves to the front. Memory of a large value is given back. */
  discard(count: number): void {
    const rest = this.length - count;
    if (this.bytes.length > 16 * this.#initial && rest < this.#initial) {
      const small = Buffer.allocUnsafeSlow(this.#initial);
      this.bytes.copy(small, 0, count, this.length);
      this.bytes = small;
    } else if (rest > 0) {
      this.bytes.copyWithin(0, count, this.length);
    }
    this.length = rest;
  }
}

export class ByteReader {
  readonly bytes: Buffer;
  at: number;
  readonly end: number;

  constructor(bytes: Buffer, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get rest(): number {
    return this.end - this.at;
  }

  #take(count: number): number {
    if (count > this.end - this.at) {
      throw new ProtocolError(`a message ends at byte ${this.end}, though ${count} more were announced at ${this.at}`);
    }
    const at = this.at;
    this.at = at + count;
    return at;
  }

  u8(): number {
    return this.bytes[this.#take(1)]!;
  }

  u16(): number {
    return this.bytes.readUInt16LE(this.#take(2));
  }

  u32(): number {
    return this.bytes.readUInt32LE(this.#take(4));
  }

  i8(): number {
    return this.bytes.readInt8(this.#take(1));
  }

  i16(): number {
    return this.bytes.readInt16LE(this.#take(2));
  }

  i32(): number {
    return this.bytes.readInt32LE(this.#take(4));
  }

  i64(): bigint {
    return this.bytes.readBigInt64LE(this.#take(8));
  }

  u64(): bigint {
    return this.bytes.readBigUInt64LE(this.#take(8));
  }

  f32(): number {
    return this.bytes.readFloatLE(this.#take(4));
  }

  f64(): number {
    return this.bytes.readDoubleLE(this.#take(8));
  }

  /** A non-negative number of `count` bytes, up to 2^48. */
  uint(count: number): number {
    return this.bytes.readUIntLE(this.#take(count), count);
  }

  /** A view, not a copy. */
  raw(count: number): Buffer {
    const at = this.#take(count);
    return this.bytes.subarray(at, at + count);
  }

  utf16(bytes: number): string {
    const at = this.#take(bytes);
    return this.bytes.toString("utf16le", at, at + bytes);
  }

  bVarchar(): string {
    return this.utf16(this.u8() * 2);
  }

  usVarchar(): string {
    return this.utf16(this.u16() * 2);
  }
}
