/**
 * What sys.dm_cdc_log_scan_sessions and sys.dm_cdc_errors report of the capture job. Scans in a row that found nothing share
 * one session, whose empty_scan_count grows.
 * https://learn.microsoft.com/sql/relational-databases/track-changes/administer-and-monitor-change-data-capture-sql-server
 */
import type { SqlError } from "../engine/session.ts";
import type { ScanResult } from "./capture-scan.ts";

export interface ScanSession {
  id: number;
  startTime: Date;
  endTime: Date;
  result: ScanResult;
  latencySeconds: number;
  emptyScans: number;
  failed: boolean;
}

/** Of all sessions since the server started. */
export interface ScanTotals {
  startTime: Date;
  seconds: number;
  captured: number;
  records: number;
  commands: number;
  schemaChanges: number;
  failed: number;
  /** Of the last one that captured something. */
  latencySeconds: number;
  firstCaptured: ScanResult["firstCaptured"];
  lastCaptured: ScanResult["lastCaptured"];
}

export interface ScanError {
  sessionId: number;
  time: Date;
  error: SqlError;
}

const KEPT = 1000;
/** "The last 32 sessions": …/change-data-capture-sys-dm-cdc-errors */
const ERRORS_KEPT = 32;

export class ScanSessions {
  readonly list: ScanSession[] = [];
  totals: ScanTotals | undefined;
  readonly errors: ScanError[] = [];
  #next = 1;

  ended(startTime: Date, endTime: Date, result: ScanResult): void {
    const last = this.list.at(-1);
    if (result.captured === 0 && result.schemaChanges === 0 && last && last.emptyScans > 0) {
      last.emptyScans++;
      last.endTime = endTime;
      return;
    }
    const committed = result.lastCaptured?.commitTime;
    this.#add({
      id: this.#next++,
      startTime,
      endTime,
      result,
      latencySeconds: committed ? Math.max(0, Math.round((endTime.getTime() - committed.getTime()) / 1000)) : 0,
      emptyScans: result.captured === 0 && result.schemaChanges === 0 ? 1 : 0,
      failed: false,
    });
  }

  failed(startTime: Date, endTime: Date, error: SqlError): void {
    const result: ScanResult = {
      transactions: 0,
      captured: 0,
      commands: 0,
      records: 0,
      schemaChanges: 0,
      first: undefined,
      last: undefined,
      firstCaptured: undefined,
      lastCaptured: undefined,
    };
    const id = this.#next++;
    this.#add({ id, startTime, endTime, result, latencySeconds: 0, emptyScans: 0, failed: true });
    this.errors.push({ sessionId: id, time: endTime, error });
    if (this.errors.length > ERRORS_KEPT) this.errors.shift();
  }

  #add(session: ScanSession): void {
    this.list.push(session);
    if (this.list.length > KEPT) this.list.shift();
    this.totals = sum(this.totals, session);
  }
}

/** Whole seconds, at least one for a session that captured something. */
export function secondsOf({ result, startTime, endTime }: ScanSession): number {
  return result.captured > 0 ? Math.max(1, Math.ceil((endTime.getTime() - startTime.getTime()) / 1000)) : 0;
}

function sum(before: ScanTotals | undefined, session: ScanSession): ScanTotals {
  const { result } = session;
  return {
    startTime: before?.startTime ?? session.startTime,
    seconds: (before?.seconds ?? 0) + secondsOf(session),
    captured: (before?.captured ?? 0) + result.captured,
    records: (before?.records ?? 0) + result.records,
    commands: (before?.commands ?? 0) + result.commands,
    schemaChanges: (before?.schemaChanges ?? 0) + result.schemaChanges,
    failed: (before?.failed ?? 0) + (session.failed ? 1 : 0),
    latencySeconds: result.captured > 0 ? session.latencySeconds : (before?.latencySeconds ?? 0),
    firstCaptured: before?.firstCaptured ?? result.firstCaptured,
    lastCaptured: result.lastCaptured ?? before?.lastCaptured,
  };
}
