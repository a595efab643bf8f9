/**
 * Reads one stream from where it is settled, as its one reader among all processes.
 *
 *     waiting   another process has the lease of the stream
 *       → reading   the lease is ours, and our name stands in the position, so that no former reader can write it any more
 *     reading   messages come into the backlog; what is settled is written into the position, compare-and-set
 *       → lost      the connection or the lease ended, or somebody else stands in the position
 *     lost      nothing can be settled; everything since the position comes again, to the next reader
 *
 * JetStream's own acknowledgements are not used: a durable consumer of several processes hands a stopped one's messages to another
 * while later ones are under way already, and so gives up the order.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type ConsumerMessages, DeliverPolicy, JetStreamApiError, type JsMsg } from "@nats-io/jetstream";
import { type KV, Kvm } from "@nats-io/kv";
import { TransportError } from "../../errors.ts";
import type { Lock, LockStore } from "../../locks/lock.ts";
import type { Connected, NatsLink } from "../../nats/link.ts";
import type { Session } from "../backlog-receiving.ts";
import type { KeyedBacklog, Received } from "../keyed-backlog.ts";
import { Settled, type SettledState } from "../settled.ts";
import { SharedWork } from "../shared-work.ts";
import { messageOf } from "./message.ts";

export interface Reading {
  link: NatsLink;
  leases: LockStore;
  /** Names the stream's readers, as in "queue …". */
  what: string;
  stream: string;
  /** What position and lease are kept under. */
  reader: string;
  /** Where everybody who reads the stream is this reader: what is settled is deleted. */
  deletes: boolean;
}

export const POSITIONS = "dstream-positions";

/** More is not asked for while this much waits here. */
const MOST_WAITING_BYTES = 8 * 1024 * 1024;
const MOST_WAITING = 5_000;
/** What one question asks the server for at most. */
const PULL = 1_000;
const DELETE_EVERY_MS = 1_000;
const WAIT_MS = 250;

interface Position extends SettledState {
  reader: string;
}

export class NatsSession implements Session<number> {
  readonly backlog: KeyedBacklog<number>;
  readonly #reading: Reading;
  readonly #id = randomUUID();
  readonly #closing = new AbortController();
  #failure: TransportError | null = null;
  #settled = new Settled();
  #revision = 0;
  /** What the position says, which is ahead of nothing that a former or later reader may still have to deliver. */
  #savedFloor = 0;
  #lock: Lock | null = null;
  #messages: ConsumerMessages | null = null;
  readonly #saving = new SharedWork(() => this.#save());
  #room: (() => void) | null = null;
  #deleted = { floor: 0, at: 0 };
  readonly #running: Promise<void>;

  constructor(reading: Reading, backlog: KeyedBacklog<number>) {
    this.#reading = reading;
    this.backlog = backlog;
    backlog.onRoom = () => this.#room?.();
    this.#running = this.#run().catch((error: unknown) => this.#lose(error));
  }

  get lost(): boolean {
    return this.#failure !== null;
  }

