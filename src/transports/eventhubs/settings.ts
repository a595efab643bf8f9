/** What may be set about Azure Event Hubs besides its connection string: the block `eventhubs { … }` in a queue, source or output. */
import { z } from "zod";

export const eventHubsSettings = z
  .strictObject({})
  .describe('`type = "eventhubs"`: how its entities are made and used.');

export type EventHubsSettings = z.output<typeof eventHubsSettings>;
