/** What may be set about Kafka besides its connection string: the block `kafka { … }` in a queue, source or output. */
import { z } from "zod";
import { count, duration, oneOf, size, text } from "../../config/fields.ts";

export const kafkaSettings = z
  .strictObject({
    partitions: count(1)
      .prefault(6)
      .describe(
        'Of each topic that is made. Tables (with `ordering = "key"` keys) are spread over them by Kafka\'s own hash.',
      ),
    replication_factor: count(1)
      .optional()
      .describe("Of each topic that is made; 3 survives the loss of one broker.")
      .meta({ otherwise: "the broker's" }),
    retention: duration()
      .optional()
      .describe("How long the topics that are made keep messages, whoever has read them.")
      .meta({ otherwise: "the broker's" }),
    compression: oneOf("none", "gzip", "snappy", "lz4", "zstd")
      .optional()
      .describe("Of what is sent. Readers of the destinations have to know it, too.")
      .meta({ otherwise: "zstd; none at Event Hubs, which takes none" }),
    max_message_bytes: size()
      .prefault("1MB")
      .describe("The broker's and the topic's `max.message.bytes`: about 1 MB where it was left as Kafka has it."),
    session_timeout: duration()
      .prefault("10s")
      .describe("How long a killed router keeps its partitions from the others."),
    sasl: oneOf("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
      .prefault("PLAIN")
      .describe(
        "How user and password of the connection string sign in. `OAUTHBEARER`: they are client id and secret.",
      ),
    oauth_token_url: text("an address")
      .optional()
      .describe(
        '`sasl = "OAUTHBEARER"`: where tokens are had for client id and secret. An https address, but on this machine.',
      ),
    oauth_scope: text().optional().describe('`sasl = "OAUTHBEARER"`: the scope that is asked for.'),
    oauth_extensions: text("names and values")
      .optional()
      .describe(
        '`sasl = "OAUTHBEARER"`: what the brokers are told besides; Confluent Cloud wants `"logicalCluster=lkc-…,identityPoolId=pool-…"`.',
      ),
    ca_file: text("a path")
      .optional()
      .describe("Certificates that the brokers' are checked against, in PEM. Turns TLS on."),
    cert_file: text("a path")
      .optional()
      .describe("The client's own certificate, in PEM, where the brokers ask for one."),
    key_file: text("a path").optional().describe("The key of `cert_file`, in PEM."),
  })
  .describe('`type = "kafka"`: how its topics are made and used.');

export type KafkaSettings = z.output<typeof kafkaSettings>;
