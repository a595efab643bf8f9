/**
 * A message as NATS carries it: the id as `Nats-Msg-Id`, by which a stream drops repeats, the ordering key as `dstream-key`, and the
 * properties as headers. A header holds no control characters and loses blanks at its ends: what it cannot hold stands as JSON in one
 * more, `dstream-more`.
 */
import { headers, type MsgHdrs } from "@nats-io/transport-node";
import type { Message } from "../../change/message.ts";

const ID = "Nats-Msg-Id";
const KEY = "dstream-key";
const MORE = "dstream-more";
const REASON = "dstream-reason";

interface More {
  id?: string;
  key?: string;
  reason?: string;
  properties?: Record<string, string>;
}

/** `deduplication`: the id that the stream knows the message by, where that is not its own. */
export function headersOf(message: Message, options: { deduplication?: string; reason?: string } = {}): MsgHdrs {
  const { id, key, properties } = message;
  const { deduplication = id, reason } = options;
  const found = headers();
  const more: More = {};
  if (isPlain(deduplication)) found.append(ID, deduplication);
  else found.append(ID, encodeURIComponent(deduplication));
  if (deduplication !== id || !isPlain(id)) more.id = id;
  if (isPlain(key)) found.append(KEY, key);
  else more.key = key;
  if (reason !== undefined) {
    if (isPlain(reason)) found.append(REASON, reason);
    else more.reason = reason;
  }
  for (const name in properties) {
    const value = properties[name]!;
    if (NAME.test(name) && !RESERVED.test(name) && isPlain(value)) found.append(name, value);
    else (more.properties ??= {})[name] = value;
  }
  for (const _ in more) {
    found.append(MORE, JSON.stringify(more));
    break;
  }
  return found;
}

/** What others sent has no ordering key: it keeps its order as a whole. */
export function messageOf(body: Buffer, found: MsgHdrs | undefined, sequence: number): Message {
  const { more, properties } = partsOf(found);
  return {
    id: more.id ?? found?.get(ID) ?? String(sequence),
    key: more.key ?? found?.get(KEY) ?? "",
    body,
    properties: Object.assign(properties, more.properties),
  };
}

export function reasonOf(found: MsgHdrs | undefined): string {
  return partsOf(found).more.reason ?? found?.get(REASON) ?? "";
}

function partsOf(found: MsgHdrs | undefined): { more: More; properties: Record<string, string> } {
  const properties: Record<string, string> = {};
  let more: More = {};
  for (const [name, values] of found ?? []) {
    if (name === MORE) more = JSON.parse(values[0]!) as More;
    else if (!RESERVED.test(name)) properties[name] = values[0] ?? "";
  }
  return { more, properties };
}

const NAME = /^[!-9;-~]+$/;
/** The server's own, and ours. */
const RESERVED = /^(nats-|dstream-(key|more|reason)$)/i;
/** No control characters, and no blank at either end. */
const PLAIN = /^(?!\s)[^\p{Cc}]*(?<!\s)$/u;

function isPlain(value: string): boolean {
  return PLAIN.test(value);
}
