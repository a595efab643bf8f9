/**
 * All that stands in a key-value bucket. The client's own `history` and `keys` wait for the message behind which none is pending, and
 * one whose time to live ends while they read is counted as pending and never comes (seen with nats-server 2.9.10): they would wait
 * for as long as something is written to the bucket. They also leave their consumer to the server, which forgets it after minutes.
 */
import { AckPolicy, DeliverPolicy, type JsMsg } from "@nats-io/jetstream";
import { errors, nanos } from "@nats-io/transport-node";
import type { Connected } from "./link.ts";

export interface BucketEntry {
  key: string;
  value: Uint8Array;
  revision: number;
  created: Date;
}

/** What is counted as pending and does not come within this time has ended. */
const LAST_WITHIN_MS = 2_000;
/** Of one question. A server may be set to less (`max_request_batch`). */
const BATCH = 256;
/** Where others write faster than we read, what is written last is left out. */
const MOST_OVER = 1_000;
/** The server forgets the consumer by itself when nobody has asked it for this long. */
const FORGOTTEN_AFTER_MS = 10_000;

/**
 * In the order in which they were written; what was deleted is not among them. For buckets that keep one revision of a key. A key
 * that is written again while we read stands further behind then, so reading goes on until nothing is pending.
 */
export async function readBucket({ nc, js, jsm }: Connected, bucket: string): Promise<BucketEntry[]> {
  const stream = `KV_${bucket}`;
  const info = await jsm.consumers.add(stream, {
    deliver_policy: DeliverPolicy.All,
    ack_policy: AckPolicy.None,
    inactive_threshold: nanos(FORGOTTEN_AFTER_MS),
    mem_storage: true,
  });
  const consumer = js.consumers.getConsumerFromInfo(info);
  const entries = new Map<string, BucketEntry>();
  let batch = BATCH;
  let pending = info.num_pending;
  try {
    for (let left = pending + MOST_OVER; pending > 0 && left > 0; ) {
      const asked = Math.min(pending, batch);
      let came = 0;
      try {
        for await (const message of await consumer.fetch({ max_messages: asked, expires: LAST_WITHIN_MS })) {
          came++;
          pending = message.info.pending;
          const entry = entryOf(message, bucket);
          entries.delete(entry.key);
          if (!MARKS.some((mark) => message.headers?.has(mark))) entries.set(entry.key, entry);
          if (pending === 0) break;
        }
      } catch (error) {
        if (!/max ?request ?batch/i.test((error as Error).message) || batch === 1) throw error;
        batch = Math.ceil(batch / 4);
        continue;
      }
      // It ends like this when the connection is lost, too: what has come by then is not all.
      if (nc.isClosed()) throw new errors.ClosedConnectionError();
      if (came < asked) break;
      left -= came;
    }
  } finally {
    await jsm.consumers.delete(stream, info.name).catch(() => {});
  }
  return [...entries.values()];
}

/** Headers of what stands for a key that is gone: deleted by somebody, or by the server. */
const MARKS = ["KV-Operation", "Nats-Marker-Reason"];

function entryOf({ subject, data, seq, time }: JsMsg, bucket: string): BucketEntry {
  return { key: subject.slice(`$KV.${bucket}.`.length), value: data, revision: seq, created: time };
}
