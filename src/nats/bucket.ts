/**
 * All that stands in a key-value bucket. The client's own `history` and `keys` wait for the message behind which none is pending, and
 * one whose time to live ends while they read is counted as pending and never comes (seen with nats-server 2.9.10): they would wait
 * for as long as something is written to the bucket. They also leave their consumer to the server, which forgets it after minutes.
 */
import { AckPolicy, DeliverPolicy, type JsMsg } from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import type { Connected } from "./link.ts";

export interface BucketEntry {
  key: string;
  value: Uint8Array;
  revision: number;
  created: Date;
}

/** What is counted as pending and does not come within this time has ended. */
const LAST_WITHIN_MS = 2_000;
/** Where others write faster than we read, what is written last is left out. */
const MOST_FETCHES = 5;
/** The server forgets the consumer by itself when nobody has asked it for this long: we were killed. */
const FORGOTTEN_AFTER_MS = 10_000;

/**
 * In the order in which they were written; what was deleted is not among them. For buckets that keep one revision of a key. A key
 * that is written again while we read stands further behind then, so reading goes on until nothing is pending.
 */
export async function readBucket({ js, jsm }: Connected, bucket: string): Promise<BucketEntry[]> {
  const stream = `KV_${bucket}`;
  const info = await jsm.consumers.add(stream, {
    deliver_policy: DeliverPolicy.All,
    ack_policy: AckPolicy.None,
    inactive_threshold: nanos(FORGOTTEN_AFTER_MS),
    mem_storage: true,
  });
  const entries = new Map<string, BucketEntry>();
  try {
    const consumer = js.consumers.getConsumerFromInfo(info);
    let pending = info.num_pending;
    for (let fetches = 0; pending > 0 && fetches < MOST_FETCHES; fetches++) {
      const asked = pending;
      let came = 0;
      for await (const message of await consumer.fetch({ max_messages: asked, expires: LAST_WITHIN_MS })) {
        came++;
        pending = message.info.pending;
        const entry = entryOf(message, bucket);
        entries.delete(entry.key);
        if (!message.headers?.has("KV-Operation")) entries.set(entry.key, entry);
        if (pending === 0) break;
      }
      if (came < asked) break;
    }
  } finally {
    // Rejects where the connection was lost on the way: what has come by then is not all.
    await jsm.consumers.delete(stream, info.name);
  }
  return [...entries.values()];
}

function entryOf({ subject, data, seq, time }: JsMsg, bucket: string): BucketEntry {
  return { key: subject.slice(`$KV.${bucket}.`.length), value: data, revision: seq, created: time };
}
