/**
 * `npm run test:docker [-- --keep]`: the suites whose servers are stand-ins elsewhere, against the real ones of deploy/compose.yaml: SQL Server,
 * Microsoft's Service Bus emulator, Azurite. Needs Docker with Compose 2. `--keep` leaves the containers running.
 */
import { spawn, spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const COMPOSE = fileURLToPath(new URL("../deploy/compose.yaml", import.meta.url));
const RUN = fileURLToPath(new URL("./run.ts", import.meta.url));
/** The ports and secrets of compose.yaml; Azurite's account is the one that every Azurite has. */
const ENVIRONMENT = {
  TEST_SQLSERVER_URL: "sqlserver://sa:Change-me-4-tests!@127.0.0.1:14330?encrypt=true&trustServerCertificate=true",
  TEST_SERVICEBUS_URL:
    "Endpoint=sb://127.0.0.1:15672;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;",
  TEST_SERVICEBUS_ADMINISTRATION_URL: "http://127.0.0.1:15300",
  TEST_AZURE_BLOB_URL:
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;BlobEndpoint=http://127.0.0.1:11000/devstoreaccount1;",
};
const SUITES = ["long/sql-server", "transports/brokers/servicebus", "locks/brokers/azure-blob"];
const READY_WITHIN_MS = 180_000;

if (spawnSync("docker", ["compose", "version"]).status !== 0) {
  console.error(
    "`docker compose version` does not work here: these suites need Docker with Compose 2. Or name servers of your own: " +
      `${Object.keys(ENVIRONMENT).join(", ")}; and run npm run test:all -- ${SUITES.join(" ")}`,
  );
  process.exit(1);
}
// Docker and the suites hear of it, too, and end; then what was started is taken down.
process.on("SIGINT", () => {});
let code = await run("docker", ["compose", "-f", COMPOSE, "up", "--detach", "--wait"]);
try {
  if (code === 0) {
    await emulatorAnswers();
    code = await run(process.execPath, ["--disable-warning=ExperimentalWarning", RUN, "--all", ...SUITES]);
  }
} finally {
  if (!process.argv.includes("--keep")) await run("docker", ["compose", "-f", COMPOSE, "down", "--volumes"]);
}
process.exit(code);

async function run(command: string, args: readonly string[]): Promise<number> {
  const child = spawn(command, args, { stdio: "inherit", env: { ...process.env, ...ENVIRONMENT } });
  return await new Promise((resolve, reject) => child.once("error", reject).once("exit", (exit) => resolve(exit ?? 1)));
}

/** Its image has nothing that compose could check its health with. */
async function emulatorAnswers(): Promise<void> {
  for (const began = performance.now(); ; await sleep(1_000)) {
    const answer = await fetch(`${ENVIRONMENT.TEST_SERVICEBUS_ADMINISTRATION_URL}/health`).catch(() => null);
    if (answer?.ok) return;
    if (performance.now() - began > READY_WITHIN_MS)
      throw new Error("the Service Bus emulator does not answer: docker compose logs servicebus says more");
  }
}
