/** sys.dm_cdc_log_scan_sessions and sys.dm_cdc_errors. */
import { type RowObject, stateView } from "../catalog/define.ts";
import type { Engine, EngineContext } from "../engine/engine.ts";
import { CdcDatabase } from "./cdc-database.ts";
import type { ScanSession } from "./scan-sessions.ts";
import { toDatetime } from "./server-time.ts";

/** https://learn.microsoft.com/sql/relational-databases/system-dynamic-management-views/change-data-capture-sys-dm-cdc-log-scan-sessions */
const SESSIONS = `session_id int!, start_time datetime!, end_time datetime, duration bigint!, scan_phase nvarchar(200)!,
  error_count int!, start_lsn nvarchar(23)!, current_lsn nvarchar(23)!, end_lsn nvarchar(23), tran_count bigint!,
  last_commit_lsn nvarchar(23)!, last_commit_time datetime, log_record_count bigint!, schema_change_count int!,
  command_count bigint!, first_begin_cdc_lsn nvarchar(23)!, last_commit_cdc_lsn nvarchar(23)!,
  last_commit_cdc_time datetime, latency int, empty_scan_count int!, failed_sessions_count int!`;

/** https://learn.microsoft.com/sql/relational-databases/system-dynamic-management-views/change-data-capture-sys-dm-cdc-errors */
const ERRORS = `session_id int!, phase_number int!, entry_time datetime!, error_number int!, error_severity int!,
  error_state int!, error_message nvarchar(1024)!, start_lsn nvarchar(23)!, begin_lsn nvarchar(23)!,
  sequence_value nvarchar(23)!`;

const NO_LSN = "00000000:00000000:0000";

export function registerCdcViews(engine: Engine): void {
  engine.registerView(stateView("DATABASE", "dm_cdc_log_scan_sessions", SESSIONS, scanSessions));
  engine.registerView(stateView("DATABASE", "dm_cdc_errors", ERRORS, scanErrors));
}

/** "0000003600000b200003" written with colons. */
export function lsnText(lsn: bigint | undefined): string {
  if (lsn === undefined) return NO_LSN;
  const hex = lsn.toString(16).padStart(20, "0");
  return `${hex.slice(0, 8)}:${hex.slice(8, 16)}:${hex.slice(16)}`;
}

function* scanSessions(context: EngineContext): Generator<RowObject> {
  const { list } = CdcDatabase.of(context.database).capture.sessions;
  if (list.length === 0) return;
  const rows = list.map((session) => sessionRow(context.engine, session));
  yield aggregate(rows);
  yield* rows;
}

function sessionRow(engine: Engine, session: ScanSession): RowObject {
  const { result, startTime, endTime } = session;
  const last = result.last?.commitLsn;
  return {
    session_id: session.id,
    start_time: toDatetime(engine, startTime),
    end_time: toDatetime(engine, endTime),
    duration: BigInt(
      result.captured > 0 ? Math.max(1, Math.ceil((endTime.getTime() - startTime.getTime()) / 1000)) : 0,
    ),
    scan_phase: session.failed ? "Last scan" : "Done",
    error_count: session.failed ? 1 : 0,
    start_lsn: lsnText(result.first?.beginLsn),
    current_lsn: lsnText(last),
    end_lsn: lsnText(last),
    tran_count: BigInt(result.captured),
    last_commit_lsn: lsnText(last),
    last_commit_time: result.last ? toDatetime(engine, result.last.commitTime) : null,
    log_record_count: BigInt(result.records),
    schema_change_count: result.schemaChanges,
    command_count: BigInt(result.commands),
    first_begin_cdc_lsn: lsnText(result.firstCaptured?.beginLsn),
    last_commit_cdc_lsn: lsnText(result.lastCaptured?.commitLsn),
    last_commit_cdc_time: result.lastCaptured ? toDatetime(engine, result.lastCaptured.commitTime) : null,
    latency: session.latencySeconds,
    empty_scan_count: session.emptyScans,
    failed_sessions_count: session.failed ? 1 : 0,
  };
}

/** The row of session 0: sums, and the last of what cannot be summed. */
function aggregate(rows: RowObject[]): RowObject {
  const total: RowObject = { ...rows.at(-1)!, session_id: 0, scan_phase: "Aggregate", current_lsn: NO_LSN };
  total["start_time"] = rows[0]!["start_time"]!;
  for (const name of ["duration", "tran_count", "log_record_count", "command_count"])
    total[name] = rows.reduce((sum, row) => sum + (row[name] as bigint), 0n);
  for (const name of ["error_count", "schema_change_count", "failed_sessions_count"])
    total[name] = rows.reduce((sum, row) => sum + (row[name] as number), 0);
  total["latency"] = rows.findLast((row) => row["latency"] !== 0)?.["latency"] ?? 0;
  const captured = rows.filter((row) => row["last_commit_cdc_time"] !== null);
  total["first_begin_cdc_lsn"] = captured[0]?.["first_begin_cdc_lsn"] ?? NO_LSN;
  total["last_commit_cdc_lsn"] = captured.at(-1)?.["last_commit_cdc_lsn"] ?? NO_LSN;
  total["last_commit_cdc_time"] = captured.at(-1)?.["last_commit_cdc_time"] ?? null;
  return total;
}

function* scanErrors({ engine, database }: EngineContext): Generator<RowObject> {
  for (const { sessionId, time, error } of CdcDatabase.of(database).capture.sessions.errors)
    yield {
      session_id: sessionId,
      phase_number: 7,
      entry_time: toDatetime(engine, time),
      error_number: error.number,
      error_severity: error.severity,
      error_state: error.state,
      error_message: error.message,
      start_lsn: NO_LSN,
      begin_lsn: NO_LSN,
      sequence_value: NO_LSN,
    };
}
