/**
 * A world of plain arrays around the ingester: a database with change tables, a checkpoint store, a lock store, a queue. The
 * World is what is durable; a Host is one process in it, whose every call of a contract can be made to fail, to hang or to
 * be its last.
 */
import assert from "node:assert/strict";
import { type Message, messageSize } from "../../src/change/message.ts";
import { ListedRun } from "../../src/change/message-run.ts";
import {
  afterTransaction,
  beforeTransaction,
  comparePositions,
  type Lsn,
  type Position,
} from "../../src/change/position.ts";
import { FencedError, GapError, HistoryError, TransportError } from "../../src/errors.ts";
import type { Checkpoint, CheckpointStore, StoredCheckpoint, TableName } from "../../src/ingester/checkpoint.ts";
import { fullName } from "../../src/ingester/checkpoint.ts";
import { Ingester, type IngesterSettings } from "../../src/ingester/ingester.ts";
import type { Progress } from "../../src/ingester/progress.ts";
import type { ChangeReader, Source, SourceTable } from "../../src/ingester/source.ts";
import type { MonitorSettings } from "../../src/ingester/table-monitor.ts";
import type { LockStore } from "../../src/locks/lock.ts";
import { type Logger, silent } from "../../src/telemetry/logger.ts";
import type { Limits, Transport } from "../../src/transports/transport.ts";
import { VirtualClock } from "./virtual-clock.ts";

export const LEASE = 30_000;

export function lsn(number: number): Lsn {
  return number.toString(16).padStart(20, "0");
}

interface Change {
  position: Position;
  message: Message;
}

interface FakeTable {
  table: SourceTable;
  changes: Change[];
  lowWatermark: Lsn;
}

export class World {
  readonly clock = new VirtualClock();
  readonly tables = new Map<string, FakeTable>();
  readonly stored = new Map<string, { checkpoint: Checkpoint | null; token: number }>();
  /** What stops tables, by their names. */
  readonly failures = new Map<string, string>();
  readonly owners = new Map<string, { host: Host; token: number; since: Date }>();
  /** All that the queue has accepted, in order. */
  readonly queue: Message[] = [];
  readonly entities: string[] = [];
  readonly deadLetters: { position: Position; reason: string; message: Message }[] = [];
  /** Number of the last commit. */
  last = 0;
  /** What "now" meant when somebody asked. */
  start: "low_watermark" | "now" = "low_watermark";
  limits: Limits = { maxMessageBytes: 1_000_000, maxSendBytes: 1_000_000 };
  /** Whether the checkpoint store is part of the queue's system. */
  together = false;

  constructor(tables: readonly string[]) {
    for (const name of tables) this.addTable(name);
    this.commit();
  }

  /** From now on it is captured. */
  addTable(name: string): void {
    const [schema, table] = name.includes(".") ? (name.split(".") as [string, string]) : ["dbo", name];
    const names = {
      schema,
      table,
      lockName: `${LOCK_PREFIX}${schema}.${table}`,
      destination: `server.db.${table}.events`,
    };
    this.tables.set(`${schema}.${table}`, { table: names, changes: [], lowWatermark: lsn(this.last + 1) });
  }

  table(name: string): FakeTable {
    const found = this.tables.get(name.includes(".") ? name : `dbo.${name}`);
    assert.ok(found, `no table ${name}`);
    return found;
  }

  /** One transaction: a change for every name given, each with a body of about so many bytes. Answers its LSN. */
  commit(names: readonly string[] = [], bytes = 100): Lsn {
    const startLsn = lsn(++this.last);
    for (const [index, name] of names.entries()) {
      const { table, changes } = this.table(name);
      const position = { startLsn, commandId: 1, seqval: lsn(index + 1), operation: 2 };
      const id = `${fullName(table)}-${startLsn}-${index}`;
      const properties = {
        Destination: table.destination,
        TableName: table.table,
        OperationType: "Insert",
        LSN: startLsn,
      };
      const metadata = { ...properties, OperationID: 2, Schema: table.schema, CommandID: 1, Seq: position.seqval };
      const body = Buffer.from(JSON.stringify({ data: { id, pad: "x".repeat(bytes) }, metadata }));
      changes.push({ position, message: { id, key: fullName(table), body, properties } });
    }
    return startLsn;
  }

  /** The cleanup job. */
  cleanup(name: string, upTo: Lsn): void {
    const table = this.table(name);
    table.lowWatermark = upTo;
    table.changes = table.changes.filter(({ position }) => position.startLsn >= upTo);
  }

  commitTime(at: Lsn): string {
    return new Date(Date.UTC(2026, 0, 1) + Number.parseInt(at, 16) * 1000).toISOString().slice(0, 23);
  }

