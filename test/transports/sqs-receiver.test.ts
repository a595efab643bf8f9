/** What an SQS receiver holds is bounded, on a queue that has more than that to give. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  ReceiveMessageCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import { BacklogReceiving } from "../../src/transports/backlog-receiving.ts";
import { type SqsHandle, SqsSession } from "../../src/transports/sqs/receiver.ts";
import type { Delivery } from "../../src/transports/transport.ts";

/** A queue with ever more messages, each of a group of its own, so that nothing that is out holds the rest back. */
class Endless {
  given = 0;
  deleted = 0;

  async send(command: unknown): Promise<object> {
    if (command instanceof ReceiveMessageCommand) {
      await sleep(1);
      const Messages = Array.from({ length: 10 }, () => {
        const id = String(++this.given);
        const Attributes = { MessageGroupId: id, MessageDeduplicationId: id };
        return { MessageId: id, ReceiptHandle: id, Body: "{}", Attributes };
      });
      return { Messages };
    }
    if (command instanceof DeleteMessageBatchCommand) this.deleted += command.input.Entries!.length;
    else assert.ok(command instanceof ChangeMessageVisibilityBatchCommand);
    return {};
  }
}

test("with a thousand messages out and somebody asking for more, nothing more is taken, and all goes on as they are settled", async () => {
  const queue = new Endless();
  const link = { client: queue as unknown as SQSClient, where: "a test" };
  const receiving = new BacklogReceiving<SqsHandle>({
    what: "queue test",
    open: async (backlog) =>
      new SqsSession({ link, what: "queue test", url: "q", visibilityMs: 60_000, waitMs: 0 }, backlog),
  });
  const stop = new AbortController();
  const out: Delivery[] = [];
  const taking = (async () => {
    for await (const delivery of receiving.receiver().deliveries(stop.signal)) out.push(delivery);
  })();
  // Waited for by timers, which fire only where nothing keeps the event loop.
  while (out.length < 1_000) await sleep(5);
  await sleep(100);
  const held = out.length;
  assert.ok(held <= 1_010, `${held} are out`);
  for (const delivery of out.splice(0, 500)) await delivery.complete();
  while (out.length < held - 400) await sleep(5);
  assert.equal(queue.deleted, 500);
  stop.abort();
  await taking;
  await receiving.close();
});
