/** What may be set about Azure Service Bus besides its connection string: the block `servicebus { … }` in a queue, source or output. */
import { z } from "zod";
import { count, duration, flag, size, text } from "../../config/fields.ts";

export const serviceBusSettings = z
  .strictObject({
    max_message_bytes: size()
      .prefault("256KB")
      .describe(
        "The largest message that is sent: 256 KB in the tier Standard; up to 100 MB in Premium, as the entity allows.",
      ),
    subscription_sessions: flag()
      .prefault(true)
      .describe(
        "Whether subscriptions that are made demand sessions, which give a reader one table's messages at a time, in order. `false` for " +
          "readers that know no sessions.",
      ),
    duplicate_window: duration()
      .prefault("1d")
      .describe(
        "How long entities that are made know a message by its id and drop it when it is sent again; 20 s to 7 days.",
      ),
    lock_duration: duration()
      .prefault("1m")
      .describe("How long a router that hangs keeps a table from others, in entities that are made; 5 s to 5 minutes."),
    max_sessions: count(1).prefault(32).describe("Tables that one router takes of a queue at a time, at most."),
    administration_url: text("an address")
      .optional()
      .describe(
        "Where entities are looked for and made, if not at the namespace: of Microsoft's emulator `http://localhost:5300`.",
      ),
  })
  .describe('`type = "servicebus"`: how its entities are made and used.');

export type ServiceBusSettings = z.output<typeof serviceBusSettings>;
