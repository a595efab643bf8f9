/** Where a message of the ingest queue goes: its row messages, each with the destination that it names. */
import { isBatch, unpackBatch } from "../change/formats/batch-message.ts";
import type { Message } from "../change/message.ts";
import { describeError } from "../errors.ts";

export interface Routed {
  message: Message;
  destination: string;
}

/** Of a transport's entity, at most; the strictest systems take less and say so. */
const LONGEST_NAME = 260;

/** The row messages, as they are, in order. Throws, with the reason for the dead letters, where it is not one of ours. */
export function route(message: Message): Routed[] {
  const rows = isBatch(message) ? unpack(message) : unpackBatch(message);
  return rows.map((row) => ({ message: row, destination: destinationOf(row) }));
}

function unpack(message: Message): Message[] {
  try {
    return unpackBatch(message);
  } catch (error) {
    throw new Error(`not a batch message of dstream: ${describeError(error)}`, { cause: error });
  }
}

function destinationOf(message: Message): string {
  const name = message.properties["Destination"] ?? statedInBody(message);
  if (name.length > 0 && name.length <= LONGEST_NAME && !/[\p{Cc}\p{Cs}]|^\s|\s$/u.test(name)) return name;
  throw new Error(`the destination that message ${message.id} names is no name: ${JSON.stringify(name.slice(0, 100))}`);
}

/** Transports that lost the properties, and producers that set none, still have it in the body. */
function statedInBody(message: Message): string {
  let body: { metadata?: { Destination?: unknown } | null } | null;
  try {
    body = JSON.parse(message.body.toString());
  } catch (error) {
    throw new Error(`no property Destination, and the body is not JSON: ${describeError(error)}`, { cause: error });
  }
  const name = body?.metadata?.Destination;
  if (typeof name === "string") return name;
  throw new Error("no property Destination, and the body has no metadata.Destination");
}