  position(name: string): Position | undefined {
    return this.stored.get(this.table(name).table.lockName)?.checkpoint?.position;
  }

  delivered(name: string): string[] {
    const key = fullName(this.table(name).table);
    return this.queue.filter((message) => message.key === key).map(({ id }) => id);
  }

  /** Ids in the order of their first delivery. */
  firsts(name: string): string[] {
    return [...new Set(this.delivered(name))];
  }

  get complete(): boolean {
    return [...this.tables.values()].every(({ table, changes }) => {
      const letters = this.deadLetters.map(({ message }) => message).filter(({ key }) => key === fullName(table));
      return new Set([...this.delivered(fullName(table)), ...letters.map(({ id }) => id)]).size >= changes.length;
    });
  }

  /** Nothing lost or changed, order kept, repeats only under the same id, no checkpoint ahead of what was delivered. */
  verify(): void {
    const letters = this.deadLetters.map(({ message }) => message);
    const changed = [...this.tables.values()].flatMap(({ changes }) => changes.map(({ message }) => message));
    const bodies = new Map(changed.map(({ id, body }) => [id, body]));
    for (const { id, body } of [...this.queue, ...letters])
      assert.equal(body.toString(), bodies.get(id)?.toString(), id);
    for (const [name, { changes, table }] of this.tables) {
      const committed = changes.map(({ message }) => message.id);
      const refused = new Set(letters.map(({ id }) => id));
      const wanted = committed.filter((id) => !refused.has(id));
      assert.deepEqual(this.firsts(name), wanted, `changes of ${name}`);
      const position = this.stored.get(table.lockName)?.checkpoint?.position;
      const delivered = new Set([...this.delivered(name), ...refused]);
      for (const change of changes) {
        if (position === undefined || comparePositions(change.position, position) > 0) continue;
        assert.ok(delivered.has(change.message.id), `${name}: the checkpoint is ahead of ${change.message.id}`);
      }
    }
  }
}

/** Its messages' bodies are a reader's own buffers, of which nothing is left once it has them back. */
class LentRun extends ListedRun {
  constructor(messages: readonly Message[]) {
    super(messages.map(copyOf));
  }

  override release(): void {
    for (const { body } of this.messages()) body.fill(0);
  }
}

function copyOf(message: Message): Message {
  return { ...message, body: Buffer.from(message.body) };
}

export type Fault = (
  call: number,
  name: string,
  moment: "before" | "after",
) => undefined | "die" | Error | Promise<void>;

const LOCK_PREFIX = "server/db/";

/** Its lease never ends by the wall clock, which does not move here. */
const NOBODY = { host: "", pid: 0, since: new Date(0), expires: new Date(8.64e15) };

/** One process. */
export class Host {
  readonly world: World;
  readonly calls: string[] = [];
  readonly progress: Progress[] = [];
  readonly stop = new AbortController();
  dead = false;
  fault: Fault | undefined;
  /** How many commits the connection that asks for the maximum lags behind. */
  lag = 0;
  /** What the queue finds too large only when it is sent. */
  refuse: (message: Message) => boolean = () => false;
  #locks = new Map<string, AbortController>();

  constructor(world: World, fault?: Fault) {
    this.world = world;
    this.fault = fault;
  }

  count(name: string): number {
    return this.calls.filter((call) => call.startsWith(name)).length;
  }

