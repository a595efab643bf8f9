/** A Service Bus of our own: the broker in azure-broker/, which the unmodified Azure SDK talks to as to Microsoft's emulator. */
import { fileURLToPath } from "node:url";
import { freePort, listening, ServerProcess, type TestServer, temporaryFolder } from "./server.ts";

const MAIN = fileURLToPath(new URL("./azure-broker/main.ts", import.meta.url));

/** Standard: 256 KB a message (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-quotas). */
export async function startServiceBus({
  maxBytes = 256 * 1024,
} = {}): Promise<TestServer & { control(what: string): Promise<void> }> {
  const folder = temporaryFolder("servicebus");
  const [port, admin] = [await freePort(), await freePort()];
  const server = new ServerProcess({
    name: "The Service Bus broker",
    folder,
    command: process.execPath,
    args: [
      "--disable-warning=ExperimentalWarning",
      MAIN,
      String(port),
      String(admin),
      `${folder}/broker.db`,
      String(maxBytes),
    ],
    ready: async (signal) => {
      await listening(port, signal);
      await listening(admin, signal);
    },
  });
  await server.start();
  const key = "SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE";
  return {
    url: `Endpoint=sb://127.0.0.1:${port};${key};UseDevelopmentEmulator=true;`,
    block: `administration_url = "http://127.0.0.1:${admin}"`,
    kill: () => server.kill(),
    start: () => server.start(),
    close: () => server.close(),
    control: async (what) => void (await fetch(`http://127.0.0.1:${admin}/$control?${what}`)),
  };
}
