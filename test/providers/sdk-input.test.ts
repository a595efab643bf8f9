/** What the SDK promises an input provider: how far it is read ahead, and what it is told. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { temporaryFolder } from "../support/server.ts";

const PROVIDER = fileURLToPath(new URL("./told-input.ts", import.meta.url));

class Provider {
  readonly child: ChildProcess;
  /** On standard output. */
  lines = 0;
  readonly #folder = temporaryFolder("sdk-input");
  /** The latest that it said of itself. */
  state = { read: 0, busyPercent: 100 };
  readonly rest: string[] = [];

  constructor(config: object) {
    this.child = spawn(process.execPath, [PROVIDER], { stdio: ["pipe", "pipe", "pipe"] });
    createInterface(this.child.stdout!).on("line", () => this.lines++);
    createInterface(this.child.stderr!).on("line", (line) => {
      const [what, number, , busy] = line.split(" ");
      if (what === "read") this.state = { read: Number(number), busyPercent: Number(busy) };
      else this.rest.push(line);
    });
    this.child.stdin!.on("error", () => {});
    const own = { ...config, file: join(this.#folder, "delivered") };
    this.child.stdin!.write(`${JSON.stringify({ command: "run", config: own, acks: true })}\n`);
  }

  /** So far. */
  delivered(): number[] {
    const file = join(this.#folder, "delivered");
    if (!existsSync(file)) return [];
    return readFileSync(file, "utf8").split("\n").slice(0, -1).map(Number);
  }

  /** Its exit code. */
  async end(): Promise<number | null> {
    const [code] = await once(this.child, "close");
    return code;
  }

  [Symbol.dispose](): void {
    this.child.kill("SIGKILL");
    rmSync(this.#folder, { recursive: true });
  }

  acknowledge(upTo: number): void {
    this.child.stdin!.write(`${JSON.stringify({ acked: upTo })}\n`);
  }

  async until(met: () => boolean): Promise<void> {
    while (!met()) {
      assert.equal(this.child.exitCode, null, this.rest.join("\n"));
      await sleep(10);
    }
  }
}

test("an input is read 10,000 messages beyond what is delivered, waits without work, and is told all in order", async () => {
  using provider = new Provider({ count: 25_000 });
  await provider.until(() => provider.state.read === 9_999 && provider.state.busyPercent < 50);
  assert.deepEqual(provider.delivered(), []);
  for (let acked = 0; acked < 25_000; acked += 5_000) {
    // The handshake is a line, too.
    await provider.until(() => provider.lines > acked + 5_000);
    provider.acknowledge(acked + 5_000);
  }
  assert.equal(await provider.end(), 0, provider.rest.join("\n"));
  assert.deepEqual(
    provider.delivered(),
    Array.from({ length: 25_000 }, (_, n) => n + 1),
  );
});

test("after a position that could not be saved nothing is told any more, and the provider ends with the reason", async () => {
  using provider = new Provider({ count: 20_000, unsaved: 3 });
  await provider.until(() => provider.lines > 9_000);
  provider.acknowledge(9_000);
  assert.equal(await provider.end(), 1);
  assert.match(provider.rest.join("\n"), /The disk is full at 3\./);
  assert.deepEqual(provider.delivered(), [1, 2]);
});

for (const [how, tell] of [
  ["SIGTERM", (child: ChildProcess) => child.kill("SIGTERM")],
  ["the end of its standard input", (child: ChildProcess) => child.stdin!.end()],
] as const)
  test(`an input that waits for acknowledgements ends on ${how}, cleans up, and gives what is on its way some time`, async () => {
    using provider = new Provider({ count: 20_000 });
    await provider.until(() => provider.state.read === 9_999);
    tell(provider.child);
    await provider.until(() => provider.rest.includes("cleaned up"));
    // Acknowledgements that are late, where there may be some.
    if (how === "SIGTERM") provider.acknowledge(10_000);
    assert.equal(await provider.end(), 0, provider.rest.join("\n"));
    assert.equal(provider.delivered().length, how === "SIGTERM" ? 10_000 : 0);
  });
