/**
 * Reads one table's changes, in order, across its capture instances.
 *
 * Which instance is read follows from the position alone: rows below the newer instance's start LSN come from the older one,
 * rows from it on from the newer one. The older is read up to just below that LSN; then the position becomes (that LSN,
 * nothing of it read) and the newer goes on. Two instances may number the changes of one transaction differently, so a
 * transaction that was begun in one is finished in it.
 *
 * Every answer states, as of its time, the table's instances, the low watermark before and after, and the connection's own
 * maximum. What does not fit is found before anything of the answer is used:
 *
 *     instances or types other than known the catalogue is read again, then the changes
 *     another connection in between       the changes are read again: it may lead to another history
 *     low watermark above the position    the same once, since the other instance may still have it; then GapError
 *     low watermark missing               not yet processed: nothing to read; no permission or no instance: SourceError
 *     maximum below the position          HistoryError; on a read-only database, which may be a secondary: SourceError
 *     maximum below the wanted end        read up to it, and again after a moment
 */
import { waitFor } from "../../backoff.ts";
import { emptyRun, type MessageRun } from "../../change/message-run.ts";
import {
  afterTransaction,
  beforeTransaction,
  comparePositions,
  type Lsn,
  type Position,
  ZERO_LSN,
} from "../../change/position.ts";
import { GapError, SourceError } from "../../errors.ts";
import { type Checkpoint, fullName } from "../../ingester/checkpoint.ts";
import type { BatchLimit, ChangeBatch, ChangeReader, SourceTable } from "../../ingester/source.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { CapturedTable, CaptureInstance } from "./capture-instance.ts";
import { isBetweenTransactions } from "./change-query.ts";
import { type ColumnType, columnType } from "./column-type.ts";
import type { ResultSet, SqlConnection } from "./connection.ts";
import type { ConnectionPool } from "./connection-pool.ts";
import { behindCheckpoint, checkHistory, gapError } from "./history.ts";
import type { InstanceReading } from "./instance-reading.ts";
import { lsnBefore, lsnBytes, lsnOrNull } from "./lsn.ts";
import type { BufferPool } from "./rows/buffer-pool.ts";
import { ChangeRows } from "./rows/change-rows.ts";
import { localText } from "./server-time.ts";

/** What a reader needs to know of its source. */
export interface ReaderSurroundings {
  readonly pool: ConnectionPool;
  /** Of all readers together. */
  readonly buffers: BufferPool;
  readonly logger: Logger;
  /** As of now; `fresh`: read from the server once more. Throws SourceError where the table is not captured. */
  captured(table: SourceTable, fresh: boolean, signal: AbortSignal): Promise<CapturedTable>;
  /** How the instance's rows are asked for and encoded, for rows that come over this connection. */
  reading(
    table: SourceTable,
    captured: CapturedTable,
    instance: CaptureInstance,
    connection: SqlConnection,
    signal: AbortSignal,
  ): Promise<InstanceReading>;
}

const SECONDARY_PAUSE_MS = 500;
/** Changes of the catalogue in the middle of reads are rare; this many in a row are an error of ours. */
const MOST_ATTEMPTS = 5;

interface Plan {
  instance: CaptureInstance;
  /** Where this read ends. */
  upTo: Lsn;
  /** The position once everything up to there has been read. */
  end: Position;
  more: boolean;
}

export class SqlServerChangeReader implements ChangeReader {
  readonly table: SourceTable;
  readonly #source: ReaderSurroundings;
  #position: Position;
  #commitTime: string | null;
  /** The instance that the position was read from; null: not known yet. */
  #current: CaptureInstance | null = null;
  /** Connections on which the position was held against the history. */
  #verified = new WeakSet<object>();

  constructor(table: SourceTable, from: Checkpoint, source: ReaderSurroundings) {
    this.table = table;
    this.#source = source;
    this.#position = from.position;
    this.#commitTime = from.commitTime;
  }

