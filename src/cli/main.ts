#!/usr/bin/env -S node --max-semi-space-size=4
/**
 * The command line. Each command's work is in a file of its own, loaded when it is called.
 *
 * V8's young generation is kept to 4 MB halves: what is read lives for a batch at most, and with less room for the dead the
 * process takes some 40 MB less and is no slower (`npm run bench -- reader`).
 */
import { readFileSync } from "node:fs";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError, Option } from "commander";
import { transportTypes } from "../config/types.ts";
import { DStreamError, explainError } from "../errors.ts";
import type { SimulatorCommand } from "./simulator.ts";
import { UsageError } from "./usage-error.ts";
import type { CommonOptions } from "./wiring.ts";

interface DemoArguments {
  changes: number;
  kill: number;
  rate: number;
  seed: number;
  queue?: string;
  connectionString?: string;
  keep?: boolean;
}

hideExperimentalWarnings();

const program = new Command("dstream")
  .description("Change data capture for SQL Server: every change, in order, to your queues.")
  .version(packageVersion(), "-V, --version", "print the version")
  .showHelpAfterError("(dstream --help lists the commands)")
  .configureHelp({ sortSubcommands: false });

function command(name: string, description: string): Command {
  return configured(program.command(name).description(description));
}

function configured(each: Command): Command {
  return each
    .option("-c, --config <file>", "the configuration", "dstream.hcl")
    .option(
      "-l, --log-level <level>",
      "trace, debug, info, warn, error, fatal or silent (default: DSTREAM_LOG_LEVEL, or info)",
    );
}

command("ingester", "read change tables into the ingest queue").action(async (options: CommonOptions) =>
  leave(await (await import("./run.ts")).run(["ingester"], options)),
);
command("router", "bring messages from the ingest queue to their destinations").action(async (options: CommonOptions) =>
  leave(await (await import("./run.ts")).run(["router"], options)),
);
command("server", "both in one process").action(async (options: CommonOptions) =>
  leave(await (await import("./run.ts")).run(["ingester", "router"], options)),
);
command("check", "look at everything that the configuration names; change nothing").action(
  async (options: CommonOptions) => end(await (await import("./check.ts")).check(options)),
);

command(
  "status [task]",
  "who reads each table, how far it is, and how long until CDC's clean-up passes it; or of a task",
)
  .option("--json", "for programs; of tables")
  .action(async (task: string | undefined, options: CommonOptions & { json?: boolean }) =>
    end(
      task === undefined
        ? await (await import("./status.ts")).status(options)
        : await (await import("./task.ts")).lifecycle("status", task, options),
    ),
  );

command("run <task>", "bring messages from a task's input provider to its output provider").action(
  async (task: string, options: CommonOptions) => leave(await (await import("./task.ts")).run(task, options)),
);
command("list", "the tasks of the configuration").action(async (options: CommonOptions) =>
  end(await (await import("./task.ts")).list(options)),
);
for (const [name, description] of [
  ["init", "make what a task's output provider needs"],
  ["plan", "show what init would make; change nothing"],
  ["destroy", "remove what init has made, with what is in it"],
] as const)
  command(`${name} <task>`, description).action(async (task: string, options: CommonOptions) =>
    end(await (await import("./task.ts")).lifecycle(name, task, options)),
  );

const deadLetters = program.command("dead-letters").description("what could not be sent or delivered for good");
configured(deadLetters.command("list").description("one line each, the oldest first"))
  .option("-n, --limit <count>", "at most so many of each place", wholeNumber, 100)
  .action(async (options: CommonOptions & { limit: number }) =>
    end(await (await import("./dead-letters.ts")).list(options)),
  );
configured(deadLetters.command("show <id>").description("one of them, whole")).action(
  async (id: string, options: CommonOptions) => end(await (await import("./dead-letters.ts")).show(id, options)),
);
configured(deadLetters.command("replay [id...]").description("send them again, and forget them once that is done"))
  .option("--all", "every one")
  .action(async (ids: string[], options: CommonOptions & { all?: boolean }) =>
    end(await (await import("./dead-letters.ts")).replay(ids, options)),
  );

const checkpoints = program.command("checkpoints").description("where each table's reading stands");
configured(checkpoints.command("list").description("one line a table")).action(async (options: CommonOptions) =>
  end(await (await import("./checkpoints.ts")).list(options)),
);
const force = new Option("--force", "also while an ingester owns the table: it is fenced off");
configured(checkpoints.command("set <table>").description("go on from another place, earlier or later"))
  .option("--lsn <lsn>", "everything up to and including this LSN counts as read")
  .option("--now", "everything so far counts as read")
  .addOption(force)
  .action(async (table: string, options: CommonOptions & { lsn?: string; now?: boolean; force?: boolean }) =>
    end(await (await import("./checkpoints.ts")).set(table, options)),
  );
configured(checkpoints.command("rewind <table>").description("read changes again, from an LSN or a time on"))
  .option("--lsn <lsn>", "from the transaction with this LSN on")
  .option("--time <time>", "from this time on: 2026-11-21T10:00:00Z")
  .addOption(force)
  .action(async (table: string, options: CommonOptions & { lsn?: string; time?: string; force?: boolean }) =>
    end(await (await import("./checkpoints.ts")).rewind(table, options)),
  );

const provider = program
  .command("provider")
  .description("one half of a task, as a program that speaks JSON on its pipes");
