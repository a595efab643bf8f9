/** SELECT: rows to the client, into a new table, or into variables. */
import type { Expr, Query, SelectCore } from "../../sql/ast.ts";
import { typeName } from "../../sql/parser-types.ts";
import { TokenReader } from "../../sql/token-reader.ts";
import type { Column, Row } from "../database.ts";
import { Cancelled, unsupported } from "../errors.ts";
import { Scope, type SourceColumn } from "../expressions/scope.ts";
import { sliceBlocks } from "../query/blocks.ts";
import type { Plan } from "../query/plan.ts";
import { compileQuery } from "../query/query.ts";
import { RowBlock } from "../row-block.ts";
import { PAUSE, Run } from "../run.ts";
import { SqlError } from "../session.ts";
import type { Table } from "../table.ts";
import type { Transaction } from "../transactions.ts";
import { inTransaction, lockTables } from "./changes.ts";
import type { Executor } from "./executor.ts";
import { nextIdentity } from "./insert.ts";
import { makeTable } from "./new-table.ts";

export async function runQuery(executor: Executor, query: Query): Promise<void> {
  const into = intoOf(query);
  if (into) return selectInto(executor, query, into);
  const { session, sink } = executor;
  const compiler = executor.compiler();
  compiler.options.push(...query.options);
  const compiled = session.engine.schemaVersion;
  const compile = () => compileQuery(query, null, compiler, { client: true });
  const plan = session.keptPlans.of(query, compiler, compile);
  const assigns = plan.columns.length === 0;
  const work = async (transaction: Transaction | null): Promise<void> => {
    const snapshot = session.openSnapshot(transaction);
    let count = 0;
    try {
      const run = new Run(session, executor.activation, snapshot, executor.signal);
      if (!assigns) sink.columns(plan.columns, undefined, plan.order);
      const block = sink.block ? (rows: RowBlock) => sink.block!(rows) : undefined;
      count = await deliver(executor, plan, run, assigns ? null : (row) => sink.row(row), block);
    } finally {
      session.closeSnapshot(snapshot);
    }
    session.rowCount = count;
    sink.statementDone({ ...(session.options.nocount ? {} : { rowCount: count }), select: !assigns });
  };
  if (compiler.locks.size > 0) {
    await inTransaction(executor, async (transaction) => {
      await lockTables(executor, transaction, compiler.locks, compiled);
      await work(transaction);
    });
    return;
  }
  beginImplicitly(executor, query);
  await work(session.currentTransaction);
}

/**
 * Under SET IMPLICIT_TRANSACTIONS ON what reads from a table begins a transaction, also within IF, WHILE and SET.
 * https://learn.microsoft.com/sql/t-sql/statements/set-implicit-transactions-transact-sql
 */
export function beginImplicitly({ session, sink }: Executor, tree: object): void {
  if (session.options.implicitTransactions && !session.currentTransaction && reads(tree)) session.begin("", sink);
}

/** Whether there is a FROM in a tree. */
function reads(tree: unknown): boolean {
  if (Array.isArray(tree)) return tree.some(reads);
  if (typeof tree !== "object" || tree === null) return false;
  return Object.entries(tree).some(
    ([name, part]) => (name === "from" && Array.isArray(part) && part.length > 0) || reads(part),
  );
}

/**
 * Takes the rows of a plan one by one, or in blocks where the plan and whoever takes them have such, giving others their turn;
 * resolves to their number.
 */
export async function deliver(
  executor: Pick<Executor, "signal" | "session">,
  plan: Plan,
  run: Run,
  take: ((row: Row) => void | Promise<void>) | null,
  takeBlock?: (block: RowBlock) => void | Promise<void>,
): Promise<number> {
  const { signal } = executor;
  const limit = executor.session.options.rowCount;
  let count = 0;
  const blocks = takeBlock && plan.blocks?.(null, run);
  const pieces = blocks && limit > 0 ? sliceBlocks(blocks, 0, limit) : (blocks ?? plan.open(null, run));
  for (const piece of pieces) {
    let waited: void | Promise<void>;
    if (piece === PAUSE) waited = run.breathe();
    else if (piece instanceof RowBlock) {
      count += piece.length;
      waited = takeBlock!(piece);
    } else {
      count++;
      waited = take?.(piece);
      if (!waited && (count & 127) === 0 && run.due()) waited = run.breathe();
    }
    if (waited) {
      await waited;
      // Nobody can cancel the statement at another time.
      if (signal.aborted) throw new Cancelled();
    }
    if (limit > 0 && count >= limit) break;
  }
  if (signal.aborted) throw new Cancelled();
  return count;
}

