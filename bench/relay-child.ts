/**
 * One relay as a process: `bytes` is dstream's own, as `dstream run` has it; `lines` is readline; `direct` is none. Arguments behind that: the input's
 * program and the number of messages, the output's program. Prints the CPU that it took, in seconds.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { runTask } from "../src/providers/task.ts";
import { silent } from "../src/telemetry/logger.ts";

const [kind, source, messages, sink] = process.argv.slice(2) as [string, string, string, string];
const before = process.cpuUsage();

async function bytes(): Promise<void> {
  const provider = (program: string, args: string[] = []) => ({
    program: { path: program },
    args,
    handshake: true,
    handshakeTimeoutMs: 30_000,
    config: {},
  });
  const task = {
    name: "bench",
    input: provider(source, [messages]),
    output: provider(sink),
    graceMs: 30_000,
    maxLineBytes: 64 * 1024 * 1024,
    restart: null,
  };
  const program = async (role: "input" | "output") => ({
    command: process.execPath,
    args: role === "input" ? [source, messages] : [sink],
  });
  await runTask({ task, program, logger: silent, print: () => {} }, new AbortController().signal);
}

async function lines(): Promise<void> {
  const input = spawn(process.execPath, [source, messages], { stdio: ["pipe", "pipe", "inherit"] });
  const output = spawn(process.execPath, [sink], { stdio: ["pipe", "pipe", "inherit"] });
  input.stdin.on("error", () => {});
  input.stdin.write("{}\n");
  output.stdin.write("{}\n");
  createInterface({ input: output.stdout }).on("line", (line) => {
    if (line.startsWith('{"acked"')) input.stdin.write(`${line}\n`);
  });
  let count = 0;
  let first = true;
  for await (const line of createInterface({ input: input.stdout })) {
    if (first) {
      first = false;
      continue;
    }
    count++;
    if (!output.stdin.write(`${line}\n`)) await once(output.stdin, "drain");
  }
  output.stdin.end();
  await once(output, "exit");
  if (count !== Number(messages)) throw new Error(`${count} messages of ${messages}`);
}

/** No relay at all: the one's standard output is the other's standard input. What it says first is taken for the envelope. */
async function direct(): Promise<void> {
  const input = spawn(process.execPath, [source, messages], { stdio: ["pipe", "pipe", "inherit"] });
  const output = spawn(process.execPath, [sink], { stdio: [input.stdout, "pipe", "inherit"] });
  input.stdout.destroy();
  input.stdin.write("{}\n");
  output.stdout!.pipe(input.stdin);
  await Promise.all([once(output, "exit"), once(input, "exit")]);
}

await { bytes, lines, direct }[kind as "bytes" | "lines" | "direct"]();
const { user, system } = process.cpuUsage(before);
process.stdout.write(`${(user + system) / 1e6}\n`);
