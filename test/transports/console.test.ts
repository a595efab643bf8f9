import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { Writable } from "node:stream";
import { test } from "node:test";
import type { Message } from "../../src/change/message.ts";
import { silent } from "../../src/telemetry/logger.ts";
import { type ConsoleStream, ConsoleTransport } from "../../src/transports/console/transport.ts";
import { openTransport } from "../../src/transports/registry.ts";

function change(data: string, operation = "Insert", schema = "dbo"): Message {
  const metadata = {
    OperationType: operation,
    TableName: "Persons",
    Schema: schema,
    CommitTime: "2026-11-21T10:11:12.123Z",
  };
  const body = Buffer.from(`{"data":${data},"metadata":${JSON.stringify(metadata)}}`);
  return { id: "m-1", key: "Persons", body, properties: {} };
}

async function shown(messages: Message[], terminal?: { columns: number; colours: boolean }): Promise<string> {
  let text = "";
  const stream: ConsoleStream = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  if (terminal) Object.assign(stream, { isTTY: true, columns: terminal.columns });
  const transport = new ConsoleTransport(stream, { colours: terminal?.colours ?? true });
  await (await transport.sender()).send(messages);
  await transport.close();
  return text;
}

test("in a pipe each message is its body on a line, byte for byte", async () => {
  const messages = [change('{"ID":9223372036854775807}'), change('{"Name":"Zoë 🙂"}')];
  assert.equal(await shown(messages), messages.map(({ body }) => `${body}\n`).join(""));
});

test("on a terminal a change is one line that fits, with all digits of its numbers", async () => {
  const wide = { columns: 100, colours: false };
  const line = await shown([change('{"ID":9223372036854775807,"Name":"Zoë","Car":null}', "Update", "sales")], wide);
  assert.equal(line, "10:11:12.123 sales.Persons    Update ID=9223372036854775807 Name=Zoë Car=null\n");
  const cut = await shown([change(`{"Text":"${"x".repeat(500)}"}`)], { columns: 80, colours: false });
  assert.equal([...cut.trimEnd()].length, 80);
  assert.ok(cut.endsWith("…\n"));
});

test("operations have colours on a terminal", async () => {
  const text = await shown([change("{}", "Delete")], { columns: 80, colours: true });
  assert.ok(text.includes("\u001b[31mDelete"));
});

test("a value cannot steer the terminal", async () => {
  const terminal = { columns: 120, colours: false };
  const text = await shown([change(JSON.stringify({ Name: "a\u001b[2J\u009b1m\nb" }))], terminal);
  assert.ok(text.includes("Name=a\\x1b[2J\\x9b1m\\x0ab"));
  const foreign: Message = { id: "x", key: "k", body: Buffer.from("no row \u001b[2J"), properties: {} };
  assert.equal(await shown([foreign], terminal), "no row \\x1b[2J\n");
});

test("a slow reader slows the sender down", async () => {
  const taken = Promise.withResolvers<() => void>();
  const stream = new Writable({ write: (_chunk, _encoding, done) => taken.resolve(done) });
  const sender = await new ConsoleTransport(stream).sender();
  let resolved = false;
  const sending = sender.send([change("{}")]).then(() => {
    resolved = true;
  });
  const take = await taken.promise;
  assert.equal(resolved, false);
  take();
  await sending;
});

test("when the reader of a pipe goes away, the output has ended and nothing more is acknowledged", async () => {
  const script = `
    import { ConsoleTransport } from ${JSON.stringify(join(import.meta.dirname, "../../src/transports/console/transport.ts"))};
    const transport = new ConsoleTransport(process.stdout);
    const sender = await transport.sender();
    const message = { id: "m", key: "k", body: Buffer.alloc(10_000, "x"), properties: {} };
    try { for (;;) await sender.send([message]); }
    catch (error) { console.error(error.reason, transport.ended.aborted); }
    await transport.close();`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.once("data", () => child.stdout.destroy());
  let errors = "";
  child.stderr.on("data", (chunk) => (errors += chunk));
  const code = await new Promise((resolve) => child.once("close", resolve));
  assert.equal(errors, "rejected true\n");
  assert.equal(code, 0);
});

test("the console cannot be received from, and an unknown transport names those there are", async () => {
  const transport = await openTransport({ type: "console" }, silent);
  await assert.rejects(transport.receiver({ kind: "queue", name: "q" }), {
    reason: "rejected",
    message: /output only/,
  });
  await transport.close();
  await assert.rejects(openTransport({ type: "carrier-pigeon" } as never, silent), { advice: /embedded.*console/ });
});
