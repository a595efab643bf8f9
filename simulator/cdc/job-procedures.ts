/**
 * The capture and cleanup jobs as SQL Server Agent's, and running a scan by hand.
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-add-job-transact-sql and its kin
 */
import { procedure, type RowObject, sendRows, view } from "../catalog/define.ts";
import type { Engine, EngineContext } from "../engine/engine.ts";
import type { Value } from "../engine/values.ts";
import { requireEnabled, requireOwner } from "./access.ts";
import type { CaptureSettings } from "./capture-job.ts";
import { CAPTURE_DEFAULTS, CdcDatabase, CLEANUP_DEFAULTS } from "./cdc-database.ts";
import type { CleanupSettings } from "./cleanup-job.ts";
import { cdcError } from "./errors.ts";
import { toDatetime } from "./server-time.ts";

type Args = Map<string, Value>;

const SETTINGS = `@maxtrans int = NULL, @maxscans int = NULL, @continuous bit = NULL, @pollinginterval bigint = NULL,
  @retention bigint = NULL, @threshold bigint = NULL`;

export function registerCdcJobs(engine: Engine): void {
  const procedures = [
    procedure(
      "sys",
      "sp_cdc_add_job",
      `@job_type nvarchar(20), @start_job bit = NULL, ${SETTINGS}, @check_for_logreader bit = NULL`,
      (context, args) => {
        const { cdc } = requireEnabled(context);
        requireOwner(context);
        if (jobType(args) === "cleanup") cdc.addCleanupJob(cleanupSettings(args, CLEANUP_DEFAULTS));
        else {
          cdc.addCaptureJob(captureSettings(args, CAPTURE_DEFAULTS));
          if (args.get("@start_job") !== false) cdc.start();
        }
        return 0;
      },
    ),
    procedure("sys", "sp_cdc_change_job", `@job_type nvarchar(20) = NULL, ${SETTINGS}`, (context, args) => {
      const { cdc } = requireEnabled(context);
      requireOwner(context);
      if (jobType(args) === "cleanup") {
        const job = cdc.cleanupJob ?? missing("cleanup");
        job.settings = cleanupSettings(args, job.settings);
      } else {
        const job = cdc.captureJob ?? missing("capture");
        job.settings = captureSettings(args, job.settings);
        const interval = args.get("@pollinginterval");
        if (typeof interval === "bigint") cdc.capture.interval = Number(interval) * 1000;
      }
      return 0;
    }),
    procedure("sys", "sp_cdc_drop_job", "@job_type nvarchar(20)", (context, args) => {
      const { cdc } = requireEnabled(context);
      requireOwner(context);
      if (jobType(args) === "cleanup") {
        if (!cdc.cleanupJob) missing("cleanup");
        cdc.cleanupJob = null;
      } else {
        if (!cdc.captureJob) missing("capture");
        cdc.capture.stop();
        cdc.captureJob = null;
      }
      return 0;
    }),
    procedure("sys", "sp_cdc_start_job", "@job_type nvarchar(20) = NULL", async (context, args) => {
      const { cdc } = requireEnabled(context);
      requireOwner(context);
      if (jobType(args) === "cleanup") {
        if (!cdc.cleanupJob) missing("cleanup");
        await cdc.runCleanup();
      } else {
        if (!cdc.captureJob) missing("capture");
        cdc.start();
      }
      return 0;
    }),
    procedure("sys", "sp_cdc_stop_job", "@job_type nvarchar(20) = NULL", (context, args) => {
      const { cdc } = requireEnabled(context);
      requireOwner(context);
      if (jobType(args) === "capture") cdc.stop();
      return 0;
    }),
    procedure("sys", "sp_cdc_help_jobs", "", async (context, _, sink) => {
      const { cdc } = requireEnabled(context);
      requireOwner(context);
      await sendRows(sink, HELP_JOBS, [...jobRows(cdc)]);
      return 0;
    }),
    procedure(
      "sys",
      "sp_cdc_scan",
      "@maxtrans int = NULL, @maxscans int = NULL, @continuous tinyint = NULL, @pollinginterval bigint = NULL, @is_from_job int = NULL",
      (context, args) => {
        const { cdc } = requireEnabled(context);
        requireOwner(context);
        if (args.get("@pollinginterval") && args.get("@continuous") !== 1) throw cdcError(22999);
        cdc.capture.run(
          captureSettings(new Map([...args].filter(([name]) => name.startsWith("@max"))), CAPTURE_DEFAULTS),
        );
        return 0;
      },
    ),
  ];
  for (const definition of procedures) engine.registerProcedure(definition);

  const msdb = engine.database("msdb")!;
  msdb.systemObjects.registerView(
    view("dbo", "cdc_jobs", CDC_JOBS, function* (context) {
      for (const database of context.engine.databases.values())
        for (const row of jobRows(CdcDatabase.of(database))) yield { ...row, database_id: database.id };
    }),
  );
  msdb.systemObjects.registerView(view("dbo", "sysjobs", SYSJOBS, agentJobs));
}

