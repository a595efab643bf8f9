import assert from "node:assert/strict";
import { test } from "node:test";
import { DStreamError, SourceError } from "../../../src/errors.ts";
import { Random } from "./rows/random.ts";
import { corrupted } from "./wire/fuzz.ts";
import { ScriptedServer } from "./wire/scripted-server.ts";
import * as tds from "./wire/token-writer.ts";
import { firstTable, maximum, readerFromStart, readOnce, readToEnd, World } from "./world.ts";

async function filled(): Promise<World> {
  const world = await World.open();
  await world.persons();
  await world.sql("INSERT INTO Persons SELECT value, REPLICATE(N'first', 8), N'last' FROM GENERATE_SERIES(1, 200)");
  await world.sql("UPDATE Persons SET LastName = N'other' WHERE ID % 3 = 0");
  return world;
}

/** Once more where it was an error worth a retry. */
async function retried<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    assert.ok(error instanceof SourceError && error.scope === "unavailable", String(error));
    return await work();
  }
}

const times = { answer: 3_000, stall: 400, cancel: 1_000 };

test("a server that dies at any byte of an answer is an error worth a retry, and every change comes once in the end", async () => {
  await using world = await filled();
  const source = world.source(["Persons"], { times });
  const table = await firstTable(source);
  const upTo = await maximum(source);
  const whole = (await readToEnd(await readerFromStart(source, table), upTo, 70)).messages.map(({ id }) => id);
  assert.equal(whole.length, 266);
  for (const dropAfter of [0, 1, 7, 8, 9, 100, 500, 1_500, 4_000, 9_000, 13_000, 20_000]) {
    const reader = await readerFromStart(source, table);
    await readOnce(reader, upTo, 1);
    world.simulator.faults.network({ dropAfter });
    await assert.rejects(
      (async () => {
        // Some of the bytes may have sufficed for a read or two.
        for (let read = 0; read < 10; read++) await readOnce(reader, upTo, 1 + read * 20);
      })(),
      (error: SourceError) => error instanceof SourceError && error.scope === "unavailable",
    );
    world.simulator.faults.network({});
    const again = await readToEnd(await readerFromStart(source, table), upTo, 70);
    assert.deepEqual(
      again.messages.map(({ id }) => id),
      whole,
    );
  }
});

test("an answer that is whole but lacks what was asked for is an error worth a retry", async () => {
  await using world = await filled();
  const server = await ScriptedServer.open(world.target);
  world.defer(() => server.close());
  const source = world.source(["Persons"], { target: server.target, times });
  const reader = await readerFromStart(source, await firstTable(source));
  const upTo = await maximum(source);
  await readOnce(reader, upTo, 1);
  const columns = [{ name: "", type: tds.byteLength(0x26, 4) }];
  const one = Buffer.concat([tds.columnMetadata(columns), tds.row(columns, [null]), tds.doneInProc(1)]);
  for (const tokens of [tds.done(0), Buffer.concat([one, tds.done(0)]), Buffer.concat([one, one, tds.done(0)])]) {
    server.answer({ bytes: tds.packets(tokens) });
    await assert.rejects(
      readOnce(reader, upTo, 20),
      (error: SourceError) => error instanceof SourceError && error.scope === "unavailable",
    );
    assert.equal((await readOnce(reader, upTo, 20)).messages.length, 20);
  }
});

test("a network that breaks bytes anywhere ends in errors of ours, never in a hang or a crash, and is read from well after", async (t) => {
  const seed = Date.now() % 2 ** 31;
  t.diagnostic(`seed ${seed}`);
  const random = new Random(seed);
  await using world = await filled();
  const server = await ScriptedServer.open(world.target);
  world.defer(() => server.close());
  const source = world.source(["Persons"], { target: server.target, times });
  const table = await firstTable(source);
  const upTo = await maximum(source);
  const read = async () =>
    (await readOnce(await readerFromStart(source, table), upTo, 20)).messages.map(({ id, body }) => `${id} ${body}`);
  const right = await read();
  for (let round = 0; round < 60; round++) {
    const reader = await readerFromStart(source, table);
    let chunks = random.below(3);
    server.change = (chunk) => (chunks-- === 0 ? corrupted(random, chunk) : chunk);
    try {
      await readOnce(reader, upTo, 20);
    } catch (error) {
      if (!(error instanceof DStreamError)) throw error;
    }
    server.change = null;
    // Bytes that were left over behind an answer are found with the next one, on each connection.
    const again = await retried(() => retried(read));
    assert.deepEqual(again, right, `round ${round}`);
  }
});
