/** SQL Server's change data capture as a source of changes. */
import {
  type DestinationParts,
  destinationName,
  refuseCollisions,
  refuseNamesakes,
  serverIdentity,
} from "../../change/formats/destination.ts";
import { envelopeTemplate } from "../../change/formats/provider-envelope.ts";
import { rowTemplate } from "../../change/formats/row-message.ts";
import { originOf } from "../../change/message-id.ts";
import { afterTransaction, comparePositions, type Lsn, type Position } from "../../change/position.ts";
import { defaultValueOptions, type ValueOptions } from "../../change/values.ts";
import { matches, type TablePattern } from "../../config/tables.ts";
import type { Start } from "../../config/units.ts";
import { SourceError } from "../../errors.ts";
import { type Checkpoint, fullName, type TableName } from "../../ingester/checkpoint.ts";
import type { ChangeReader, Source, SourceTable } from "../../ingester/source.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { closest } from "../../text/closest.ts";
import type { CapturedTable, CaptureInstance } from "./capture-instance.ts";
import { readCatalog, readRecoveryFork } from "./catalog.ts";
import { ChangeQuery, ROW } from "./change-query.ts";
import { notProcessed, type ReaderSurroundings, SqlServerChangeReader } from "./change-reader.ts";
import { checkSqlServer } from "./checks.ts";
import { type ConnectionTimes, SqlConnection } from "./connection.ts";
import { ConnectionPool } from "./connection-pool.ts";
import type { SqlServerTarget } from "./connection-string.ts";
import type { Finding } from "./finding.ts";
import type { InstanceReading } from "./instance-reading.ts";
import { lsnBefore, lsnBytes, lsnOrNull } from "./lsn.ts";
import { BufferPool } from "./rows/buffer-pool.ts";
import { chosenColumns, rowFields, selectExpression } from "./rows/columns.ts";
import { CompiledRows } from "./rows/compiled-rows.ts";
import { localText, readServerTime, type ServerTime } from "./server-time.ts";
import { readRetention, readStanding, type Standing } from "./standing.ts";
import { startPosition } from "./start.ts";
import { defaultTableOptions, type TableOptions } from "./table-options.ts";
import { WatchQuery } from "./watch-query.ts";

export interface SqlServerSourceOptions {
  target: SqlServerTarget;
  tables: readonly TablePattern[];
  ingestQueue: string;
  logger: Logger;
  /** Template; undefined: the standard name. */
  destination?: string | undefined;
  ordering?: "table" | "key";
  /** "envelope": changes as the elements of provider envelopes (change/formats/provider-envelope.ts); "row" by default. */
  format?: "row" | "envelope";
  values?: Partial<ValueOptions>;
  /** The settings of one table; the defaults where absent. */
  tableOptions?: (table: TableName) => TableOptions;
  /** Tables read at once, each on a connection; 4 by default. */
  maxConcurrentTables?: number;
  times?: Partial<ConnectionTimes>;
}

/** What depends on the server's present state, and so is asked anew on each connection. */
interface SessionFacts {
  time: ServerTime;
  recoveryFork: string | null;
}

const NO_SUCH_OBJECT = 208;
/** Bytes of a buffer that is kept; larger ones come with giant rows, and go with them. */
const LARGEST_BUFFER = 16 * 1024 * 1024;

export class SqlServerSource implements Source {
  readonly #options: SqlServerSourceOptions;
  readonly #values: ValueOptions;
  /** Asks for the maximum and the catalogue; never busy with changes. */
  readonly #watcher: SqlConnection;
  readonly #pool: ConnectionPool;
  readonly #buffers: BufferPool;
  readonly #facts = new WeakMap<object, SessionFacts>();
  /** By the instance as a catalogue described it, and by what the server said of itself. */
  readonly #readings = new WeakMap<CaptureInstance, Map<string, InstanceReading>>();
  #catalog: { tables: CapturedTable[]; watch: WatchQuery } | null = null;
  #closed = new AbortController();

  constructor(options: SqlServerSourceOptions) {
    this.#options = options;
    this.#values = { ...defaultValueOptions, ...options.values };
    this.#watcher = new SqlConnection(options.target, options.times);
    const atOnce = options.maxConcurrentTables ?? 4;
    this.#pool = new ConnectionPool(options.target, atOnce, options.times);
    // For each table one that is being filled, and one that is being sent.
    this.#buffers = new BufferPool({ kept: 2 * atOnce, largest: LARGEST_BUFFER });
  }

  get lockPrefix(): string {
    return `${serverIdentity(this.#host())}/${this.#options.target.database}/`;
  }