provider
  .command("mssql")
  .description("SQL Server's changes on standard output; the configuration as JSON on standard input")
  .action(async () => leave(await (await import("./provider-mssql.ts")).providerMssql()));
for (const [name, description] of [
  ["counter", "input: numbers, for a first look"],
  ["console", "output: prints what comes"],
  ["log", "output: logs what comes"],
  ["file", "output: JSON lines, appended to a file"],
  ["webhook", "output: HTTP POSTs of many messages, signed"],
  ...Object.keys(transportTypes)
    .filter((type) => type !== "console")
    .map((type) => [type, `output: sends to ${type === "embedded" ? "the embedded queue" : type}`] as const),
] as const)
  provider
    .command(name)
    .description(description)
    .action(async () => {
      await (await import("../providers/builtin/registry.ts")).builtInProviders[name]!();
    });

provider
  .command("push <reference> <file...>")
  .description("a program into a registry, for tasks to name with provider_ref; FILE=linux/arm64 for other platforms")
  .action(async (reference: string, files: string[]) =>
    end(await (await import("./provider-registry.ts")).push(reference, files)),
  );
provider
  .command("pull <reference>")
  .description("one from a registry into the cache; prints where it is")
  .action(async (reference: string) => end(await (await import("./provider-registry.ts")).pull(reference)));

program
  .command("demo")
  .description("the whole way on this machine: a SQL Server simulator, ingester, router, and a verdict")
  .option("--changes <count>", "changes to make", wholeNumber, 5000)
  .option("--kill <count>", "SIGKILL the ingester and the router so many times in all", wholeNumber, 0)
  .option("--rate <count>", "changes a second (with --kill the kills set the pace)", wholeNumber, 1500)
  .option("--seed <number>", "of the workload and the kills", wholeNumber, 1)
  .option("--queue <type>", "run over another messaging system than the embedded queue: kafka, nats, …")
  .option("--connection-string <text>", "of that system (default: the demo starts one, in a checkout)")
  .option("--keep", "keep the demo's folder")
  .action(async ({ kill, keep = false, ...options }: DemoArguments) => {
    const { runDemo } = await import("../demo/demo.ts");
    end((await runDemo({ ...options, kills: kill, keep }, process.stdout)) ? 0 : 1);
  });

program
  .command("simulator")
  .description("a SQL Server stand-in that speaks TDS and does CDC, until it is stopped")
  .option("--port <port>", "to listen on; 0 takes a free one", portNumber, 1433)
  .option("--host <address>", "to listen on; 0.0.0.0 for all", "127.0.0.1")
  .option("--database <name...>", "made at start, if they are not there", ["TestDB"])
  .option("--data <path>", "a file, or a folder for one, that keeps the data (default: in memory alone)")
  .option("--init <script...>", "SQL scripts with batches between lines of GO, run where there is no data yet")
  .option(
    "--capture-interval <ms>",
    'between two scans of the capture job; "immediate": in each commit',
    interval,
    5000,
  )
  .addOption(
    new Option("--encryption <policy>", "off: as the client asks")
      .choices(["off", "required", "strict", "not_supported"])
      .default("off"),
  )
  .option("--time-zone <zone>", "of the server: an IANA or Windows name, or minutes east of UTC", "UTC")
  .option("--server-name <name>", "@@SERVERNAME")
  .option("--seed <number>", "makes NEWID, RAND and the like repeatable", wholeNumber)
  .addHelpText(
    "after",
    "\nThe password of sa is Simulator!1, or what the environment variable DSTREAM_SIMULATOR_PASSWORD says. docs/simulator.md has more.",
  )
  .action(async (options: SimulatorCommand) => end(await (await import("./simulator.ts")).simulate(options)));

await program.parseAsync().catch((error: unknown) => {
  if (error instanceof DStreamError || error instanceof UsageError) {
    process.stderr.write(`${explainError(error)}\n`);
  } else process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  end(1);
});

function end(code: number): void {
  process.exitCode = code;
}

/** At once: something that was being opened and is not wanted any more may still wait for its turn. */
function leave(code: number): never {
  process.exit(code);
}

function portNumber(text: string): number {
  const port = wholeNumber(text);
  if (port > 65_535) throw new InvalidArgumentError("Ports go up to 65535.");
  return port;
}

function interval(text: string): number | "immediate" {
  return text === "immediate" ? text : wholeNumber(text);
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("It is no whole number.");
  return Number(text);
}

/** package.json is two folders up in a checkout, three in the published package (dist/src/cli). */
function packageVersion(): string {
  const up = extname(fileURLToPath(import.meta.url)) === ".ts" ? "../../package.json" : "../../../package.json";
  return (JSON.parse(readFileSync(new URL(up, import.meta.url), "utf8")) as { version: string }).version;
}

/** node:sqlite is marked experimental in early releases of Node 24: nothing that an operator could act on. */
function hideExperimentalWarnings(): void {
  const emit = process.emitWarning;
  process.emitWarning = ((warning: string | Error, ...rest: unknown[]) => {
    const kind = typeof rest[0] === "string" ? rest[0] : (rest[0] as { type?: string } | undefined)?.type;
    if (kind !== "ExperimentalWarning") Reflect.apply(emit, process, [warning, ...rest]);
  }) as typeof process.emitWarning;
}
