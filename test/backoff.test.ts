import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff, pauseAfter, waitFor } from "../src/backoff.ts";

test("waits double up to the maximum, and a success starts over", () => {
  const backoff = new Backoff({ initial: 100, max: 500, random: () => 0.999999 });
  assert.deepEqual([backoff.next(), backoff.next(), backoff.next(), backoff.next()], [100, 200, 400, 500]);
  backoff.reset();
  assert.equal(backoff.next(), 100);
});

test("jitter keeps every wait between half of its ceiling and all of it", () => {
  const low = new Backoff({ initial: 100, max: 500, random: () => 0 });
  assert.deepEqual([low.next(), low.next(), low.next(), low.next()], [50, 100, 200, 250]);
});

test("an abort ends a wait at once, and a wait that was aborted before it began does not begin", async () => {
  const abort = new AbortController();
  const long = waitFor(3_600_000, abort.signal);
  abort.abort();
  await long;
  await waitFor(3_600_000, abort.signal);
});

test("the longer something was waited for, the more seldom it is looked at, within limits", () => {
  const pauses = [0, 8, 80, 800, 8_000].map((waited) => pauseAfter(waited, { least: 2, most: 100 }));
  assert.deepEqual(pauses, [2, 2, 10, 100, 100]);
});
