/** What may be set about NATS JetStream besides its connection string: the block `nats { … }` in a queue, source or output. */
import { z } from "zod";

export const natsSettings = z.strictObject({}).describe('`type = "nats"`: how its entities are made and used.');

export type NatsSettings = z.output<typeof natsSettings>;
