/** Kafka from Maven Central's jars, in KRaft mode: one node that is broker and controller, on a temporary folder. */
import { execFile } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { Admin } from "@platformatic/kafka";
import { cache, INSTALL } from "../simulator-conformance/tools.ts";
import { freePort, isOnPath, ServerProcess, type TestServer, temporaryFolder } from "./server.ts";

export const KAFKA_JARS = join(cache, "kafka", "lib");

export function missingKafka(): string | null {
  if (process.env["TEST_KAFKA_URL"]) return null;
  if (!isOnPath("java"))
    return "there is no Java for Kafka: install a JDK of 17 or newer, or name a broker with TEST_KAFKA_URL";
  if (!existsSync(KAFKA_JARS)) return `there is no Kafka: ${INSTALL}, or name a broker with TEST_KAFKA_URL`;
  return null;
}

export interface KafkaOptions {
  /** Lets clients in with these mechanisms only, as ada with the password "p@ss:w/rd". */
  sasl?: readonly ("PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" | "OAUTHBEARER")[];
  /** With OAUTHBEARER: who signs the tokens. */
  tokens?: { keysUrl: string; issuer: string; audience: string };
  /** Key and certificate, PEM: clients come over TLS. */
  tls?: { key: string; cert: string };
  /** With PLAIN: nobody but root, whose password is "root", may do what he was not allowed to. */
  permissions?: boolean;
  /** Where it listens, and where it tells clients that it does: a proxy in front of it. */
  port?: number;
  advertisedPort?: number;
}

export const KAFKA_USER = { name: "ada", password: "p@ss:w/rd" };

export async function startKafka({
  sasl = [],
  tls,
  tokens,
  permissions = false,
  port: given,
  advertisedPort,
}: KafkaOptions = {}): Promise<TestServer> {
  const folder = temporaryFolder("kafka");
  const [port, controller, inner] = [given ?? (await freePort()), await freePort(), await freePort()];
  const client = `${sasl.length > 0 ? "SASL_" : ""}${tls === undefined ? "PLAINTEXT" : "SSL"}`;
  const file = join(folder, "server.properties");
  const properties = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.quorum.voters": `1@127.0.0.1:${controller}`,
    listeners: `CLIENT://127.0.0.1:${port},INNER://127.0.0.1:${inner},CONTROLLER://127.0.0.1:${controller}`,
    "advertised.listeners": `CLIENT://127.0.0.1:${advertisedPort ?? port},INNER://127.0.0.1:${inner}`,
    "listener.security.protocol.map": `CLIENT:${client},INNER:PLAINTEXT,CONTROLLER:PLAINTEXT`,
    "inter.broker.listener.name": "INNER",
    "controller.listener.names": "CONTROLLER",
    "log.dirs": join(folder, "data"),
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 4,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 500,
    "auto.create.topics.enable": false,
    // A broker that was killed may come back when its former registration has ended.
    "broker.session.timeout.ms": 1_500,
    "broker.heartbeat.interval.ms": 300,
    "log.cleaner.dedupe.buffer.size": 2_000_000,
    "num.recovery.threads.per.data.dir": 2,
    ...(tls !== undefined && {
      "listener.name.client.ssl.keystore.type": "PEM",
      "listener.name.client.ssl.keystore.location": join(folder, "keystore.pem"),
    }),
    ...(permissions && {
      "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
      // The inner listener's clients, the controller among them.
      "super.users": "User:root;User:ANONYMOUS",
    }),
    ...(sasl.length > 0 && { "sasl.enabled.mechanisms": sasl.join(",") }),
    ...(sasl.includes("PLAIN") && {
      "listener.name.client.plain.sasl.jaas.config": `org.apache.kafka.common.security.plain.PlainLoginModule required user_${KAFKA_USER.name}="${KAFKA_USER.password}" user_root="root";`,
    }),
    ...(tokens !== undefined && {
      "listener.name.client.oauthbearer.sasl.jaas.config":
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;",
      "listener.name.client.oauthbearer.sasl.server.callback.handler.class":
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler",
      "listener.name.client.oauthbearer.sasl.oauthbearer.jwks.endpoint.url": tokens.keysUrl,
      "listener.name.client.oauthbearer.sasl.oauthbearer.expected.issuer": tokens.issuer,
      "listener.name.client.oauthbearer.sasl.oauthbearer.expected.audience": tokens.audience,
      // A client has to sign in anew by then, with a token that is good.
      "listener.name.client.oauthbearer.connections.max.reauth.ms": 2_000,
    }),
    ...Object.fromEntries(
      sasl
        .filter((mechanism) => mechanism.startsWith("SCRAM"))
        .map((mechanism) => [
          `listener.name.client.${mechanism.toLowerCase()}.sasl.jaas.config`,
          "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        ]),
    ),
  };
  writeFileSync(
    file,
    Object.entries(properties)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(""),
  );
  if (tls !== undefined) writeFileSync(join(folder, "keystore.pem"), `${tls.key}${tls.cert}`);
  // Quiet, and whole: what goes wrong stands in the log.
  writeFileSync(join(folder, "log4j2.yaml"), LOGGING);
  const java = [
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    `-Dlog4j2.configurationFile=${join(folder, "log4j2.yaml")}`,
    ...(tokens === undefined ? [] : [`-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=${tokens.keysUrl}`]),
    "-cp",
    `${KAFKA_JARS}/*`,
  ];
  const scram = sasl
    .filter((mechanism) => mechanism.startsWith("SCRAM"))
    .flatMap((mechanism) => ["--add-scram", `${mechanism}=[name=${KAFKA_USER.name},password=${KAFKA_USER.password}]`]);
  await promisify(execFile)("java", [
    ...java,
    "kafka.tools.StorageTool",
    "format",
    "-t",
    CLUSTER,
    "-c",
    file,
    ...scram,
  ]);
  const url = `kafka${tls === undefined ? "" : "s"}://127.0.0.1:${port}`;
  const server = new ServerProcess({
    name: "Kafka",
    folder,
    command: "java",
    args: [...java, "kafka.Kafka", file],
    ready: (signal) => answering(`127.0.0.1:${inner}`, signal),
  });
  await server.start();
  return { url, kill: () => server.kill(), start: () => server.start(), close: () => server.close() };
}

const CLUSTER = "ZHN0cmVhbS10ZXN0cy0xMg";

const LOGGING = `Configuration:
  Appenders:
    Console:
      name: STDOUT
      PatternLayout:
        pattern: "[%d] %p %m (%c)%n"
  Loggers:
    Root:
      level: WARN
      AppenderRef:
        - ref: STDOUT
`;

async function answering(broker: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const admin = new Admin({ clientId: "ready", bootstrapBrokers: [broker], retries: 0, connectTimeout: 1_000 });
    try {
      await admin.listTopics();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 200));
    } finally {
      await admin.close().catch(() => {});
    }
  }
}
