/**
 * Receives from one queue while somebody waits for a delivery. SQS keeps the order of a message group over any number of receivers: while
 * messages of it are out, it hands out no later ones.
 *
 * - What is held is made invisible anew at a third of its time. SQS ends that after twelve hours: then it comes again, to us or others.
 * - What is not settled when this closes is made visible at once.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  ReceiveMessageCommand,
  type ReceiveMessageCommandOutput,
} from "@aws-sdk/client-sqs";
import { unlessAborted } from "../../abort.ts";
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
const GIVE_BACK_WITHIN_MS = 5_000;

export class SqsSession implements Session<SqsHandle> {
  readonly backlog: KeyedBacklog<SqsHandle>;
  readonly #reading: SqsReading;
  readonly #closing = new AbortController();
  /** In order of arrival. */
  readonly #held = new Map<string, SqsHandle>();
  readonly #renewal: NodeJS.Timeout;
  readonly #running: Promise<void>;
  #renewing = false;
  #failure: TransportError | null = null;
  /** Something was settled. */
  #room: (() => void) | null = null;

  constructor(reading: SqsReading, backlog: KeyedBacklog<SqsHandle>) {
    this.#reading = reading;
    this.backlog = backlog;
    backlog.onRoom = () => this.#room?.();
    this.#renewal = setInterval(() => void this.#renew(), reading.visibilityMs / 3);
    this.#running = this.#run();
  }

  get lost(): boolean {
    return this.#failure !== null;
  }

  async settle(received: readonly Received<SqsHandle>[]): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    // Those that an earlier attempt has deleted are not held any more.
    const handles = received.flatMap(({ handle }) => (this.#held.has(handle.messageId) ? [handle] : []));
    if (handles.some((handle) => isOver(handle))) {
      // To a new session they come again as SQS hands them out.
      this.#lose(new TransportError("unavailable", "the time of invisibility of a delivery has passed"));
      throw this.#failure!;
    }
    for (const ten of inTens(handles)) await this.#delete(ten);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    clearInterval(this.#renewal);
    this.#failure ??= new TransportError("rejected", `The receiver of ${this.#reading.what} was closed.`);
    this.#room?.();
    await this.#running;
    await Promise.race([this.#giveBack().catch(() => {}), sleep(GIVE_BACK_WITHIN_MS, undefined, { ref: false })]);
    this.#held.clear();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    const { link, url, visibilityMs, waitMs, what } = this.#reading;
    while (!signal.aborted && this.#failure === null) {
      if (!this.backlog.asked) {
        await unlessAborted(this.backlog.untilAsked(), signal).catch(() => {});
        continue;
      }
      if (this.backlog.count > MOST_HELD) {
        await new Promise<void>((resolve) => (this.#room = resolve));
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
        this.#lose(sqsError(`receiving from ${what}`, link, error));
      }
    }
  }

  /** In order: of a group, none may be had before those in front of it. */
  async #delete(ten: readonly SqsHandle[]): Promise<void> {
    const { link, url, what } = this.#reading;
    const Entries = ten.map(({ receipt }, index) => ({ Id: String(index), ReceiptHandle: receipt }));
    try {
      const { Failed = [] } = await link.client.send(new DeleteMessageBatchCommand({ QueueUrl: url, Entries }));
      if (Failed.length > 0) throw new Error(Failed[0]!.Message ?? Failed[0]!.Code);
    } catch (error) {
      const failure = sqsError(`settling messages of ${what}`, link, error);
      // What waiting does not heal concerns all, and is told to who receives.
      if (!failure.transient) this.#lose(failure);
      throw failure;
    }
    for (const { messageId } of ten) this.#held.delete(messageId);
  }

  async #giveBack(): Promise<void> {
    for (const ten of inTens([...this.#held.values()])) await this.#hold(ten, 0);
  }

  /** What cannot be held anew now is tried again at the next third, unless its time is over by then. */
  async #renew(): Promise<void> {
    if (this.#renewing) return;
    this.#renewing = true;
    let failure: TransportError | null = null;
    for (const ten of inTens([...this.#held.values()])) {
      try {
        await this.#hold(ten, this.#reading.visibilityMs);
      } catch (error) {
        failure = sqsError(`holding messages of ${this.#reading.what}`, this.#reading.link, error);
      }
    }
    this.#renewing = false;
    if (failure !== null && [...this.#held.values()].some(isOver)) this.#lose(failure);
  }

  /** Leaves out what has been deleted, before or meanwhile. 0: anybody may have them now. */
  async #hold(ten: readonly SqsHandle[], visibilityMs: number): Promise<void> {
    const asked = now();
    const handles = ten.filter(({ messageId }) => this.#held.has(messageId));
    if (handles.length === 0) return;
    const Entries = handles.map(({ receipt }, index) => ({
      Id: String(index),
      ReceiptHandle: receipt,
      VisibilityTimeout: Math.ceil(visibilityMs / 1000),
    }));
    const { link, url } = this.#reading;
    const { Failed = [] } = await link.client.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl: url, Entries }));
    const failed = new Map(Failed.map((entry) => [handles[Number(entry.Id)], entry]));
    for (const handle of handles)
      if (!failed.has(handle))
        handle.until = { wall: asked.wall + visibilityMs, monotonic: asked.monotonic + visibilityMs };
    for (const [handle, { Message, Code }] of failed)
      if (this.#held.has(handle!.messageId)) throw new Error(Message ?? Code);
  }

  #lose(error: TransportError): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.backlog.fail(error);
    this.#room?.();
  }
}

function* inTens(handles: readonly SqsHandle[]): Generator<readonly SqsHandle[]> {
  for (let at = 0; at < handles.length; at += AT_ONCE) yield handles.slice(at, at + AT_ONCE);
}

function now(): { wall: number; monotonic: number } {
  return { wall: Date.now(), monotonic: performance.now() };
}

function isOver({ until }: SqsHandle): boolean {
  const { wall, monotonic } = now();
  return wall >= until.wall || monotonic >= until.monotonic;
}
