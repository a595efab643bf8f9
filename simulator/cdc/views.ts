/** sys.dm_cdc_log_scan_sessions, sys.dm_cdc_errors and sys.dm_repl_traninfo. */
import { type RowObject, stateView } from "../catalog/define.ts";
import type { Engine, EngineContext } from "../engine/engine.ts";
import { CdcDatabase } from "./cdc-database.ts";
import { type ScanSession, type ScanTotals, secondsOf } from "./scan-sessions.ts";
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

/**
 * LSNs of these views are 22 characters and a NUL, which fills nvarchar(23): Debezium takes a transaction as ended when start_lsn of the
 * last session is exactly this.
 */
const NO_LSN = "00000000:00000000:0000\0";

/** https://learn.microsoft.com/sql/relational-databases/system-dynamic-management-views/sys-dm-repl-traninfo-transact-sql */
const REPLICATED_TRANSACTIONS = `fp2p_pub_exists tinyint, db_ver int, comp_range_address varbinary(8), textinfo_address varbinary(8),
  fsinfo_address varbinary(8), begin_lsn nvarchar(64), commit_lsn nvarchar(64), dbid smallint, rows int, xdesid nvarchar(64),
  artcache_table_address varbinary(8), server nvarchar(514), server_len_in_bytes int, database nvarchar(514),
  db_len_in_bytes int, originator nvarchar(514), originator_len_in_bytes int, orig_db nvarchar(514),
  orig_db_len_in_bytes int, cmds_in_tran int, is_boundedupdate_singleton tinyint, begin_update_lsn nvarchar(64),
  delete_lsn nvarchar(64), last_end_lsn nvarchar(64), fcomplete tinyint, fcompensated tinyint, fprocessingtext tinyint,
  max_cmds_in_tran int, begin_time datetime, commit_time datetime, session_id int, session_phase int,
  is_known_cdc_tran bit, error_count int`;

export function registerCdcViews(engine: Engine): void {
  // Of transactions that a scan is at: no scan is seen half-way.
  engine.registerView(stateView("DATABASE", "dm_repl_traninfo", REPLICATED_TRANSACTIONS, () => []));
  engine.registerView(stateView("DATABASE", "dm_cdc_log_scan_sessions", SESSIONS, scanSessions));
  engine.registerView(stateView("DATABASE", "dm_cdc_errors", ERRORS, scanErrors));
}

/** "0000003600000b200003" written with colons. */
export function lsnText(lsn: bigint | undefined): string {
  if (lsn === undefined) return NO_LSN;
  const hex = lsn.toString(16).padStart(20, "0");
  return `${hex.slice(0, 8)}:${hex.slice(8, 16)}:${hex.slice(16)}\0`;
}

function* scanSessions(context: EngineContext): Generator<RowObject> {
  const { list, totals } = CdcDatabase.of(context.database).capture.sessions;
  const last = list.at(-1);
  if (!totals || !last) return;
  yield aggregate(context.engine, totals, last);
  for (const session of list) yield sessionRow(context.engine, session);
}

function sessionRow(engine: Engine, session: ScanSession): RowObject {
  const { result, startTime, endTime } = session;
  const last = result.last?.commitLsn;
  return {
    session_id: session.id,
    start_time: toDatetime(engine, startTime),
    end_time: toDatetime(engine, endTime),
    duration: BigInt(secondsOf(session)),
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
function aggregate(engine: Engine, totals: ScanTotals, last: ScanSession): RowObject {
  const { lastCaptured } = totals;
  return {
    ...sessionRow(engine, last),
    session_id: 0,
    start_time: toDatetime(engine, totals.startTime),
    duration: BigInt(totals.seconds),
    scan_phase: "Aggregate",
    error_count: totals.failed,
    current_lsn: NO_LSN,
    tran_count: BigInt(totals.captured),
    log_record_count: BigInt(totals.records),
    schema_change_count: totals.schemaChanges,
    command_count: BigInt(totals.commands),
    first_begin_cdc_lsn: lsnText(totals.firstCaptured?.beginLsn),
    last_commit_cdc_lsn: lsnText(lastCaptured?.commitLsn),
    last_commit_cdc_time: lastCaptured ? toDatetime(engine, lastCaptured.commitTime) : null,
    latency: totals.latencySeconds,
    failed_sessions_count: totals.failed,
  };
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