function intoOf(query: Query): (SelectCore & { into: NonNullable<SelectCore["into"]> }) | undefined {
  let { body } = query;
  while (body.kind === "set") body = body.left;
  return body.kind === "select" && body.into
    ? (body as SelectCore & { into: NonNullable<SelectCore["into"]> })
    : undefined;
}

/** https://learn.microsoft.com/sql/t-sql/queries/select-into-clause-transact-sql */
async function selectInto(
  executor: Executor,
  query: Query,
  core: { into: NonNullable<SelectCore["into"]> },
): Promise<void> {
  const { session, sink } = executor;
  const made = identityColumn(query);
  const plan = compileQuery(made?.query ?? query, new Scope(null), executor.compiler());
  const identities = plan.columns.filter((column) => column.identity).length + (made ? 1 : 0);
  const columns = plan.columns.map((column, i) => newColumn(column, i, identities === 1));
  if (made) Object.assign(columns[made.place]!, { nullable: false, identity: made.identity });
  await inTransaction(executor, async (transaction) => {
    const table = makeTable(executor, core.into, columns, transaction);
    const snapshot = session.openSnapshot(transaction);
    transaction.command++;
    try {
      const run = new Run(session, executor.activation, snapshot, executor.signal);
      session.rowCount = await deliver(executor, plan, run, (row) => {
        if (made) row[made.place] = nextIdentity(table, made.place);
        return put(table, row, transaction);
      });
    } finally {
      session.closeSnapshot(snapshot);
    }
  });
  sink.statementDone(session.options.nocount ? {} : { rowCount: session.rowCount, command: "insert" });
}

/**
 * `IDENTITY (int, 1, 1) AS n` in the select list: a column that numbers the rows; error 177 in any other place.
 * https://learn.microsoft.com/sql/t-sql/functions/identity-function-transact-sql
 */
function identityColumn(
  query: Query,
): { query: Query; place: number; identity: NonNullable<Column["identity"]> } | undefined {
  const { body } = query;
  if (body.kind !== "select") return undefined;
  const isIdentity = (item: SelectCore["items"][number]) =>
    item.kind === "expr" && item.expr.kind === "call" && item.expr.name.parts.join(".").toUpperCase() === "IDENTITY";
  const place = body.items.findIndex(isIdentity);
  if (place < 0) return undefined;
  // Where a star stands before it, its place is not known from the text.
  if (body.items.slice(0, place).some((item) => item.kind === "star")) throw unsupported("IDENTITY() behind *");
  const item = body.items[place]! as SelectCore["items"][number] & { kind: "expr" };
  const { args } = item.expr as Expr & { kind: "call" };
  const [type, seed, increment] = args;
  const number = (expr: Expr | undefined): bigint => (expr?.kind === "literal" ? BigInt(expr.text) : 1n);
  const operand: Expr = { kind: "literal", type: "int", text: "0" };
  const name = type?.kind === "literal" ? type.text : "int";
  const expr: Expr = { kind: "cast", operand, type: typeName(new TokenReader(name)), try: false };
  const items = body.items.with(place, { ...item, expr });
  const start = number(seed);
  return {
    query: { ...query, body: { ...body, items } },
    place,
    identity: { seed: start, increment: number(increment), next: start },
  };
}

function put(table: Table, row: Row, transaction: Transaction): void {
  table.columns.forEach((column, i) => {
    if (row[i] === null && !column.nullable)
      throw new SqlError(
        515,
        `Cannot insert the value NULL into column '${column.name}', table '${table.qualifiedName}'; column does not allow nulls. INSERT fails.`,
        16,
        2,
      );
    const { identity } = column;
    const value = row[i];
    if (identity && (typeof value === "number" || typeof value === "bigint") && BigInt(value) >= identity.next)
      identity.next = BigInt(value) + identity.increment;
  });
  transaction.insert(table, row);
}

function newColumn(column: SourceColumn, place: number, keepIdentity: boolean): Column {
  if (column.name === "")
    throw new SqlError(
      1038,
      'An object or column name is missing or empty. For SELECT INTO statements, verify each column has a name. For other statements, look for empty alias names. Aliases defined as "" or [] are not allowed. Change the alias to a valid name.',
      15,
      5,
    );
  if (column.type.id === "timestamp") throw unsupported("SELECT INTO of a rowversion column");
  return {
    name: column.name,
    columnId: place + 1,
    type: column.type,
    nullable: column.nullable,
    ...(keepIdentity && column.identity ? { identity: { seed: 1n, increment: 1n, next: 1n } } : {}),
  };
}
