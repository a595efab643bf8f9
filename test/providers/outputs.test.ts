/** The output providers that dstream brings, each as a process that is spoken to as `dstream run` does. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { appendFileSync, existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { EmbeddedTransport } from "../../src/transports/embedded/transport.ts";
import { Workplace } from "../cli/dstream.ts";
import { temporaryFolder } from "../support/server.ts";
import { ids } from "../transports/contract.ts";
import { take } from "../transports/take.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

function folder(t: TestContext): string {
  const path = temporaryFolder("outputs");
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

class Provider {
  readonly process: ChildProcess;
  readonly ended: Promise<number | null>;
  log = "";
  readonly #lines: AsyncIterator<string>;

  constructor(t: TestContext, name: string, config: object, command = "run") {
    this.process = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", MAIN, "provider", name], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    t.after(() => this.process.kill("SIGKILL"));
    this.ended = once(this.process, "close").then(([code]) => code as number | null);
    this.process.stdin!.on("error", () => {});
    this.process.stderr!.on("data", (chunk: Buffer) => (this.log += chunk.toString()));
    this.#lines = createInterface({ input: this.process.stdout! })[Symbol.asyncIterator]();
    this.process.stdin!.write(`${JSON.stringify({ command, config })}\n`);
  }

  async line(): Promise<string | undefined> {
    return (await this.#lines.next()).value as string | undefined;
  }

  async ready(): Promise<this> {
    assert.equal(await this.line(), '{"status":"ready","acks":true}', this.log);
    return this;
  }

  write(text: string): void {
    this.process.stdin!.write(text);
  }

  /** So many lines, counted from the first. */
  async acked(count: number): Promise<void> {
    for (;;) {
      const line = await this.line();
      assert.ok(line !== undefined, `it ended: ${this.log}`);
      const { acked } = JSON.parse(line) as { acked: number };
      assert.ok(acked <= count, line);
      if (acked === count) return;
    }
  }

  async end(): Promise<number | null> {
    this.process.stdin!.end();
    return await this.ended;
  }
}

const lines = (...texts: string[]) => texts.map((text) => `${text}\n`).join("");

test("file: what is acknowledged stands in the file, as it came", async (t) => {
  const path = join(folder(t), "made", "out.jsonl");
  const provider = await new Provider(t, "file", { path }).ready();
  const big = JSON.stringify({ big: "x".repeat(3_000_000) });
  provider.write(lines('{"n":1}', '{"n":"ünïcødé"}'));
  await provider.acked(2);
  assert.equal(readFileSync(path, "utf8"), lines('{"n":1}', '{"n":"ünïcødé"}'));
  provider.write(lines(big, '{"n":4}'));
  await provider.acked(4);
  assert.ok(readFileSync(path, "utf8").endsWith(lines(big, '{"n":4}')));
  assert.equal(await provider.end(), 0, provider.log);
});

test("file: half a line at its end, of a process that was killed, is cut off before anything is written behind it", async (t) => {
  const path = join(folder(t), "out.jsonl");
  appendFileSync(path, `{"n":1}\n{"n":"${"x".repeat(200_000)}`);
  const provider = await new Provider(t, "file", { path }).ready();
  provider.write(lines('{"n":2}'));
  await provider.acked(1);
  assert.equal(readFileSync(path, "utf8"), lines('{"n":1}', '{"n":2}'));
  assert.match(provider.log, /its 200006 bytes are cut off/);
});

test("file: it is renamed when it is full, and only so many are kept", async (t) => {
  const path = join(folder(t), "out.jsonl");
  const provider = await new Provider(t, "file", { path, max_size: 30, max_files: 2 }).ready();
  for (let n = 1; n <= 9; n++) {
    provider.write(lines(`{"number":${n}}`));
    await provider.acked(n);
  }
  assert.equal(await provider.end(), 0);
  assert.equal(readFileSync(path, "utf8"), lines('{"number":9}'));
  assert.equal(readFileSync(`${path}.4`, "utf8"), lines('{"number":7}', '{"number":8}'));
  assert.equal(readFileSync(`${path}.3`, "utf8"), lines('{"number":5}', '{"number":6}'));
  assert.ok(!existsSync(`${path}.2`));
});

