/**
 * The statements that read a change table, always of the same text for the same instance and settings. One round trip:
 *
 *     set 0  maximum LSN, bound, low watermark, commit time of the bound, offset of the server's clock, updateability
 *     set 1  the table's capture instances: (object_id, start_lsn)
 *     set 2  the changes: TOP (@rows), in position order, after a position and not above the bound
 *     set 3  the low watermark again
 *     set 4  the change table's columns, with their types: (name, type, max_length, scale)
 *
 * The bound is @upTo, or this connection's own maximum where that is behind: a readable secondary may be.
 *
 * A position is resumed from by an index seek. A tuple comparison written with OR would scan, so the changes come as a UNION
 * ALL of one seek for each prefix of the change table's clustered key, each bounded by TOP. Positions between transactions
 * need one seek only. The forms, by the change table's real key:
 * - "full": (start LSN, command id, seqval, operation), as current servers make it; rows whose command id is NULL are sought
 *   as such, they sort before all others, as command 0 does before ids that begin at 1;
 * - "without command": (start LSN, seqval, operation) on change tables of old servers, which have no command id;
 * - "window": any other key. As many transactions as hold @rows changes are found first, then their changes are sorted.
 */
import { afterTransaction, type Lsn, MAX_LSN, type Position } from "../../change/position.ts";
import type { CaptureInstance } from "./capture-instance.ts";
import type { Parameter } from "./connection.ts";
import { lsnBefore, lsnBytes } from "./lsn.ts";
import { quoteName } from "./quote.ts";
import type { LeadingColumns } from "./rows/row-code.ts";

const LSN = "[__$start_lsn]";
const COMMAND = "[__$command_id]";
const SEQVAL = "[__$seqval]";
const OPERATION = "[__$operation]";
const MASK = "[__$update_mask]";

/** Row source of the select expressions. */
export const ROW = "c";

export interface ChangeQueryOptions {
  instance: CaptureInstance;
  /** Columns that the expressions need. */
  columns: readonly string[];
  /** Over ROW, one a column. */
  expressions: readonly string[];
  /** With the rows of operation 3. */
  before: boolean;
  /** Asks for the clock's offset at each commit time, as a further column. */
  zone: boolean;
}

export class ChangeQuery {
  /** Of set 2; behind them come the expressions. */
  readonly leading: LeadingColumns;
  /** What makes sets 3 and 4, for a read that was called off before them; takes @instance. */
  readonly afterwards: string;
  /** Position between transactions, and within one. */
  readonly #texts: { between: string; within: string };
  readonly #form: "full" | "without command" | "window";
  readonly #nullable: boolean;
  readonly #zone: boolean;

  constructor(options: ChangeQueryOptions) {
    const { instance } = options;
    this.#form = seekForm(instance);
    this.#nullable = instance.commandId === "nullable";
    this.#zone = options.zone;
    const offset = options.zone ? 5 : -1;
    const mask = options.before ? 5 + Number(options.zone) : -1;
    this.leading = { lsn: 0, command: 1, seqval: 2, operation: 3, commitTime: 4, offset, mask };
    this.afterwards =
      "SELECT sys.fn_cdc_get_min_lsn(@instance);\n" +
      "SELECT c.name, b.name, c.max_length, c.scale FROM sys.columns AS c " +
      `LEFT JOIN sys.types AS b ON b.user_type_id = c.system_type_id WHERE c.object_id = ${instance.objectId};`;
    this.#texts = { between: this.#text(options, false), within: this.#text(options, true) };
  }

