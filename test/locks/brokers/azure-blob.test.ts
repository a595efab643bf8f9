/** The lock contract on Azurite. Azure's shortest lease is 15 seconds: this takes a minute. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import { BlobServiceClient } from "@azure/storage-blob";
import { missingAzurite, startAzurite } from "../../support/azurite.ts";
import { missingServer, type TestServer } from "../../support/server.ts";
import { lockContract } from "../contract.ts";
import { type AzureBlobLockPlace, open } from "./azure-blob-opener.ts";

const lack = missingAzurite();
if (lack !== null) missingServer("azure_blob keeps the lock contract", lack);
else {
  const given = process.env["TEST_AZURE_BLOB_URL"];
  const server: TestServer | null = given ? null : await startAzurite();
  after(() => server?.close());
  const connectionString = given ?? server!.url;
  const run = Date.now().toString(36);
  let places = 0;
  const place = (): AzureBlobLockPlace => ({ connectionString, containerName: `test-${run}-${++places}` });
  const never = new AbortController().signal;
  lockContract({
    name: "azure_blob",
    leaseMs: 15_000,
    place: async () => ({ module: join(import.meta.dirname, "azure-blob-opener.ts"), options: place() }),
    open: (options) => open(options as AzureBlobLockPlace),
  });

  test("a lock is a leased blob <server>/<database>/<schema>.<table>.lock that tells its owner", async () => {
    const options = place();
    const store = await open(options);
    const lock = await store.acquire("db\\one/Sales/dbo.Ordérs 100%", never);
    const container = BlobServiceClient.fromConnectionString(connectionString).getContainerClient(
      options.containerName,
    );
    const { value: blob } = await container.listBlobsFlat({ includeMetadata: true }).next();
    assert.equal(blob!.name, "db%5Cone/Sales/dbo.Ordérs 100%25.lock");
    assert.equal(blob!.properties.leaseState, "leased");
    assert.equal(blob!.metadata!["token"], "1");
    assert.equal(blob!.metadata!["pid"], String(process.pid));
    assert.deepEqual([...(await store.owners("db\\one/Sales/")).keys()], [lock!.name]);
    await store.close();
    const other = await open(options);
    assert.equal(await other.owner(lock!.name), null);
    await other.close();
  });

  test("an owner whose process has ended is none any more, and its lease is not waited for", {
    skip: process.platform !== "linux",
  }, async () => {
    const options = place();
    const store = await open(options);
    await store.acquire("a", never);
    const container = BlobServiceClient.fromConnectionString(connectionString).getContainerClient(
      options.containerName,
    );
    const blob = container.getBlobClient("a.lock");
    const { metadata } = await blob.getProperties();
    await blob.setMetadata({ ...metadata, pid: String(2 ** 22 + 1) }, { conditions: { leaseId: metadata!["lease"]! } });
    const other = await open(options);
    assert.equal(await other.owner("a"), null);
    assert.equal((await other.owners("")).size, 0);
    assert.equal((await other.acquire("a", never))!.token, 2);
    await other.close();
    await store.close();
  });

  test("a wrong key, a bad container name and a bad connection string say what to do", async () => {
    const wrong = connectionString.replace(/AccountKey=[^;]*/, `AccountKey=${Buffer.alloc(64).toString("base64")}`);
    await assert.rejects(open({ ...place(), connectionString: wrong }), { reason: "rejected", advice: /key/ });
    await assert.rejects(open({ connectionString, containerName: "No_Good" }), { advice: /lower-case/ });
    await assert.rejects(open({ ...place(), connectionString: "nonsense" }), { advice: /Access keys/ });
  });
}
