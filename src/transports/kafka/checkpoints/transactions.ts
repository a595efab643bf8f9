/**
 * The transactions of one table's owner. Their id is the table's, whoever owns it: whoever begins anew with it has the broker abort what
 * another one has left undecided, and fences that one off (https://kafka.apache.org/documentation/#producerconfigs_transactional.id).
 *
 *     new       nothing is known of the id
 *       → ready   `beginAnew`: all others are fenced off, and whatever they had begun is decided
 *     ready     transactions follow one another
 *       → resting nothing was sent for a while: the connections are closed, and the producer's id and epoch kept
 *       → unsure  anything has failed: maybe it was committed, maybe not
 *     resting
 *       → ready   `begin`: with the same id and epoch, which the broker refuses where another one has begun anew meanwhile (KIP-360)
 *       → unsure
 *     unsure
 *       → ready   `beginAnew`: then the topic tells whether the last one was committed
 */
import { addPartitionsToTxnV3, kGetApi, Producer } from "@platformatic/kafka";
import { isProtocolError, type KafkaConnection } from "../connection.ts";

type Transaction = Awaited<ReturnType<TransactionalProducer["beginTransaction"]>>;

/**
 * Asks in a client's way for a partition to be part of a transaction. @platformatic/kafka 2.12 takes the newest version of the question,
 * and those from 4 on are for brokers ("Versions 3 and below will be exclusively used by clients", AddPartitionsToTxnRequest.json):
 * where permissions are checked, nobody else may ask so.
 */
class TransactionalProducer extends Producer<Buffer, Buffer, Buffer, Buffer> {
  override [kGetApi](name: string, callback: (error: Error | null, api?: never) => void): void {
    super[kGetApi](name, (error, api) => {
      const isBrokers = name === "AddPartitionsToTxn" && (api?.version ?? 0) > addPartitionsToTxnV3.api.version;
      callback(error, (isBrokers ? addPartitionsToTxnV3.api : api) as never);
    });
  }
}

/** After that the broker aborts a transaction whose owner says nothing: so long may a dead one hold up who reads what is committed. */
const TRANSACTION_MS = 30_000;
const REST_AFTER_MS = 60_000;
/** The one before is being written down still: that takes milliseconds. */
const CONCURRENT_WAIT_MS = 4;
const LONGEST_WAIT_MS = 250;
const RETRIES = 20;
/** Says to the broker that the producer knows of no id and epoch. */
const ANEW = { producerId: -1n, producerEpoch: -1 };

export class TableTransactions {
  readonly #id: string;
  readonly #connection: KafkaConnection;
  readonly #restAfterMs: number;
  #producer: TransactionalProducer | null = null;
  #identity = ANEW;
  /** Begun, and nothing sent yet. */
  #begun: Transaction | null = null;
  #unsure = true;
  #under = Promise.resolve();
  #working = 0;
  #rest: NodeJS.Timeout | undefined;

  constructor(id: string, connection: KafkaConnection, restAfterMs = REST_AFTER_MS) {
    this.#id = id;
    this.#connection = connection;
    this.#restAfterMs = restAfterMs;
  }

  /** Connections are open. */
  get connected(): boolean {
    return this.#producer !== null;
  }

  /** It has to be begun anew: nobody has yet, or the outcome of the last one is not known. */
  get unsure(): boolean {
    return this.#unsure;
  }

  /** One after the other. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#under;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#under = promise;
    this.#working++;
    await before;
    try {
      return await work();
    } finally {
      this.#working--;
      this.#restLater();
      resolve();
    }
  }

  async beginAnew(): Promise<void> {
    await this.#end();
    this.#identity = ANEW;
    this.#begun = await this.#begin();
    this.#unsure = false;
  }

  /** Sends in one transaction and commits it: once it resolves, everything of it is there for who reads what is committed. */
  async run(send: (producer: Pick<Transaction, "send">) => Promise<void>): Promise<void> {
    this.#unsure = true;
    const transaction = this.#begun ?? (await this.#begin());
    this.#begun = null;
    try {
      await send(transaction);
    } catch (error) {
      // Who reads what is committed does not have to wait until it times out; if it cannot be told, `beginAnew` tells it.
      void transaction.abort().catch(() => {});
      throw error;
    }
    await transaction.commit();
    this.#unsure = false;
  }

  async close(): Promise<void> {
    await this.#under;
    clearTimeout(this.#rest);
    await this.#end();
  }

  async #begin(): Promise<Transaction> {
    this.#producer ??= new TransactionalProducer({
      ...this.#connection.options,
      idempotent: true,
      acks: -1,
      transactionalId: this.#id,
      // As the client uses it: of a transaction too.
      timeout: TRANSACTION_MS,
      compression: this.#connection.compression,
      retries: RETRIES,
      retryDelay: (_client, _operation, attempt, _retries, error) =>
        isProtocolError(error, "CONCURRENT_TRANSACTIONS")
          ? Math.min(CONCURRENT_WAIT_MS * 2 ** Math.min(attempt - 1, 10), LONGEST_WAIT_MS)
          : LONGEST_WAIT_MS,
    });
    const transaction = await this.#producer.beginTransaction(this.#identity);
    this.#identity = { producerId: this.#producer.producerId!, producerEpoch: this.#producer.producerEpoch! };
    return transaction;
  }

  #restLater(): void {
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => {
      if (this.#working === 0 && !this.#unsure && this.#begun === null) void this.alone(() => this.#end());
    }, this.#restAfterMs).unref();
  }

  async #end(): Promise<void> {
    const producer = this.#producer;
    this.#producer = null;
    this.#begun = null;
    await producer?.close(true).catch(() => {});
  }
}

/**
 * Another one begins anew with the same id at this very moment. Kafka 4.1 stumbles over that now and then, and answers the end of a
 * transaction with an error that it did not expect itself: whether it was committed, beginning anew tells, as ever.
 */
export function isContended(error: unknown): boolean {
  return isFencedOff(error) || isAnswer(error, "UNKNOWN_SERVER_ERROR");
}

/** Another one has begun anew with the same id, or the transaction took too long, or the broker has forgotten the id. */
export function isFencedOff(error: unknown): boolean {
  const reasons = ["PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH", "INVALID_PRODUCER_ID_MAPPING", "INVALID_TXN_STATE"];
  return isAnswer(error, ...reasons);
}

function isAnswer(error: unknown, ...reasons: string[]): boolean {
  return [error, (error as Error).cause].some((each) => each instanceof Error && isProtocolError(each, ...reasons));
}
