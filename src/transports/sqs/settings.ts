/** What may be set about Amazon SQS besides its connection string: the block `sqs { … }` in a queue, source or output. */
import { z } from "zod";

export const sqsSettings = z.strictObject({}).describe('`type = "sqs"`: how its entities are made and used.');

export type SqsSettings = z.output<typeof sqsSettings>;