function missing(type: string): never {
  throw cdcError(22997, type);
}

function jobType(args: Args): "capture" | "cleanup" {
  const type = args.get("@job_type") ?? "capture";
  if (type === "capture" || type === "cleanup") return type;
  throw cdcError(22992, String(type));
}

function captureSettings(args: Args, now: CaptureSettings): CaptureSettings {
  if (args.get("@retention") != null) throw cdcError(22995);
  const maxTransactions = (args.get("@maxtrans") as number | null | undefined) ?? now.maxTransactions;
  const maxScans = (args.get("@maxscans") as number | null | undefined) ?? now.maxScans;
  const interval = args.get("@pollinginterval");
  const pollingInterval = typeof interval === "bigint" ? Number(interval) : now.pollingInterval;
  if (maxTransactions <= 0) throw cdcError(22991);
  if (maxScans <= 0) throw cdcError(22970);
  if (pollingInterval < 0 || pollingInterval > 86_400) throw cdcError(22990);
  const continuous = (args.get("@continuous") as boolean | null | undefined) ?? now.continuous;
  return { maxTransactions, maxScans, continuous, pollingInterval };
}

function cleanupSettings(args: Args, now: CleanupSettings): CleanupSettings {
  for (const name of ["@pollinginterval", "@maxtrans", "@maxscans", "@continuous"])
    if (args.get(name) != null) throw cdcError(22996);
  const retention = Number(args.get("@retention") ?? now.retention);
  const threshold = Number(args.get("@threshold") ?? now.threshold);
  if (retention <= 0 || retention > 52_594_800) throw cdcError(22994);
  if (threshold <= 0) throw cdcError(22850);
  return { retention, threshold };
}

const HELP_JOBS = `job_id uniqueidentifier, job_type nvarchar(20), job_name sysname, maxtrans int, maxscans int, continuous bit,
  pollinginterval bigint, retention bigint, threshold bigint`;
const CDC_JOBS = `database_id int!, job_type nvarchar(20)!, job_id uniqueidentifier, maxtrans int, maxscans int, continuous bit,
  pollinginterval bigint, retention bigint, threshold bigint`;

function* jobRows(cdc: CdcDatabase): Generator<RowObject> {
  const { captureJob, cleanupJob, database } = cdc;
  if (captureJob) {
    const { maxTransactions, maxScans, continuous, pollingInterval } = captureJob.settings;
    yield {
      job_id: captureJob.id,
      job_type: "capture",
      job_name: `cdc.${database.name}_capture`,
      maxtrans: maxTransactions,
      maxscans: maxScans,
      continuous,
      pollinginterval: BigInt(pollingInterval),
      retention: 0n,
      threshold: 0n,
    };
  }
  if (cleanupJob)
    yield {
      job_id: cleanupJob.id,
      job_type: "cleanup",
      job_name: `cdc.${database.name}_cleanup`,
      maxtrans: 0,
      maxscans: 0,
      continuous: false,
      pollinginterval: 0n,
      retention: BigInt(cleanupJob.settings.retention),
      threshold: BigInt(cleanupJob.settings.threshold),
    };
}

/** https://learn.microsoft.com/sql/relational-databases/system-tables/dbo-sysjobs-transact-sql */
const SYSJOBS = `job_id uniqueidentifier!, originating_server_id int!, name sysname!, enabled tinyint!, description nvarchar(512),
  start_step_id int!, category_id int!, owner_sid varbinary(85)!, notify_level_eventlog int!, notify_level_email int!,
  notify_level_netsend int!, notify_level_page int!, notify_email_operator_id int!, notify_netsend_operator_id int!,
  notify_page_operator_id int!, delete_level int!, date_created datetime!, date_modified datetime!, version_number int!`;

function* agentJobs({ engine }: EngineContext): Generator<RowObject> {
  for (const database of engine.databases.values())
    for (const job of jobRows(CdcDatabase.of(database)))
      yield {
        job_id: job["job_id"]!,
        name: job["job_name"]!,
        enabled: 1,
        description: job["job_type"] === "capture" ? "CDC Log Scan Job" : "CDC Cleanup Job",
        start_step_id: 1,
        category_id: job["job_type"] === "capture" ? 13 : 16,
        owner_sid: Buffer.from([1]),
        date_created: toDatetime(engine, engine.startTime),
        date_modified: toDatetime(engine, engine.startTime),
        version_number: 1,
      };
}
