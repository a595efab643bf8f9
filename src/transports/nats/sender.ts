/**
 * Publishes all messages of a send at once, on one connection, and waits for the stream's acknowledgements. On a stream with one
 * copy a message cannot be refused while a later one of the same send is taken. With more copies it can, when the leader changes in
 * between: there one key's messages go one at a time.
 */
import { JetStreamApiError } from "@nats-io/jetstream";
import { errors } from "@nats-io/transport-node";
import { type Message, messageSize } from "../../change/message.ts";
import { TransportError } from "../../errors.ts";
import type { Connected, NatsLink } from "../../nats/link.ts";
import type { Sender } from "../transport.ts";
import { headersOf } from "./message.ts";

export interface Sending {
  link: NatsLink;
  /** As in "queue …". */
  what: string;
  stream: string;
  subject: string;
  maxMessageBytes: number;
  maxPayload: number;
}

export class NatsSender implements Sender {
  readonly #sending: Sending;
  readonly #oneByOne: boolean;

  constructor(sending: Sending, options: { oneByOne: boolean }) {
    this.#sending = sending;
    this.#oneByOne = options.oneByOne;
  }

  async send(messages: readonly Message[]): Promise<void> {
    for (const message of messages)
      if (messageSize(message) > this.#sending.maxMessageBytes) throw this.#tooLarge(message);
    if (messages.length === 0) return;
    await this.#sending.link.ask(`sending to ${this.#sending.what}`, async (connected) => {
      if (!this.#oneByOne) return await this.#together(connected, messages);
      const keys = Map.groupBy(messages, ({ key }) => key).values();
      await Promise.all([...keys].map((ofKey) => this.#inTurn(connected, ofKey)));
    });
  }

  async close(): Promise<void> {}

  async #together(connected: Connected, messages: readonly Message[]): Promise<void> {
    const outcomes = await Promise.allSettled(messages.map((message) => this.#publish(connected, message)));
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  }

  async #inTurn(connected: Connected, messages: readonly Message[]): Promise<void> {
    for (const message of messages) await this.#publish(connected, message);
  }

  async #publish({ js }: Connected, message: Message): Promise<void> {
    const { stream, subject } = this.#sending;
    try {
      await js.publish(subject, message.body, { headers: headersOf(message), expect: { streamName: stream } });
    } catch (error) {
      const tooLarge =
        error instanceof JetStreamApiError ? error.code === MESSAGE_EXCEEDS_MAXIMUM : isOverPayload(error);
      throw tooLarge ? this.#tooLarge(message, error) : error;
    }
  }

  #tooLarge(message: Message, cause?: unknown): TransportError {
    const { what, maxPayload } = this.#sending;
    return new TransportError(
      "too_large",
      `Cannot send message ${message.id} to ${what}: it has ${messageSize(message)} bytes, and with its headers that is more than ` +
        `NATS takes here (max_payload is ${maxPayload}).`,
      {
        messageId: message.id,
        cause,
        advice:
          "Leave the table's largest columns out, set on_oversize, or raise max_payload of the server and max_msg_size of the stream.",
      },
    );
  }
}

/** server/errors.json of nats-server: JSStreamMessageExceedsMaximumErr. */
const MESSAGE_EXCEEDS_MAXIMUM = 10054;

function isOverPayload(error: unknown): boolean {
  return error instanceof errors.InvalidArgumentError && /max_payload/.test(error.message);
}
