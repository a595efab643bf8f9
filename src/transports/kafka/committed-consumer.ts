/**
 * A consumer that is given what transactions have committed, all of it, and nothing else. Brokers hold back what is not decided, send
 * along what was aborted, and say which transactions those are: to leave it out is up to the client
 * (https://kafka.apache.org/documentation/#consumerconfigs_isolation.level). @platformatic/kafka 2.12 knows one range a producer
 * for that: it lets the first of two aborted transactions through, and drops committed ones that stand between two. So what it is
 * given has been filtered here, and says that nothing was aborted.
 */
import { Consumer, IS_CONTROL, IS_TRANSACTIONAL, kGetApi } from "@platformatic/kafka";

/** Of a fetch, what matters here. */
interface Fetched {
  responses: { partitions: FetchedPartition[] }[];
}

export interface FetchedPartition {
  abortedTransactions: { producerId: bigint; firstOffset: bigint }[] | null;
  records?: FetchedBatch[] | null;
}

/** Of a batch of records, as the client hands it out. */
export interface FetchedBatch {
  firstOffset: bigint;
  lastOffsetDelta: number;
  attributes: number;
  producerId: bigint;
  records: { key: Buffer | null; value: Buffer | null; offsetDelta: number }[];
}

type Answer = (error: Error | null, response?: Fetched) => void;

export class CommittedConsumer extends Consumer<Buffer, Buffer, Buffer, Buffer> {
  override [kGetApi](name: string, callback: (error: Error | null, api?: never) => void): void {
    super[kGetApi](name, (error, api) => {
      if (error || api === undefined || name !== "Fetch") return callback(error, api as never);
      const fetch = (...args: unknown[]) => {
        const answer = args.pop() as Answer;
        (api as unknown as (...args: unknown[]) => void)(...args, (error: Error | null, response?: Fetched) => {
          for (const { partitions } of response?.responses ?? []) for (const each of partitions) dropAborted(each);
          answer(error, response);
        });
      };
      callback(null, Object.assign(fetch, { key: api.key, version: api.version, async: api.async }) as never);
    });
  }
}

/** Batches stay, without their records: reading goes on behind them. */
export function dropAborted(partition: FetchedPartition): void {
  const { abortedTransactions, records } = partition;
  if (!abortedTransactions?.length || !records) return;
  const coming = [...abortedTransactions].sort((a, b) => Number(a.firstOffset - b.firstOffset));
  /** Producers whose transaction, as far as this has come, will be aborted. */
  const aborting = new Set<bigint>();
  for (const batch of records) {
    if (!(batch.attributes & IS_TRANSACTIONAL)) continue;
    const last = batch.firstOffset + BigInt(batch.lastOffsetDelta);
    while (coming.length > 0 && coming[0]!.firstOffset <= last) aborting.add(coming.shift()!.producerId);
    if (batch.attributes & IS_CONTROL) aborting.delete(batch.producerId);
    else if (aborting.has(batch.producerId)) batch.records = [];
  }
  partition.abortedTransactions = [];
}