  async settle(received: readonly Received<number>[]): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    this.#settled.settle(received.map(({ handle }) => handle));
    await this.#saving.done();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#failure ??= new TransportError("rejected", `The receiver of ${this.#reading.what} was closed.`);
    this.#room?.();
    await this.#messages?.close().catch(() => {});
    await this.#running;
    await this.#saving.idle();
    await this.#delete(true).catch(() => {});
    await this.#lock?.release().catch(() => {});
  }

  async #run(): Promise<void> {
    const { link, stream } = this.#reading;
    const doing = `receiving from ${this.#reading.what}`;
    const lock = await this.#acquire();
    if (lock === null) return;
    this.#lock = lock;
    lock.lost.addEventListener("abort", () => this.#lose(lock.lost.reason));
    const connected = await link.connected(doing);
    void connected.nc.closed().then((error) => this.#lose(error ?? new Error("the connection was lost")));
    try {
      await this.#takePosition(connected);
      if (this.#closing.signal.aborted) return;
      const consumer = await connected.js.consumers.get(stream, {
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: this.#settled.floor + 1,
      });
      this.#messages = await consumer.consume({ max_messages: PULL, abort_on_missing_resource: true });
      if (this.#closing.signal.aborted) await this.#messages.close();
      for await (const received of this.#messages) await this.#take(received);
      if (!this.#closing.signal.aborted) throw new Error("the stream or its consumer is gone");
    } catch (error) {
      throw link.error(doing, error);
    }
  }

  /** Null once this is closed. */
  async #acquire(): Promise<Lock | null> {
    const { signal } = this.#closing;
    for (;;) {
      if (signal.aborted) return null;
      const lock = await this.#reading.leases.acquire(this.#reading.reader, signal);
      if (lock !== null) return lock;
      await sleep(WAIT_MS, undefined, { signal }).catch(() => {});
    }
  }

  /** From the first write on, whoever read the position before cannot write it any more. */
  async #takePosition({ js, jsm }: Connected): Promise<void> {
    const kv = await new Kvm(js).open(POSITIONS);
    for (;;) {
      const found = await kv.get(keyOf(this.#reading.reader));
      // After the position: a former reader may still have written it a moment ago, up to messages that came just before.
      const { state } = await jsm.streams.info(this.#reading.stream);
      // What was purged leaves a marker, with a revision.
      let position: SettledState = found?.operation === "PUT" ? found.json<Position>() : { floor: 0, beyond: [] };
      // The stream was deleted and made anew.
      if (position.floor > state.last_seq) position = { floor: 0, beyond: [] };
      this.#settled = new Settled(position);
      this.#revision = found?.revision ?? 0;
      if (await this.#write(kv)) return;
    }
  }

  async #take(received: JsMsg): Promise<void> {
    const { seq } = received;
    if (this.#settled.receive(seq)) {
      // Its own bytes: what the client hands out is a piece of what it read from the socket.
      const body = Buffer.from(received.data);
      this.backlog.put({ message: messageOf(body, received.headers, seq), handle: seq });
    }
    while (this.backlog.bytes > MOST_WAITING_BYTES || this.backlog.count > MOST_WAITING) {
      if (this.#failure !== null) return;
      await new Promise<void>((resolve) => (this.#room = resolve));
    }
  }

  async #save(): Promise<void> {
    const { link, what } = this.#reading;
    if (this.#lock!.lost.aborted) this.#lose(this.#lock!.lost.reason);
    if (this.#failure !== null) throw this.#failure;
    const writing = link.ask(`settling messages of ${what}`, async ({ js }) =>
      this.#write(await new Kvm(js).open(POSITIONS)),
    );
    const written = await writing.catch((error: TransportError) => {
      // What waiting does not heal concerns all, and is told to who receives.
      if (!error.transient) this.#lose(error);
      throw error;
    });
    if (!written) {
      this.#lose(new Error("another process receives from it now"));
      throw this.#failure;
    }
    // Nothing hangs on it: what stays is deleted with what follows.
    void this.#delete(false).catch(() => {});
  }

  /** False: somebody else has written meanwhile. */
  async #write(kv: KV): Promise<boolean> {
    const state = this.#settled.state();
    const position: Position = { reader: this.#id, ...state };
    try {
      this.#revision = await kv.put(keyOf(this.#reading.reader), JSON.stringify(position), {
        previousSeq: this.#revision,
      });
      this.#savedFloor = state.floor;
      return true;
    } catch (error) {
      if (!(error instanceof JetStreamApiError) || !/wrong last sequence/i.test(error.message)) throw error;
    }
    const found = await kv.get(keyOf(this.#reading.reader));
    // The answer to an earlier write was lost.
    if (found?.json<Position>().reader !== this.#id) return false;
    this.#revision = found.revision;
    return await this.#write(kv);
  }

  /**
   * Only what the position says: who was refused it may have a successor that delivers the same messages again, and is to deliver
   * them all. The last one that is settled stays: a server that is killed with an empty stream may not know its last number any
   * more, and would give numbers again that the position has passed.
   */
  async #delete(now: boolean): Promise<void> {
    const { deletes, link, stream, what } = this.#reading;
    const floor = this.#savedFloor;
    // To nats-server "before message 1" is everything that there is (PurgeEx in server/filestore.go, seen with 2.9.10).
    if (!deletes || floor < 2 || floor <= this.#deleted.floor) return;
    if (!now && performance.now() - this.#deleted.at < DELETE_EVERY_MS) return;
    this.#deleted = { floor, at: performance.now() };
    await link.ask(`deleting what is settled of ${what}`, ({ jsm }) => jsm.streams.purge(stream, { seq: floor }));
  }

  #lose(error: unknown): void {
    if (this.#failure !== null) return;
    const { link, what } = this.#reading;
    this.#failure = link.error(`receiving from ${what}`, error);
    this.backlog.fail(this.#failure);
    this.#room?.();
    void this.#messages?.close().catch(() => {});
  }
}

/** Of a reader's position. */
export function keyOf(reader: string): string {
  return Buffer.from(reader).toString("base64url");
}
