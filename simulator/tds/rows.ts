/** ROW and NBCROW tokens (MS-TDS 2.2.7.19, 2.2.7.13) of one result set. */
import type { Value } from "../engine/values.ts";
import type { ByteWriter } from "./bytes.ts";
import type { Encoder } from "./encoding.ts";
import { TOKEN } from "./tokens.ts";

export class RowWriter {
  readonly encoders: readonly Encoder[];
  readonly #bitmapBytes: number;

  constructor(encoders: readonly Encoder[], nullBitmaps: boolean) {
    this.encoders = encoders;
    this.#bitmapBytes = nullBitmaps ? (encoders.length + 7) >> 3 : Number.POSITIVE_INFINITY;
  }

  /** `ends` gets where each column's value ends in `to`. */
  write(to: ByteWriter, values: readonly Value[], ends?: number[]): void {
    const { encoders } = this;
    const start = to.length;
    if (values.length !== encoders.length)
      throw new Error(`a row of ${values.length} values came for ${encoders.length} columns`);
    let saved = 0;
    for (let i = 0; i < values.length; i++) if (values[i] === null) saved += encoders[i]!.nullSize;
    try {
      if (saved > this.#bitmapBytes) this.#nbcRow(to, values, ends);
      else this.#row(to, values, ends);
    } catch (error) {
      // Half a row would make the rest of the stream unreadable.
      to.length = start;
      throw error;
    }
  }

  #row(to: ByteWriter, values: readonly Value[], ends: number[] | undefined): void {
    to.u8(TOKEN.row);
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (value === null) this.encoders[i]!.null(to);
      else this.encoders[i]!.value(to, value);
      if (ends) ends[i] = to.length;
    }
  }

  /** A bit per column says NULL; SQL Server takes it where it is shorter. */
  #nbcRow(to: ByteWriter, values: readonly Value[], ends: number[] | undefined): void {
    to.u8(TOKEN.nbcRow);
    const bitmap = to.length;
    to.zeros(this.#bitmapBytes);
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      const encoder = this.encoders[i]!;
      if (value === null && encoder.nullSize > 0) to.bytes[bitmap + (i >> 3)]! |= 1 << (i & 7);
      else if (value === null) encoder.null(to);
      else encoder.value(to, value);
      if (ends) ends[i] = to.length;
    }
  }
}
