/** NATS as Debian packages it (nats-server): one node with JetStream on a temporary folder. */
import { freePort, isOnPath, listening, ServerProcess, type TestServer, temporaryFolder } from "./server.ts";

export function missingNats(): string | null {
  if (process.env["TEST_NATS_URL"] || isOnPath("nats-server")) return null;
  return "there is no NATS server: apt-get install nats-server, or name one with TEST_NATS_URL";
}

/** `args`: more for its command line; a configuration file (`-c`) says itself where JetStream keeps its data. */
export async function startNats(args: readonly string[] = []): Promise<TestServer> {
  const folder = temporaryFolder("nats");
  const port = await freePort();
  const storage = args.includes("-c") ? [] : ["-js", "-sd", `${folder}/data`];
  const server = new ServerProcess({
    name: "NATS",
    folder,
    command: "nats-server",
    args: ["-a", "127.0.0.1", "-p", String(port), ...storage, ...args],
    ready: (signal) => listening(port, signal),
  });
  await server.start();
  return {
    url: `nats://127.0.0.1:${port}`,
    kill: () => server.kill(),
    start: () => server.start(),
    close: () => server.close(),
  };
}
