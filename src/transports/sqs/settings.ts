/** What may be set about Amazon SQS besides its connection string: the block `sqs { … }` in a queue, source or output. */
import { z } from "zod";
import { duration, size } from "../../config/fields.ts";

export const sqsSettings = z
  .strictObject({
    max_message_bytes: size()
      .prefault("256KB")
      .describe(
        "The largest message that is sent, and the largest batch: up to 1 MB where the queue's MaximumMessageSize says so.",
      ),
    visibility_timeout: duration()
      .prefault("1m")
      .describe("How long a killed router keeps messages from others; renewed while they are held."),
    wait_time: duration()
      .prefault("2s")
      .describe("How long a question for messages waits for some; 20 seconds at most."),
  })
  .describe('`type = "sqs"`: how its queues are used.');

export type SqsSettings = z.output<typeof sqsSettings>;
