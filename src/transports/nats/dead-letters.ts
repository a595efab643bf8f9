/** An entity's dead letters: a stream of its own, made with the first of them; its messages' numbers name them. */
import { randomUUID } from "node:crypto";
import { JetStreamApiCodes, JetStreamApiError, type StoredMsg } from "@nats-io/jetstream";
import type { Message } from "../../change/message.ts";
import type { Connected, NatsLink } from "../../nats/link.ts";
import type { DeadLetter, DeadLetters } from "../transport.ts";
import { headersOf, messageOf, reasonOf } from "./message.ts";
import { streamOf, subjectOf } from "./names.ts";

export interface Burying {
  link: NatsLink;
  /** As in "queue …". */
  what: string;
  /** Of the dead letters. */
  name: string;
  /** Where a letter goes that is replayed. */
  subject: string;
  make: (connected: Connected, stream: string, subject: string) => Promise<void>;
}

/** Durable once it resolves. */
export async function bury({ link, what, name, make }: Burying, message: Message, reason: string): Promise<void> {
  await link.ask(`dead-lettering a message of ${what}`, async (connected) => {
    await make(connected, streamOf(name), subjectOf(name));
    // A message may be dead-lettered again after a replay: its own id would be taken for a repeat.
    const headers = headersOf(message, { deduplication: randomUUID(), reason });
    await connected.js.publish(subjectOf(name), message.body, { headers });
  });
}

export function deadLettersOf({ link, what, name, subject }: Burying): DeadLetters {
  const stream = streamOf(name);
  const looking = <T>(none: T, look: (connected: Connected) => Promise<T>) =>
    link.ask(`looking at the dead letters of ${what}`, async (connected) => {
      try {
        return await look(connected);
      } catch (error) {
        // There was none yet.
        if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return none;
        throw error;
      }
    });
  return {
    list: (limit) =>
      looking<DeadLetter[]>([], async ({ jsm }) => {
        const letters: DeadLetter[] = [];
        const { state } = await jsm.streams.info(stream);
        for (let seq = state.first_seq; seq <= state.last_seq && letters.length < limit; ) {
          const nextFrom = { seq, next_by_subj: ">" };
          const found = await jsm.streams.getMessage(stream, nextFrom);
          if (found === null) break;
          letters.push(letterOf(found));
          seq = found.seq + 1;
        }
        return letters;
      }),
    get: (id) => looking<DeadLetter | null>(null, async ({ jsm }) => asLetter(await find(jsm, stream, id))),
    // Killed between the two, the message is in both places: the copy that comes again has the same id.
    replay: (id) =>
      looking(false, async ({ js, jsm }) => {
        const found = await find(jsm, stream, id);
        if (found === null) return false;
        const message = messageOf(Buffer.from(found.data), found.header, found.seq);
        // The stream may still know the message by its own id.
        const headers = headersOf(message, { deduplication: `${message.id}/replay/${found.seq}/${found.timestamp}` });
        await js.publish(subject, message.body, { headers });
        return await jsm.streams.deleteMessage(stream, found.seq);
      }),
  };
}

async function find(jsm: Connected["jsm"], stream: string, id: string): Promise<StoredMsg | null> {
  if (!/^\d{1,15}$/.test(id)) return null;
  try {
    return await jsm.streams.getMessage(stream, { seq: Number(id) });
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.NoMessageFound) return null;
    throw error;
  }
}

function asLetter(found: StoredMsg | null): DeadLetter | null {
  return found === null ? null : letterOf(found);
}

function letterOf(found: StoredMsg): DeadLetter {
  const message = messageOf(Buffer.from(found.data), found.header, found.seq);
  return { id: String(found.seq), reason: reasonOf(found.header), since: found.time, message };
}