test("an input that is broken off in the middle of a line: the half is not delivered, and told", async (t) => {
  const path = join(folder(t), "out.jsonl");
  const provider = await new Provider(t, "file", { path }).ready();
  provider.write('{"n":1}\n{"n":');
  await provider.acked(1);
  assert.equal(await provider.end(), 1);
  assert.match(provider.log, /in the middle of a line: its 5 bytes are not delivered/);
  assert.equal(readFileSync(path, "utf8"), '{"n":1}\n');
});

test("what is wrong with a configuration is told with its names, and no values", async (t) => {
  const provider = new Provider(t, "webhook", { url: "ftp://secret@x", max_batch: 0, maxbatch: 1 });
  const { status, message } = JSON.parse((await provider.line())!) as { status: string; message: string };
  assert.equal(status, "error");
  assert.match(message, /url: .*max_batch: .*maxbatch/);
  assert.doesNotMatch(message + provider.log, /secret/);
  assert.equal(await provider.ended, 1);
});

interface Request {
  headers: IncomingHttpHeaders;
  body: string;
}

async function hook(t: TestContext, answer: (request: Request, response: ServerResponse, count: number) => void) {
  const requests: Request[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      requests.push({ headers: request.headers, body });
      answer(requests.at(-1)!, response, requests.length);
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { requests, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?token=hidden` };
}

test("webhook: batches in order, signed as Standard Webhooks has it, acknowledged when they are taken", async (t) => {
  const secret = `whsec_${Buffer.from("a key of some length").toString("base64")}`;
  const { requests, url } = await hook(t, (_request, response) => response.end());
  const provider = await new Provider(t, "webhook", { url, secret, max_batch: 2, headers: { "x-own": "yes" } }).ready();
  provider.write(lines('{"n":1}', '{"n":2}', '{"n":3}'));
  await provider.acked(3);
  assert.deepEqual(requests.map(({ body }) => body).join(""), lines('{"n":1}', '{"n":2}', '{"n":3}'));
  for (const { headers, body } of requests) {
    assert.equal(headers["content-type"], "application/x-ndjson");
    assert.equal(headers["x-own"], "yes");
    assert.ok(body.split("\n").length <= 3);
    const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
    const signature = createHmac("sha256", "a key of some length").update(signed).digest("base64");
    assert.equal(headers["webhook-signature"], `v1,${signature}`);
  }
  assert.equal(await provider.end(), 0);
});

test("webhook: what cannot be taken now is posted again with its id, no sooner than is said, and nothing after it goes before", async (t) => {
  const { requests, url } = await hook(t, (_request, response, count) => {
    if (count === 1) response.writeHead(503, { "retry-after": "1" }).end("not now");
    else if (count === 2) response.destroy();
    else response.end();
  });
  const provider = await new Provider(t, "webhook", { url, format: "array", max_batch: 1, max_wait: "2s" }).ready();
  provider.write(lines('{"n":1}', '{"n":2}'));
  await provider.acked(2);
  assert.deepEqual(
    requests.map(({ body }) => body),
    ['[{"n":1}]', '[{"n":1}]', '[{"n":1}]', '[{"n":2}]'],
  );
  assert.equal(new Set(requests.slice(0, 3).map(({ headers }) => headers["webhook-id"])).size, 1);
  assert.match(provider.log, /answered 503 \(not now\): tried again in (1\d{3}|1000) ms/);
  assert.doesNotMatch(provider.log, /hidden/);
});

test("webhook: a refusal for good ends the provider, with what was said, and nothing of it is acknowledged", async (t) => {
  const { url } = await hook(t, (_request, response) => response.writeHead(422).end("no such field"));
  const provider = await new Provider(t, "webhook", { url }).ready();
  provider.write(lines('{"n":1}'));
  assert.equal(await provider.ended, 1);
  assert.match(provider.log, /answered 422 \(no such field\)/);
  assert.equal(await provider.line(), undefined);
});

test("log: each line on standard error, cut where it is long", async (t) => {
  const provider = await new Provider(t, "log", { level: "warn", max_length: 5 }).ready();
  provider.write(lines('{"n":1}'));
  await provider.acked(1);
  await provider.end();
  assert.match(provider.log, /^WARN \{"n":…$/m);
});

const row = (n: number) =>
  JSON.stringify({
    data: { id: n },
    metadata: {
      Destination: "server.db.persons.events",
      IngestQueue: "ingest-queue",
      LSN: "0000003600000b200003",
      OperationID: 2,
      OperationType: "Insert",
      TableName: "Persons",
      Schema: "dbo",
      CommandID: n,
      Seq: "0000003600000b200002",
      CommitTime: "2026-11-21T10:11:12.123Z",
    },
  });

test("a transport as output: row messages go to their own topics, and repeats are dropped; init, status and destroy manage a queue", async (t) => {
  const path = join(folder(t), "queue.db");
  const provider = await new Provider(t, "embedded", { path }).ready();
  provider.write(lines(row(1), row(2), row(1)));
  await provider.acked(3);
  assert.equal(await provider.end(), 0, provider.log);
  const again = await new Provider(t, "embedded", { path }).ready();
  again.write(lines(row(2), row(3)));
  await again.acked(2);
  assert.equal(await again.end(), 0);
  const transport = await EmbeddedTransport.open({ path });
  t.after(() => transport.close());
  const topic = { kind: "topic", name: "server.db.persons.events", subscription: "sub1" } as const;
  const [delivery] = await take(await transport.receiver(topic), 1);
  assert.deepEqual(
    delivery!.messages.map(({ body }) => body.toString()),
    [row(1), row(2), row(3)],
  );
  assert.deepEqual(delivery!.messages[0]!.properties, {
    Destination: topic.name,
    TableName: "Persons",
    OperationType: "Insert",
    LSN: "0000003600000b200003",
  });

  const work = new Workplace(
    t,
    `task "it" {\ninput { provider = "counter" }\noutput {\nprovider = "embedded"\nconfig {\npath = "${path}"\nqueue = "numbers"\n}\n}\n}`,
  );
  assert.equal((await work.run("plan it")).stdout, '+ queue "numbers" will be made\n');
  assert.equal((await work.run("status it")).stdout, '- queue "numbers" is missing: dstream init makes it\n');
  assert.equal((await work.run("init it")).stdout, '+ queue "numbers" was made\n');
  assert.equal((await work.run("plan it")).stdout, '  queue "numbers" is there: nothing will be made\n');
  const numbers = await new Provider(t, "embedded", { path, queue: "numbers" }).ready();
  // Equal lines are two messages: nothing tells that they are one.
  numbers.write(lines('{"value":1}', '{"value":1}'));
  await numbers.acked(2);
  assert.equal(await numbers.end(), 0);
  assert.equal((await work.run("status it")).stdout, '  queue "numbers" is there: 2 waiting, 0 dead letters\n');
  assert.equal((await ids(await transport.receiver({ kind: "queue", name: "numbers" }), 2)).length, 2);
  assert.equal((await work.run("destroy it")).stdout, '- queue "numbers" was removed, with what was in it\n');
  assert.equal((await work.run("destroy it")).stdout, '  queue "numbers" is not there\n');
});

test("a message without a destination is told, and nothing of it is acknowledged", async (t) => {
  const path = join(folder(t), "queue.db");
  const provider = await new Provider(t, "embedded", { path }).ready();
  provider.write(lines('{"value":1}'));
  assert.equal(await provider.ended, 1);
  assert.match(provider.log, /names no destination[\s\S]*Give queue or topic/);
  assert.ok(statSync(path).size > 0);
});
