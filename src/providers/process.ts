/**
 * One provider of a task, as a process.
 *
 *     started   it has its command envelope; nothing is known of it
 *       → ready   it has said so; or what it printed first is data already, or nobody waits for it: an older provider
 *       → ended   it exited, said `error`, or said nothing in time
 *     ready     its standard output is its caller's
 *       → ended   it exited
 *
 * What it prints to standard error is logged, and its last lines are told with what went wrong.
 */
import { access, constants, stat } from "node:fs/promises";
import { basename, extname } from "node:path";
import type { ProviderConfig } from "../config/tasks.ts";
import { DStreamError } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { ByteSource } from "./byte-source.ts";
import { type Guarded, signalGroup, startGuarded } from "./guard.ts";
import { LogLines } from "./log-lines.ts";

export class ProviderError extends DStreamError {
  readonly code = "DSTREAM_PROVIDER";
  /** Another start may go better. */
  readonly worthRestarting: boolean;
  constructor(
    message: string,
    options: { advice?: string | undefined; cause?: unknown; worthRestarting?: boolean } = {},
  ) {
    super(message, options);
    this.worthRestarting = options.worthRestarting ?? true;
  }
}

export interface Program {
  command: string;
  args: readonly string[];
}

export type Role = "input" | "output";

/** What it has answered to its command; an older provider, which says nothing, acknowledges nothing. */
export interface Handshake {
  acks: boolean;
}

/** The longest first line that is looked at. */
const LONGEST_HANDSHAKE = 1024 * 1024;

export class ProviderProcess {
  readonly #role: Role;
  readonly child: Guarded;
  /** Its standard output. */
  readonly printed: ByteSource;
  /** As in "The output provider file.sh". */
  readonly #what: string;
  /** Resolves when it has exited and said its last; what it has printed may still be read. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** It took too long to end. */
  killed = false;
  readonly #config: ProviderConfig;
  readonly #log: LogLines;
  #end: { code: number | null; signal: NodeJS.Signals | null } | null = null;
  /** What could not be started at all. */
  #refused: Error | null = null;

  static async start(role: Role, config: ProviderConfig, program: Program, logger: Logger): Promise<ProviderProcess> {
    return new ProviderProcess(role, config, await startGuarded(program.command, program.args), logger);
  }