  /** The statement that reads on after a position. `zone`: the server's, where the query was made with one. */
  after(
    position: Position,
    upTo: Lsn,
    rows: number,
    source: { tableId: number; instance: string; zone: string | null },
  ): { sql: string; parameters: Parameter[] } {
    const begun = !isBetweenTransactions(position);
    const done = begun || position.commandId >= 0 ? position.startLsn : lsnBefore(position.startLsn);
    const parameters: Parameter[] = [
      { name: "instance", type: "nvarchar", value: source.instance },
      { name: "table", type: "int", value: source.tableId },
      { name: "upTo", type: "binary10", value: lsnBytes(upTo) },
      { name: "rows", type: "int", value: rows },
      { name: "lsn", type: "binary10", value: lsnBytes(done) },
    ];
    if (this.#zone) parameters.push({ name: "zone", type: "nvarchar", value: source.zone });
    if (!begun) return { sql: this.#texts.between, parameters };
    if (this.#form !== "without command") parameters.push({ name: "command", type: "int", value: position.commandId });
    parameters.push({ name: "seqval", type: "binary10", value: lsnBytes(position.seqval) });
    parameters.push({ name: "operation", type: "int", value: position.operation });
    if (this.#form === "full" && this.#nullable) {
      // Rows without a command id count as command 0: behind it there are none, at it they go on from seqval and operation.
      const at = position.commandId === 0 ? position.seqval : MAX_LSN;
      parameters.push({ name: "nullSeqval", type: "binary10", value: lsnBytes(at) });
      parameters.push({
        name: "nullOperation",
        type: "int",
        value: position.commandId === 0 ? position.operation : 255,
      });
    }
    return { sql: this.#texts.within, parameters };
  }

  #text(options: ChangeQueryOptions, within: boolean): string {
    const { instance } = options;
    const command = instance.commandId !== "none";
    const order = command ? [LSN, COMMAND, SEQVAL, OPERATION] : [LSN, SEQVAL, OPERATION];
    const kept = options.before ? "" : ` AND ${OPERATION} <> 3`;
    const raw = [...order, ...(options.before ? [MASK] : []), ...options.columns.map(quoteName)];
    const { window, branches } =
      this.#form === "window"
        ? windowSeeks(instance, kept, within)
        : { window: "", branches: prefixSeeks(this.#form === "full", this.#nullable, within) };
    const bounded = this.#form !== "window";
    const seeks = branches.map((where, index) => {
      const top = bounded ? "TOP (@rows) " : "";
      const sorted = bounded ? ` ORDER BY ${order.join(", ")}` : "";
      const seek = `SELECT ${top}${raw.join(", ")} FROM ${instance.changeTable} WHERE ${where}${kept}${sorted}`;
      return `  SELECT * FROM (${seek}) AS s${index}`;
    });
    const selected = [
      `${ROW}.${LSN}`,
      command ? `ISNULL(${ROW}.${COMMAND}, 0)` : "0",
      `${ROW}.${SEQVAL}`,
      `${ROW}.${OPERATION}`,
      "m.tran_end_time",
      ...(options.zone ? ["DATEPART(TZOFFSET, m.tran_end_time AT TIME ZONE @zone)"] : []),
      ...(options.before ? [`${ROW}.${MASK}`] : []),
      ...options.expressions,
    ];
    const outerOrder = order.map((name) =>
      name === COMMAND && this.#form === "window" ? `ISNULL(${ROW}.${COMMAND}, 0)` : `${ROW}.${name}`,
    );
    return [
      "DECLARE @max binary(10) = sys.fn_cdc_get_max_lsn();",
      "DECLARE @bound binary(10) = CASE WHEN @max >= @upTo THEN @upTo ELSE @max END;",
      "SELECT @max, @bound, sys.fn_cdc_get_min_lsn(@instance),",
      "  (SELECT tran_end_time FROM cdc.lsn_time_mapping WHERE start_lsn = @bound),",
      "  DATEPART(TZOFFSET, SYSDATETIMEOFFSET()), CONVERT(nvarchar(128), DATABASEPROPERTYEX(DB_NAME(), 'Updateability'));",
      "SELECT object_id, start_lsn FROM cdc.change_tables WHERE source_object_id = @table;",
      ...(window === "" ? [] : [window]),
      `SELECT TOP (@rows) ${selected.join(", ")}`,
      "FROM (",
      seeks.join("\n  UNION ALL\n"),
      `) AS ${ROW}`,
      `LEFT JOIN cdc.lsn_time_mapping AS m ON m.start_lsn = ${ROW}.${LSN}`,
      `ORDER BY ${outerOrder.join(", ")};`,
      this.afterwards,
    ].join("\n");
  }
}

/** Nothing of a transaction has been read, or all of it. */
export function isBetweenTransactions(position: Position): boolean {
  return position.commandId < 0 || position.commandId === afterTransaction(position.startLsn).commandId;
}

function seekForm(instance: CaptureInstance): "full" | "without command" | "window" {
  if (instance.commandId === "none") return "without command";
  const key = instance.clusteredKey.slice(0, 4).map((name) => name.toLowerCase());
  const current = ["__$start_lsn", "__$command_id", "__$seqval", "__$operation"];
  return current.every((name, index) => key[index] === name) ? "full" : "window";
}

const LATER = `${LSN} > @lsn AND ${LSN} <= @bound`;
/** A transaction that was begun is below the bound, unless this connection is behind. */
const SAME = `${LSN} = @lsn AND ${LSN} <= @bound`;

function prefixSeeks(command: boolean, nullable: boolean, within: boolean): string[] {
  if (!within) return [LATER];
  if (!command)
    return [`${SAME} AND ${SEQVAL} = @seqval AND ${OPERATION} > @operation`, `${SAME} AND ${SEQVAL} > @seqval`, LATER];
  const ofNull = [
    `${SAME} AND ${COMMAND} IS NULL AND ${SEQVAL} = @nullSeqval AND ${OPERATION} > @nullOperation`,
    `${SAME} AND ${COMMAND} IS NULL AND ${SEQVAL} > @nullSeqval`,
  ];
  return [
    ...(nullable ? ofNull : []),
    `${SAME} AND ${COMMAND} = @command AND ${SEQVAL} = @seqval AND ${OPERATION} > @operation`,
    `${SAME} AND ${COMMAND} = @command AND ${SEQVAL} > @seqval`,
    `${SAME} AND ${COMMAND} > @command`,
    LATER,
  ];
}

function windowSeeks(instance: CaptureInstance, kept: string, within: boolean): { window: string; branches: string[] } {
  const found = `SELECT TOP (@rows) ${LSN} FROM ${instance.changeTable} WHERE ${LATER}${kept} ORDER BY ${LSN}`;
  const window = `DECLARE @window binary(10) = (SELECT MAX(w.${LSN}) FROM (${found}) AS w);`;
  const later = `${LSN} > @lsn AND ${LSN} <= @window`;
  const rest =
    `${SAME} AND (ISNULL(${COMMAND}, 0) > @command OR (ISNULL(${COMMAND}, 0) = @command AND ` +
    `(${SEQVAL} > @seqval OR (${SEQVAL} = @seqval AND ${OPERATION} > @operation))))`;
  return { window, branches: within ? [rest, later] : [later] };
}
