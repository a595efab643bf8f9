/** What SQS refuses of one message for good, and what of it is waited for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SendMessageBatchCommand, SQSClient } from "@aws-sdk/client-sqs";
import { silent } from "../../src/telemetry/logger.ts";
import { SqsSender } from "../../src/transports/sqs/sender.ts";
import { message } from "./contract.ts";

for (const [code, said, expected] of [
  // As SQS words them in the answers to SendMessageBatch.
  [
    "InvalidParameterValue",
    "One or more parameters are invalid. Reason: Message must be shorter than 262144 bytes.",
    { reason: "too_large", messageId: "m-2", advice: /MaximumMessageSize/ },
  ],
  ["InvalidMessageContents", "Invalid characters.", { reason: "rejected", messageId: "m-2" }],
  ["InternalError", "", { reason: "unavailable" }],
  ["RequestThrottled", "Rate exceeded", { reason: "unavailable" }],
] as const)
  test(`an entry that fails with ${code} is ${expected.reason}`, async () => {
    const client = {
      send: async ({ input }: SendMessageBatchCommand) => ({
        Successful: [],
        Failed: input.Entries!.slice(1).map(({ Id }) => ({ Id, Code: code, Message: said, SenderFault: true })),
      }),
    } as unknown as SQSClient;
    const sender = new SqsSender({
      link: { client, where: "a test", hasAnswered: true },
      what: "queue test",
      url: "q",
      maxMessageBytes: 1_000_000,
      maxBatchBytes: 1_000_000,
      logger: silent,
    });
    await assert.rejects(sender.send([message("m-1"), message("m-2"), message("m-3")]), expected);
  });
