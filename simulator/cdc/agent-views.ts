/**
 * The tables of msdb that tell of SQL Server Agent's jobs, of which the simulator has those of change data capture.
 * https://learn.microsoft.com/sql/relational-databases/system-tables/sql-server-agent-tables-transact-sql
 */
import { type RowObject, view } from "../catalog/define.ts";
import type { Engine, EngineContext } from "../engine/engine.ts";
import {
  type AgentJob,
  agentDate,
  agentJobs,
  duration,
  KINDS,
  nextRun,
  optionalDatetime,
  RUN_STATUS,
} from "./agent-jobs.ts";
import type { JobRun } from "./job-runs.ts";
import { toDatetime } from "./server-time.ts";

const NOTIFY = `notify_level_eventlog int!, notify_level_email int!, notify_level_netsend int!, notify_level_page int!,
  notify_email_operator_id int!, notify_netsend_operator_id int!, notify_page_operator_id int!, delete_level int!,
  date_created datetime!, date_modified datetime!, version_number int!`;
const SYSJOBS = `job_id uniqueidentifier!, originating_server_id int!, name sysname!, enabled tinyint!,
  description nvarchar(512), start_step_id int!, category_id int!, owner_sid varbinary(85)!, ${NOTIFY}`;
const SYSJOBS_VIEW = `job_id uniqueidentifier!, originating_server sysname, name sysname!, enabled tinyint!,
  description nvarchar(512), start_step_id int!, category_id int!, owner_sid varbinary(85)!, ${NOTIFY},
  originating_server_id int!, master_server bit`;
const SYSJOBSTEPS = `job_id uniqueidentifier!, step_id int!, step_name sysname!, subsystem nvarchar(40)!, command nvarchar(max),
  flags int!, additional_parameters nvarchar(max), cmdexec_success_code int!, on_success_action tinyint!,
  on_success_step_id int!, on_fail_action tinyint!, on_fail_step_id int!, server sysname, database_name sysname,
  database_user_name sysname, retry_attempts int!, retry_interval int!, os_run_priority int!,
  output_file_name nvarchar(200), last_run_outcome int!, last_run_duration int!, last_run_retries int!, last_run_date int!,
  last_run_time int!, proxy_id int, step_uid uniqueidentifier`;
const SYSJOBACTIVITY = `session_id int!, job_id uniqueidentifier!, run_requested_date datetime, run_requested_source sysname,
  queued_date datetime, start_execution_date datetime, last_executed_step_id int, last_executed_step_date datetime,
  stop_execution_date datetime, job_history_id int, next_scheduled_run_date datetime`;
const SYSJOBHISTORY = `instance_id int!, job_id uniqueidentifier!, step_id int!, step_name sysname!, sql_message_id int!,
  sql_severity int!, message nvarchar(4000), run_status int!, run_date int!, run_time int!, run_duration int!,
  operator_id_emailed int!, operator_id_netsent int!, operator_id_paged int!, retries_attempted int!, server sysname!`;
const SYSSCHEDULES = `schedule_id int!, schedule_uid uniqueidentifier!, originating_server_id int!, name sysname!,
  owner_sid varbinary(85)!, enabled int!, freq_type int!, freq_interval int!, freq_subday_type int!,
  freq_subday_interval int!, freq_relative_interval int!, freq_recurrence_factor int!, active_start_date int!,
  active_end_date int!, active_start_time int!, active_end_time int!, date_created datetime!, date_modified datetime!,
  version_number int!`;
const SYSJOBSERVERS = `job_id uniqueidentifier!, server_id int!, last_run_outcome tinyint!,
  last_outcome_message nvarchar(4000), last_run_date int!, last_run_time int!, last_run_duration int!`;

/** Of the sessions that Agent counts: it started with the server. */
const SESSION = 1;

export function registerAgentViews(engine: Engine): void {
  const { systemObjects } = engine.database("msdb")!;
  const add = (name: string, spec: string, rows: (context: EngineContext, job: AgentJob) => Iterable<RowObject>) =>
    systemObjects.registerView(
      view("dbo", name, spec, function* (context) {
        for (const job of agentJobs(context.engine))
          for (const row of rows(context, job)) yield { job_id: job.id, ...row };
      }),
    );
  add("sysjobs", SYSJOBS, ({ engine }, job) => [jobRow(engine, job)]);
  add("sysjobs_view", SYSJOBS_VIEW, ({ engine }, job) => [
    { ...jobRow(engine, job), originating_server: engine.serverName, master_server: false },
  ]);
  add("sysjobsteps", SYSJOBSTEPS, ({ engine }, job) => stepRows(engine, job));
  add("sysjobactivity", SYSJOBACTIVITY, ({ engine }, job) => [activityRow(engine, job)]);
  add("sysjobhistory", SYSJOBHISTORY, ({ engine }, job) => historyRows(engine, job));
  add(
    "sysjobschedules",
    "schedule_id int, job_id uniqueidentifier, next_run_date int!, next_run_time int!",
    ({ engine }, job) => {
      const next = agentDate(engine, nextRun(engine, job.type));
      return [{ schedule_id: scheduleId(job), next_run_date: next.date, next_run_time: next.time }];
    },
  );
  add("sysschedules", SYSSCHEDULES, ({ engine }, job) => [scheduleRow(engine, job)]);
  add("sysjobservers", SYSJOBSERVERS, ({ engine }, job) => [serverRow(engine, job)]);
  systemObjects.registerView(
    view("dbo", "syssessions", "session_id int!, agent_start_date datetime!", ({ engine }) => [
      { session_id: SESSION, agent_start_date: toDatetime(engine, engine.startTime) },
    ]),
  );
  systemObjects.registerView(
    view("dbo", "syscategories", "category_id int!, category_class int!, category_type tinyint!, name sysname!", () =>
      CATEGORIES.map(([id, name]) => ({ category_id: id, category_class: 1, category_type: 1, name })),
    ),
  );
}

