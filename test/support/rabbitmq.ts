/** RabbitMQ as Debian packages it (rabbitmq-server): one node with its own epmd, data and log in a temporary folder. */
import { existsSync, writeFileSync } from "node:fs";
import { connect } from "amqplib";
import { freePort, isOnPath, listening, ServerProcess, type TestServer, temporaryFolder } from "./server.ts";

/** Debian's script in the path would change to another user and its folders. */
const SCRIPTS = ["/usr/lib/rabbitmq/bin/rabbitmq-server", "/opt/homebrew/sbin/rabbitmq-server"];

export function missingRabbitMq(): string | null {
  if (process.env["TEST_RABBITMQ_URL"] || script() !== undefined) return null;
  return "there is no RabbitMQ: apt-get install rabbitmq-server, or name one with TEST_RABBITMQ_URL";
}

/** `consumerTimeoutMs`: how long a delivery may be out; the broker looks every half second then. */
export async function startRabbitMq({ consumerTimeoutMs = 0 } = {}): Promise<TestServer> {
  const folder = temporaryFolder("rabbitmq");
  const [port, distribution, epmd] = [await freePort(), await freePort(), await freePort()];
  writeFileSync(
    `${folder}/rabbitmq.conf`,
    // A heartbeat that a client asks for counts where it is the smaller one.
    `listeners.tcp.default = 127.0.0.1:${port}\nloopback_users = none\nlog.console = true\nlog.console.level = warning\n` +
      "vm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 50MB\n",
  );
  const url = `amqp://guest:guest@127.0.0.1:${port}`;
  const server = new ServerProcess({
    name: "RabbitMQ",
    folder,
    // Erlang would start its port mapper as a daemon that outlives the broker; one that is there already is of our process group.
    command: "sh",
    args: ["-c", `epmd -address 127.0.0.1 -port ${epmd} & exec "$0"`, script()!],
    env: {
      HOME: folder,
      RABBITMQ_NODENAME: `dstream${port}@localhost`,
      RABBITMQ_CONFIG_FILE: `${folder}/rabbitmq.conf`,
      RABBITMQ_CONF_ENV_FILE: `${folder}/none.conf`,
      RABBITMQ_MNESIA_BASE: `${folder}/mnesia`,
      RABBITMQ_LOG_BASE: `${folder}/log`,
      RABBITMQ_ENABLED_PLUGINS_FILE: `${folder}/plugins`,
      RABBITMQ_PID_FILE: `${folder}/pid`,
      RABBITMQ_DIST_PORT: String(distribution),
      ERL_EPMD_PORT: String(epmd),
      ERL_EPMD_ADDRESS: "127.0.0.1",
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
        "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2" +
        (consumerTimeoutMs === 0
          ? ""
          : ` -rabbit consumer_timeout ${consumerTimeoutMs} -rabbit channel_tick_interval 500`),
    },
    ready: async (signal) => {
      await listening(port, signal);
      // It listens a moment before it takes quorum queues.
      const connection = await connect(url);
      await connection.close();
    },
  });
  await server.start();
  return { url, kill: () => server.kill(), start: () => server.start(), close: () => server.close() };
}

function script(): string | undefined {
  return SCRIPTS.find((path) => existsSync(path)) ?? (isOnPath("rabbitmq-server") ? "rabbitmq-server" : undefined);
}
