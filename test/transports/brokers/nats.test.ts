/** The transport contract on a real NATS server. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { selfSignedCertificate } from "../../../simulator/tds/certificate.ts";
import { missingNats, startNats } from "../../support/nats.ts";
import { missingServer, type TestServer, temporaryFolder } from "../../support/server.ts";
import { transportContract } from "../contract.ts";
import { type NatsPlace, open } from "./nats-opener.ts";

const lack = missingNats();
if (lack !== null) missingServer("nats keeps the transport contract", lack);
else {
  const given = process.env["TEST_NATS_URL"];
  const server: TestServer | null = given ? null : await startNats();
  after(() => server?.close());
  const module = join(import.meta.dirname, "nats-opener.ts");
  const run = Date.now().toString(36);
  const SHORT_MS = 1_500;
  let places = 0;
  const placeAt = (connectionString: string, leaseMs: number): NatsPlace => ({
    connectionString,
    prefix: `test-${run}-${++places}-`,
    leaseMs,
  });
  transportContract({
    name: "nats",
    shortLeaseMs: SHORT_MS,
    place: async (lease) => ({ module, options: placeAt(given ?? server!.url, lease === "short" ? SHORT_MS : 15_000) }),
    open: (options) => open(options as NatsPlace),
    server: async () => {
      const own = await startNats();
      return { server: own, opener: { module, options: placeAt(own.url, SHORT_MS) } };
    },
  });

  test("a user with a password and a token are let in; anything else is told what to look at", async () => {
    for (const [args, right] of [
      [["--user", "ada", "--pass", "p@ss:w/rd"], "ada:p%40ss%3Aw%2Frd"],
      [["--auth", "t0ken"], "t0ken"],
    ] as const) {
      const own = await startNats(args);
      try {
        const at = (user: string) => open(placeAt(own.url.replace("//", `//${user}@`), SHORT_MS));
        await (await at(right)).close();
        await assert.rejects(at("ada:wrong"), { reason: "rejected", advice: /password/ });
      } finally {
        await own.close();
      }
    }
    await assert.rejects(open(placeAt("127.0.0.1:4222", SHORT_MS)), { reason: "rejected", advice: /nats:\/\// });
  });

  test("TLS: a certificate of one's own is taken with ca_file, and refused without", async () => {
    const folder = temporaryFolder("nats-tls");
    const { cert, key } = selfSignedCertificate(["127.0.0.1", "localhost"]);
    writeFileSync(join(folder, "cert.pem"), cert);
    writeFileSync(join(folder, "key.pem"), key);
    const own = await startNats([
      "--tls",
      `--tlscert=${join(folder, "cert.pem")}`,
      `--tlskey=${join(folder, "key.pem")}`,
    ]);
    try {
      const url = own.url.replace("nats://127.0.0.1", "tls://localhost");
      const at = (settings: object) => open({ ...placeAt(url, SHORT_MS), settings });
      const transport = await at({ ca_file: join(folder, "cert.pem") });
      await transport.ensure({ kind: "queue", name: "ingest-queue" });
      await transport.close();
      await assert.rejects(at({}), /certificate/);
    } finally {
      await own.close();
      rmSync(folder, { recursive: true });
    }
  });
}
