/** Change data capture of one database: whether it is on, its jobs, and what capture remembers. */
import type { Engine } from "../engine/engine.ts";
import type { Database } from "../engine/storage.ts";
import type { Table } from "../engine/table.ts";
import { type CaptureInterval, CaptureJob, type CaptureSettings } from "./capture-job.ts";
import type { CommandIdColumn } from "./captured-row.ts";
import { type CleanupSettings, cleanUp } from "./cleanup-job.ts";
import { type CaptureInstance, type CdcTables, captureInstances, cdcTables } from "./instances.ts";
import { JobRuns } from "./job-runs.ts";
import { Layouts } from "./layouts.ts";

export interface CdcOptions {
  /** Milliseconds between the capture job's cycles, "immediate" for inside each commit; 5000 by default. */
  captureInterval?: CaptureInterval;
}

/** https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-add-job-transact-sql */
export const CAPTURE_DEFAULTS: CaptureSettings = {
  maxTransactions: 500,
  maxScans: 10,
  continuous: true,
  pollingInterval: 5,
};
export const CLEANUP_DEFAULTS: CleanupSettings = { retention: 4320, threshold: 5000 };

const options = new WeakMap<Engine, CdcOptions>();
/** Where a database has its CdcDatabase. */
export const CDC_PROPERTY = "change data capture";

export function setCdcOptions(engine: Engine, chosen: CdcOptions): void {
  options.set(engine, chosen);
}

export interface Job<Settings> {
  id: string;
  settings: Settings;
}

export class CdcDatabase {
  readonly database: Database;
  readonly layouts = new Layouts();
  readonly capture: CaptureJob;
  readonly runs = new JobRuns();
  captureJob: Job<CaptureSettings> | null = null;
  cleanupJob: Job<CleanupSettings> | null = null;
  /** False when the job was stopped before there was one. */
  startCapture = true;
  /** What change tables made from now on have. */
  commandId: CommandIdColumn = "current";

  private constructor(database: Database) {
    this.database = database;
    this.capture = new CaptureJob(database, this.layouts, options.get(database.engine)?.captureInterval ?? 5000);
  }

  static of(database: Database): CdcDatabase {
    let found = database.properties.get(CDC_PROPERTY) as CdcDatabase | undefined;
    if (!found) {
      found = new CdcDatabase(database);
      database.properties.set(CDC_PROPERTY, found);
    }
    return found;
  }

  get enabled(): boolean {
    return this.tables !== undefined;
  }

  get tables(): CdcTables | undefined {
    return cdcTables(this.database);
  }

  /** As committed. */
  instances(): CaptureInstance[] {
    const { tables } = this;
    if (!tables) return [];
    return this.database.systemTransaction(({ snapshot }) => captureInstances(this.database, tables, snapshot));
  }

  get captureSettings(): CaptureSettings {
    return this.captureJob?.settings ?? CAPTURE_DEFAULTS;
  }

  start(): void {
    this.startCapture = true;
    if (!this.enabled || this.capture.running) return;
    this.runs.begin("capture", this.database.engine.now());
    this.capture.start({ ...this.captureSettings });
    if (!this.capture.running) this.runs.end("capture", this.database.engine.now(), "succeeded");
  }

  stop(): void {
    this.startCapture = false;
    this.#endCapture();
  }

  #endCapture(): void {
    this.capture.stop();
    this.runs.end("capture", this.database.engine.now(), "canceled");
  }

  /** One cycle of the capture job. */
  run(): number {
    return this.capture.run(this.captureSettings);
  }

  /** For an immediate job: something other than a commit gave it work. */
  nudge(): void {
    if (this.capture.immediate && this.capture.running) this.run();
  }

  addCaptureJob(settings: CaptureSettings): void {
    this.captureJob = { id: newId(this.database.engine), settings };
  }

  addCleanupJob(settings: CleanupSettings): void {
    this.cleanupJob = { id: newId(this.database.engine), settings };
  }

  dropCaptureJob(): void {
    this.#endCapture();
    this.captureJob = null;
  }

  /** Returns what brings them back. */
  dropJobs(): () => void {
    const { captureJob, cleanupJob } = this;
    const { running } = this.capture;
    this.dropCaptureJob();
    this.cleanupJob = null;
    return () => {
      this.captureJob = captureJob;
      this.cleanupJob = cleanupJob;
      if (running) this.start();
    };
  }

  async runCleanup(request: { lowWatermark?: bigint; raised?: () => Promise<void> } = {}): Promise<number> {
    const { engine } = this.database;
    this.runs.begin("cleanup", engine.now());
    const deleted = await cleanUp(this.database, { ...(this.cleanupJob?.settings ?? CLEANUP_DEFAULTS), ...request });
    this.runs.end("cleanup", engine.now(), "succeeded");
    return deleted;
  }

  /** DDL hooks of a database that has been enabled; they find out themselves whether it still is. */
  tracked(table: Table): boolean {
    return table.trackedByCdc && this.enabled;
  }
}

export function newId(engine: Engine): string {
  const bytes = engine.randomBytes(16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString("hex").toUpperCase();
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
