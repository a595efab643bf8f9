/**
 * What the parameters of sys.sp_cdc_add_job, sys.sp_cdc_change_job and sys.sp_cdc_scan may be, checked in SQL Server's order.
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-add-job-transact-sql
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-change-job-transact-sql
 */
import type { Value } from "../engine/values.ts";
import type { CaptureSettings } from "./capture-job.ts";
import { CAPTURE_DEFAULTS, type CdcDatabase, CLEANUP_DEFAULTS } from "./cdc-database.ts";
import type { CleanupSettings } from "./cleanup-job.ts";
import { cdcError } from "./errors.ts";

type Args = Map<string, Value>;
export type JobType = "capture" | "cleanup";

/** 24 hours. */
const LONGEST_WAIT = 86_400n;
/** Minutes, as error 22994 has it. */
const LONGEST_RETENTION = 52_594_800n;

export function jobName({ database }: CdcDatabase, type: JobType): string {
  return `cdc.${database.name}_${type}`;
}

/** Blanks around it and its case do not matter. */
export function jobType(args: Args): JobType {
  const given = args.get("@job_type");
  const type = typeof given === "string" ? given.trim().toLowerCase() : null;
  if (type === "capture" || type === "cleanup") return type;
  throw cdcError(22992, given === null || given === undefined ? "(null)" : String(given));
}

export function newCaptureSettings(args: Args): CaptureSettings {
  refuseCleanupParameters(args);
  const continuous = flag(args, "@continuous") ?? CAPTURE_DEFAULTS.continuous;
  return checkedCapture(args, {
    ...CAPTURE_DEFAULTS,
    continuous,
    pollingInterval: continuous ? CAPTURE_DEFAULTS.pollingInterval : 0,
  });
}

/** A job that stops being continuous waits no longer, and one that gets a polling interval is continuous. */
export function changedCaptureSettings(args: Args, now: CaptureSettings): CaptureSettings {
  refuseCleanupParameters(args);
  const interval = args.get("@pollinginterval");
  const waits = typeof interval === "bigint" && interval > 0n;
  const continuous = flag(args, "@continuous") ?? (waits || now.continuous);
  return checkedCapture(args, { ...now, continuous, pollingInterval: continuous ? now.pollingInterval : 0 });
}

/** Of one call: how many scans of how many transactions each. */
export function scanSettings(args: Args): CaptureSettings {
  const continuous = args.get("@continuous");
  const interval = args.get("@pollinginterval");
  if (continuous !== 0 && continuous !== 1) throw cdcError(22998);
  if (continuous === 0 && interval !== null && interval !== 0n) throw cdcError(22999);
  if (continuous === 1 && (typeof interval !== "bigint" || interval < 0n || interval >= LONGEST_WAIT))
    throw cdcError(22990);
  const maxTransactions = args.get("@maxtrans");
  const maxScans = args.get("@maxscans");
  if (typeof maxTransactions !== "number" || maxTransactions <= 0) throw cdcError(22991);
  if (typeof maxScans !== "number" || maxScans <= 0) throw cdcError(22970);
  return { maxTransactions, maxScans, continuous: continuous === 1, pollingInterval: Number(interval ?? 0n) };
}

export function cleanupSettings(args: Args, now: CleanupSettings = CLEANUP_DEFAULTS): CleanupSettings {
  for (const name of ["@pollinginterval", "@maxtrans", "@maxscans", "@continuous"])
    if ((args.get(name) ?? null) !== null) throw cdcError(22996);
  const retention = args.get("@retention");
  const threshold = args.get("@threshold");
  if (typeof retention === "bigint" && (retention <= 0n || retention > LONGEST_RETENTION)) throw cdcError(22994);
  if (typeof threshold === "bigint" && threshold <= 0n) throw cdcError(22850);
  return { retention: Number(retention ?? now.retention), threshold: Number(threshold ?? now.threshold) };
}

function refuseCleanupParameters(args: Args): void {
  if ((args.get("@retention") ?? null) !== null || (args.get("@threshold") ?? null) !== null) throw cdcError(22995);
}

function checkedCapture(args: Args, base: CaptureSettings): CaptureSettings {
  const interval = args.get("@pollinginterval");
  if (typeof interval === "bigint" && (interval < 0n || interval >= LONGEST_WAIT)) throw cdcError(22990);
  const maxTransactions = args.get("@maxtrans");
  if (typeof maxTransactions === "number" && maxTransactions <= 0) throw cdcError(22991);
  const maxScans = args.get("@maxscans");
  if (typeof maxScans === "number" && maxScans <= 0) throw cdcError(22970);
  return {
    maxTransactions: (maxTransactions as number | null | undefined) ?? base.maxTransactions,
    maxScans: (maxScans as number | null | undefined) ?? base.maxScans,
    continuous: base.continuous,
    pollingInterval: Number(interval ?? base.pollingInterval),
  };
}

function flag(args: Args, name: string): boolean | null {
  const value = args.get(name);
  return typeof value === "boolean" ? value : null;
}
