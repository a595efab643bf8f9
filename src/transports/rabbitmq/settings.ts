/** What may be set about RabbitMQ besides its connection string: the block `rabbitmq { … }` in a queue, source or output. */
import { z } from "zod";

export const rabbitMqSettings = z.strictObject({}).describe('`type = "rabbitmq"`: how its entities are made and used.');

export type RabbitMqSettings = z.output<typeof rabbitMqSettings>;
