/** What may be set about RabbitMQ besides its connection string: the block `rabbitmq { … }` in a queue, source or output. */
import { z } from "zod";
import { count, size } from "../../config/fields.ts";

export const rabbitMqSettings = z
  .strictObject({
    prefetch: count(1)
      .prefault(200)
      .describe("Messages that a router holds of one queue, received and not yet acknowledged, at most."),
    max_message_bytes: size()
      .prefault("16MB")
      .describe("The broker's `max_message_size`: 16 MB where it was left as RabbitMQ 4 has it."),
  })
  .describe('`type = "rabbitmq"`: how its queues are used.');

export type RabbitMqSettings = z.output<typeof rabbitMqSettings>;
