/**
 * The schedule of the cleanup jobs: "The cleanup job … runs daily at 2 A.M." of the server's time.
 * https://learn.microsoft.com/sql/relational-databases/track-changes/administer-and-monitor-change-data-capture-sql-server
 */
import type { Engine } from "../engine/engine.ts";
import { CdcDatabase } from "./cdc-database.ts";

const HOUR = 2 * 3_600_000;
const DAY = 24 * 3_600_000;
/** How often the server's clock is looked at. */
const LOOK_EVERY = 1000;

export class NightlyCleanup {
  readonly #engine: Engine;
  #timer: NodeJS.Timeout | undefined;
  /** The last of the days, each beginning at 2 o'clock, whose beginning was seen. */
  #day: number;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#day = this.#today();
  }

  get running(): boolean {
    return this.#timer !== undefined;
  }

  /** Nights that passed while it was stopped are not made up for. */
  start(): void {
    if (this.running) return;
    this.#day = this.#today();
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Runs the jobs if it was 2 o'clock since the last look. Resolves to the number of change rows deleted. */
  async look(): Promise<number> {
    const today = this.#today();
    if (today <= this.#day) return 0;
    this.#day = today;
    let deleted = 0;
    for (const database of this.#engine.databases.values()) {
      const cdc = CdcDatabase.of(database);
      if (cdc.enabled && cdc.cleanupJob) deleted += await cdc.runCleanup();
    }
    return deleted;
  }

  #today(): number {
    const now = this.#engine.now().getTime();
    return Math.floor((now + this.#engine.timeZone.offsetAt(now) * 60_000 - HOUR) / DAY);
  }
}
