/**
 * One table, and ingesters over it as processes of their own, that share it through a lock store: what the tests of zombies and the
 * benchmark of failover begin with. The ingest queue is the embedded one, and is read here as it fills.
 */
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SqlServerSimulator } from "../../simulator/index.ts";
import { comparePositions, type Position } from "../../src/change/position.ts";
import { DemoChild } from "../../src/demo/child.ts";
import type { StoredCheckpoint } from "../../src/ingester/checkpoint.ts";
import { SqlServerCheckpointStore } from "../../src/sources/sqlserver/checkpoint-store.ts";
import { parseConnectionString } from "../../src/sources/sqlserver/connection-string.ts";
import { silent } from "../../src/telemetry/logger.ts";
import { openTransport } from "../../src/transports/registry.ts";
import type { Entity, Transport } from "../../src/transports/transport.ts";
import { missingAzurite, startAzurite } from "./azurite.ts";
import { missingNats, startNats } from "./nats.ts";
import { TcpProxy } from "./proxy.ts";
import type { TestServer } from "./server.ts";

/** Of every lock store. */
export const LEASE_MS = 15_000;

/** Lock stores by their type; `start` is missing where they need no server of their own. */
export const lockStores: Readonly<
  Record<string, { missing: () => string | null; start?: () => Promise<TestServer>; block: string }>
> = {
  embedded: { missing: () => null, block: "" },
  sqlserver: { missing: () => null, block: "" },
  azure_blob: {
    missing: missingAzurite,
    start: startAzurite,
    block: `connection_string = "{{ env "LOCKS" }}"\n        container_name = "locks"`,
  },
  nats: { missing: missingNats, start: startNats, block: `connection_string = "{{ env "LOCKS" }}"` },
};

const DATABASE = "TestDB";
const TABLE = { schema: "dbo", table: "Events" };
const QUEUE: Entity = { kind: "queue", name: "ingest-queue" };

export interface Arrival {
  id: string;
  /** Of the row. */
  row: number;
  at: number;
}

export class SharedTable {
  readonly simulator: SqlServerSimulator;
  readonly folder: string;
  /** In the order in which they came; the queue itself drops repeats. */
  readonly arrived: Arrival[] = [];
  /** When the sampler has seen one that was behind an earlier one. */
  movedBack: string | null = null;
  inserted = 0;
  readonly #env: Record<string, string>;
  readonly #ingesters: SharingIngester[] = [];
  readonly #queue: Transport;
  readonly #checkpoints: SqlServerCheckpointStore;
  readonly #cleanup = new AsyncDisposableStack();
  readonly #stop = new AbortController();

