/** Azurite, Microsoft's storage emulator from npm: its blobs alone, on a temporary folder. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { freePort, listening, ServerProcess, type TestServer, temporaryFolder } from "./server.ts";

const SCRIPT = fileURLToPath(new URL("../../node_modules/azurite/dist/src/blob/main.js", import.meta.url));

/** The account that every Azurite has (https://learn.microsoft.com/azure/storage/common/storage-use-azurite). */
const ACCOUNT = "devstoreaccount1";
const KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

export function missingAzurite(): string | null {
  if (process.env["TEST_AZURE_BLOB_URL"] || existsSync(SCRIPT)) return null;
  return "there is no Azurite: npm ci, or name a storage account with TEST_AZURE_BLOB_URL";
}

export async function startAzurite(): Promise<TestServer> {
  const folder = temporaryFolder("azurite");
  const port = await freePort();
  const server = new ServerProcess({
    name: "Azurite",
    folder,
    command: process.execPath,
    args: [
      SCRIPT,
      "--blobHost",
      "127.0.0.1",
      "--blobPort",
      String(port),
      "--location",
      folder,
      "--skipApiVersionCheck",
      "--disableTelemetry",
      "--silent",
    ],
    ready: (signal) => listening(port, signal),
  });
  await server.start();
  const endpoint = `http://127.0.0.1:${port}/${ACCOUNT}`;
  const url = `DefaultEndpointsProtocol=http;AccountName=${ACCOUNT};AccountKey=${KEY};BlobEndpoint=${endpoint};`;
  return { url, kill: () => server.kill(), start: () => server.start(), close: () => server.close() };
}
