/**
 * The capture job of one database.
 *
 *   stopped ──start──▶ running ──stop──▶ stopped
 *
 * It reads its settings when it starts, so that changing them takes effect with the next start. Running, it makes a cycle of up
 * to `maxScans` scans of `maxTransactions` each, then waits for the polling interval; with the interval "immediate" it makes one
 * inside each commit instead, so that a change is in its change table when the commit returns. A job that is not continuous makes
 * one cycle and ends. `run` makes one cycle by hand, running or not. A scan that fails undoes all it did, and is tried again.
 *
 * A scan that finds nothing writes an entry without a transaction (tran_id 0x00) into cdc.lsn_time_mapping, if the last entry is
 * more than 300 s old by the server's clock:
 * https://learn.microsoft.com/sql/relational-databases/track-changes/work-with-change-data-sql-server
 * While the table is empty it waits for nothing: connectors wait for a maximum LSN after enabling a table, before anything changes
 * (waitForMaxLsnAvailable of Debezium's integration tests, for one).
 */
import { SqlError } from "../engine/session.ts";
import type { Database } from "../engine/storage.ts";
import type { Table } from "../engine/table.ts";
import type { Temporal } from "../engine/values.ts";
import { scanLog } from "./capture-scan.ts";
import { cdcTables } from "./instances.ts";
import type { Layouts } from "./layouts.ts";
import { END_TIME, entryWithoutTransaction, latestEntry } from "./lsn-time-mapping.ts";
import { ScanSessions } from "./scan-sessions.ts";
import { secondsBetween, toDatetime } from "./server-time.ts";

export interface CaptureSettings {
  maxTransactions: number;
  maxScans: number;
  continuous: boolean;
  /** Seconds. */
  pollingInterval: number;
}

/** Milliseconds between cycles, or a cycle inside each commit. */
export type CaptureInterval = number | "immediate";

const IDLE_SECONDS = 300;
/** How often an immediate job looks whether it is idle. */
const IDLE_CHECK = 5000;

export class CaptureJob {
  readonly sessions = new ScanSessions();
  /** By change table: low endpoints that no entry of cdc.lsn_time_mapping tells the time of yet. */
  readonly newInstances = new Map<number, bigint>();
  /** Enabling tables that has not been committed: until it is, nothing is captured that they might miss. */
  heldBy = 0;
  readonly #database: Database;
  readonly #layouts: Layouts;
  #interval: CaptureInterval;
  #timer: NodeJS.Timeout | undefined;
  #unlisten: (() => void) | undefined;
  #scanning = false;

  constructor(database: Database, layouts: Layouts, interval: CaptureInterval) {
    this.#database = database;
    this.#layouts = layouts;
    this.#interval = interval;
  }

  get running(): boolean {
    return this.#timer !== undefined;
  }

  get immediate(): boolean {
    return this.#interval === "immediate";
  }

  /** Takes effect when the job is started next. */
  set interval(interval: CaptureInterval) {
    this.#interval = interval;
  }

  start(settings: CaptureSettings): void {
    if (this.running) return;
    const cycle = () => {
      this.run(settings);
    };
    if (!settings.continuous) {
      cycle();
      return;
    }
    const milliseconds = this.#interval === "immediate" ? IDLE_CHECK : Math.max(1, this.#interval);
    this.#timer = setInterval(cycle, milliseconds);
    this.#timer.unref();
    if (this.#interval !== "immediate") return;
    this.#unlisten = this.#database.onCommit(cycle);
    cycle();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#unlisten?.();
    this.#unlisten = undefined;
  }

  /** One cycle. Returns how many transactions it took from the log. */
  run(settings: CaptureSettings): number {
    if (this.#scanning || this.heldBy > 0) return 0;
    this.#scanning = true;
    let transactions = 0;
    try {
      const scans = this.immediate && this.running ? Number.POSITIVE_INFINITY : settings.maxScans;
      for (let scan = 0; scan < scans; scan++) {
        const taken = this.#scan(settings.maxTransactions);
        transactions += taken;
        if (taken === 0) break;
      }
    } finally {
      this.#scanning = false;
    }
    return transactions;
  }

  #scan(maxTransactions: number): number {
    const { engine } = this.#database;
    const tables = cdcTables(this.#database);
    if (!tables) return 0;
    const startTime = engine.now();
    try {
      const result = scanLog({
        database: this.#database,
        tables,
        layouts: this.#layouts,
        newInstances: this.newInstances,
        maxTransactions,
      });
      this.sessions.ended(startTime, engine.now(), result);
      if (result.transactions === 0) this.#noteIdleness(tables.lsnTimeMapping);
      return result.transactions;
    } catch (error) {
      const failure = error instanceof SqlError ? error : new SqlError(22859, String(error));
      this.sessions.failed(startTime, engine.now(), failure);
      return 0;
    }
  }

  #noteIdleness(mapping: Table): void {
    const { engine, lsn } = this.#database;
    const now = toDatetime(engine, engine.now());
    this.#database.systemTransaction((system) => {
      const latest = latestEntry(mapping, system.snapshot);
      if (latest && secondsBetween(latest[END_TIME] as Temporal, now) <= IDLE_SECONDS) return;
      const at = lsn.append(84);
      lsn.flush();
      system.insert(mapping, entryWithoutTransaction(at, now));
    });
  }
}
