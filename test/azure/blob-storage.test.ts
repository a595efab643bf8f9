/** A storage account that does not answer. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { askingBlobs, openContainer } from "../../src/azure/blob-storage.ts";

test("an answer that never comes is one that is waited for, within seconds", async () => {
  let answering = true;
  let asked = 0;
  const server = createServer((request, response) => {
    request.resume();
    if (answering) response.writeHead(201).end();
    else asked++;
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const account = `AccountName=devstoreaccount1;AccountKey=${Buffer.from("key").toString("base64")}`;
  const connectionString = `DefaultEndpointsProtocol=http;${account};BlobEndpoint=http://127.0.0.1:${port}/devstoreaccount1;`;
  try {
    const container = await openContainer({ connectionString, containerName: "locks", whose: "a test" });
    answering = false;
    for (let again = 0; again < 2; again++)
      await assert.rejects(
        askingBlobs(container, "looking", () => container.getBlobClient("a").getProperties()),
        { reason: "unavailable", message: /While looking at devstoreaccount1: / },
      );
    assert.ok(asked >= 2);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
