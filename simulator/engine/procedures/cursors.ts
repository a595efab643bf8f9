/**
 * Server cursors of clients: sp_cursoropen and its kin, which drivers call by number (MS-TDS 2.2.6.6).
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/cursor-stored-procedures-transact-sql
 *
 * Each fetch gives a result set whose rows end in ROWSTAT, which tells whether a keyset's row is still there; the columns'
 * tables and keys go before the rows, as in browse mode (MS-TDS 2.2.7.3, 2.2.7.22).
 */

import type { Expr, SetClause, Statement, Target } from "../../sql/ast.ts";
import { Cursor, type CursorKind, type CursorOptions, type Fetched, type FetchType } from "../cursors/cursor.ts";
import { RecordedResults } from "../cursors/recorded-results.ts";
import { unsupported } from "../errors.ts";
import { Activation } from "../run.ts";
import { type BrowseInfo, type ResultColumn, SqlError } from "../session.ts";
import { type Argument, argumentValue, type Caller, inside, parseName } from "../statements/calls.ts";
import { Executor } from "../statements/executor.ts";
import type { Prepared } from "../statements/remote-calls.ts";
import type { Table } from "../table.ts";
import { INT } from "../types/types.ts";
import { activate, keepPrepared, preparedBy, textOf } from "./prepared.ts";

const SCROLL = { keyset: 0x01, dynamic: 0x02, forwardOnly: 0x04, static: 0x08, fastForward: 0x10 } as const;
const PARAMETERIZED = 0x1000;
const AUTO_FETCH = 0x2000;
const AUTO_CLOSE = 0x4000;
const CONCURRENCY = { readOnly: 0x01, scrollLocks: 0x02, optimistic: 0x04, optimisticValues: 0x08 } as const;
const ALLOW_DIRECT = 0x2000;
const FETCH: Record<number, FetchType> = {
  1: "first",
  2: "next",
  4: "prior",
  8: "last",
  16: "absolute",
  32: "relative",
  128: "refresh",
  512: "prior alone",
};
const FETCH_INFO = 0x100;
const ROW = { succeeded: 1, missing: 2 } as const;
const ROW_STATUS: ResultColumn = { name: "ROWSTAT", type: INT, nullable: false };
/** Of sp_cursor. */
const OPERATION = {
  update: 0x01,
  delete: 0x02,
  insert: 0x04,
  refresh: 0x08,
  lock: 0x10,
  setPosition: 0x20,
  absolute: 0x40,
} as const;
const OPTION = { name: 2, scroll: 4, concurrency: 5, rowCount: 6 } as const;
const DEFAULT_ROWS = 20;

/** What the client asked for and, where it listens, is told it got. */
interface Request {
  cursor: Argument | undefined;
  scroll: Argument | undefined;
  concurrency: Argument | undefined;
  rows: Argument | undefined;
}

function number({ session }: Caller, arg: Argument | undefined, otherwise: number): number {
  if (!arg || arg.default || arg.value === null) return otherwise;
  return argumentValue(arg, INT, session) as number;
}

/** cursor OUTPUT, stmt, scrollopt OUTPUT, ccopt OUTPUT, rowcount OUTPUT, [paramdef, values …] */
export async function openCursor(caller: Caller, args: Argument[]): Promise<number> {
  const [cursor, statement, scroll, concurrency, rows, ...rest] = args;
  const parameterized = (number(caller, scroll, 0) & PARAMETERIZED) !== 0;
  const declarations = parameterized && rest[0]?.value ? textOf(rest[0], "params", "sp_cursoropen") : "";
  const prepared = { text: textOf(statement, "stmt", "sp_cursoropen"), declarations };
  return open(caller, prepared, parameterized ? rest.slice(1) : [], { cursor, scroll, concurrency, rows });
}

/** handle OUTPUT, params, stmt, options, scrollopt OUTPUT, ccopt OUTPUT */
export async function prepareCursor(caller: Caller, [handle, params, statement]: Argument[]): Promise<number> {
  const declarations = params?.value ? textOf(params, "params", "sp_cursorprepare") : "";
  keepPrepared(caller, handle, { declarations, text: textOf(statement, "stmt", "sp_cursorprepare") });
  return 0;
}

