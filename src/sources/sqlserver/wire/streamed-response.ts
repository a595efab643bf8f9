/** A response from the bytes of its packets to its result sets and tokens, one of the sets by a handler of its rows. */
import { PacketStream } from "./packets.ts";
import { ResponseReader, type ResultSet, type RowHandler } from "./response.ts";
import type { ResponseConsumer } from "./tedious.ts";

/** Which result set, counted from 0, goes to the handler. */
export interface RowStream {
  set: number;
  rows: RowHandler;
}

const LARGEST_INPUT = 1024 * 1024;

export class StreamedResponse implements ResponseConsumer {
  readonly sets: ResultSet[];
  readonly #reader: ResponseReader;
  readonly #packets: PacketStream;
  readonly #rows: RowHandler;
  readonly #onEnough: () => void;
  #told = false;

  /**
   * `onEnough`: the handler wants no further row; called once, unless the response is over anyway. `input`: of an earlier
   * response that is over.
   */
  constructor({ set, rows }: RowStream, onEnough: () => void, input?: Buffer) {
    this.#reader = new ResponseReader(set, rows, input);
    this.#packets = new PacketStream((bytes, from, to) => this.#reader.append(bytes, from, to));
    this.#rows = rows;
    this.#onEnough = onEnough;
    this.sets = this.#reader.sets;
  }

  push(chunk: Buffer): number {
    const end = this.#packets.push(chunk);
    this.#reader.read();
    // A response that was called off may end anywhere.
    if (end >= 0 && !this.#told) this.#reader.finish();
    if (end < 0 && this.#rows.enough && !this.#told) {
      this.#told = true;
      this.#onEnough();
    }
    return end;
  }

  /** To be used again once the response is over; undefined where it grew for a large row. */
  get input(): Buffer | undefined {
    const { input } = this.#reader;
    return input.length <= LARGEST_INPUT ? input : undefined;
  }

  get tokens(): Buffer {
    return this.#reader.tokens;
  }
}
