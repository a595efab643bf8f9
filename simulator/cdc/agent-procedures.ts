/**
 * Procedures of SQL Server Agent, for its jobs of change data capture.
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sql-server-agent-stored-procedures-transact-sql
 */
import { procedure, type RowObject, sendRows } from "../catalog/define.ts";
import type { Engine } from "../engine/engine.ts";
import { SqlError } from "../engine/session.ts";
import type { Value } from "../engine/values.ts";
import { type AgentJob, agentDate, agentJobs, KINDS, nextRun, RUN_STATUS } from "./agent-jobs.ts";
import { activityRow } from "./agent-views.ts";
import { startJob, stopJob } from "./job-procedures.ts";
import { toDatetime } from "./server-time.ts";

type Args = Map<string, Value>;

const JOB = "@job_name sysname = NULL, @job_id uniqueidentifier = NULL";

const HELP_JOB = `job_id uniqueidentifier, originating_server nvarchar(30), name sysname, enabled tinyint,
  description nvarchar(512), start_step_id int, category sysname, owner sysname, notify_level_eventlog int,
  notify_level_email int, notify_level_netsend int, notify_level_page int, notify_email_operator sysname,
  notify_netsend_operator sysname, notify_page_operator sysname, delete_level int, date_created datetime,
  date_modified datetime, version_number int, last_run_date int, last_run_time int, last_run_outcome int, next_run_date int,
  next_run_time int, next_run_schedule_id int, current_execution_status int, current_execution_step sysname,
  current_retry_attempt int, has_step int, has_schedule int, has_target int, type int`;
const HELP_JOBACTIVITY = `session_id int, job_id uniqueidentifier, job_name sysname, run_requested_date datetime,
  run_requested_source sysname, queued_date datetime, start_execution_date datetime, last_executed_step_id int,
  last_exectued_step_date datetime, stop_execution_date datetime, next_scheduled_run_date datetime, job_history_id int,
  message nvarchar(1024), run_status int, operator_id_emailed int, operator_id_netsent int, operator_id_paged int`;

export function registerAgentProcedures(engine: Engine): void {
  const procedures = [
    procedure(
      "dbo",
      "sp_start_job",
      `${JOB}, @error_flag int = 1, @server_name sysname = NULL, @step_name sysname = NULL`,
      async (context, args, sink) => {
        if (args.get("@step_name"))
          throw new SqlError(40510, "The simulator does not support @step_name of sp_start_job.");
        const job = namedJob(context.engine, args);
        await startJob(job.cdc, job.type, context, sink);
        return 0;
      },
    ),
    procedure(
      "dbo",
      "sp_stop_job",
      `${JOB}, @originating_server sysname = NULL, @server_name sysname = NULL`,
      (context, args, sink) => {
        const job = namedJob(context.engine, args);
        stopJob(job.cdc, job.type, context, sink);
        return 0;
      },
    ),
    procedure(
      "dbo",
      "sp_help_job",
      "@job_id uniqueidentifier = NULL, @job_name sysname = NULL, @job_aspect varchar(9) = NULL",
      async (context, args, sink) => {
        const named = args.get("@job_id") !== null || args.get("@job_name") !== null;
        const aspect = args.get("@job_aspect");
        if (named ? String(aspect).toUpperCase() !== "JOB" : aspect !== null)
          throw new SqlError(
            40510,
            "The simulator does not support sp_help_job other than of all jobs, or of one with the aspect JOB.",
          );
        const jobs = named ? [namedJob(context.engine, args)] : [...agentJobs(context.engine)];
        await sendRows(
          sink,
          HELP_JOB,
          jobs.map((job) => helpRow(context.engine, job)),
        );
        return 0;
      },
    ),
    procedure(
      "dbo",
      "sp_help_jobactivity",
      "@job_id uniqueidentifier = NULL, @job_name sysname = NULL, @session_id int = NULL",
      async (context, args, sink) => {
        const named = args.get("@job_id") !== null || args.get("@job_name") !== null;
        const jobs = named ? [namedJob(context.engine, args)] : [...agentJobs(context.engine)];
        const rows = jobs.map((job): RowObject => {
          const { last_executed_step_date, ...activity } = activityRow(context.engine, job);
          const outcome = job.lastRun?.outcome;
          return {
            ...activity,
            job_id: job.id,
            job_name: job.name,
            last_exectued_step_date: last_executed_step_date!,
            run_status: outcome ? RUN_STATUS[outcome] : null,
          };
        });
        await sendRows(sink, HELP_JOBACTIVITY, rows);
        return 0;
      },
    ),
  ];
  const { systemObjects } = engine.database("msdb")!;
  for (const definition of procedures) systemObjects.registerProcedure(definition);
}

/** Either by its name or by its id: 14294. Error 14262 where there is none. */
function namedJob(engine: Engine, args: Args): AgentJob {
  const [name, id] = [args.get("@job_name") ?? null, args.get("@job_id") ?? null];
  if ((name === null) === (id === null))
    throw new SqlError(14294, "Supply either @job_id or @job_name to identify the job.");
  for (const job of agentJobs(engine)) {
    const same =
      name === null ? job.id === String(id).toUpperCase() : job.name.toLowerCase() === String(name).toLowerCase();
    if (same) return job;
  }
  const [parameter, value] = name === null ? ["@job_id", id] : ["@job_name", name];
  throw new SqlError(14262, `The specified ${parameter} ('${String(value)}') does not exist.`);
}

function helpRow(engine: Engine, job: AgentJob): RowObject {
  const created = toDatetime(engine, engine.startTime);
  const last = agentDate(engine, job.lastRun?.ended && job.lastRun.started);
  const next = agentDate(engine, nextRun(engine, job.type));
  const { description, steps } = KINDS[job.type];
  return {
    job_id: job.id,
    originating_server: engine.serverName,
    name: job.name,
    enabled: 1,
    description,
    start_step_id: 1,
    category: job.type === "capture" ? "REPL-LogReader" : "REPL-Checkup",
    owner: "sa",
    notify_level_eventlog: 0,
    notify_level_email: 0,
    notify_level_netsend: 0,
    notify_level_page: 0,
    notify_email_operator: "(unknown)",
    notify_netsend_operator: "(unknown)",
    notify_page_operator: "(unknown)",
    delete_level: 0,
    date_created: created,
    date_modified: created,
    version_number: 1,
    last_run_date: last.date,
    last_run_time: last.time,
    last_run_outcome: job.lastRun?.outcome ? RUN_STATUS[job.lastRun.outcome] : 5,
    next_run_date: next.date,
    next_run_time: next.time,
    next_run_schedule_id: 0,
    // 1: executing, 4: idle.
    current_execution_status: job.running ? 1 : 4,
    current_execution_step: job.running ? `${steps.length} (${steps.at(-1)!.name})` : "0 (unknown)",
    current_retry_attempt: 0,
    has_step: steps.length,
    has_schedule: 1,
    has_target: 1,
    type: 1,
  };
}