/** handle, cursor OUTPUT, scrollopt OUTPUT, ccopt OUTPUT, rowcount OUTPUT, values … */
export async function executeCursor(caller: Caller, args: Argument[]): Promise<number> {
  const [handle, cursor, scroll, concurrency, rows, ...values] = args;
  return open(caller, preparedBy(caller, handle).prepared, values, { cursor, scroll, concurrency, rows });
}

/** handle OUTPUT, cursor OUTPUT, params, stmt, scrollopt OUTPUT, ccopt OUTPUT, rowcount OUTPUT, values … */
export async function prepareAndExecuteCursor(caller: Caller, args: Argument[]): Promise<number> {
  const [handle, cursor, params, statement, scroll, concurrency, rows, ...values] = args;
  const declarations = params?.value ? textOf(params, "params", "sp_cursorprepexec") : "";
  const prepared = { declarations, text: textOf(statement, "stmt", "sp_cursorprepexec") };
  keepPrepared(caller, handle, prepared);
  return open(caller, prepared, values, { cursor, scroll, concurrency, rows });
}

export async function unprepareCursor(caller: Caller, [handle]: Argument[]): Promise<number> {
  caller.session.prepared.delete(preparedBy(caller, handle).number);
  return 0;
}

function optionsOf(scroll: number, concurrency: number): CursorOptions {
  const readOnly = (concurrency & 0xf) <= CONCURRENCY.readOnly;
  const kinds: [flag: number, kind: CursorKind][] = [
    [SCROLL.keyset, "keyset"],
    [SCROLL.dynamic, "dynamic"],
    [SCROLL.static, "static"],
    [SCROLL.fastForward, "static"],
  ];
  const kind = kinds.find(([flag]) => scroll & flag)?.[1] ?? (readOnly ? "static" : "dynamic");
  return {
    kind,
    scroll: (scroll & (SCROLL.forwardOnly | SCROLL.fastForward)) === 0,
    readOnly: readOnly || kind === "static",
    concurrency: concurrency & CONCURRENCY.scrollLocks ? "scroll locks" : "optimistic",
    columns: null,
  };
}

async function open(caller: Caller, prepared: Prepared, values: Argument[], request: Request): Promise<number> {
  const { session } = caller;
  const scroll = number(caller, request.scroll, SCROLL.keyset);
  const concurrency = number(caller, request.concurrency, CONCURRENCY.optimistic);
  const { activation, statements, giveBack } = await activate(caller, prepared, values);
  const [statement] = statements;
  const query = statements.length === 1 && statement?.kind === "query" ? statement.query : undefined;
  const executor = new Executor(session, activation, caller.sink, caller.signal);
  let cursor: Cursor;
  if (query && !(query.body.kind === "select" && query.body.into)) {
    cursor = new Cursor(query, optionsOf(scroll, concurrency), executor);
    await cursor.open(executor);
  } else {
    const recorded = new RecordedResults();
    const isCall = statements.length === 1 && statement?.kind === "execute";
    if (!isCall && !(concurrency & ALLOW_DIRECT)) throw notForCursors();
    await inside({ ...caller, sink: recorded, activation }, statements, null);
    giveBack();
    // A procedure with one result gives its rows to the cursor; anything else is the client's at once.
    const only = isCall ? recorded.only : null;
    await recorded.replay(caller.sink, only);
    if (!only) {
      for (const arg of [request.cursor, request.scroll, request.concurrency, request.rows]) arg?.give?.(0, INT);
      return 0;
    }
    cursor = Cursor.of(only.columns, only.rows, executor);
  }
  const handle = session.nextCursor;
  session.nextCursor += 2;
  session.clientCursors.set(handle, cursor);
  describe(caller, cursor);
  let fetched: Fetched[] = [];
  const count = number(caller, request.rows, DEFAULT_ROWS);
  if (scroll & AUTO_FETCH) {
    fetched = await cursor.fetch(executor, "next", count);
    for (const row of fetched) await send(caller, row);
  }
  caller.sink.statementDone({ select: true, rowCount: fetched.length });
  const ended = (scroll & (AUTO_FETCH | AUTO_CLOSE)) === (AUTO_FETCH | AUTO_CLOSE) && fetched.length < count;
  request.cursor?.give?.(ended ? 0 : handle, INT);
  request.scroll?.give?.(gotScroll(cursor, scroll), INT);
  request.concurrency?.give?.(cursor.updatable ? concurrency & 0xf : CONCURRENCY.readOnly, INT);
  request.rows?.give?.(scroll & AUTO_FETCH ? fetched.length : cursor.rowCount, INT);
  if (ended) closeHandle(caller, handle, cursor);
  return 0;
}

