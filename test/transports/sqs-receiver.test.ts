/** What an SQS receiver holds and lets go, on a queue that has ever more to give; and which errors of SQS are waited for. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import { BacklogReceiving } from "../../src/transports/backlog-receiving.ts";
import { openLink, sqsError } from "../../src/transports/sqs/link.ts";
import { type SqsHandle, SqsSession } from "../../src/transports/sqs/receiver.ts";
import type { Delivery } from "../../src/transports/transport.ts";
import { patiently } from "./contract.ts";
import { take } from "./take.ts";

/** A queue with ever more messages, each of a group of its own, so that nothing that is out holds the rest back. */
class Endless {
  given = 0;
  deleted = 0;
  /** So many deletions are refused first. */
  refusing = 0;
  denied = false;
  /** The error of this message alone, where it is to be invisible for longer. */
  gone: string | null = null;
  renewed = new Set<string>();

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
    if (command instanceof DeleteMessageBatchCommand && this.refusing-- > 0)
      throw Object.assign(new Error("Rate exceeded"), { name: "RequestThrottled" });
    if (command instanceof DeleteMessageBatchCommand) {
      if (this.denied) throw Object.assign(new Error("not authorized"), { name: "AccessDenied" });
      this.deleted += command.input.Entries!.length;
      return {};
    }
    assert.ok(command instanceof ChangeMessageVisibilityBatchCommand);
    await sleep(1);
    const Failed = [];
    for (const { Id, ReceiptHandle } of command.input.Entries!) {
      if (ReceiptHandle === this.gone) Failed.push({ Id, SenderFault: true, Code: "InvalidParameterValue" });
      else this.renewed.add(ReceiptHandle!);
    }
    return { Failed };
  }
}

function receivingFrom(queue: Endless, visibilityMs: number): BacklogReceiving<SqsHandle> {
  const link = { client: queue as unknown as SQSClient, where: "a test", hasAnswered: false };
  return new BacklogReceiving<SqsHandle>({
    what: "queue test",
    open: async (backlog) => new SqsSession({ link, what: "queue test", url: "q", visibilityMs, waitMs: 0 }, backlog),
  });
}

test("with a thousand messages out and somebody asking for more, nothing more is taken, and all goes on as they are settled", async () => {
  const queue = new Endless();
  const receiving = receivingFrom(queue, 60_000);
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
  // Also where SQS refuses for a moment: who settles tries again, as the router does.
  queue.refusing = 20;
  for (const delivery of out.splice(0, 500)) await patiently(() => delivery.complete());
  while (out.length < held - 400) await sleep(5);
  assert.equal(queue.deleted, 500);
  stop.abort();
  await taking;
  await receiving.close();
});

test("what was out beyond its time, as in a process that was suspended, is not settled, and a new session goes on", async () => {
  const queue = new Endless();
  const receiving = receivingFrom(queue, 1_000);
  const [held] = await take(receiving.receiver(), 1);
  for (const began = performance.now(); performance.now() - began < 1_100; );
  await assert.rejects(held!.complete(), {
    reason: "rejected",
    message: /has passed; what was not settled comes again/,
  });
  assert.equal(queue.deleted, 0);
  const [next] = await take(receiving.receiver(), 1);
  await next!.complete();
  assert.equal(queue.deleted, 1);
  await receiving.close();
});

test("where deleting is not allowed, receiving ends with what is to be done, and what is held is given back", async () => {
  const queue = new Endless();
  queue.denied = true;
  const receiving = receivingFrom(queue, 60_000);
  const receiver = receiving.receiver();
  const receives = receiver.deliveries(AbortSignal.timeout(10_000))[Symbol.asyncIterator]();
  const { value: held } = (await receives.next()) as { value: Delivery };
  await assert.rejects(held.complete(), {
    reason: "rejected",
    message: /not authorized; what was not settled comes again/,
  });
  await assert.rejects(
    async () => {
      for (;;) await receives.next();
    },
    { reason: "rejected", advice: /DeleteMessage/ },
  );
  await receiving.close();
  assert.ok(queue.renewed.has(held.messages[0]!.id));
});

test("a message that cannot be held any longer does not keep the others from being held", async () => {
  const queue = new Endless();
  const receiving = receivingFrom(queue, 1_000);
  const out = await take(receiving.receiver(), 300);
  queue.gone = "5";
  queue.renewed.clear();
  const settling = out.slice(0, 4).map((delivery) => delivery.complete());
  while (queue.renewed.size < 295) await sleep(5);
  await Promise.all(settling);
  assert.ok(!queue.renewed.has("5"));
  await receiving.close();
});

test("credentials that are not there are an error at the start, and waited for once SQS has answered", async () => {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { "content-type": "application/x-amz-json-1.0" }).end('{"QueueUrl":"http://x/q"}');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const link = openLink(
      `http://key:secret@127.0.0.1:${(server.address() as { port: number }).port}?region=eu-west-1`,
    );
    const none = Object.assign(new Error("Could not load credentials"), { name: "CredentialsProviderError" });
    const before = sqsError("receiving", link, none);
    assert.equal(before.reason, "rejected");
    assert.match(before.advice!, /access keys/);
    await link.client.send(new GetQueueUrlCommand({ QueueName: "q" }));
    assert.equal(sqsError("receiving", link, none).reason, "unavailable");
    link.client.destroy();
  } finally {
    server.close();
    server.closeAllConnections();
  }
});
