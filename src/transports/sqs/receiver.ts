/**
 * Receives from one queue while somebody waits for a delivery. SQS keeps the order of a message group over any number of receivers: while
 * messages of it are out, it hands out no later ones.
 *
 * - What is held is made invisible anew at a third of its time. SQS ends that after twelve hours: then it comes again, to us or others.
 * - What is not settled when this closes is made visible at once.
 */
import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  ReceiveMessageCommand,
  type ReceiveMessageCommandOutput,
} from "@aws-sdk/client-sqs";
import { TransportError } from "../../errors.ts";
import type { Session } from "../backlog-receiving.ts";
import type { KeyedBacklog, Received } from "../keyed-backlog.ts";
import { type SqsLink, sqsError } from "./link.ts";
import { incoming } from "./message.ts";

export interface SqsReading {
  link: SqsLink;
  /** As in "queue …". */
  what: string;
  url: string;
  visibilityMs: number;
  waitMs: number;
}

export interface SqsHandle {
  messageId: string;
  receipt: string;
  /** From when on others may have it, by either clock. */
  until: { wall: number; monotonic: number };
}

const AT_ONCE = 10;
/** More is not asked for while so much is here and not settled. */
const MOST_HELD = 1_000;

export class SqsSession implements Session<SqsHandle> {
  readonly backlog: KeyedBacklog<SqsHandle>;
  readonly #reading: SqsReading;
  readonly #closing = new AbortController();
  /** In order of arrival. */
  readonly #held = new Map<string, SqsHandle>();
  readonly #renewal: NodeJS.Timeout;
  readonly #running: Promise<void>;
  #failure: TransportError | null = null;
  /** Something was settled. */
  #room: (() => void) | null = null;

  constructor(reading: SqsReading, backlog: KeyedBacklog<SqsHandle>) {
    this.#reading = reading;
    this.backlog = backlog;
    this.#renewal = setInterval(() => void this.#renew(), reading.visibilityMs / 3);
    this.#running = this.#run();
  }

  get lost(): boolean {
    return this.#failure !== null;
  }

  async settle(received: readonly Received<SqsHandle>[]): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    const handles = received.map(({ handle }) => handle);
    if (handles.some((handle) => isOver(handle)))
      throw new TransportError("rejected", "its time of invisibility has passed");
    await this.#inTens(handles, async (some) => {
      const Entries = some.map(({ receipt }, index) => ({ Id: String(index), ReceiptHandle: receipt }));
      const { Failed } = await this.#reading.link.client.send(
        new DeleteMessageBatchCommand({ QueueUrl: this.#reading.url, Entries }),
      );
      if (Failed !== undefined && Failed.length > 0) throw new Error(Failed[0]!.Message ?? Failed[0]!.Code);
      for (const { messageId } of some) this.#held.delete(messageId);
    });
    // Its backlog forgets them once this has resolved.
    setImmediate(() => this.#room?.());
  }

  async close(): Promise<void> {
    this.#closing.abort();
    clearInterval(this.#renewal);
    this.#failure ??= new TransportError("rejected", `The receiver of ${this.#reading.what} was closed.`);
    await this.#running;
    await this.#changeVisibility([...this.#held.values()], 0).catch(() => {});
    this.#held.clear();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    const closed = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    const { link, url, visibilityMs, waitMs, what } = this.#reading;
    while (!signal.aborted && this.#failure === null) {
      if (!this.backlog.asked) {
        await Promise.race([this.backlog.untilAsked(), closed]);
        continue;
      }
      if (this.backlog.count > MOST_HELD) {
        await Promise.race([new Promise<void>((resolve) => (this.#room = resolve)), closed]);
        continue;
      }
      try {
        const asked = now();
        // Never broken off: what SQS had handed out by then would be invisible to all.
        const { Messages = [] }: ReceiveMessageCommandOutput = await link.client.send(
          new ReceiveMessageCommand({
            QueueUrl: url,
            MaxNumberOfMessages: AT_ONCE,
            WaitTimeSeconds: Math.min(20, Math.round(waitMs / 1000)),
            VisibilityTimeout: Math.ceil(visibilityMs / 1000),
            MessageSystemAttributeNames: ["All"],
            MessageAttributeNames: ["All"],
          }),
        );
        for (const message of Messages) {
          const until = { wall: asked.wall + visibilityMs, monotonic: asked.monotonic + visibilityMs };
          const known = this.#held.get(message.MessageId!);
          const handle = { messageId: message.MessageId!, receipt: message.ReceiptHandle!, until };
          // It was out for longer than SQS allows, and is here still.
          if (known !== undefined) Object.assign(known, handle);
          else {
            this.#held.set(handle.messageId, handle);
            const { letter: _, ...own } = incoming(message);
            this.backlog.put({ message: own, handle });
          }
        }
      } catch (error) {
        this.#lose(sqsError(`receiving from ${what}`, link.where, error));
      }
    }
  }

  async #renew(): Promise<void> {
    const held = [...this.#held.values()];
    if (held.length === 0) return;
    const { visibilityMs, link, what } = this.#reading;
    const asked = now();
    try {
      await this.#changeVisibility(held, Math.ceil(visibilityMs / 1000));
      for (const handle of held)
        handle.until = { wall: asked.wall + visibilityMs, monotonic: asked.monotonic + visibilityMs };
    } catch (error) {
      // Tried again at the next third; those that are over cannot be settled.
      if (held.some((handle) => isOver(handle))) this.#lose(sqsError(`holding messages of ${what}`, link.where, error));
    }
  }

  async #changeVisibility(handles: readonly SqsHandle[], seconds: number): Promise<void> {
    await this.#inTens(handles, async (some) => {
      const Entries = some.map(({ receipt }, index) => ({
        Id: String(index),
        ReceiptHandle: receipt,
        VisibilityTimeout: seconds,
      }));
      const { Failed } = await this.#reading.link.client.send(
        new ChangeMessageVisibilityBatchCommand({ QueueUrl: this.#reading.url, Entries }),
      );
      if (Failed !== undefined && Failed.length > 0) throw new Error(Failed[0]!.Message ?? Failed[0]!.Code);
    });
  }

  /** In order: of a group, none may be had before those in front of it. */
  async #inTens(handles: readonly SqsHandle[], work: (some: readonly SqsHandle[]) => Promise<void>): Promise<void> {
    for (let at = 0; at < handles.length; at += AT_ONCE) {
      try {
        await work(handles.slice(at, at + AT_ONCE));
      } catch (error) {
        throw sqsError(`settling messages of ${this.#reading.what}`, this.#reading.link.where, error);
      }
    }
  }

  #lose(error: TransportError): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.backlog.fail(error);
    this.#room?.();
  }
}

function now(): { wall: number; monotonic: number } {
  return { wall: Date.now(), monotonic: performance.now() };
}

function isOver({ until }: SqsHandle): boolean {
  const { wall, monotonic } = now();
  return wall >= until.wall || monotonic >= until.monotonic;
}
