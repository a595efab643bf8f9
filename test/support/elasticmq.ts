/** ElasticMQ from Maven Central's jars: SQS' protocol, with its queues and messages in files of a temporary folder. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cache, INSTALL } from "../simulator-conformance/tools.ts";
import { TcpProxy } from "./proxy.ts";
import { freePort, isOnPath, listening, ServerProcess, type TestServer, temporaryFolder } from "./server.ts";

const JARS = join(cache, "elasticmq", "lib");

export function missingElasticMq(): string | null {
  if (process.env["TEST_SQS_URL"]) return null;
  if (!isOnPath("java"))
    return "there is no Java for ElasticMQ: install a JDK of 17 or newer, or name an SQS with TEST_SQS_URL";
  if (!existsSync(JARS)) return `there is no ElasticMQ: ${INSTALL}, or name an SQS with TEST_SQS_URL`;
  return null;
}

export async function startElasticMq(): Promise<TestServer> {
  const folder = temporaryFolder("elasticmq");
  const own = await freePort();
  const gate = await TcpProxy.start(own);
  const { port } = gate;
  const file = join(folder, "elasticmq.conf");
  writeFileSync(
    file,
    `include classpath("application.conf")
node-address { protocol = http, host = "127.0.0.1", port = ${port}, context-path = "" }
rest-sqs { enabled = true, bind-port = ${own}, bind-hostname = "127.0.0.1", sqs-limits = strict }
rest-stats { enabled = false }
messages-storage { enabled = true, uri = "jdbc:h2:${folder}/messages;WRITE_DELAY=0" }
`,
  );
  const server = new ServerProcess({
    name: "ElasticMQ",
    folder,
    command: "java",
    args: [
      "-Xmx256m",
      "-XX:+UseSerialGC",
      "-XX:TieredStopAtLevel=1",
      `-Dconfig.file=${file}`,
      "-cp",
      `${JARS}/*`,
      "org.elasticmq.server.Main",
    ],
    ready: async (signal) => {
      await listening(own, signal);
      while (!restored()) await sleep(50, undefined, { signal });
    },
  });
  let before = "";
  const restored = () => {
    const since = server.said.slice(before.length);
    return [...queuesIn(before)].every((name) => since.includes(` messages in queue ${name}\n`));
  };
  // It listens before it has its queues back, and says till then that there are none, which SQS never does: nobody gets through to it.
  const start = async () => {
    before = server.said;
    await server.start();
    gate.open();
  };
  const kill = async () => {
    gate.shut();
    await server.kill();
  };
  const close = async () => {
    await server.close();
    await gate.close();
  };
  try {
    await start();
  } catch (error) {
    await gate.close();
    throw error;
  }
  const url = `http://key:secret@127.0.0.1:${port}?region=elasticmq`;
  // A killed router's messages come again after it.
  const block = 'visibility_timeout = "3s"';
  return { url, block, kill, start, close };
}

/** Those that are there, by what ElasticMQ has written. */
function queuesIn(log: string): Set<string> {
  const names = new Set<string>();
  for (const [, did, name] of log.matchAll(/ (Creating|Deleting) queue (?:CreateQueueData\()?([^,\s]+)/g)) {
    if (did === "Creating") names.add(name!);
    else names.delete(name!);
  }
  return names;
}
