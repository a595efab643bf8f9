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

export interface ScanError {
  sessionId: number;
  time: Date;
  error: SqlError;
}

const KEPT = 1000;

export class ScanSessions {
  readonly list: ScanSession[] = [];
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
    if (this.errors.length > KEPT) this.errors.shift();
  }

  #add(session: ScanSession): void {
    this.list.push(session);
    if (this.list.length > KEPT) this.list.shift();
  }
}
