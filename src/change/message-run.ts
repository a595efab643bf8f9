/**
 * Consecutive row messages of one table, encoded. On the way from a reader to a queue most are never looked at one by one, so
 * an object is made of one only when it is asked for.
 */
import { packBatches } from "./formats/batch-message.ts";
import { type Message, messageSize } from "./message.ts";

export interface MessageRun {
  readonly count: number;
  /** Sum of messageSize. */
  readonly bytes: number;
  /** messageSize of one. */
  size(index: number): number;
  message(index: number): Message;
  messages(): Message[];
  /** All bodies, a comma between them. */
  readonly bodies: Buffer;
  /** The same as batch messages (formats/batch-message.ts), as packBatches makes them. */
  batches(maxBytes: number): Message[];
  /**
   * Nobody needs the run or the bodies of its messages any more: their bytes are written over from now on. Need not be
   * called.
   */
  release(): void;
}

const COMMA = Buffer.from(",");

/** Messages that are objects already. */
export class ListedRun implements MessageRun {
  readonly #messages: readonly Message[];
  readonly bytes: number;

  constructor(messages: readonly Message[]) {
    this.#messages = messages;
    this.bytes = messages.reduce((sum, message) => sum + messageSize(message), 0);
  }

  get count(): number {
    return this.#messages.length;
  }

  size(index: number): number {
    return messageSize(this.#messages[index]!);
  }

  message(index: number): Message {
    return this.#messages[index]!;
  }

  messages(): Message[] {
    return [...this.#messages];
  }

  get bodies(): Buffer {
    const commas = this.#messages.flatMap(({ body }, index) => (index === 0 ? [body] : [COMMA, body]));
    return Buffer.concat(commas);
  }

  batches(maxBytes: number): Message[] {
    return packBatches(this.#messages, maxBytes);
  }

  release(): void {}
}

export const emptyRun: MessageRun = new ListedRun([]);
