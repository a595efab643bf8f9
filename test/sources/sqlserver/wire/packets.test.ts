/** Packets: MS-TDS 2.2.3.1: type, status, length (big-endian), SPID, number, window. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MalformedResponse } from "../../../../src/sources/sqlserver/wire/malformed.ts";
import { PacketStream, packetize } from "../../../../src/sources/sqlserver/wire/packets.ts";
import { payloadOf } from "./reference-response.ts";

/** What a stream of chunks carries, and where in the last of them the response ended. */
function carried(...chunks: Buffer[]): { payload: string; end: number } {
  const parts: Buffer[] = [];
  const stream = new PacketStream((bytes, from, to) => parts.push(Buffer.from(bytes.subarray(from, to))));
  let end = -1;
  for (const chunk of chunks) end = stream.push(chunk);
  return { payload: Buffer.concat(parts).toString("hex"), end };
}

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(" ", ""), "hex");
}

const first = "04 00 000b 0033 01 00 aabbcc";
const last = "04 01 000a 0033 02 00 ddee";

test("the payload of packets is one stream, up to the packet that ends the message", () => {
  assert.deepEqual(carried(hex(last)), { payload: "ddee", end: 10 });
  assert.deepEqual(carried(hex(first)), { payload: "aabbcc", end: -1 });
  assert.deepEqual(carried(hex(first + last)), { payload: "aabbccddee", end: 21 });
});

test("packets are read wherever the stream is cut, also inside their headers", () => {
  const whole = hex(first + last);
  for (let cut = 1; cut < whole.length; cut++) {
    const { payload, end } = carried(whole.subarray(0, cut), whole.subarray(cut));
    assert.deepEqual([payload, end], ["aabbccddee", whole.length - cut]);
  }
  const bytes = [...whole].map((byte) => Buffer.of(byte));
  assert.deepEqual(carried(...bytes), { payload: "aabbccddee", end: 1 });
});

test("what follows the end of a response is none of it", () => {
  assert.deepEqual(carried(hex(`${last} 04 01`)), { payload: "ddee", end: 10 });
});

test("a packet without payload is allowed, at the end as well", () => {
  const empty = "04 00 0008 0033 02 00";
  assert.deepEqual(carried(hex(first + empty + last)), { payload: "aabbccddee", end: 29 });
  assert.deepEqual(carried(hex(`${first} 04 01 0008 0033 02 00`)), { payload: "aabbcc", end: 19 });
});

test("a packet of another type, or shorter than its header, says at which offset of the tokens", () => {
  const broken = (text: string, offset: number, expected: RegExp) =>
    assert.throws(
      () => carried(hex(text)),
      (error: MalformedResponse) =>
        error instanceof MalformedResponse && error.offset === offset && expected.test(error.message),
    );
  broken(
    `${first} 03 01 000a 0033 02 00 ddee`,
    3,
    /at byte 3 of its tokens: expected a packet of type 0x04 instead of 0x03/,
  );
  broken(`${first} 04 01 0007 0033 02 00`, 3, /expected a packet of 8 bytes or more instead of 7/);
});

test("tokens that are packed again are what they were, in packets that are numbered and of which the last ends", () => {
  for (const size of [0, 1, 32_758, 32_759, 32_760, 100_000]) {
    const tokens = Buffer.alloc(size, "tokens");
    const packets = packetize(tokens);
    const { tokens: again, rest } = payloadOf(Buffer.concat(packets))!;
    assert.ok(again.equals(tokens) && rest.length === 0);
    assert.deepEqual(
      packets.map((packet) => packet[6]),
      packets.map((_, index) => index + 1),
    );
    assert.ok(packets.every((packet) => packet.length === packet.readUInt16BE(2) && packet.length <= 32_767));
  }
});
