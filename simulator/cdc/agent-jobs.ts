/** The jobs of change data capture as SQL Server Agent sees them. */
import type { RowObject } from "../catalog/define.ts";
import type { Engine } from "../engine/engine.ts";
import { CdcDatabase } from "./cdc-database.ts";
import type { JobRun, Outcome } from "./job-runs.ts";
import { type JobType, jobName } from "./job-settings.ts";
import { toDatetime } from "./server-time.ts";

export interface AgentJob {
  cdc: CdcDatabase;
  type: JobType;
  id: string;
  name: string;
  running: boolean;
  /** Its last one, if it has run since the server started. */
  lastRun: JobRun | undefined;
}

interface Step {
  name: string;
  command: string;
}

/** What SQL Server's own procedures make of the two kinds, as job lists in bug reports show it. */
export const KINDS: Record<JobType, { description: string; category: number; steps: Step[]; schedule: RowObject }> = {
  capture: {
    description: "CDC Log Scan Job",
    category: 13,
    steps: [
      { name: "Starting Change Data Capture Collection Agent", command: "RAISERROR(22801, 10, -1)" },
      { name: "Change Data Capture Collection Agent", command: "sys.sp_MScdc_capture_job" },
    ],
    // When Agent starts.
    schedule: { name: "CDC capture agent schedule.", freq_type: 64 },
  },
  cleanup: {
    description: "CDC Cleanup Job",
    category: 16,
    steps: [{ name: "Change Data Capture Cleanup Agent", command: "sys.sp_MScdc_cleanup_job" }],
    // Daily at 2 in the morning.
    schedule: { name: "CDC cleanup agent schedule.", freq_type: 4, freq_interval: 1, active_start_time: 20_000 },
  },
};

/** https://learn.microsoft.com/sql/relational-databases/system-tables/dbo-sysjobhistory-transact-sql (run_status) */
export const RUN_STATUS: Record<Outcome, number> = { failed: 0, succeeded: 1, canceled: 3 };

export function* agentJobs(engine: Engine): Generator<AgentJob> {
  for (const database of engine.databases.values()) {
    const cdc = CdcDatabase.of(database);
    for (const type of ["capture", "cleanup"] as const) {
      const job = type === "capture" ? cdc.captureJob : cdc.cleanupJob;
      if (!job) continue;
      const running = type === "capture" && cdc.capture.running;
      yield { cdc, type, id: job.id, name: jobName(cdc, type), running, lastRun: cdc.runs.last(type) };
    }
  }
}

/** Agent's dates are numbers, yyyymmdd and hhmmss: 0 where there is none. */
export function agentDate(engine: Engine, instant: Date | undefined): { date: number; time: number } {
  if (!instant) return { date: 0, time: 0 };
  const local = new Date(instant.getTime() + engine.timeZone.offsetAt(instant.getTime()) * 60_000);
  return {
    date: local.getUTCFullYear() * 10_000 + (local.getUTCMonth() + 1) * 100 + local.getUTCDate(),
    time: local.getUTCHours() * 10_000 + local.getUTCMinutes() * 100 + local.getUTCSeconds(),
  };
}

/** hhmmss */
export function duration({ started, ended }: JobRun): number {
  const seconds = Math.floor(((ended ?? started).getTime() - started.getTime()) / 1000);
  return Math.floor(seconds / 3600) * 10_000 + (Math.floor(seconds / 60) % 60) * 100 + (seconds % 60);
}

export function nextRun(engine: Engine, type: JobType): Date | undefined {
  if (type === "capture") return undefined;
  const now = engine.now().getTime();
  const offset = engine.timeZone.offsetAt(now) * 60_000;
  const day = 86_400_000;
  const twoToday = Math.floor((now + offset) / day) * day + 2 * 3_600_000 - offset;
  return new Date(twoToday > now ? twoToday : twoToday + day);
}

export function optionalDatetime(engine: Engine, instant: Date | undefined) {
  return instant ? toDatetime(engine, instant) : null;
}
