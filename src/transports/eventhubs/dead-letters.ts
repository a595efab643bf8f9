/** An entity's dead letters: Event Hubs has none, so each is a blob, `<folder>dead-letters/<id>`, in the container of the checkpoints. */
import { randomUUID } from "node:crypto";
import type { ContainerClient } from "@azure/storage-blob";
import { askingBlobs, statusOf } from "../../azure/blob-storage.ts";
import type { Message } from "../../change/message.ts";
import type { DeadLetter, DeadLetters, Sender } from "../transport.ts";

export interface Burying {
  container: ContainerClient;
  /** As in "queue …". */
  what: string;
  folder: string;
  /** Where a letter goes that is replayed. */
  sender: () => Promise<Sender>;
}

interface Kept {
  id: string;
  key: string;
  properties: Record<string, string>;
  /** Base64. */
  body: string;
  reason: string;
  since: string;
}

/** Durable once it resolves. */
export async function bury({ container, what, folder }: Burying, message: Message, reason: string): Promise<void> {
  const { id, key, properties, body } = message;
  const since = new Date().toISOString();
  const kept: Kept = { id, key, properties, body: body.toString("base64"), reason, since };
  const text = JSON.stringify(kept);
  await askingBlobs(container, `dead-lettering a message of ${what}`, async () => {
    // Names are listed in their order.
    const blob = container.getBlockBlobClient(`${folder}dead-letters/${since.replace(/[:.]/g, "-")}-${randomUUID()}`);
    await blob.upload(text, Buffer.byteLength(text), { blobHTTPHeaders: { blobContentType: "application/json" } });
  });
}

export function deadLettersOf({ container, what, folder, sender }: Burying): DeadLetters {
  const prefix = `${folder}dead-letters/`;
  const looking = <T>(look: () => Promise<T>) => askingBlobs(container, `looking at the dead letters of ${what}`, look);
  const get = async (id: string): Promise<DeadLetter | null> => {
    try {
      const blob = await container.getBlobClient(prefix + id).downloadToBuffer();
      return letterOf(id, JSON.parse(blob.toString()) as Kept);
    } catch (error) {
      if (statusOf(error) === 404) return null;
      throw error;
    }
  };
  return {
    list: (limit) =>
      looking(async () => {
        const letters: DeadLetter[] = [];
        for await (const { name } of container.listBlobsFlat({ prefix })) {
          if (letters.length >= limit) break;
          const letter = await get(name.slice(prefix.length));
          if (letter !== null) letters.push(letter);
        }
        return letters;
      }),
    get: (id) => looking(() => get(id)),
    // Killed between the two, the message is in both places: the copy that comes again has the same id.
    replay: (id) =>
      looking(async () => {
        const letter = await get(id);
        if (letter === null) return false;
        await (await sender()).send([letter.message]);
        await container.getBlobClient(prefix + id).deleteIfExists();
        return true;
      }),
  };
}

function letterOf(letter: string, { id, key, properties, body, reason, since }: Kept): DeadLetter {
  const message = { id, key, properties, body: Buffer.from(body, "base64") };
  return { id: letter, message, reason, since: new Date(since) };
}
