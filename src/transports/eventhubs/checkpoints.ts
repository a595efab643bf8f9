/**
 * How far the partitions of a hub are settled for one consumer group: a blob for each, `<folder>checkpoint/<partition>`, as Azure's own
 * processors have it (`sequencenumber` and `offset` in its metadata), with what they do not keep: whose it is, and what is settled
 * beyond.
 *
 * A write names the version that it follows: who takes a partition over writes first, and from then on nobody before him can.
 */
import type { ContainerClient, RestError } from "@azure/storage-blob";
import { askingBlobs, isContainerMissing, statusOf } from "../../azure/blob-storage.ts";
import type { SettledState } from "../settled.ts";

export interface Checkpoint {
  state: SettledState;
  /** Of the last event of the floor, for others that read from there. */
  offset: string;
}

/** The offset before the first event. */
export const EARLIEST = "-1";

/** Metadata of a blob has 8 KB in all; what is left out comes again, after a crash. */
const LONGEST_BEYOND = 4_000;
export class PartitionCheckpoint {
  readonly #container: ContainerClient;
  readonly #name: string;
  readonly #owner: string;
  #etag: string | undefined;

  private constructor(container: ContainerClient, name: string, owner: string) {
    this.#container = container;
    this.#name = name;
    this.#owner = owner;
  }

  /** Takes it over. `owner`: nobody else's. `first`: where there is none yet. */
  static async take(
    container: ContainerClient,
    name: string,
    owner: string,
    first: Checkpoint,
  ): Promise<{ store: PartitionCheckpoint; found: Checkpoint }> {
    const store = new PartitionCheckpoint(container, name, owner);
    for (;;) {
      const found = (await store.#read()) ?? first;
      if (await store.save(found)) return { store, found };
    }
  }

  /** Durable once it resolves. False: somebody else has taken it. */
  async save({ state, offset }: Checkpoint): Promise<boolean> {
    const metadata = {
      owner: this.#owner,
      sequencenumber: String(state.floor),
      offset,
      ...(state.beyond.length > 0 && { beyond: writtenDown(state.beyond) }),
    };
    return await askingBlobs(this.#container, `writing the checkpoint ${this.#name}`, async () => {
      const blob = this.#container.getBlockBlobClient(this.#name);
      try {
        const { etag } =
          this.#etag === undefined
            ? await blob.upload("", 0, { metadata, conditions: { ifNoneMatch: "*" } })
            : await blob.setMetadata(metadata, { conditions: { ifMatch: this.#etag } });
        this.#etag = etag;
        return true;
      } catch (error) {
        if (![404, 409, 412].includes(statusOf(error) ?? 0) || isContainerMissing(error)) throw error;
        // The answer to an earlier try was lost: then this is what stands there.
        const { metadata: there, etag } = await this.#properties();
        if (there?.["owner"] !== this.#owner || !sameAs(there, metadata)) return false;
        this.#etag = etag;
        return true;
      }
    });
  }

  async #read(): Promise<Checkpoint | null> {
    return await askingBlobs(this.#container, `reading the checkpoint ${this.#name}`, async () => {
      const { metadata, etag } = await this.#properties();
      this.#etag = etag;
      if (metadata?.["sequencenumber"] === undefined) return null;
      const state = { floor: Number(metadata["sequencenumber"]), beyond: readBack(metadata["beyond"] ?? "") };
      return { state, offset: metadata["offset"] ?? EARLIEST };
    });
  }

  async #properties(): Promise<{ metadata?: Record<string, string>; etag?: string }> {
    try {
      const { metadata, etag } = await this.#container.getBlobClient(this.#name).getProperties();
      return { ...(metadata && { metadata }), ...(etag && { etag }) };
    } catch (error) {
      if ((error as RestError).statusCode === 404) return {};
      throw error;
    }
  }
}

function sameAs(there: Record<string, string>, written: Record<string, string>): boolean {
  return Object.keys(written).every((name) => there[name] === written[name]);
}

/** `5-9,12-12` */
function writtenDown(beyond: SettledState["beyond"]): string {
  let text = "";
  for (const [from, to] of beyond) {
    const next = `${text === "" ? "" : ","}${from}-${to}`;
    if (text.length + next.length > LONGEST_BEYOND) break;
    text += next;
  }
  return text;
}

function readBack(text: string): [number, number][] {
  return text === "" ? [] : text.split(",").map((range) => range.split("-").map(Number) as [number, number]);
}
