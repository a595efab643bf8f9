/** The configuration of the first seed, as it stands there, over the broker that stands in for Service Bus, and Azurite. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { test } from "node:test";
import { SqlServerSimulator } from "../../simulator/index.ts";
import { silent } from "../../src/telemetry/logger.ts";
import { serviceBusSettings } from "../../src/transports/servicebus/settings.ts";
import { ServiceBusTransport } from "../../src/transports/servicebus/transport.ts";
import { startAzurite } from "../support/azurite.ts";
import { startServiceBus } from "../support/servicebus.ts";
import { take } from "../transports/take.ts";
import { Workplace } from "./dstream.ts";

const SEED = readFileSync(new URL("../config/files/seed.hcl", import.meta.url), "utf8");

test("dstream server with the seed's configuration makes its entities, and delivers the seed's message to them", async (t) => {
  const [simulator, bus, blobs] = await Promise.all([
    SqlServerSimulator.start({ captureInterval: 20, databases: ["TestDB"] }),
    startServiceBus(),
    startAzurite(),
  ]);
  t.after(() => Promise.all([simulator.close(), bus.close(), blobs.close()]));
  await simulator.query("EXEC sys.sp_cdc_enable_db");
  await simulator.query(
    "CREATE TABLE dbo.Persons (ID int NOT NULL PRIMARY KEY, FirstName nvarchar(50), LastName nvarchar(50))",
  );
  await simulator.query("EXEC sys.sp_cdc_enable_table N'dbo', N'Persons', @role_name = NULL");
  await simulator.query("INSERT INTO dbo.Persons VALUES (180, N'Diana', N'Williams')");

  // Where the stand-in, as Microsoft's emulator, has its administration: Azure needs no such line.
  const configuration = SEED.replace(/type = "(azure_service_bus|servicebus)"/g, `$&\nservicebus { ${bus.block} }`);
  const work = new Workplace(t, configuration, {
    DSTREAM_DB_CONNECTION_STRING: simulator.connectionStringFor("TestDB"),
    DSTREAM_INGEST_CONNECTION_STRING: bus.url,
    DSTREAM_PUBLISHER_CONNECTION_STRING: bus.url,
    DSTREAM_BLOB_CONNECTION_STRING: blobs.url,
  });
  const server = work.start("server --log-level info");

  const settings = serviceBusSettings.parse({ administration_url: /"(.*)"/.exec(bus.block!)![1] });
  const transport = new ServiceBusTransport({ type: "servicebus", connectionString: bus.url, settings }, silent);
  t.after(() => transport.close());
  const name = `${hostname().split(".")[0]!.toLowerCase()}.testdb.persons.events`;
  const topic = { kind: "topic", name, subscription: "sub1" } as const;
  while (!(await transport.exists(topic))) await new Promise((resolve) => setTimeout(resolve, 100));
  const [delivery] = await take(await transport.receiver(topic), 1);
  const { data, metadata } = JSON.parse(delivery!.messages[0]!.body.toString()) as {
    data: object;
    metadata: Record<string, unknown>;
  };
  await delivery!.complete();
  assert.deepEqual(data, { ID: 180, FirstName: "Diana", LastName: "Williams" });
  const { Destination, IngestQueue, LSN, OperationID, OperationType, TableName } = metadata;
  assert.deepEqual(
    { Destination, IngestQueue, OperationID, OperationType, TableName },
    { Destination: name, IngestQueue: "ingest-queue", OperationID: 2, OperationType: "Insert", TableName: "Persons" },
  );
  assert.match(String(LSN), /^[0-9a-f]{20}$/);
  assert.ok(await transport.exists({ kind: "queue", name: "ingest-queue" }));
  server.process.kill("SIGTERM");
  assert.equal(await server.exit(), 0, server.stderr);
});
