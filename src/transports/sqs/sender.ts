/** Sends in batches of ten, of one message group one after the other; groups go side by side. */
import { SendMessageBatchCommand } from "@aws-sdk/client-sqs";
import { type Message, messageSize } from "../../change/message.ts";
import { TransportError } from "../../errors.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { Sender } from "../transport.ts";
import { type SqsLink, sqsError } from "./link.ts";
import { type Outgoing, outgoing } from "./message.ts";

export interface SqsSending {
  link: SqsLink;
  /** As in "queue …". */
  what: string;
  url: string;
  maxMessageBytes: number;
  /** Of a batch, with what attributes take. */
  maxBatchBytes: number;
  logger: Logger;
}

const MOST_ENTRIES = 10;
/**
 * What SQS refuses for good of one message: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html and
 * .../API_SendMessageBatch.html. A queue that is there may take less than max_message_bytes (MaximumMessageSize).
 */
const TOO_LARGE = /must be shorter than|longer than|BatchRequestTooLong|MessageTooLong/i;
const INVALID = new Set(["InvalidMessageContents", "InvalidParameterValue", "InvalidAttributeValue"]);

export class SqsSender implements Sender {
  readonly #sending: SqsSending;

  constructor(sending: SqsSending) {
    this.#sending = sending;
  }

  async send(messages: readonly Message[]): Promise<void> {
    for (const message of messages)
      if (messageSize(message) > this.#sending.maxMessageBytes) throw this.#tooLarge(message);
    const groups = Map.groupBy(messages, ({ key }) => key).values();
    const outcomes = await Promise.allSettled([...groups].map((group) => this.#inTurn(group)));
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  }

  async close(): Promise<void> {}

  async #inTurn(messages: readonly Message[]): Promise<void> {
    let batch: { message: Message; out: Outgoing }[] = [];
    let bytes = 0;
    for (const message of messages) {
      const out = outgoing(message);
      const size = sizeOf(out);
      if (size > this.#sending.maxBatchBytes) throw this.#tooLarge(message);
      if (batch.length === MOST_ENTRIES || bytes + size > this.#sending.maxBatchBytes) {
        await this.#hand(batch);
        [batch, bytes] = [[], 0];
      }
      batch.push({ message, out });
      bytes += size;
    }
    if (batch.length > 0) await this.#hand(batch);
  }

  async #hand(batch: readonly { message: Message; out: Outgoing }[]): Promise<void> {
    const { link, url, what, logger } = this.#sending;
    const doing = `sending to ${what}`;
    const Entries = batch.map(({ out }, index) => ({ Id: String(index), ...out }));
    const { Failed = [] } = await link.client
      .send(new SendMessageBatchCommand({ QueueUrl: url, Entries }))
      .catch((error: Error) => {
        // Of all of them: alone, the one that is too large is the one that is refused.
        if (batch.length === 1 && TOO_LARGE.test(`${error.name} ${error.message}`))
          throw this.#tooLarge(batch[0]!.message, error.message);
        throw sqsError(doing, link, error);
      });
    if (Failed.length === 0) return;
    const [first] = Failed.toSorted((a, b) => Number(a.Id) - Number(b.Id));
    // What stands behind the first that failed may have been taken: it is sent again with the others, and dropped by its id.
    if (Failed.length < batch.length - Number(first!.Id))
      logger.error(
        { queue: url, failed: Failed.map(({ Id }) => batch[Number(Id)]!.message.id) },
        "SQS took later messages of a batch and not earlier ones: these arrive behind them",
      );
    const { Message: said = "", Code: code = "Error" } = first!;
    const { message } = batch[Number(first!.Id)]!;
    if (TOO_LARGE.test(`${code} ${said}`)) throw this.#tooLarge(message, said);
    if (INVALID.has(code))
      throw new TransportError("rejected", `Cannot send message ${message.id} to ${what}: ${said || code}`, {
        messageId: message.id,
        advice: "SQS takes no message with these characters or attributes.",
      });
    throw sqsError(doing, link, Object.assign(new Error(said || code), { name: code }));
  }

  #tooLarge(message: Message, said = `SQS takes ${this.#sending.maxMessageBytes} at most here.`): TransportError {
    return new TransportError(
      "too_large",
      `Cannot send message ${message.id} to ${this.#sending.what}: it has ${messageSize(message)} bytes, ${said}`,
      {
        messageId: message.id,
        advice:
          "Leave the table's largest columns out, set on_oversize, or raise MaximumMessageSize of the queue and max_message_bytes.",
      },
    );
  }
}

/** As SQS counts: the body, and names, types and values of the attributes. */
function sizeOf({ MessageBody, MessageAttributes }: Outgoing): number {
  let size = Buffer.byteLength(MessageBody);
  for (const [name, { DataType, StringValue }] of Object.entries(MessageAttributes))
    size += name.length + DataType!.length + Buffer.byteLength(StringValue!);
  return size;
}