function notForCursors(): SqlError {
  return new SqlError(
    16937,
    "A server cursor cannot be opened on the given statement or statements. Use a default result set or client cursor.",
    16,
    1,
  );
}

/** A forward-only cursor is none of the others, whatever holds its rows. */
function gotScroll(cursor: Cursor, asked: number): number {
  const forward = asked & (SCROLL.forwardOnly | SCROLL.fastForward);
  return forward || SCROLL[cursor.kind];
}

function describe({ sink }: Caller, cursor: Cursor): void {
  sink.columns([...cursor.columns, ROW_STATUS], browseInfo(cursor));
}

/** Which tables the columns come from, and which of them are keys. */
function browseInfo(cursor: Cursor): BrowseInfo {
  const origins = cursor.origins;
  const columns = cursor.columns.map(({ name }, place) => {
    const at = origins.findIndex((origin) => origin.columns.has(place));
    if (at < 0) return { table: 0, expression: true };
    const { table, columns: places } = origins[at]!;
    const column = places.get(place)!;
    const key = table.indexes.find((index) => index.unique);
    const base = table.columns[column]!.name;
    return {
      table: at + 1,
      ...(key?.columns.some((part) => part.column === column) ? { key: true } : {}),
      ...(base === name ? {} : { name: base }),
    };
  });
  return {
    tables: origins.map(({ table }) => [table.database.name, table.schema, table.name]),
    columns: [...columns, { table: 0, expression: true, hidden: true }],
  };
}

async function send({ sink }: Caller, { values, missing }: Fetched): Promise<void> {
  await sink.row([...values, missing ? ROW.missing : ROW.succeeded]);
}

function find(caller: Caller, arg: Argument | undefined, procedure: string): { handle: number; cursor: Cursor } {
  const handle = number(caller, arg, 0);
  const cursor = caller.session.clientCursors.get(handle);
  if (!cursor)
    throw new SqlError(
      16909,
      `${procedure}: The cursor identifier value provided (${(handle >>> 0).toString(16)}) is not valid.`,
      16,
      1,
    );
  return { handle, cursor };
}

/** cursor, fetchtype, rownum OUTPUT, nrows OUTPUT */
export async function fetchCursor(caller: Caller, args: Argument[]): Promise<number> {
  const { cursor } = find(caller, args[0], "sp_cursorfetch");
  const asked = number(caller, args[1], 2);
  const executor = new Executor(caller.session, caller.activation, caller.sink, caller.signal);
  if (asked & FETCH_INFO) {
    args[2]?.give?.(cursor.rowNumber, INT);
    args[3]?.give?.(cursor.rowCount, INT);
    return 0;
  }
  const type = FETCH[asked & 0x2ff];
  if (!type) throw new SqlError(16902, "sp_cursorfetch: The value of the parameter 'fetchtype' is invalid.", 16, 1);
  if (type !== "next" && type !== "refresh" && !cursor.options.scroll)
    throw new SqlError(
      16911,
      `sp_cursorfetch: The fetch type ${type} cannot be used with forward only cursors.`,
      16,
      1,
    );
  const n = number(caller, args[2], 1);
  const fetched = await cursor.fetch(executor, type, Math.max(0, number(caller, args[3], DEFAULT_ROWS)), n);
  describe(caller, cursor);
  for (const row of fetched) await send(caller, row);
  caller.sink.statementDone({ select: true, rowCount: fetched.length });
  return 0;
}

function closeHandle({ session }: Caller, handle: number, cursor: Cursor): void {
  session.clientCursors.delete(handle);
  for (const [name, other] of session.cursors) if (other === cursor) session.cursors.delete(name);
  if (cursor.isOpen) cursor.close();
}

export async function closeCursor(caller: Caller, [arg]: Argument[]): Promise<number> {
  const { handle, cursor } = find(caller, arg, "sp_cursorclose");
  closeHandle(caller, handle, cursor);
  return 0;
}

