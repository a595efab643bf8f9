/**
 * What a provider is told on standard input: its configuration, bare or in a command envelope
 * `{"command":"run","config":{…},"acks":true}` of one line. A bare one may have many lines, and ends where its object does. Behind an
 * envelope that asks for acknowledgements they come as lines `{"acked":<lines>}` (docs/providers.md).
 */
import type { Readable } from "node:stream";
import { DStreamError } from "../errors.ts";

export interface ProviderInput {
  /** Null: the configuration came bare, and nobody waits for a handshake. */
  command: string | null;
  config: unknown;
  /** Whether lines count as delivered only when they are acknowledged. */
  acks: boolean;
  /** Lines that came behind an envelope; ends with standard input. */
  lines: AsyncIterable<string>;
}

export class ProviderInputError extends DStreamError {
  readonly code = "DSTREAM_PROVIDER_INPUT";
}

const MOST_BYTES = 16 * 1024 * 1024;

/** Resolves as soon as the configuration is whole. Rejects where there is none. */
export async function readInput(stream: Readable): Promise<ProviderInput> {
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer | string>;
  let text = "";
  for (;;) {
    const { value, done } = await chunks.next();
    if (!done) text += value.toString();
    const end = done ? text.length : text.lastIndexOf("\n") + 1;
    const found = end > 0 ? parsed(text, end) : undefined;
    if (found !== undefined) {
      const { json, rest } = found;
      const { command, config, acks } = json as { command?: unknown; config?: unknown; acks?: unknown };
      if (typeof command !== "string") return { command: null, config: json, acks: false, lines: linesOf("", null) };
      return { command, config: config ?? {}, acks: acks === true, lines: linesOf(rest, done ? null : chunks) };
    }
    if (done || text.length > MOST_BYTES) throw noConfiguration(text);
  }
}

/** The object that ends at one of the line ends so far; an envelope has the first line to itself. */
function parsed(text: string, end: number): { json: object; rest: string } | undefined {
  const first = text.indexOf("\n") + 1 || end;
  for (const at of new Set([first, end])) {
    try {
      const json = JSON.parse(text.slice(0, at)) as unknown;
      if (typeof json === "object" && json !== null) return { json, rest: text.slice(at) };
    } catch {
      // It goes on.
    }
  }
  return undefined;
}

async function* linesOf(rest: string, chunks: AsyncIterator<Buffer | string> | null): AsyncGenerator<string> {
  let text = rest;
  for (;;) {
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n")) {
      yield text.slice(0, at);
      text = text.slice(at + 1);
    }
    if (chunks === null) return;
    const { value, done } = await chunks.next();
    if (done) return;
    text += value.toString();
  }
}

function noConfiguration(text: string): ProviderInputError {
  let why = "it is empty";
  if (text.trim() !== "") {
    try {
      JSON.parse(text);
      why = "it is no JSON object";
    } catch (error) {
      // Its text is not repeated: it may hold a password.
      why = `it is no JSON (${(error as Error).message.replace(/["'].*$/s, "…")})`;
    }
  }
  return new ProviderInputError(`There is no configuration on standard input: ${why}.`, {
    advice: "Give it as JSON: cat config.json | dstream provider mssql.",
  });
}