/** https://learn.microsoft.com/sql/relational-databases/system-tables/dbo-syscategories-transact-sql */
const CATEGORIES: [number, string][] = [
  [0, "[Uncategorized (Local)]"],
  [1, "Jobs from MSX"],
  [3, "Database Maintenance"],
  [10, "REPL-Distribution"],
  [11, "REPL-Distribution Cleanup"],
  [12, "REPL-History Cleanup"],
  [13, "REPL-LogReader"],
  [14, "REPL-Merge"],
  [15, "REPL-Snapshot"],
  [16, "REPL-Checkup"],
  [17, "REPL-Subscription Cleanup"],
  [18, "REPL-Alert Response"],
  [19, "REPL-QueueReader"],
];

function jobRow(engine: Engine, { type, name }: AgentJob): RowObject {
  const { description, category } = KINDS[type];
  const created = toDatetime(engine, engine.startTime);
  return {
    name,
    enabled: 1,
    description,
    start_step_id: 1,
    category_id: category,
    owner_sid: Buffer.from([1]),
    date_created: created,
    date_modified: created,
    version_number: 1,
  };
}

function stepRows(engine: Engine, { cdc, type, lastRun }: AgentJob): RowObject[] {
  const { steps } = KINDS[type];
  const { date, time } = agentDate(engine, lastRun?.started);
  return steps.map(({ name, command }, i) => ({
    step_id: i + 1,
    step_name: name,
    subsystem: "TSQL",
    command,
    // Go to the next step; the last one quits with success. Failing quits with failure.
    on_success_action: i + 1 < steps.length ? 3 : 1,
    on_fail_action: 2,
    server: engine.serverName,
    database_name: cdc.database.name,
    retry_attempts: 10,
    retry_interval: 1,
    last_run_outcome: lastRun?.outcome ? RUN_STATUS[lastRun.outcome] : 5,
    last_run_duration: lastRun ? duration(lastRun) : 0,
    last_run_date: date,
    last_run_time: time,
  }));
}

export function activityRow(engine: Engine, { type, lastRun }: AgentJob): RowObject {
  const at = (instant: Date | undefined) => optionalDatetime(engine, instant);
  return {
    session_id: SESSION,
    run_requested_date: at(lastRun?.started),
    run_requested_source: lastRun ? "4" : null,
    start_execution_date: at(lastRun?.started),
    last_executed_step_id: lastRun ? 1 : null,
    last_executed_step_date: at(lastRun?.started),
    stop_execution_date: at(lastRun?.ended),
    job_history_id: lastRun?.ended ? lastRun.number : null,
    next_scheduled_run_date: at(nextRun(engine, type)),
  };
}

/** One row a finished run: of step 0, the job's outcome. */
function* historyRows(engine: Engine, { cdc, type, name }: AgentJob): Generator<RowObject> {
  for (const run of cdc.runs.list) {
    if (run.type !== type || !run.outcome) continue;
    const { date, time } = agentDate(engine, run.started);
    yield {
      instance_id: run.number,
      step_id: 0,
      step_name: "(Job outcome)",
      message: outcomeMessage(name, run),
      run_status: RUN_STATUS[run.outcome],
      run_date: date,
      run_time: time,
      run_duration: duration(run),
      server: engine.serverName,
    };
  }
}

function outcomeMessage(name: string, { outcome }: JobRun): string {
  const verb = {
    succeeded: "The job succeeded.",
    failed: "The job failed.",
    canceled: "The job was stopped prior to completion.",
  };
  return `${verb[outcome!]}  The Job was invoked to run ${name}.`;
}

function scheduleId({ cdc, type }: AgentJob): number {
  return cdc.database.id * 2 + (type === "capture" ? 0 : 1);
}

function scheduleRow(engine: Engine, job: AgentJob): RowObject {
  const created = toDatetime(engine, engine.startTime);
  return {
    schedule_id: scheduleId(job),
    schedule_uid: job.id,
    owner_sid: Buffer.from([1]),
    enabled: 1,
    active_start_date: 19_900_101,
    active_end_date: 99_991_231,
    active_end_time: 235_959,
    date_created: created,
    date_modified: created,
    version_number: 1,
    ...KINDS[job.type].schedule,
  };
}

function serverRow(engine: Engine, { name, lastRun }: AgentJob): RowObject {
  const { date, time } = agentDate(engine, lastRun?.ended && lastRun.started);
  return {
    // 5: unknown, as no run has ended.
    last_run_outcome: lastRun?.outcome ? RUN_STATUS[lastRun.outcome] : 5,
    last_outcome_message: lastRun?.outcome ? outcomeMessage(name, lastRun) : null,
    last_run_date: date,
    last_run_time: time,
    last_run_duration: lastRun?.ended ? duration(lastRun) : 0,
  };
}