/** cursor, code, value: gives it a name for WHERE CURRENT OF, or tells what it is. */
export async function cursorOption(caller: Caller, args: Argument[]): Promise<number> {
  const { cursor } = find(caller, args[0], "sp_cursoroption");
  const code = number(caller, args[1], 0);
  const told = args[2];
  if (code === OPTION.name) caller.session.cursors.set(String(told?.value ?? "").toLowerCase(), cursor);
  else if (code === OPTION.scroll) told?.give?.(SCROLL[cursor.kind], INT);
  else if (code === OPTION.concurrency)
    told?.give?.(cursor.updatable ? CONCURRENCY.optimistic : CONCURRENCY.readOnly, INT);
  else if (code === OPTION.rowCount) told?.give?.(cursor.rowCount, INT);
  else throw unsupported(`sp_cursoroption with code ${code}`);
  return 0;
}

/** cursor, optype, rownum, table, values …: positioned changes. */
export async function changeByCursor(caller: Caller, args: Argument[]): Promise<number> {
  const [handle, type, row, tableName, ...values] = args;
  const { cursor } = find(caller, handle, "sp_cursor");
  const operation = number(caller, type, 0);
  const place = number(caller, row, 0);
  if (operation & OPERATION.absolute) throw unsupported("sp_cursor with ABSOLUTE");
  const executor = new Executor(caller.session, new Activation(caller.activation), caller.sink, caller.signal);
  if (operation & OPERATION.insert) return change(executor, cursor, "insert", tableName, values);
  const places = place === 0 ? Array.from({ length: cursor.bufferSize }, (_, i) => i) : [place - 1];
  for (const at of places) {
    cursor.position = at;
    if (operation & OPERATION.update) await change(executor, cursor, "update", tableName, values);
    else if (operation & OPERATION.delete) await change(executor, cursor, "delete", tableName, values);
  }
  if (operation & OPERATION.setPosition && (place < 1 || place > cursor.bufferSize)) cursor.position = 0;
  if (operation & OPERATION.refresh) {
    const fetched = await cursor.fetch(executor, "refresh", cursor.bufferSize);
    describe(caller, cursor);
    for (const each of place === 0 ? fetched : fetched.slice(place - 1, place)) await send(caller, each);
    caller.sink.statementDone({ select: true, rowCount: fetched.length });
  }
  if (operation & OPERATION.lock) throw unsupported("sp_cursor with LOCK");
  return 0;
}

/** The change as a statement, whose values are variables. */
async function change(
  executor: Executor,
  cursor: Cursor,
  kind: "insert" | "update" | "delete",
  tableName: Argument | undefined,
  values: Argument[],
): Promise<number> {
  if (values.some(({ name }) => name === undefined)) throw unsupported("sp_cursor with the text of a statement");
  const columns = values.map(({ name }) => name!.replace(/^@/, ""));
  const given = values.map(({ type, value }, i): Expr => {
    const name = `@value${i}`;
    executor.activation.variables.set(name, { type, value });
    return { kind: "variable", name };
  });
  const table = targetOf(cursor, String(tableName?.value ?? ""), columns);
  const target: Target = {
    kind: "table",
    name: { parts: table.temporary ? [table.name] : [table.database.name, table.schema, table.name] },
    hints: [],
  };
  executor.activation.cursors.set("client cursor", cursor);
  const currentOf = { name: "client cursor", global: false };
  const common = { line: 1, ctes: [], target };
  const set = columns.map((column, i): SetClause => ({ kind: "column", column, op: "=", value: given[i]! }));
  let statement: Statement;
  if (kind === "insert") statement = { ...common, kind, columns, source: { kind: "values", rows: [given] } };
  else if (kind === "update") statement = { ...common, kind, set, from: [], currentOf };
  else statement = { ...common, kind, from: [], currentOf };
  await inside(executor, [statement], null);
  return executor.session.lastError;
}

/** The table that is named; where none is, the first that has the columns. */
function targetOf(cursor: Cursor, name: string, columns: string[]): Table {
  const wanted = parseName(name).at(-1)?.toLowerCase();
  const table = cursor.origins
    .map((origin) => origin.table)
    .find((candidate) =>
      wanted ? candidate.name.toLowerCase() === wanted : columns.every((column) => candidate.columnIndex(column) >= 0),
    );
  if (table) return table;
  throw new SqlError(
    16933,
    "The cursor does not include the table being modified or the table is not updatable through the cursor.",
    16,
    1,
  );
}
