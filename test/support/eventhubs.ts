/**
 * An Event Hubs of our own: the broker in azure-broker/, which the unmodified Azure SDK talks to as to Microsoft's emulator, and Azurite for
 * what its readers keep.
 */
import { fileURLToPath } from "node:url";
import type { EventHubsOptions } from "./azure-broker/eventhubs.ts";
import { missingAzurite, startAzurite } from "./azurite.ts";
import { freePort, listening, ServerProcess, type TestServer, temporaryFolder } from "./server.ts";

const MAIN = fileURLToPath(new URL("./azure-broker/eventhubs-main.ts", import.meta.url));

export interface EventHubsServer extends TestServer {
  /** The storage account's connection string. */
  readonly blobs: string;
  /** See azure-broker/eventhubs-main.ts. */
  readonly controlUrl: string;
  control(what: string): Promise<string>;
}

export const missingEventHubs = missingAzurite;

/** Hubs are there as they are asked for, as if somebody had made them, unless told otherwise. */
export async function startEventHubs({
  maxBytes = 1024 * 1024,
  partitions = 4,
  makesHubs = true,
}: Partial<EventHubsOptions> = {}): Promise<EventHubsServer> {
  const folder = temporaryFolder("eventhubs");
  const [port, control] = [await freePort(), await freePort()];
  const options: EventHubsOptions = { maxBytes, partitions, makesHubs };
  const server = new ServerProcess({
    name: "The Event Hubs broker",
    folder,
    command: process.execPath,
    args: [
      "--disable-warning=ExperimentalWarning",
      MAIN,
      String(port),
      String(control),
      `${folder}/broker.db`,
      JSON.stringify(options),
    ],
    ready: async (signal) => {
      await listening(port, signal);
      await listening(control, signal);
    },
  });
  await server.start();
  const storage = await startAzurite();
  return {
    url: `Endpoint=sb://127.0.0.1:${port};SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;`,
    block: `blob_connection_string = "${storage.url}"`,
    blobs: storage.url,
    controlUrl: `http://127.0.0.1:${control}`,
    kill: () => server.kill(),
    start: () => server.start(),
    close: async () => {
      await server.close();
      await storage.close();
    },
    control: async (what) => await (await fetch(`http://127.0.0.1:${control}/?${what}`)).text(),
  };
}
