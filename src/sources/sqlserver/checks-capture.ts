/** Whether the capture and clean-up jobs do their work. Most views need a permission that a reader can do without. */
import type { CheckContext, Finding } from "./finding.ts";
import { quoteName } from "./quote.ts";

const JOB = "capture job";
/** While the database is idle the capture job adds an entry every five minutes. */
const STALE_SECONDS = 15 * 60;
/** The default is three days; below one, a weekend's outage loses changes. */
const SHORT_RETENTION_MINUTES = 24 * 60;
/** SERVERPROPERTY('EngineEdition') of Azure SQL Database, which has a scheduler of its own in place of the Agent. */
const AZURE_SQL_DATABASE = 5;

export async function checkCapture(context: CheckContext, readOnly: boolean): Promise<Finding[]> {
  const [[edition] = []] = await context.ask("SELECT CONVERT(int, SERVERPROPERTY('EngineEdition'))");
  const findings = await checkProgress(context);
  findings.push(...(await checkErrors(context)));
  // On a secondary the jobs are the primary's.
  if (readOnly) return findings;
  if (edition !== AZURE_SQL_DATABASE) findings.push(...(await checkAgent(context)));
  findings.push(...(await checkJobs(context)));
  return findings;
}

async function checkProgress(context: CheckContext): Promise<Finding[]> {
  const [row] = await context.ask(
    "SELECT TOP (1) DATEDIFF(second, tran_end_time, GETDATE()), CONVERT(varchar(19), tran_end_time, 120) " +
      "FROM cdc.lsn_time_mapping ORDER BY start_lsn DESC",
  );
  const fix = "EXEC sys.sp_cdc_start_job @job_type = N'capture';";
  if (row === undefined)
    return [{ severity: "warning", subject: JOB, message: "It has not captured anything yet. Is it running?", fix }];
  const [seconds, time] = row as [number, string];
  if (seconds > STALE_SECONDS)
    return [
      { severity: "warning", subject: JOB, message: `It has captured nothing since ${time} (the server's time).`, fix },
    ];
  return [{ severity: "ok", subject: JOB, message: `It has captured everything up to ${time} (the server's time).` }];
}

/** https://learn.microsoft.com/sql/relational-databases/system-dynamic-management-views/change-data-capture-sys-dm-cdc-errors */
async function checkErrors(context: CheckContext): Promise<Finding[]> {
  const rows = await readable(context, "sys.dm_cdc_errors", () =>
    context.ask(
      "SELECT TOP (1) CONVERT(varchar(19), entry_time, 120), error_number, error_message FROM sys.dm_cdc_errors ORDER BY entry_time DESC",
    ),
  );
  if (!Array.isArray(rows)) return [rows];
  return rows.map(([time, number, message]) => ({
    severity: "warning" as const,
    subject: JOB,
    message: `Its last error, at ${time as string} (the server's time): ${number as number} ${message as string}`,
  }));
}

async function checkAgent(context: CheckContext): Promise<Finding[]> {
  const rows = await readable(
    context,
    "sys.dm_server_services",
    () => context.ask("SELECT status_desc FROM sys.dm_server_services WHERE servicename LIKE N'SQL Server Agent%'"),
    `GRANT VIEW SERVER STATE TO ${quoteName(context.user)};`,
  );
  if (!Array.isArray(rows)) return [rows];
  return rows
    .filter(([status]) => status !== "Running")
    .map(([status]) => ({
      severity: "error" as const,
      subject: "SQL Server Agent",
      message: `It is ${String(status).toLowerCase()}: the capture job cannot run.`,
      fix: "Start the service SQL Server Agent; on Linux: mssql-conf set sqlagent.enabled true.",
    }));
}

async function checkJobs(context: CheckContext): Promise<Finding[]> {
  const rows = await readable(
    context,
    "the CDC jobs",
    () => context.ask("EXEC sys.sp_cdc_help_jobs"),
    `ALTER ROLE db_owner ADD MEMBER ${quoteName(context.user)}; it is needed for this check alone.`,
  );
  if (!Array.isArray(rows)) return [rows];
  // job_id, job_type, job_name, maxtrans, maxscans, continuous, pollinginterval, retention, threshold
  const job = (type: string) => rows.find((row) => row[1] === type);
  const findings: Finding[] = [];
  if (job("capture") === undefined)
    findings.push({
      severity: "error",
      subject: JOB,
      message: "The database has none.",
      fix: "EXEC sys.sp_cdc_add_job @job_type = N'capture';",
    });
  const retention = Number(job("cleanup")?.[7] ?? Number.POSITIVE_INFINITY);
  if (retention < SHORT_RETENTION_MINUTES)
    findings.push({
      severity: "warning",
      subject: "clean-up job",
      message: `Changes are kept for ${retention} minutes: dstream must not be down for longer.`,
      fix: "EXEC sys.sp_cdc_change_job @job_type = N'cleanup', @retention = 4320;",
    });
  return findings;
}

/** A finding in place of rows where the login may not see them. */
async function readable(
  context: CheckContext,
  what: string,
  ask: () => Promise<unknown[][]>,
  fix = `GRANT VIEW DATABASE STATE TO ${quoteName(context.user)};`,
): Promise<unknown[][] | Finding> {
  try {
    return await ask();
  } catch (error) {
    const { scope, message } = error as { scope?: string; message: string };
    if (scope !== "table") throw error;
    return { severity: "info", subject: JOB, message: `${context.user} cannot look at ${what}: ${message}`, fix };
  }
}
