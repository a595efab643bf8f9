/** The transport contract on a real NATS server. */
import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { selfSignedCertificate } from "../../../simulator/tds/certificate.ts";
import type { Delivery } from "../../../src/transports/transport.ts";
import { missingNats, startNats } from "../../support/nats.ts";
import { missingServer, type TestServer, temporaryFolder } from "../../support/server.ts";
import { ids, message, transportContract } from "../contract.ts";
import { take } from "../take.ts";
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

  test("a user who may no longer write positions cannot settle: receiving ends with what to allow, and the messages come again", async () => {
    const folder = temporaryFolder("nats-rights");
    const [config, pid] = [join(folder, "nats.conf"), join(folder, "pid")];
    const deny = (subjects: string[]) =>
      writeFileSync(
        config,
        `jetstream { store_dir: "${folder}/data" }
        authorization { users = [{ user: ada, password: secret,
          permissions: { publish: { allow: ">", deny: ${JSON.stringify(subjects)} }, subscribe: ">" } }] }`,
      );
    deny([]);
    const own = await startNats(["-c", config, "-P", pid]);
    const queue = { kind: "queue", name: "ingest-queue" } as const;
    const place = placeAt(own.url.replace("//", "//ada:secret@"), SHORT_MS);
    try {
      const transport = await open(place);
      await transport.ensure(queue);
      await (await transport.sender(queue)).send([message("m-1"), message("m-2")]);
      const receives = (await transport.receiver(queue))
        .deliveries(AbortSignal.timeout(20_000))
        [Symbol.asyncIterator]();
      const { value: held } = (await receives.next()) as { value: Delivery };
      deny(["$KV.dstream-positions.>"]);
      process.kill(Number(readFileSync(pid, "utf8")), "SIGHUP");
      await sleep(500);
      const refusal = { reason: "rejected", advice: /Allow the user to publish and subscribe/ };
      await assert.rejects(held.complete(), refusal);
      await assert.rejects(receives.next(), refusal);
      await transport.close();
      deny([]);
      process.kill(Number(readFileSync(pid, "utf8")), "SIGHUP");
      await sleep(500);
      const next = await open(place);
      assert.deepEqual(await ids(await next.receiver(queue), 2), ["m-1", "m-2"]);
      await next.close();
    } finally {
      await own.close();
      rmSync(folder, { recursive: true });
    }
  });

  test("when only the first message of a stream is settled, the others stay", async () => {
    const place = placeAt(given ?? server!.url, SHORT_MS);
    const queue = { kind: "queue", name: "ingest-queue" } as const;
    const transport = await open(place);
    await transport.ensure(queue);
    const rest = Array.from({ length: 50 }, (_, n) => message(`m-${n + 2}`, { key: "other" }));
    await (await transport.sender(queue)).send([message("m-1"), ...rest]);
    const [first, second] = await take(await transport.receiver(queue), 2);
    assert.deepEqual(
      first!.messages.map(({ id }) => id),
      ["m-1"],
    );
    await first!.complete();
    await second!.abandon();
    await transport.close();
    const next = await open(place);
    assert.deepEqual(
      await ids(await next.receiver(queue), 50),
      rest.map(({ id }) => id),
    );
    await next.close();
  });
}
