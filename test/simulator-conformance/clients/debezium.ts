/** Debezium's SQL Server connector in its embedded engine, one JVM for all connectors of a test file. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { debezium } from "../tools.ts";

export interface Source {
  snapshot: string;
  db: string;
  schema: string;
  table: string;
  change_lsn: string | null;
  commit_lsn: string;
  event_serial_no: number | null;
}

/** A change as Debezium reports it: op is r, c, u or d. */
export interface Change {
  topic: string;
  key: Row | null;
  op: string;
  before: Row | null;
  after: Row | null;
  source: Source;
  transaction: { id: string; total_order: number; data_collection_order: number } | null;
}

export type Row = Record<string, unknown>;

interface Event {
  topic: string;
  key: Row | null;
  value: Row | null;
}

/** Longer than anything takes here, also on a busy machine. */
const PATIENCE_MS = 60_000;

export class Debezium {
  readonly #child: ChildProcess;
  readonly #topics: string;
  readonly #events: Event[] = [];
  /** Why the connector ended; undefined while one runs. */
  #ended: string | undefined = "not started";
  #log = "";
  #heard: () => void = () => {};

  constructor(topics: string) {
    this.#topics = topics;
    const classPath = [debezium.classes, join(debezium.libraries, "*")].join(delimiter);
    const options = ["-Xmx512m", "-Xshare:auto", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"];
    this.#child = spawn("java", [...options, "-cp", classPath, "Debezium"]);
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.#log += text;
    });
    createInterface({ input: this.#child.stdout! }).on("line", (line) => this.#hear(line));
  }

  #hear(line: string): void {
    const heard = JSON.parse(line, exact as (key: string, value: unknown) => unknown) as Event | { ended: string };
    if ("ended" in heard) this.#ended = heard.ended;
    else this.#events.push(heard);
    this.#heard();
  }

  /** Starts a connector; what an earlier one told is forgotten. */
  start(properties: Record<string, string>): void {
    this.#events.length = 0;
    this.#ended = undefined;
    this.#child.stdin!.write(`${JSON.stringify(properties)}\n`);
  }

  /** Stops the connector, if one runs; its offsets are saved. */
  async stop(): Promise<void> {
    if (this.#ended !== undefined) return;
    this.#child.stdin!.write("\n");
    await this.#until(() => this.#ended !== undefined, "end");
  }

  /** Changes of tables so far, in the order in which they were told; without the tombstones that follow deletes. */
  get changes(): Change[] {
    return this.#events
      .filter(({ value }) => value !== null && "op" in value)
      .map(({ topic, key, value }) => ({ topic, key, ...value }) as unknown as Change);
  }

  /** Events of a topic of the connector's own: schema changes, transactions, heartbeats. */
  of(topic: string): Row[] {
    return this.#events.filter((event) => event.topic === topic).map(({ value }) => value!);
  }

  /** Of one table, written as it was in SQL. */
  changesOf(table: string): Change[] {
    return this.changes.filter(({ topic }) => topic === `${this.#topics}.${table}`);
  }

  /** Resolves when that many changes have been told. */
  async tells(count: number): Promise<Change[]> {
    await this.#until(() => this.changes.length >= count, `${count} changes`);
    return this.changes;
  }

  async until(reached: (told: this) => boolean, what: string): Promise<void> {
    await this.#until(() => reached(this), what);
  }

  async #until(reached: () => boolean, what: string): Promise<void> {
    const late = AbortSignal.timeout(PATIENCE_MS);
    while (!reached()) {
      if (late.aborted || (this.#ended !== undefined && what !== "end")) {
        const told = this.#events.map((event) => JSON.stringify(event, (_, v) => (typeof v === "bigint" ? `${v}` : v)));
        throw new Error(`Debezium did not reach: ${what}. ${this.#ended ?? ""}\n${told.join("\n")}\n${this.#log}`);
      }
      await Promise.race([
        new Promise<void>((resolve) => {
          this.#heard = resolve;
        }),
        new Promise<void>((resolve) => late.addEventListener("abort", () => resolve(), { once: true })),
      ]);
    }
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const closed = once(this.#child, "close");
    this.#child.stdin!.end();
    await closed;
  }
}

/** Numbers that a double does not hold become bigints. */
function exact(_: string, value: unknown, context: { source?: string }): unknown {
  return typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context.source ?? "")
    ? BigInt(context.source!)
    : value;
}
