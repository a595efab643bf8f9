/**
 * The capture and cleanup jobs as SQL Server Agent's, and running a scan by hand. Who calls is asked before where: SQL Server's
 * own procedures do it in that order, as sp_helptext shows them.
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-add-job-transact-sql and its kin
 */
import { setTimeout as delay } from "node:timers/promises";
import { procedure, type RowObject, sendRows, view } from "../catalog/define.ts";
import type { Engine, EngineContext } from "../engine/engine.ts";
import { type ResultSink, SqlError } from "../engine/session.ts";
import { isOwner, requireEnabled, requireOwner, requireOwnerWhereEnabled } from "./access.ts";
import { CdcDatabase } from "./cdc-database.ts";
import { cdcError, notice, refusedByAgent } from "./errors.ts";
import {
  changedCaptureSettings,
  cleanupSettings,
  type JobType,
  jobName,
  jobType,
  newCaptureSettings,
  scanSettings,
} from "./job-settings.ts";

const SETTINGS = `@maxtrans int = NULL, @maxscans int = NULL, @continuous bit = NULL, @pollinginterval bigint = NULL,
  @retention bigint = NULL, @threshold bigint = NULL`;

export function registerCdcJobs(engine: Engine): void {
  const procedures = [
    procedure(
      "sys",
      "sp_cdc_add_job",
      `@job_type nvarchar(20), @start_job bit = 1, ${SETTINGS}, @check_for_logreader bit = 0`,
      async (context, args, sink) => {
        const { cdc } = requireOwnerWhereEnabled(context);
        const type = jobType(args);
        if (type === "cleanup") cdc.addCleanupJob(cleanupSettings(args));
        else cdc.addCaptureJob(newCaptureSettings(args));
        if (args.get("@start_job") === true && !cdc.capture.running) await startJob(cdc, type, context, sink);
        return 0;
      },
    ),
    procedure("sys", "sp_cdc_change_job", `@job_type nvarchar(20) = N'capture', ${SETTINGS}`, (context, args) => {
      const { cdc } = requireOwnerWhereEnabled(context);
      const type = jobType(args);
      requireJob(cdc, type);
      if (type === "cleanup") cdc.cleanupJob!.settings = cleanupSettings(args, cdc.cleanupJob!.settings);
      else {
        const job = cdc.captureJob!;
        job.settings = changedCaptureSettings(args, job.settings);
        if (args.get("@pollinginterval") !== null) cdc.capture.interval = job.settings.pollingInterval * 1000;
      }
      return 0;
    }),
    procedure("sys", "sp_cdc_drop_job", "@job_type nvarchar(20)", (context, args) => {
      requireOwner(context);
      const cdc = CdcDatabase.of(context.database);
      const type = jobType(args);
      requireJob(cdc, type);
      if (type === "cleanup") cdc.cleanupJob = null;
      else cdc.dropCaptureJob();
      return 0;
    }),
    procedure("sys", "sp_cdc_start_job", "@job_type nvarchar(20) = N'capture'", async (context, args, sink) => {
      const { cdc } = requireOwnerWhereEnabled(context);
      const type = jobType(args);
      requireJob(cdc, type);
      await startJob(cdc, type, context, sink);
      return 0;
    }),
    procedure("sys", "sp_cdc_stop_job", "@job_type nvarchar(20) = N'capture'", (context, args, sink) => {
      const { cdc } = requireOwnerWhereEnabled(context);
      const type = jobType(args);
      requireJob(cdc, type);
      stopJob(cdc, type, context, sink);
      return 0;
    }),
    procedure("sys", "sp_cdc_help_jobs", "", async (context, _, sink) => {
      const { cdc } = requireOwnerWhereEnabled(context);
      await sendRows(sink, HELP_JOBS, [...jobRows(cdc)]);
      return 0;
    }),
    procedure(
      "sys",
      "sp_cdc_scan",
      `@maxtrans int = 500, @maxscans int = 10, @continuous tinyint = 0, @pollinginterval bigint = 0,
       @is_from_job int = 0`,
      async (context, args, _, signal) => {
        if (!isOwner(context))
          throw new SqlError(
            21050,
            "Only members of the sysadmin fixed server role or db_owner fixed database role can perform this operation.",
          );
        const { cdc } = requireEnabled(context);
        const settings = scanSettings(args);
        cdc.capture.run(settings);
        while (settings.continuous && !signal.aborted) {
          await delay(settings.pollingInterval * 1000, undefined, { signal }).catch(() => {});
          if (!signal.aborted) cdc.capture.run(settings);
        }
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
}

function requireJob(cdc: CdcDatabase, type: JobType): void {
  if (!(type === "capture" ? cdc.captureJob : cdc.cleanupJob)) throw cdcError(22997, type);
}

/** As SQL Server Agent starts it: error 22022 while it runs. */
export async function startJob(
  cdc: CdcDatabase,
  type: JobType,
  context: EngineContext,
  sink: ResultSink,
): Promise<void> {
  const name = jobName(cdc, type);
  if (type === "cleanup") await cdc.runCleanup();
  else if (cdc.capture.running) throw refusedByAgent("run", name, context.session.login.name);
  else cdc.start();
  notice(sink, 14243, name);
}

export function stopJob(cdc: CdcDatabase, type: JobType, context: EngineContext, sink: ResultSink): void {
  const name = jobName(cdc, type);
  if (type === "cleanup" || !cdc.capture.running) throw refusedByAgent("stop", name, context.session.login.name);
  cdc.stop();
  notice(sink, 14254, name);
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