  private constructor(
    role: Role,
    config: ProviderConfig,
    { child, printed }: { child: Guarded; printed: ByteSource },
    logger: Logger,
  ) {
    this.#role = role;
    this.#config = config;
    this.#what = `The ${role} provider ${nameOf(config)}`;
    this.child = child;
    this.printed = printed;
    this.#log = new LogLines(this.child.stderr, logger.child({ provider: nameOf(config), role }));
    // Who has ended hears nothing more; that it has ended is told by `ended`.
    this.child.stdin.on("error", () => {});
    this.child.on("error", (error) => (this.#refused = error));
    this.ended = new Promise((resolve) => {
      const end = (code: number | null, signal: NodeJS.Signals | null) => {
        this.#end ??= { code, signal };
        resolve(this.#end);
      };
      this.child.once("close", end);
      this.child.once("error", () => end(null, null));
    });
  }

  /** The first line on its standard input. Where it stays open, more may follow. */
  command(command: string, { acks, stays }: { acks: boolean; stays: boolean }): void {
    const envelope = { command, config: this.#config.config, ...(acks && { acks }) };
    this.child.stdin.write(`${JSON.stringify(envelope)}\n`);
    if (!stays) this.child.stdin.end();
  }

  /** Reads what it answers. What it printed behind that stands in its standard output again. Throws ProviderError. */
  async handshake(signal: AbortSignal): Promise<Handshake> {
    const older = { acks: false };
    if (this.#config.handshake === false) return older;
    const timeout = AbortSignal.timeout(this.#config.handshakeTimeoutMs);
    const line = await this.#firstLine(AbortSignal.any([signal, timeout]));
    signal.throwIfAborted();
    if (line === null) {
      if (this.printed.ended) throw await this.failure("ended before it was ready");
      return this.#saidNothing();
    }
    const answer = parsed(line);
    if (answer?.status === "error")
      throw await this.failure(`is not ready: ${answer.message ?? "it does not say why"}`, { ending: true });
    if (answer?.status === "ready") return { acks: answer.acks === true };
    if (this.#config.handshake === true)
      throw await this.failure(`does not say that it is ready, but ${shown(line)}`, { ending: true });
    if (this.#role === "input" && answer === null)
      throw await this.failure(`prints what is no JSON: ${shown(line)}`, {
        ending: true,
        advice: "Standard output is for messages, one JSON value a line; what is for people goes to standard error.",
      });
    this.printed.unshift(line);
    return older;
  }

  /** Tells it to end. */
  async stop(graceMs: number): Promise<void> {
    if (this.#end !== null) return;
    signalGroup(this.child, "SIGTERM");
    await this.endWithin(graceMs);
  }

  /** Waits, and kills it where it takes too long. Answers whether it had to. */
  async endWithin(graceMs: number): Promise<boolean> {
    if (this.#end !== null) return false;
    let killed = false;
    const timer = setTimeout(() => {
      killed = true;
      this.kill();
    }, graceMs);
    await this.ended.finally(() => clearTimeout(timer));
    return killed;
  }

  kill(): void {
    this.killed = true;
    signalGroup(this.child, "SIGKILL");
    // Whoever has left its group may hold them open.
    this.printed.destroy();
    this.child.stderr.destroy();
  }

  /** Of it, with how it ended and the last that it said. `ending`: it is not waited for. */
  async failure(
    happened: string,
    { ending = false, advice, restart = true }: { ending?: boolean; advice?: string; restart?: boolean } = {},
  ): Promise<ProviderError> {
    if (!ending) await this.endWithin(1_000);
    const refused = this.#refused;
    const how = refused ? `: ${refused.message}` : ending ? "" : ` (${this.#howItEnded()})`;
    const last = this.#log.last;
    const said = last.length === 0 ? "" : `\n${last.map((line) => `    ${line}`).join("\n")}`;
    const message = `${this.#what} ${happened}${how}.${said && ` It said:${said}`}`;
    return new ProviderError(message, { advice, worthRestarting: restart });
  }

  #howItEnded(): string {
    if (this.#end === null) return "it still runs";
    const { code, signal } = this.#end;
    return signal === null ? `exit code ${code}` : `ended by ${signal}`;
  }

  async #saidNothing(): Promise<Handshake> {
    const within = `${this.#config.handshakeTimeoutMs / 1000} s`;
    const silent = `If it is an older provider, which says nothing when it is ready, write handshake = false in its block.`;
    if (this.#role === "input" || this.#config.handshake === true)
      throw await this.failure(`has printed nothing within ${within}`, { ending: true, advice: silent });
    this.#log.logger.warn(`has said nothing within ${within}: it is taken for an older provider. ${silent}`);
    return { acks: false };
  }

  /** With its line end; null at the end, or once the signal aborts. What is longer than any handshake is answered as far as it has come. */
  async #firstLine(signal: AbortSignal): Promise<Buffer | null> {
    let line = Buffer.alloc(0);
    for (;;) {
      const chunk = await this.printed.next(signal);
      if (chunk === null) break;
      const end = chunk.bytes.indexOf(10) + 1;
      line = Buffer.concat([line, end > 0 ? chunk.bytes.subarray(0, end) : chunk.bytes]);
      if (end > 0) this.printed.unshift(Buffer.from(chunk.bytes.subarray(end)));
      this.printed.done(chunk);
      if (end > 0) return line;
      if (line.length > LONGEST_HANDSHAKE) return line;
    }
    if (line.length > 0 && this.printed.ended) throw await this.failure("has ended in the middle of its first line");
    this.printed.unshift(line);
    return null;
  }
}

/** What to start. Throws ProviderError where it cannot be. */
export async function programOf(
  { program, args }: ProviderConfig,
  { builtIn, pull }: { builtIn: (name: string) => Program; pull: (ref: string) => Promise<string> },
): Promise<Program> {
  if ("builtIn" in program) {
    const own = builtIn(program.builtIn);
    return { ...own, args: [...own.args, ...args] };
  }
  const path = "path" in program ? program.path : await pull(program.ref);
  const found = await stat(path).catch(() => null);
  const no = (why: string, advice: string) => new ProviderError(why, { advice, worthRestarting: false });
  if (found === null)
    throw no(
      `There is no provider ${path}.`,
      "Look at provider_path: relative paths start at the configuration file's folder.",
    );
  if (!found.isFile()) throw no(`The provider ${path} is no file.`, "provider_path names the program itself.");
  if ([".js", ".mjs", ".ts", ".mts"].includes(extname(path)))
    return { command: process.execPath, args: [...NODE_ARGS, path, ...args] };
  const runs = await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!runs) throw no(`The provider ${path} may not be executed.`, `Let it: chmod +x ${path}`);
  return { command: path, args };
}

const NODE_ARGS = ["--disable-warning=ExperimentalWarning"];

function nameOf({ program }: ProviderConfig): string {
  if ("builtIn" in program) return program.builtIn;
  return "path" in program ? basename(program.path) : program.ref;
}

function parsed(line: Buffer): { status?: unknown; message?: unknown; acks?: unknown } | null {
  if (line.length > LONGEST_HANDSHAKE) return {};
  try {
    return JSON.parse(line.toString()) ?? {};
  } catch {
    return null;
  }
}

function shown(line: Buffer): string {
  const text = line.subarray(0, 200).toString().trim();
  return JSON.stringify(line.length > 200 ? `${text}…` : text);
}
