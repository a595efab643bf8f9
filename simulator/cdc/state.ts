/** What change data capture of a database knows beside its tables: for going back to a snapshot, and for a restart. */
import type { CaptureSettings } from "./capture-job.ts";
import type { CommandIdColumn } from "./captured-row.ts";
import { CAPTURE_DEFAULTS, type CdcDatabase, type Job } from "./cdc-database.ts";
import type { CleanupSettings } from "./cleanup-job.ts";
import type { PastLayout } from "./layouts.ts";

export interface CdcState {
  newInstances: Map<number, bigint>;
  captureJob: Job<CaptureSettings> | null;
  cleanupJob: Job<CleanupSettings> | null;
  startCapture: boolean;
  commandId: CommandIdColumn;
  layouts: Map<number, PastLayout[]>;
}

export function cdcState(cdc: CdcDatabase): CdcState {
  const { captureJob, cleanupJob, startCapture, commandId, layouts } = cdc;
  const { newInstances } = cdc.capture;
  return { newInstances, captureJob, cleanupJob, startCapture, commandId, layouts: layouts.past };
}

/** For a database that was just made; `resumeDatabase` follows when its rows are there. */
export function restoreCdc(cdc: CdcDatabase, state: CdcState): void {
  for (const [objectId, lsn] of state.newInstances) cdc.capture.newInstances.set(objectId, lsn);
  for (const [objectId, past] of state.layouts) cdc.layouts.past.set(objectId, past);
  cdc.captureJob = state.captureJob;
  cdc.cleanupJob = state.cleanupJob;
  cdc.startCapture = state.startCapture;
  cdc.commandId = state.commandId;
  // What sp_cdc_change_job chose goes before what the simulator was started with.
  const polling = state.captureJob?.settings.pollingInterval ?? CAPTURE_DEFAULTS.pollingInterval;
  if (polling !== CAPTURE_DEFAULTS.pollingInterval) cdc.capture.interval = polling * 1000;
}
