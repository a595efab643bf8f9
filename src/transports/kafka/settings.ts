/** What may be set about Kafka besides its connection string: the block `kafka { … }` in a queue, source or output. */
import { z } from "zod";

export const kafkaSettings = z.strictObject({}).describe('`type = "kafka"`: how its entities are made and used.');

export type KafkaSettings = z.output<typeof kafkaSettings>;
