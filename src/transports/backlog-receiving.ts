/**
 * Receivers of an entity for transports whose system hands out one stream of many keys: all receivers of this process share one
 * session, which puts what comes into its backlog.
 *
 *     closed    nobody receives
 *       → open      somebody asks for a delivery
 *     open      messages come into the backlog, and go out as deliveries
 *       → closed    nobody asks any more and no delivery is out: the system may give the stream to another process
 *       → lost      the session says so: deliveries that are out cannot be settled; their messages come again, to somebody
 *     lost      its session is closed as soon as that is noticed
 *       → open      somebody asks again
 */
import type { Message } from "../change/message.ts";
import { TransportError } from "../errors.ts";
import { type KeyBatch, KeyedBacklog, type Received } from "./keyed-backlog.ts";
import type { Delivery, Receiver } from "./transport.ts";

/** From when the stream is this process's until it is given up or lost. */
export interface Session<T> {
  readonly backlog: KeyedBacklog<T>;
  /**
   * Resolves when the system knows for good that they are done with. Rejects as `unavailable` where it is to be called again with them,
   * settled ones among them; else, or where the session is lost by then, they come again.
   */
  settle(received: readonly Received<T>[]): Promise<void>;
  /** Where the system has dead letters of its own: moves it there, as `settle` does. */
  deadLetter?(received: Received<T>, reason: string): Promise<void>;
  /** Whether its backlog has failed: it is of no use any more. */
  readonly lost: boolean;
  /** Ends it: the system takes back what was not settled. Never rejects. */
  close(): Promise<void>;
}

export interface SharedStream<T> {
  /** The entity, as in "from <what>". */
  what: string;
  /** As KeyedBacklog has it. */
  gatherMs?: number;
  /** Puts into the backlog until it is closed. A loss is told by `backlog.fail`. */
  open(backlog: KeyedBacklog<T>): Promise<Session<T>>;
  /** Puts a message into the dead letters, durably, where sessions do not do that. */
  bury?(message: Message, reason: string): Promise<void>;
}

export class BacklogReceiving<T> {
  readonly #stream: SharedStream<T>;
  readonly #receivers = new Set<AbortController>();
  #opening: Promise<Session<T>> | null = null;
  #askers = 0;

  constructor(stream: SharedStream<T>) {
    this.#stream = stream;
  }

  receiver(): Receiver {
    const closing = new AbortController();
    this.#receivers.add(closing);
    return {
      deliveries: (signal) => this.#deliveries(AbortSignal.any([signal, closing.signal])),
      close: async () => {
        closing.abort();
        this.#receivers.delete(closing);
      },
    };
  }

  /** With all its receivers: what is out comes again. */
  async close(): Promise<void> {
    for (const receiver of this.#receivers) receiver.abort();
    const session = await this.#opening?.catch(() => null);
    this.#opening = null;
    await session?.close();
  }

  async *#deliveries(signal: AbortSignal): AsyncGenerator<Delivery> {
    if (signal.aborted) return;
    this.#askers++;
    try {
      const session = await this.#open();
      const { backlog } = session;
      for (let batch = await backlog.next(signal); batch !== null; batch = await backlog.next(signal))
        yield new BacklogDelivery(session, batch, this.#stream, () => this.#rest());
    } finally {
      this.#askers--;
      await this.#rest();
    }
  }

  /**
   * Gives the stream up once nobody needs it, or once it is lost: then another process, or this one again, may have it. A lost
   * session is closed even while deliveries of it are out, which can only fail to be settled: until then it may go on holding
   * what it had (a lock that is renewed, a seat in a group).
   */
  async #rest(): Promise<void> {
    const opening = this.#opening;
    const session = await opening?.catch(() => null);
    if (!session || this.#opening !== opening) return;
    if (!session.lost && (this.#askers > 0 || session.backlog.out > 0)) return;
    this.#opening = null;
    await session.close();
  }

  async #open(): Promise<Session<T>> {
    if ((await this.#opening?.catch(() => null))?.lost) await this.#rest();
    if (this.#opening !== null) return await this.#opening;
    const opening = this.#stream.open(new KeyedBacklog<T>(this.#stream));
    this.#opening = opening;
    try {
      return await opening;
    } catch (error) {
      if (this.#opening === opening) this.#opening = null;
      throw error;
    }
  }
}

class BacklogDelivery<T> implements Delivery {
  readonly key: string;
  readonly messages: readonly Message[];
  readonly #session: Session<T>;
  readonly #batch: KeyBatch<T>;
  readonly #stream: SharedStream<T>;
  readonly #onSettled: () => Promise<void>;
  #left: Received<T>[];
  /** Dead letters that are there, and whose messages could not be settled yet. */
  readonly #buried = new Set<Message>();

  constructor(session: Session<T>, batch: KeyBatch<T>, stream: SharedStream<T>, onSettled: () => Promise<void>) {
    this.#session = session;
    this.#batch = batch;
    this.#stream = stream;
    this.#onSettled = onSettled;
    this.#left = [...batch.received];
    this.key = batch.key;
    this.messages = batch.received.map(({ message }) => message);
  }

  async complete(): Promise<void> {
    await this.#asking("completing", this.#session.settle(this.#left));
    this.#left = [];
    this.#session.backlog.done(this.#batch);
    await this.#onSettled();
  }

  /** The system need not hear of it: the messages are still this process's, and go out again from here, or with its end. */
  async abandon(): Promise<void> {
    this.#session.backlog.giveBack(this.#batch, this.#left);
    this.#left = [];
    await this.#onSettled();
  }

  async deadLetter(message: Message, reason: string): Promise<void> {
    const at = this.#left.find((received) => received.message === message);
    if (at === undefined)
      throw this.#failed("dead-lettering", new Error("the message is not one of it, or was settled before"));
    const doing = "dead-lettering a message of";
    if (this.#session.deadLetter !== undefined) await this.#asking(doing, this.#session.deadLetter(at, reason));
    else {
      if (!this.#buried.has(message)) await this.#bury(message, reason);
      await this.#asking(doing, this.#session.settle([at]));
    }
    this.#left = this.#left.filter((received) => received !== at);
  }

  async #bury(message: Message, reason: string): Promise<void> {
    try {
      await this.#stream.bury?.(message, reason);
      this.#buried.add(message);
    } catch (error) {
      // The message stays, and its key with it: what waiting does not heal is told to who receives.
      if (!(error instanceof TransportError) || !error.transient) this.#session.backlog.fail(error);
      throw error;
    }
  }

  async #asking(doing: string, answer: Promise<void>): Promise<void> {
    try {
      await answer;
    } catch (error) {
      throw this.#failed(doing, error);
    }
  }

  /** As long as the session holds the messages, what the system could not be told now can be told it later. */
  #failed(doing: string, cause: unknown): TransportError {
    const what = `a delivery of ${this.messages.length} messages of key "${this.key}" from ${this.#stream.what}`;
    const later = !this.#session.lost && cause instanceof TransportError && cause.reason === "unavailable";
    const then = later ? "it is still held, and can be settled later" : "what was not settled comes again";
    return new TransportError(
      later ? "unavailable" : "rejected",
      `While ${doing} ${what}: ${(cause as Error).message.replace(/\.$/, "")}; ${then}.`,
      { cause, advice: cause instanceof TransportError ? cause.advice : undefined },
    );
  }
}
