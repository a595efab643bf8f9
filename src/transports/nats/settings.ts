/** What may be set about NATS JetStream besides its connection string: the block `nats { … }` in a queue, source or output. */
import { z } from "zod";
import { count, duration, text } from "../../config/fields.ts";

export const natsSettings = z
  .strictObject({
    replicas: count(1)
      .prefault(1)
      .describe("Copies of each stream that is made, on as many nodes; 3 survives the loss of one."),
    duplicate_window: duration()
      .prefault("10m")
      .describe("How long a stream that is made knows a message by its id and drops it when it is sent again."),
    max_age: duration()
      .prefault("7d")
      .describe("How long the stream of a topic keeps messages; the ingest queue's keeps them until they are settled."),
    credentials_file: text("a path").optional().describe("A `.creds` file, with a user's JWT and its key."),
    ca_file: text("a path")
      .optional()
      .describe("Certificates that the server's is checked against, in PEM. Turns TLS on."),
    cert_file: text("a path")
      .optional()
      .describe("The client's own certificate, in PEM, where the server asks for one."),
    key_file: text("a path").optional().describe("The key of `cert_file`, in PEM."),
  })
  .describe('`type = "nats"`: how its streams are made and used.');

export type NatsSettings = z.output<typeof natsSettings>;