  start(settings: HostSettings = {}): Promise<void> {
    const { table, logger, destinations, ...rest } = settings;
    const tableDefaults = { pollIntervalMs: 5_000, maxPollIntervalMs: 60_000, onGap: "fail" as const };
    const transport = this.transport();
    const ingester = new Ingester({
      source: this.source(),
      checkpoints: this.checkpoints(),
      locks: this.locks(),
      transport,
      queue: { kind: "queue", name: "ingest-queue" },
      ...(destinations && {
        destinations: {
          transport,
          entity: ({ destination }: SourceTable) =>
            ({ kind: "topic", name: destination, subscription: "sub1" }) as const,
        },
      }),
      settings: {
        table: (name) => ({ ...tableDefaults, ...(typeof table === "function" ? table(name) : table) }),
        group: "all",
        messages: "row",
        onOversize: "stop",
        maxConcurrentTables: 4,
        maxBatchRows: 1000,
        maxBatchBytes: 1_000_000,
        maxInFlightBytes: 64_000_000,
        ...rest,
      },
      deadLetters: {
        append: ({ position, reason, message }) =>
          this.#call(
            "deadLetters.append",
            () => void this.world.deadLetters.push({ position, reason, message: copyOf(message) }),
          ),
      },
      logger: logger ?? silent,
      onProgress: (progress) => this.progress.push(progress),
      clock: this.world.clock,
      random: () => 0.5,
    });
    return ingester.run(this.stop.signal);
  }

  /** As by SIGKILL: no call comes back, its locks are free when their leases end. */
  die(): void {
    this.dead = true;
    const { owners, clock } = this.world;
    for (const [name, owner] of owners) {
      if (owner.host !== this) continue;
      clock.at(clock.now() + LEASE, () => owners.get(name) === owner && owners.delete(name));
    }
  }

  /** Cannot renew any more: the owner is told before the lease ends. */
  loseLock(name: string): void {
    const lockName = this.world.table(name).table.lockName;
    if (this.world.owners.get(lockName)?.host !== this) return;
    this.world.owners.delete(lockName);
    this.#locks.get(lockName)?.abort(new Error("lease not renewed"));
  }

  /** Cannot renew anything any more: as a process that was stopped for longer than its leases, and is asked again now. */
  loseLocks(): void {
    const { owners } = this.world;
    for (const [name, { host }] of [...owners]) {
      if (host !== this) continue;
      owners.delete(name);
      this.#locks.get(name)?.abort(new Error("lease not renewed"));
    }
  }

  /** A call of a contract: it may fail, die or hang before its effect, or after it and before the answer. */
  async #call<T>(name: string, effect: () => T): Promise<T> {
    this.calls.push(name);
    const number = this.calls.length;
    await this.#suffer(number, name, "before");
    const answer = effect();
    await this.#suffer(number, name, "after");
    return answer;
  }

  async #suffer(number: number, name: string, moment: "before" | "after"): Promise<void> {
    await Promise.resolve();
    const fault = this.dead ? undefined : this.fault?.(number, name, moment);
    if (fault === "die") this.die();
    if (this.dead) await new Promise(() => {});
    if (fault instanceof Error) throw fault;
    await fault;
    if (this.dead) await new Promise(() => {});
  }

  source(): Source {
    const { world } = this;
    const maximum = () => lsn(world.last - this.lag);
    return {
      lockPrefix: LOCK_PREFIX,
      tables: () => this.#call("source.tables", () => [...world.tables.values()].map(({ table }) => table)),
      maximum: () =>
        this.#call("source.maximum", () =>
          world.last === 0 ? null : { lsn: maximum(), commitTime: world.commitTime(maximum()) },
        ),
      changed: (tables, upTo) =>
        this.#call("source.changed", () =>
          tables
            .filter(({ table, after }) =>
              world.table(fullName(table)).changes.some(({ position }) => {
                return position.startLsn <= upTo && comparePositions(position, after) > 0;
              }),
            )
            .map(({ table }) => table),
        ),
      start: (table, _signal, appeared) =>
        this.#call("source.start", () =>
          world.start === "now" && !appeared
            ? afterTransaction(maximum())
            : beforeTransaction(world.table(fullName(table)).lowWatermark),
        ),
      reader: (table, from) => this.#reader(world.table(fullName(table)), from),
      close: async () => {},
    };
  }

  #reader(fake: FakeTable, from: Checkpoint): ChangeReader {
    const { world } = this;
    const name = fullName(fake.table);
    let at = from.position;
    let first = true;
    const inHistory = () => {
      const { startLsn } = at;
      if (first && startLsn > lsn(world.last))
        throw new HistoryError(`The checkpoint of ${name} is above the maximum LSN.`);
      if (startLsn < fake.lowWatermark) throw new GapError(name, startLsn, fake.lowWatermark, "Set the checkpoint.");
      first = false;
    };
    return {
      read: (limit) =>
        this.#call(`reader.read ${name}`, () => {
          inHistory();
          const messages: Message[] = [];
          let bytes = 0;
          let more = false;
          for (const { position, message } of fake.changes) {
            if (comparePositions(position, at) <= 0 || position.startLsn > limit.upTo) continue;
            const size = messageSize(message);
            more = messages.length === limit.maxRows || (messages.length > 0 && bytes + size > limit.maxBytes);
            if (more) break;
            messages.push(message);
            bytes += size;
            at = position;
          }
          if (messages.length === limit.maxRows) more = true;
          if (!more) at = afterTransaction(limit.upTo);
          return { changes: new LentRun(messages), position: at, commitTime: world.commitTime(at.startLsn), more };
        }),
      skipGap: () =>
        this.#call(`reader.skipGap ${name}`, () => {
          const gap = { from: at.startLsn, to: fake.lowWatermark };
          at = beforeTransaction(fake.lowWatermark);
          return gap;
        }),
      close: async () => {},
    };
  }

  checkpoints(): CheckpointStore {
    const { stored, tables } = this.world;
    const rowOf = (table: TableName) => {
      const { lockName } = tables.get(fullName(table))!.table;
      const row = stored.get(lockName) ?? { checkpoint: null, token: 0 };
      stored.set(lockName, row);
      return row;
    };
    const write = (table: TableName, checkpoint: Checkpoint, token: number): boolean => {
      const row = rowOf(table);
      if (row.token !== token) return false;
      row.checkpoint = checkpoint;
      return true;
    };
    return {
      prepare: () => this.#call("checkpoints.prepare", () => {}),
      claim: (table, atLeast) =>
        this.#call(`checkpoints.claim ${fullName(table)}`, () => {
          const row = rowOf(table);
          row.token = Math.max(atLeast, row.token + 1);
          return { token: row.token, checkpoint: row.checkpoint };
        }),
      save: (table, checkpoint, token) =>
        this.#call(`checkpoints.save ${fullName(table)}`, () => {
          if (!write(table, checkpoint, token)) throw new FencedError(`${fullName(table)} has a newer owner`);
        }),
      ...(this.world.together && {
        sendAndSave: (messages, table, checkpoint, token) =>
          this.#call(`checkpoints.sendAndSave ${fullName(table)}`, () => {
            const before = rowOf(table).checkpoint;
            if (!write(table, checkpoint, token)) throw new FencedError(`${fullName(table)} has a newer owner`);
            const isDone = before !== null && comparePositions(before.position, checkpoint.position) === 0;
            if (!isDone) this.world.queue.push(...messages.map(copyOf));
          }),
      }),
      saveAll: (entries) =>
        this.#call(`checkpoints.saveAll ${entries.length}`, () =>
          entries.filter(({ table, checkpoint, token }) => !write(table, checkpoint, token)).map(({ table }) => table),
        ),
      load: (table) =>
        this.#call("checkpoints.load", () => {
          const row = rowOf(table);
          return (
            row.checkpoint &&
            ({ table, ...row.checkpoint, token: row.token, updatedAt: new Date(0) } as StoredCheckpoint)
          );
        }),
      list: async () => [],
      noteFailure: async (table, error) => {
        if (error === null) this.world.failures.delete(fullName(table));
        else this.world.failures.set(fullName(table), error);
      },
      failures: async () => [],
      force: async (table, checkpoint) => {
        const row = rowOf(table);
        row.checkpoint = checkpoint;
        row.token++;
      },
      close: async () => {},
    };
  }

  locks(): LockStore {
    const { owners, clock } = this.world;
    return {
      type: "fake",
      acquire: async (name) => {
        const owner = { host: this, token: clock.now() + 1, since: new Date(clock.now()) };
        const free = () => void (owners.get(name) === owner && owners.delete(name));
        const expire = (error: unknown) => {
          clock.at(clock.now() + LEASE, free);
          throw error;
        };
        const controller = new AbortController();
        const take = () => owners.has(name) || void owners.set(name, owner);
        if (await this.#call(`locks.acquire ${name}`, take).catch(expire)) return null;
        this.#locks.set(name, controller);
        return {
          name,
          token: owner.token,
          lost: controller.signal,
          release: () => this.#call(`lock.release ${name}`, free).catch(expire),
        };
      },
      owner: async () => null,
      owners: (prefix) =>
        this.#call("locks.owners", () => {
          const mine = [...owners].filter(([name]) => name.startsWith(prefix));
          return new Map(mine.map(([name, { token, since }]) => [name, { ...NOBODY, token, since }]));
        }),
      close: async () => {},
    };
  }

  transport(): Transport {
    const { world } = this;
    return {
      type: "fake",
      limits: world.limits,
      traits: { deduplicates: false, keepsOrder: true },
      ensure: ({ name }) => this.#call(`transport.ensure ${name}`, () => void world.entities.push(name)),
      exists: async () => true,
      sender: () =>
        this.#call("transport.sender", () => {
          const sending = new Set<string>();
          return {
            send: async (messages: readonly Message[]) => {
              const key = messages[0]!.key;
              if (messages.some(this.refuse)) throw new TransportError("too_large", "the queue says: too large");
              assert.ok(!sending.has(key), `two sends at once for ${key}`);
              sending.add(key);
              await this.#call(`sender.send ${key}`, () => void world.queue.push(...messages.map(copyOf))).finally(() =>
                sending.delete(key),
              );
            },
            close: async () => {},
          };
        }),
      receiver: () => Promise.reject(new Error("the ingester receives nothing")),
      close: async () => {},
    };
  }
}

export type HostSettings = Partial<Omit<IngesterSettings, "table">> & {
  table?: Partial<MonitorSettings> | ((name: TableName) => Partial<MonitorSettings>);
  logger?: Logger;
  /** Whether destinations are to be made sure of. */
  destinations?: boolean;
};