  async tables(): Promise<SourceTable[]> {
    const { tables } = await this.#readCatalog(this.#closed.signal);
    const found = new Map<CapturedTable, SourceTable>();
    const missing: { pattern: TablePattern; error: SourceError }[] = [];
    for (const pattern of this.#options.tables) {
      const matching = tables.filter((table) => matches(pattern, table));
      // Without a wildcard a name means one table, and in a case-sensitive database the one that is written exactly so.
      const exact = matching.filter((table) => table.schema === pattern.schema && table.table === pattern.table);
      const named = !pattern.pattern && exact.length > 0 ? exact : matching;
      if (named.length === 0) missing.push({ pattern, error: this.#notCaptured(pattern, tables) });
      for (const table of named) found.set(table, this.#sourceTable(table));
    }
    if (found.size === 0 && missing.length > 0) throw missing[0]!.error;
    const result = [...found.values()];
    for (const { pattern, error } of missing) {
      // A table by its name stops when it is read, says why, and begins once CDC is on for it; the others go on meanwhile.
      if (!pattern.pattern) result.push(this.#sourceTable(pattern));
      else this.#options.logger.warn({ advice: error.advice }, error.message);
    }
    refuseNamesakes(result);
    refuseCollisions(result.map((table) => ({ table, destination: table.destination })));
    return result;
  }

  async maximum(signal: AbortSignal): Promise<{ lsn: Lsn; commitTime: string | null } | null> {
    const sql =
      "DECLARE @max binary(10) = sys.fn_cdc_get_max_lsn(); " +
      "SELECT @max, (SELECT tran_end_time FROM cdc.lsn_time_mapping WHERE start_lsn = @max)";
    const { sets } = await this.#watcher.query(sql, [], signal, { doing: "asking for the maximum LSN" });
    const [maximum, time] = sets[0]!.rows[0]!;
    const lsn = lsnOrNull(maximum);
    return lsn === null ? null : { lsn, commitTime: time === null ? null : localText(time as Date) };
  }

  async changed(
    tables: { table: SourceTable; after: Position }[],
    upTo: Lsn,
    signal: AbortSignal,
  ): Promise<SourceTable[]> {
    const catalog = this.#catalog ?? (await this.#readCatalog(signal));
    const asked = tables.map((entry) => ({ ...entry, captured: find(catalog.tables, entry.table) }));
    const after = new Map<number, Lsn>();
    for (const { captured, after: position } of asked)
      for (const { objectId } of captured?.instances ?? []) after.set(objectId, lastRead(position));

    const hits = new Set<number>();
    let instances: { objectId: number; sourceId: number; start: Lsn | null }[] = [];
    try {
      const requests = catalog.watch.requests(after, upTo);
      for (const [index, { sql, parameters }] of requests.entries()) {
        const { sets } = await this.#watcher.query(sql, parameters, signal, {
          doing: "asking which tables have changes",
        });
        const maximum = lsnOrNull(sets.shift()!.rows[0]![0]);
        if (maximum === null || maximum < upTo) throw behind(maximum, upTo);
        const states = index === requests.length - 1 ? sets.pop()! : null;
        for (const { rows } of sets) for (const [id] of rows) hits.add(id as number);
        if (states)
          instances = states.rows.map(([objectId, sourceId, start]) => ({
            objectId: objectId as number,
            sourceId: sourceId as number,
            start: lsnOrNull(start),
          }));
      }
    } catch (error) {
      if (!(error instanceof SourceError && error.number === NO_SUCH_OBJECT)) throw error;
      // An instance was dropped: its table finds out, the others are asked for again by the next poll.
      this.#catalog = null;
      return tables.map(({ table }) => table);
    }

    const changed: SourceTable[] = [];
    for (const { table, after: position, captured } of asked) {
      const now = instances.filter((instance) => instance.sourceId === captured?.objectId);
      const moved =
        captured === undefined ||
        now.length !== captured.instances.length ||
        now.some(({ objectId, start }) => stateOf(captured, objectId) !== (start !== null));
      if (moved) this.#catalog = null;
      const starts = now.flatMap(({ start }) => (start === null ? [] : [start]));
      const gap = starts.length > 0 && starts.every((start) => start > position.startLsn);
      if (moved || gap || captured.instances.some(({ objectId }) => hits.has(objectId))) changed.push(table);
    }
    return changed;
  }

  async start(table: SourceTable, signal: AbortSignal, appeared = false): Promise<Position> {
    const { objectId } = await this.#captured(table, false, signal);
    const { sets } = await this.#watcher.query(
      "SELECT MIN(start_lsn) FROM cdc.change_tables WHERE source_object_id = @table",
      [{ name: "table", type: "int", value: objectId }],
      signal,
      { doing: `asking for the low watermark of ${fullName(table)}` },
    );
    const low = lsnOrNull(sets[0]!.rows[0]![0]);
    if (low === null) throw notProcessed(table);
    const { start } = this.#tableOptions(table);
    const from: Start = appeared && start.at === "now" ? { at: "low_watermark" } : start;
    return startPosition(this.#watcher, table, from, low, this.#options.logger, signal);
  }

  /** The commit time of an LSN, as Checkpoint.commitTime; null where the database has none for it. */
  async commitTime(lsn: Lsn, signal: AbortSignal): Promise<string | null> {
    const { sets } = await this.#watcher.query(
      "SELECT tran_end_time FROM cdc.lsn_time_mapping WHERE start_lsn = @lsn",
      [{ name: "lsn", type: "binary10", value: lsnBytes(lsn) }],
      signal,
      { doing: "asking for a commit time" },
    );
    const time = sets[0]!.rows[0]?.[0] as Date | null | undefined;
    return time ? localText(time) : null;
  }

  /** How far these checkpoints are behind, one after the other: for `dstream status`. */
  async standings(
    entries: readonly { table: TableName; checkpoint: Checkpoint | null }[],
    signal: AbortSignal,
  ): Promise<Standing[]> {
    const { tables } = await this.#readCatalog(signal);
    const retention = await readRetention(this.#watcher, signal);
    const standings: Standing[] = [];
    for (const { table, checkpoint } of entries)
      standings.push(await readStanding(this.#watcher, find(tables, table), checkpoint, retention, signal));
    return standings;
  }

  /** Looks at everything that change data capture needs, and changes nothing. `checkpointTable`: where it is kept in the database. */
  async check(options: { checkpointTable?: string | undefined } = {}): Promise<Finding[]> {
    const { target, tables, tableOptions, ordering, times } = this.#options;
    const optional = { ...(tableOptions && { tableOptions }), ...(ordering && { ordering }), ...(times && { times }) };
    return await checkSqlServer({ target, tables, ...optional, ...options }, this.#closed.signal);
  }

  reader(table: SourceTable, from: Checkpoint): ChangeReader {
    const surroundings: ReaderSurroundings = {
      pool: this.#pool,
      buffers: this.#buffers,
      logger: this.#options.logger,
      captured: (table, fresh, signal) => this.#captured(table, fresh, signal),
      reading: (table, captured, instance, connection, signal) =>
        this.#reading(table, captured, instance, connection, signal),
    };
    return new SqlServerChangeReader(table, from, surroundings);
  }

  async close(): Promise<void> {
    this.#closed.abort(new SourceError("unavailable", "The source was closed."));
    await Promise.all([this.#watcher.close(), this.#pool.close()]);
  }

  #tableOptions(table: TableName): TableOptions {
    return this.#options.tableOptions?.(table) ?? defaultTableOptions;
  }

  #host(): string {
    return this.#options.target.hosts[0].server;
  }

  #sourceTable({ schema, table }: TableName): SourceTable {
    const { database } = this.#options.target;
    const parts: DestinationParts = { host: this.#host(), database, schema, table };
    return {
      schema,
      table,
      lockName: `${this.lockPrefix}${schema}.${table}`,
      destination: destinationName(parts, this.#options.destination),
    };
  }

  async #readCatalog(signal: AbortSignal): Promise<{ tables: CapturedTable[]; watch: WatchQuery }> {
    const tables = await readCatalog(this.#watcher, signal);
    const watched = tables.filter((table) => this.#options.tables.some((pattern) => matches(pattern, table)));
    this.#catalog = { tables, watch: new WatchQuery(watched) };
    return this.#catalog;
  }

  async #captured(table: SourceTable, fresh: boolean, signal: AbortSignal): Promise<CapturedTable> {
    // What is known may be older than the table's capture instance.
    const known = fresh || this.#catalog === null ? undefined : find(this.#catalog.tables, table);
    if (known !== undefined) return known;
    const catalog = await this.#readCatalog(signal);
    const captured = find(catalog.tables, table);
    if (captured === undefined) throw this.#notCaptured(table, catalog.tables);
    return captured;
  }

  #notCaptured(wanted: TableName & { text?: string }, tables: readonly CapturedTable[]): SourceError {
    const name = fullName(wanted);
    const near = closest(name, tables.map(fullName));
    const meant = near === undefined ? "" : ` Did you mean ${near}?`;
    const literal = (text: string) => `N'${text.replaceAll("'", "''")}'`;
    return new SourceError(
      "table",
      `No table ${wanted.text ?? name} is under change data capture, as far as the login sees.${meant}`,
      {
        advice:
          `EXEC sys.sp_cdc_enable_table @source_schema = ${literal(wanted.schema)}, @source_name = ${literal(wanted.table)}, ` +
          "@role_name = NULL; or run `dstream check`.",
      },
    );
  }

  async #reading(
    table: SourceTable,
    captured: CapturedTable,
    instance: CaptureInstance,
    connection: SqlConnection,
    signal: AbortSignal,
  ): Promise<InstanceReading> {
    const { time, recoveryFork } = await this.#factsOf(connection, signal);
    const readings = this.#readings.get(instance) ?? new Map<string, InstanceReading>();
    this.#readings.set(instance, readings);
    const cacheKey = JSON.stringify([time.zone, recoveryFork]);
    const known = readings.get(cacheKey);
    if (known) return known;
    const options = this.#tableOptions(table);
    const choice = {
      include: options.columnsInclude,
      exclude: options.columnsExclude,
      mask: options.columnsMask,
    };
    const newer = captured.instances.slice(captured.instances.indexOf(instance) + 1);
    const columns = chosenColumns(table, instance, newer, choice);
    const names = columns.map((column) => column.name);
    const masked = new Set(options.columnsMask?.map((name) => name.toLowerCase()));
    const shown = names.filter((name) => !masked.has(name.toLowerCase()));
    const keyColumns = this.#keyColumns(table, captured, instance, shown);
    const query = new ChangeQuery({
      instance,
      columns: names,
      expressions: columns.map((column) => selectExpression(column, ROW)),
      before: options.before,
      zone: time.zone !== null,
    });
    const { destination } = table;
    const { ingestQueue, format } = this.#options;
    const reading: InstanceReading = {
      tableId: captured.objectId,
      query,
      rows: new CompiledRows({
        leading: query.leading,
        fields: rowFields(columns, keyColumns ?? [], choice),
        template: format === "envelope" ? envelopeTemplate(table) : rowTemplate({ table, destination, ingestQueue }),
        values: this.#values,
      }),
      labels: {
        table,
        destination,
        origin: originOf({
          server: serverIdentity(this.#host()),
          database: this.#options.target.database,
          recoveryFork,
          captureInstance: instance.name,
        }),
        keyColumns,
      },
      before: options.before,
      zone: time.zone,
    };
    readings.set(cacheKey, reading);
    return reading;
  }

  /** Null: the table keeps its order as a whole. */
  #keyColumns(
    table: SourceTable,
    captured: CapturedTable,
    instance: CaptureInstance,
    shown: string[],
  ): string[] | null {
    if (this.#options.ordering !== "key") return null;
    const { primaryKey } = captured;
    const isCaptured = (name: string) => instance.columns.some((column) => column.name === name && !column.computed);
    if (primaryKey.length === 0 || !primaryKey.every(isCaptured)) {
      this.#options.logger.warn(
        { table: fullName(table) },
        "The table has no captured primary key: its messages keep the order of the whole table.",
      );
      return null;
    }
    const missing = primaryKey.filter((name) => !shown.includes(name));
    if (missing.length > 0)
      throw new SourceError(
        "table",
        `The columns of ${fullName(table)} that are sent leave out or mask its key: ${missing.join(", ")}.`,
        {
          advice:
            'ordering = "key" needs the whole primary key: change columns_include, columns_exclude or columns_mask.',
        },
      );
    return [...primaryKey];
  }

  async #factsOf(connection: SqlConnection, signal: AbortSignal): Promise<SessionFacts> {
    const known = connection.session && this.#facts.get(connection.session);
    if (known) return known;
    const time = await readServerTime(connection, signal);
    const { session } = connection;
    const facts = { time, recoveryFork: await readRecoveryFork(connection, signal) };
    if (session !== null && session === connection.session) this.#facts.set(session, facts);
    return facts;
  }
}

function sameTable(a: TableName, b: TableName): boolean {
  return a.schema === b.schema && a.table === b.table;
}

/** A table that was not captured at the start has the configuration's spelling; the catalogue's may differ in case. */
function find(tables: readonly CapturedTable[], table: TableName): CapturedTable | undefined {
  const exact = tables.find((captured) => sameTable(captured, table));
  if (exact !== undefined) return exact;
  const alike = tables.filter((captured) => fullName(captured).toLowerCase() === fullName(table).toLowerCase());
  return alike.length === 1 ? alike[0] : undefined;
}

/** The answer of a replica that has not seen all would make quiet tables of busy ones. */
function behind(maximum: Lsn | null, upTo: Lsn): SourceError {
  return new SourceError(
    "unavailable",
    `While asking which tables have changes up to LSN ${upTo}: this connection has seen ${maximum ?? "none"} only. ` +
      "It leads to a replica that is behind.",
  );
}

/** Changes above this LSN count; the change at a position within a transaction counts as well, and is read again for nothing. */
function lastRead(position: Position): Lsn {
  const whole = comparePositions(position, afterTransaction(position.startLsn)) >= 0;
  return whole ? position.startLsn : lsnBefore(position.startLsn);
}

/** Whether the instance had been processed when the catalogue was read; undefined: it was not there. */
function stateOf(captured: CapturedTable, objectId: number): boolean | undefined {
  const instance = captured.instances.find((one) => one.objectId === objectId);
  return instance && instance.startLsn !== null;
}
