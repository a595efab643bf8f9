/** What may be set about Azure Event Hubs besides its connection string: the block `eventhubs { … }` in a queue, source or output. */
import { z } from "zod";
import { duration, secret, size, text } from "../../config/fields.ts";

export const eventHubsSettings = z
  .strictObject({
    blob_connection_string: secret("DSTREAM_BLOB_CONNECTION_STRING")
      .optional()
      .describe(
        "The storage account in which routers keep how far they have read, who reads what, and the dead letters: a connection string, or " +
          "`https://<account>.blob.core.windows.net` to sign in with a managed identity. What is only sent to needs none.",
      )
      .meta({ otherwise: "that of `azure_blob` locks, where there are some" }),
    blob_container: text("a name")
      .prefault("eventhubs")
      .describe("The container in that account; made where it is missing."),
    consumer_group: text("a name")
      .optional()
      .describe("Which readers share what is read; it has to be there (the tier Basic has `$Default` alone).")
      .meta({ otherwise: "`$Default` for the ingest queue, `sub1` for topics" }),
    checkpoint_interval: duration()
      .prefault("100ms")
      .describe(
        "How often a router writes down how far it has read a partition, at most: each time is one paid request to the storage account, and " +
          "nothing is settled before.",
      ),
    max_message_bytes: size()
      .prefault("1MB")
      .describe("The largest message that is sent: 1 MB in the tiers Standard and above, 256 KB in Basic."),
  })
  .describe('`type = "eventhubs"`: how its hubs are used.');

export type EventHubsSettings = z.output<typeof eventHubsSettings>;