  async read(limit: BatchLimit, signal: AbortSignal): Promise<ChangeBatch> {
    let fresh = false;
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const captured = await this.#source.captured(this.table, fresh, signal);
      fresh = true;
      try {
        const batch = await this.#source.pool.use(signal, (connection) =>
          this.#attempt(captured, limit, connection, signal),
        );
        if (batch !== "again") return batch;
      } catch (error) {
        // The catalogue may be outdated: an instance was dropped or cleaned up, or a column has another type.
        const byCatalogue = error instanceof GapError || (error instanceof SourceError && error.scope === "table");
        if (!byCatalogue || attempt > 0) throw error;
      }
    }
    throw new SourceError(
      "unavailable",
      `The capture instances of ${fullName(this.table)} change faster than they can be read.`,
    );
  }

  async skipGap(signal: AbortSignal): Promise<{ from: Lsn; to: Lsn }> {
    const captured = await this.#source.captured(this.table, true, signal);
    const from = this.#position.startLsn;
    const to = oldestStart(this.table, captured);
    if (from < to) this.#moveTo(beforeTransaction(to), null);
    return { from, to };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #moveTo(position: Position, commitTime: string | null): void {
    this.#position = position;
    this.#commitTime = commitTime;
  }

  async #attempt(
    captured: CapturedTable,
    limit: BatchLimit,
    connection: SqlConnection,
    signal: AbortSignal,
  ): Promise<ChangeBatch | "again"> {
    const plan = await this.#plan(captured, limit.upTo, connection, signal);
    if (plan === null) return this.#nothing();
    const reading = await this.#source.reading(this.table, captured, plan.instance, connection, signal);
    const { session } = connection;
    // An update with its old row is two rows: fewer than two would never get to the second.
    let top = Math.max(reading.before ? 2 : 1, limit.maxRows);
    let answer = await this.#ask(reading, plan, limit, top, connection, signal);
    // Old rows alone, whose updates somebody has deleted: there may be changes behind them.
    while (answer.full && answer.last === null)
      answer = await this.#ask(reading, plan, limit, (top *= 2), connection, signal);

    if (!sameInstances(captured, answer.instances) || !sameTypes(plan.instance, answer.types)) return "again";
    const verdict = this.#judge(plan.instance, answer);
    if (verdict === "wait") return this.#nothing();
    await this.#verify(connection, signal);
    if (session === null || connection.session !== session) return "again";

    const { changes, last, full } = answer;
    this.#announce(plan.instance);
    let { end, more } = plan;
    let commitTime = plan.end.startLsn === plan.upTo ? answer.boundTime : null;
    if (full) {
      ({ position: end, commitTime } = last!);
      more = true;
    } else if (answer.bound! < plan.upTo) {
      end = afterTransaction(answer.bound!);
      commitTime = answer.boundTime;
      more = true;
      if (changes.count === 0) await waitFor(SECONDARY_PAUSE_MS, signal);
    }
    // On a secondary that is behind, the bound may lie below what was read before.
    if (comparePositions(end, this.#position) > 0) this.#moveTo(end, commitTime);
    return { changes, position: this.#position, commitTime: this.#commitTime, more };
  }

  #nothing(): ChangeBatch {
    return { changes: emptyRun, position: this.#position, commitTime: this.#commitTime, more: false };
  }

  /** Null: the capture job has not processed any instance yet. */
  async #plan(
    captured: CapturedTable,
    upTo: Lsn,
    connection: SqlConnection,
    signal: AbortSignal,
  ): Promise<Plan | null> {
    const [first, second] = captured.instances.filter((instance) => instance.startLsn !== null);
    if (first === undefined) return null;
    const begun = !isBetweenTransactions(this.#position);
    const boundary = second?.startLsn ?? null;
    let instance = boundary !== null && this.#position.startLsn >= boundary ? second! : first;
    if (begun) instance = await this.#begunIn(instance, captured, connection, signal);
    const startLsn = this.#position.startLsn;
    if (boundary !== null && instance === first) {
      if (startLsn >= boundary) return { instance, upTo: startLsn, end: afterTransaction(startLsn), more: true };
      if (upTo >= boundary)
        return { instance, upTo: lsnBefore(boundary), end: beforeTransaction(boundary), more: true };
    }
    return { instance, upTo, end: afterTransaction(upTo), more: false };
  }

  /**
   * The instance in which a transaction was begun. After a start that is the one that has the change of the checkpoint;
   * where none has it, the transaction is read again from its beginning.
   */
  async #begunIn(
    candidate: CaptureInstance,
    captured: CapturedTable,
    connection: SqlConnection,
    signal: AbortSignal,
  ): Promise<CaptureInstance> {
    const instances = captured.instances.filter(
      ({ startLsn }) => startLsn !== null && startLsn <= this.#position.startLsn,
    );
    const current = this.#current && instances.find((instance) => instance.objectId === this.#current!.objectId);
    if (current) return current;
    if (instances.length === 0) return candidate;
    for (const instance of [candidate, ...instances.filter((other) => other !== candidate)])
      if (await holdsChange(connection, instance, this.#position, this.table, signal)) return instance;
    this.#source.logger.warn(
      { table: fullName(this.table), lsn: this.#position.startLsn },
      "The change at the checkpoint is not in the change table: its transaction is read again from the beginning.",
    );
    this.#moveTo(beforeTransaction(this.#position.startLsn), this.#commitTime);
    return candidate;
  }

  async #ask(
    reading: InstanceReading,
    plan: Plan,
    limit: BatchLimit,
    top: number,
    connection: SqlConnection,
    signal: AbortSignal,
  ): Promise<Answer> {
    const rows = new ChangeRows(reading.rows, reading.labels, limit, this.#source.buffers, CLOCK_OFFSET);
    const { sql, parameters } = reading.query.after(this.#position, plan.upTo, top, {
      tableId: reading.tableId,
      instance: plan.instance.name,
      zone: reading.zone,
    });
    const doing = `reading the changes of ${fullName(this.table)}`;
    const { sets, stopped } = await connection.query(sql, parameters, signal, {
      doing,
      stream: { set: CHANGES, rows },
    });
    checkShape(sets, stopped ? CHANGES : AFTERWARDS + 1, doing);
    const [lowAfter, columns] = stopped
      ? await this.#afterwards(reading, plan.instance, connection, signal)
      : [sets[AFTERWARDS]!, sets[AFTERWARDS + 1]!];
    const { last } = rows;
    const [maximum, bound, low, boundTime, , updateability] = sets[0]!.rows[0]!;
    return {
      changes: rows.run(),
      last: last && { position: last.position, commitTime: last.commitTime && localText(last.commitTime) },
      full: rows.enough || rows.read === top,
      maximum: lsnOrNull(maximum),
      bound: lsnOrNull(bound),
      lowBefore: watermark(low),
      lowAfter: watermark(lowAfter.rows[0]![0]),
      boundTime: boundTime === null ? null : localText(boundTime as Date),
      readOnly: updateability === "READ_ONLY",
      instances: new Map(sets[1]!.rows.map(([id, start]) => [id as number, lsnOrNull(start)])),
      types: new Map(
        columns.rows.map(([name, type, maxLength, scale]) => [name as string, columnType(type, maxLength, scale)]),
      ),
    };
  }

  /** The last two result sets, where the answer was called off before them. */
  async #afterwards(
    { query }: InstanceReading,
    instance: CaptureInstance,
    connection: SqlConnection,
    signal: AbortSignal,
  ): Promise<[ResultSet, ResultSet]> {
    const doing = `asking for the low watermark of ${fullName(this.table)}`;
    const parameters = [{ name: "instance", type: "nvarchar" as const, value: instance.name }];
    const { sets } = await connection.query(query.afterwards, parameters, signal, { doing });
    if (sets.length !== 2 || sets[0]!.rows.length !== 1) throw misshapen(doing);
    return [sets[0]!, sets[1]!];
  }

  /** "wait": there is nothing to be read yet. */
  #judge(instance: CaptureInstance, answer: Answer): "use" | "wait" {
    const { startLsn } = this.#position;
    for (const low of [answer.lowBefore, answer.lowAfter]) {
      if (low === null) {
        if (answer.instances.get(instance.objectId) === null) return "wait";
        throw noWatermark(this.table, instance);
      }
      if (startLsn < low) throw gapError(this.table, startLsn, low);
    }
    if (answer.maximum === null) return "wait";
    if (answer.maximum >= startLsn) return "use";
    // A new instance can begin above the maximum, until the capture job has got there.
    if (startLsn === answer.lowAfter && this.#position.commandId < 0) return "wait";
    throw behindCheckpoint(this.table, this.#position, answer.maximum, answer.readOnly);
  }

  /** Once on each connection, since each new one may lead to another history. */
  async #verify(connection: SqlConnection, signal: AbortSignal): Promise<void> {
    if (connection.session !== null && this.#verified.has(connection.session)) return;
    await checkHistory(connection, this.table, { position: this.#position, commitTime: this.#commitTime }, signal);
    if (connection.session !== null) this.#verified.add(connection.session);
  }

  /** Logs the step from one instance to another. */
  #announce(instance: CaptureInstance): void {
    const before = this.#current;
    this.#current = instance;
    if (before === null || before.objectId === instance.objectId) return;
    const names = (one: CaptureInstance) => one.columns.map((column) => column.name);
    const retyped = instance.columns.filter((column) =>
      before.columns.some(
        (old) =>
          old.name === column.name &&
          (old.type !== column.type || old.maxLength !== column.maxLength || old.scale !== column.scale),
      ),
    );
    this.#source.logger.info(
      {
        table: fullName(this.table),
        lsn: instance.startLsn,
        from: before.name,
        to: instance.name,
        added: names(instance).filter((name) => !names(before).includes(name)),
        removed: names(before).filter((name) => !names(instance).includes(name)),
        retyped: retyped.map((column) => column.name),
      },
      "Switched to the newer capture instance.",
    );
  }
}

interface Answer {
  changes: MessageRun;
  /** Of the last message; null without one. */
  last: { position: Position; commitTime: string | null } | null;
  /** There may be more below the bound. */
  full: boolean;
  maximum: Lsn | null;
  bound: Lsn | null;
  lowBefore: Lsn | null;
  lowAfter: Lsn | null;
  boundTime: string | null;
  readOnly: boolean;
  instances: Map<number, Lsn | null>;
  /** Of the change table's columns, by name, once the changes had been read. */
  types: Map<string, ColumnType>;
}

/** The result set of the changes. */
const CHANGES = 2;
/** The low watermark once more, and behind it the types of the columns. */
const AFTERWARDS = 3;
/** Column of the first result set. */
const CLOCK_OFFSET = 4;

/** Nobody but a broken network or a server of another kind answers otherwise. */
function checkShape(sets: readonly ResultSet[], last: number, doing: string): void {
  const ofOneRow = last < AFTERWARDS ? [0] : [0, AFTERWARDS];
  if (sets.length <= last || ofOneRow.some((index) => sets[index]!.rows.length !== 1)) throw misshapen(doing);
}

function misshapen(doing: string): SourceError {
  return new SourceError("unavailable", `While ${doing}: the server's answer lacks what was asked for.`);
}

/** Zero means as little as NULL. */
function watermark(value: unknown): Lsn | null {
  const lsn = lsnOrNull(value);
  return lsn === ZERO_LSN ? null : lsn;
}

/** The same instances, and none of them has been processed for the first time since. */
function sameInstances(captured: CapturedTable, now: Map<number, Lsn | null>): boolean {
  if (captured.instances.length !== now.size) return false;
  return captured.instances.every(({ objectId, startLsn }) => {
    const start = now.get(objectId);
    return start !== undefined && (start === null) === (startLsn === null);
  });
}

/**
 * The types that the query was made for. A captured column whose type is altered is altered in the change table too
 * (https://learn.microsoft.com/sql/relational-databases/track-changes/about-change-data-capture-sql-server), and what was
 * converted for the old type may have been cut short.
 */
function sameTypes(instance: CaptureInstance, now: ReadonlyMap<string, ColumnType>): boolean {
  return instance.columns.every(({ name, type, maxLength, scale }) => {
    const column = now.get(name);
    return column?.type === type && column.maxLength === maxLength && column.scale === scale;
  });
}

/** The low watermark of the table, from the catalogue. */
function oldestStart(table: SourceTable, captured: CapturedTable): Lsn {
  const starts = captured.instances.flatMap(({ startLsn }) => (startLsn === null ? [] : [startLsn])).sort();
  if (starts[0] === undefined) throw notProcessed(table);
  return starts[0];
}

/** No instance of the table has a low watermark yet: it comes with the capture job's next scan. */
export function notProcessed(table: SourceTable): SourceError {
  return new SourceError("unavailable", `The capture job has not processed ${fullName(table)} yet.`, {
    advice: "Is the capture job running? EXEC sys.sp_cdc_start_job.",
  });
}

function noWatermark(table: SourceTable, instance: CaptureInstance): SourceError {
  const role = instance.roleName;
  return new SourceError(
    "table",
    `The server does not tell the low watermark of ${fullName(table)} (capture instance ${instance.name}): the login may not see it.`,
    {
      advice:
        role === null
          ? `GRANT SELECT ON ${fullName(table)} TO [the user]; GRANT SELECT ON SCHEMA::cdc TO [the user];`
          : `ALTER ROLE [${role}] ADD MEMBER [the user]; it is the instance's gating role.`,
    },
  );
}

async function holdsChange(
  connection: SqlConnection,
  instance: CaptureInstance,
  position: Position,
  table: SourceTable,
  signal: AbortSignal,
): Promise<boolean> {
  const command = instance.commandId === "none" ? "0" : "ISNULL([__$command_id], 0)";
  const { sets } = await connection.query(
    `SELECT COUNT(*) FROM ${instance.changeTable} WHERE [__$start_lsn] = @lsn AND ${command} = @command ` +
      "AND [__$seqval] = @seqval AND [__$operation] = @operation",
    [
      { name: "lsn", type: "binary10", value: lsnBytes(position.startLsn) },
      { name: "command", type: "int", value: position.commandId },
      { name: "seqval", type: "binary10", value: lsnBytes(position.seqval) },
      { name: "operation", type: "int", value: position.operation },
    ],
    signal,
    { doing: `looking for the change at the checkpoint of ${fullName(table)}` },
  );
  return (sets[0]!.rows[0]![0] as number) > 0;
}
