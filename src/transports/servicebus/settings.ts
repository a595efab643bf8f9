/** What may be set about Azure Service Bus besides its connection string: the block `servicebus { … }` in a queue, source or output. */
import { z } from "zod";

export const serviceBusSettings = z
  .strictObject({})
  .describe('`type = "servicebus"`: how its entities are made and used.');

export type ServiceBusSettings = z.output<typeof serviceBusSettings>;
