/**
 * An encoded AMQP message, cut where its sections begin: what the broker adds stands before what the client has sent, which stays
 * as it is, byte for byte (AMQP 1.0, part 3, section 3.2).
 */
import rhea from "rhea";

/** Header, delivery annotations, message annotations. */
const HEAD = new Set([0x70, 0x71, 0x72]);

export interface Cut {
  annotations: Record<string, unknown>;
  /** Properties, application properties, body and footer. */
  bare: Buffer;
}

export function cut(encoded: Buffer): Cut {
  const at = headOf(encoded);
  const { message_annotations } = rhea.message.decode(encoded.subarray(0, at)) as unknown as {
    message_annotations?: Record<string, unknown>;
  };
  return { annotations: message_annotations ?? {}, bare: encoded.subarray(at) };
}

/** A message with these annotations, and nothing else before what the client has sent. */
export function dressed(annotations: Record<string, unknown>, bare: Buffer): Buffer {
  const whole = rhea.message.encode({ message_annotations: annotations, body: undefined } as never);
  return Buffer.concat([whole.subarray(0, headOf(whole)), bare]);
}

/** Where header and annotations end. */
function headOf(encoded: Buffer): number {
  let at = 0;
  while (at < encoded.length && HEAD.has(encoded[at + 2]!)) at = endOf(encoded, at + 3);
  return at;
}

/** Of a section's list or map, whose constructor stands at `at`. */
function endOf(bytes: Buffer, at: number): number {
  switch (bytes[at]) {
    case 0x45: // list0
      return at + 1;
    case 0xc0: // list8
    case 0xc1: // map8
      return at + 2 + bytes[at + 1]!;
    case 0xd0: // list32
    case 0xd1: // map32
      return at + 5 + bytes.readUInt32BE(at + 1);
    default:
      throw new Error(`no list and no map: 0x${bytes[at]?.toString(16)}`);
  }
}
