/** The provider's output as the ingester's queue: changes of a table as envelopes, a line each, or as row messages. */
import { envelopeLine } from "../../change/formats/provider-envelope.ts";
import type { MessageRun } from "../../change/message-run.ts";
import { formatDuration } from "../../config/units.ts";
import { TransportError } from "../../errors.ts";
import type { Receiver, RunSource, Sender, Traits, Transport } from "../../transports/transport.ts";
import type { LineOutput } from "../output.ts";

const LINE_FEED = Buffer.from("\n");

export class ProviderTransport implements Transport {
  readonly type = "provider";
  readonly limits = { maxMessageBytes: 1024 * 1024 * 1024, maxSendBytes: 64 * 1024 * 1024 };
  readonly traits: Traits = { deduplicates: false, keepsOrder: true };
  readonly #output: LineOutput;
  readonly #format: "envelopes" | "rows";
  readonly #server: string;

  /** `server`: the host of the connection string. */
  constructor(output: LineOutput, format: "envelopes" | "rows", server: string) {
    this.#output = output;
    this.#format = format;
    this.#server = server;
  }

  get ended(): AbortSignal {
    return this.#output.ended;
  }

  async ensure(): Promise<void> {}

  async exists(): Promise<boolean> {
    return true;
  }

  async sender(): Promise<Sender> {
    return {
      sendRun: (run, of) => this.#send(run, of),
      send: () => Promise.reject(new Error("a provider sends runs")),
      close: async () => {},
    };
  }

  async receiver(): Promise<Receiver> {
    throw new TransportError("rejected", "A provider's output is not received from.");
  }

  async close(): Promise<void> {}

  async #send(run: MessageRun, { table, pollIntervalMs }: RunSource): Promise<void> {
    if (this.#format === "rows") {
      const lines = run.messages().flatMap(({ body }) => [body, LINE_FEED]);
      return await this.#output.write(Buffer.concat(lines), run.count);
    }
    const parts = { table, server: this.#server, pollInterval: formatDuration(pollIntervalMs) };
    await this.#output.write(envelopeLine(run.bodies, run.count, parts), 1);
  }
}