  private constructor(simulator: SqlServerSimulator, folder: string, env: Record<string, string>, queue: Transport) {
    this.simulator = simulator;
    this.folder = folder;
    this.#env = env;
    this.#queue = queue;
    this.#checkpoints = new SqlServerCheckpointStore(
      parseConnectionString(simulator.connectionStringFor(DATABASE)),
      "cdc_offsets",
    );
  }

  /** `locks`: one of `lockStores`. */
  static async start(locks: string): Promise<SharedTable> {
    const { start, block } = lockStores[locks]!;
    const server = await start?.();
    const folder = await mkdtemp(join(tmpdir(), "dstream-shared-"));
    const simulator = await SqlServerSimulator.start({ databases: [DATABASE], captureInterval: 20 });
    await simulator.query("EXEC sys.sp_cdc_enable_db; CREATE TABLE dbo.Events (ID int NOT NULL PRIMARY KEY)", DATABASE);
    await simulator.query("EXEC sys.sp_cdc_enable_table N'dbo', N'Events', @role_name = NULL", DATABASE);
    await writeFile(
      join(folder, "dstream.hcl"),
      `ingester {
    db_type = "sqlserver"
    db_connection_string = "{{ env "DSTREAM_DB_CONNECTION_STRING" }}"
    poll_interval_defaults {
        poll_interval = "100ms"
        max_poll_interval = "200ms"
    }
    tables = ["Events"]
    locks {
        type = "${locks}"
        ${block}
    }
}
`,
    );
    const queue = await openTransport({ type: "embedded", path: join(folder, ".dstream", "queue.db") }, silent);
    const table = new SharedTable(simulator, folder, { LOCKS: server?.url ?? "" }, queue);
    table.#cleanup.defer(() => rm(folder, { recursive: true, force: true }));
    if (server !== undefined) table.#cleanup.defer(() => server.close());
    table.#cleanup.defer(() => simulator.close());
    table.#cleanup.defer(() => table.#checkpoints.close());
    table.#cleanup.defer(() => queue.close());
    await table.#checkpoints.prepare();
    const watching = Promise.all([table.#read(), table.#sample()]);
    table.#cleanup.defer(async () => {
      table.#stop.abort();
      await watching;
    });
    return table;
  }

  /** Started, behind a proxy of its own. Killed at the end. */
  async ingester(label: string): Promise<SharingIngester> {
    const proxy = await TcpProxy.start(this.simulator.port);
    this.#cleanup.defer(() => proxy.close());
    const ingester = new SharingIngester(label, this.folder, proxy, {
      ...this.#env,
      DSTREAM_DB_CONNECTION_STRING: proxy.through(this.simulator.connectionStringFor(DATABASE)),
    });
    this.#cleanup.defer(() => ingester.kill());
    this.#ingesters.push(ingester);
    ingester.process.start();
    return ingester;
  }

  /** One transaction each. */
  async insert(count: number): Promise<void> {
    for (let n = 0; n < count; n++)
      await this.simulator.query(`INSERT INTO dbo.Events VALUES (${++this.inserted})`, DATABASE);
  }

  /** Until the queue has had everything that was inserted. */
  async allArrived(): Promise<void> {
    await this.#until(() => this.arrived.length >= this.inserted, `the queue has ${this.inserted} changes`);
  }

  /** Answers whether a statement with such a text has begun since. */
  seen(text: string): () => boolean {
    let seen = false;
    const when = (statement: { text: string }) => {
      seen ||= statement.text.includes(text);
      return false;
    };
    this.simulator.faults.failStatements({ error: 1205, when });
    return () => seen;
  }

  async checkpoint(): Promise<StoredCheckpoint | null> {
    return await this.#checkpoints.load(TABLE);
  }

  /** Until its checkpoint stands at or behind the last change that the queue has had. */
  async allSaved(): Promise<StoredCheckpoint> {
    const { rows } = await this.simulator.query("SELECT sys.fn_cdc_get_max_lsn()", DATABASE);
    const max = Buffer.from(rows[0]![0] as Uint8Array)
      .toString("hex")
      .toUpperCase();
    let seen: StoredCheckpoint | null = null;
    await this.#until(async () => {
      seen = await this.checkpoint();
      return seen !== null && seen.position.startLsn.toUpperCase() >= max;
    }, `the checkpoint is at ${max}`);
    return seen!;
  }

  /** Messages that came to the queue again, and were dropped by their ids. */
  async repeats(): Promise<number> {
    return (await this.#queue.inspect!(QUEUE)).repeats;
  }

  async close(): Promise<void> {
    await this.#cleanup.disposeAsync();
  }

  /** Says what every ingester has logged last, where it was in vain. */
  async #until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
    await until(condition, what).catch((error: Error) => {
      const logs = this.#ingesters.map(({ process, died }) => `${died ?? process.label}\n${process.lastLines()}`);
      throw new Error(`${error.message}; it has ${this.arrived.length}.\n${logs.join("\n\n")}`);
    });
  }

  async #read(): Promise<void> {
    await this.#queue.ensure(QUEUE);
    const receiver = await this.#queue.receiver(QUEUE);
    for await (const delivery of receiver.deliveries(this.#stop.signal)) {
      const at = performance.now();
      for (const { id, body } of delivery.messages) {
        const { data } = JSON.parse(body.toString()) as { data: { ID: number } };
        this.arrived.push({ id, row: data.ID, at });
      }
      await delivery.complete();
    }
  }

  /** Looks at the stored checkpoint again and again: it, and its token, only ever go forwards. */
  async #sample(): Promise<void> {
    let last: { position: Position; token: number } | null = null;
    while (!this.#stop.signal.aborted) {
      const seen = await this.checkpoint().catch(() => null);
      if (seen !== null && last !== null) {
        const back = comparePositions(seen.position, last.position) < 0 || seen.token < last.token;
        if (back) this.movedBack ??= `from ${JSON.stringify(last)} to ${JSON.stringify(seen)}`;
      }
      if (seen !== null) last = { position: seen.position, token: seen.token };
      await sleep(20);
    }
  }
}

export class SharingIngester {
  readonly process: DemoChild;
  /** Between it and the database. */
  readonly proxy: TcpProxy;
  /** Why it ended, if nobody asked it to. */
  died: string | null = null;

  constructor(label: string, folder: string, proxy: TcpProxy, env: Record<string, string>) {
    this.proxy = proxy;
    this.process = new DemoChild("ingester", {
      label,
      config: join(folder, "dstream.hcl"),
      logFile: join(folder, `${label}.log`),
      cwd: folder,
      env,
      onDeath: (reason) => (this.died = reason),
    });
  }

  /** Whether it has, in its log. */
  said(what: RegExp): boolean {
    return what.test(readFileSync(this.process.logFile, "utf8"));
  }

  async kill(): Promise<void> {
    this.process.signal("SIGCONT");
    await this.process.end("SIGKILL");
  }
}

/** Rejects after two minutes. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const began = performance.now(); !(await condition()); await sleep(20))
    if (performance.now() - began > 120_000) throw new Error(`waited in vain until ${what}`);
}
