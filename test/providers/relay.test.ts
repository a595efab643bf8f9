import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { Writable } from "node:stream";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { seededRandom } from "../../src/demo/random.ts";
import { ByteSource, linesOf } from "../../src/providers/byte-source.ts";
import { LineTooLong, Relay } from "../../src/providers/relay.ts";

const sha = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

test("every byte arrives once, however slow whoever takes it, and in whatever pieces it comes", async (t) => {
  const seed = Number(process.env["TEST_SEED"] ?? Date.now() % 100_000);
  t.diagnostic(`seed=${seed}`);
  const random = seededRandom(seed);
  const { source, end } = await ByteSource.open();
  const hash = createHash("sha256");
  let taken = 0;
  const output = new Writable({
    highWaterMark: 1,
    // Looked at late: by then the buffer must not have been read into again.
    write(chunk: Buffer, _encoding, callback) {
      setTimeout(() => {
        hash.update(chunk);
        taken += chunk.length;
        callback();
      }, random.next() * 3);
    },
  });
  const relay = new Relay();
  const running = relay.run(source, output, Number.POSITIVE_INFINITY);
  const sent = createHash("sha256");
  let bytes = 0;
  for (let n = 0; n < 400; n++) {
    const piece = randomBytes(1 + Math.floor(random.next() ** 4 * 400_000));
    sent.update(piece);
    bytes += piece.length;
    if (!end.write(piece)) await once(end, "drain");
    if (random.next() < 0.1) await sleep(1);
  }
  end.end();
  await running;
  output.end();
  await once(output, "finish");
  assert.equal(taken, bytes);
  assert.equal(relay.bytes, bytes);
  assert.equal(hash.digest("hex"), sent.digest("hex"));
  source.destroy();
});

test("nothing is read while nobody takes anything", async () => {
  const { source, end } = await ByteSource.open();
  const output = new Writable({ write: () => {} });
  void new Relay().run(source, output, Number.POSITIVE_INFINITY).catch(() => {});
  const piece = Buffer.alloc(1024 * 1024);
  let took = 0;
  while (took < 20 && end.write(piece)) took++;
  // As much as the source's buffers and the socket hold; the rest stays where it is.
  await sleep(200);
  assert.ok(end.writableLength > 0);
  source.destroy();
  end.destroy();
});

test("what was read for a handshake and was none stands before what follows", async () => {
  const { source, end } = await ByteSource.open();
  end.write("first\nsec");
  const chunk = (await source.next())!;
  source.unshift(Buffer.from(chunk.bytes));
  source.done(chunk);
  end.end("ond ünïcødé\nhalf");
  const lines: string[] = [];
  for await (const line of linesOf(source)) lines.push(line);
  assert.deepEqual(lines, ["first", "second ünïcødé"]);
});

test("lines are as long as they may be, over any number of chunks, and no longer", async () => {
  for (const [text, limit, fails] of [
    ["12345\n12345\n", 5, false],
    ["1234567", 5, true],
    [`${"x".repeat(900_000)}\n${"y".repeat(900_000)}\n`, 900_000, false],
    [`${"x".repeat(900_001)}\n`, 900_000, true],
  ] as const) {
    const { source, end } = await ByteSource.open();
    const chunks: Buffer[] = [];
    const output = new Writable({
      write(chunk: Buffer, _encoding, callback) {
        chunks.push(Buffer.from(chunk));
        callback();
      },
    });
    end.end(text);
    const relay = new Relay();
    const running = relay.run(source, output, limit);
    if (fails) await assert.rejects(running, LineTooLong);
    else {
      await running;
      assert.equal(sha(Buffer.concat(chunks)), sha(Buffer.from(text)));
      assert.equal(relay.openBytes, 0);
    }
    source.destroy();
  }
});
