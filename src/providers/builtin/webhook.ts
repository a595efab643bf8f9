/**
 * Posts what comes to a URL, many messages to a request, as JSON lines or a JSON array. Delivered is what was answered with 2xx.
 * Signed as Standard Webhooks has it (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md): headers
 * `webhook-id`, `webhook-timestamp` and `webhook-signature`, an HMAC-SHA256 of `<id>.<timestamp>.<body>`. The id is one of the content:
 * a batch that is posted again has the same.
 */
import { createHash, createHmac } from "node:crypto";
import { z } from "zod";
import { Backoff, waitFor } from "../../backoff.ts";
import { duration, size } from "../../config/fields.ts";
import { DStreamError } from "../../errors.ts";
import type { LineBatch, Output, OutputProvider } from "../sdk/output.ts";
import type { Context } from "../sdk/provider.ts";

const config = z.strictObject({
  url: z.url({ protocol: /^https?$/ }).describe("Where to."),
  headers: z.record(z.string(), z.string()).prefault({}).describe("Sent along, `Authorization` say."),
  secret: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Signs each request. `whsec_` and base64, as Standard Webhooks writes it, or any text. Without it: no signature.",
    ),
  format: z
    .enum(["ndjson", "array"])
    .prefault("ndjson")
    .describe("`ndjson`: a line a message. `array`: one JSON array."),
  max_batch: z.int().min(1).prefault(500).describe("Messages of one request at most."),
  max_batch_bytes: size().prefault("1MB").describe("Bytes of one request at most; a larger message goes alone."),
  timeout: duration().prefault("30s").describe("For an answer."),
  max_wait: duration().prefault("1m").describe("Between two attempts at most. The first waits are shorter."),
});
type Settings = z.output<typeof config>;

export class WebhookError extends DStreamError {
  readonly code = "DSTREAM_WEBHOOK";
}

export const webhook: OutputProvider<typeof config> = {
  config,
  open: (context) => new Webhook(context),
};

class Webhook implements Output {
  readonly #settings: Settings;
  readonly #context: Context<Settings>;
  readonly #key: Buffer | null;

  constructor(context: Context<Settings>) {
    const { secret } = context.config;
    this.#settings = context.config;
    this.#context = context;
    if (secret === undefined) this.#key = null;
    else this.#key = secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : Buffer.from(secret);
  }

  async deliver(batch: LineBatch): Promise<void> {
    let lines: string[] = [];
    let bytes = 0;
    for (const line of batch.lines()) {
      const length = Buffer.byteLength(line) + 1;
      if (
        lines.length > 0 &&
        (lines.length === this.#settings.max_batch || bytes + length > this.#settings.max_batch_bytes)
      ) {
        await this.#post(lines);
        [lines, bytes] = [[], 0];
      }
      lines.push(line);
      bytes += length;
    }
    if (lines.length > 0) await this.#post(lines);
  }

  async #post(lines: string[]): Promise<void> {
    const { format, max_wait: most } = this.#settings;
    const body = format === "array" ? `[${lines.join(",")}]` : `${lines.join("\n")}\n`;
    const id = `msg_${createHash("sha256").update(body).digest("hex").slice(0, 32)}`;
    const backoff = new Backoff({ initial: 200, max: most });
    const { signal, log } = this.#context;
    for (;;) {
      const { refused, after } = await this.#attempt(id, body);
      if (refused === null) return;
      if (signal.aborted) throw new WebhookError(`${refused}: it is not tried again, since the provider is to end.`);
      const wait = Math.max(backoff.next(), Math.min(after, most));
      log("warn", `${refused}: tried again in ${wait} ms`);
      await waitFor(wait, signal);
    }
  }

  /** `refused`: why it is to be tried again. Throws where that is of no use. */
  async #attempt(id: string, body: string): Promise<{ refused: string | null; after: number }> {
    const { url, headers, format, timeout } = this.#settings;
    const doing = `While posting to ${withoutSecrets(url)}`;
    const timestamp = String(Math.floor(Date.now() / 1000));
    let response: Response;
    try {
      response = await fetch(url, {
        method: "POST",
        headers: {
          "content-type": format === "array" ? "application/json" : "application/x-ndjson",
          "user-agent": "dstream",
          ...headers,
          "webhook-id": id,
          "webhook-timestamp": timestamp,
          ...(this.#key && { "webhook-signature": `v1,${signature(this.#key, id, timestamp, body)}` }),
        },
        body,
        redirect: "error",
        signal: AbortSignal.timeout(timeout),
      });
    } catch (error) {
      const cause = (error as Error).cause instanceof Error ? ((error as Error).cause as Error).message : "";
      return { refused: `${doing}: ${(error as Error).message}${cause && ` (${cause})`}`, after: 0 };
    }
    const answer = (await response.text().catch(() => "")).slice(0, 200);
    if (response.ok) return { refused: null, after: 0 };
    const said = `${doing}: it answered ${response.status}${answer.trim() && ` (${answer.trim()})`}`;
    // Those that say "not now"; whatever else is below 500 would be answered so for ever.
    if (response.status >= 500 || [408, 425, 429].includes(response.status))
      return { refused: said, after: retryAfter(response.headers.get("retry-after")) };
    throw new WebhookError(`${said}.`, { advice: "What was not taken comes again once that is put right." });
  }
}

function signature(key: Buffer, id: string, timestamp: string, body: string): string {
  return createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
}

/** Milliseconds; seconds or a date (RFC 9110, 10.2.3). */
function retryAfter(header: string | null): number {
  if (header === null) return 0;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

function withoutSecrets(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}
