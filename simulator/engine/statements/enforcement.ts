/**
 * CHECK and NOCHECK CONSTRAINT: whether CHECK and FOREIGN KEY constraints are looked at, and what the rows that are there say to
 * new ones. https://learn.microsoft.com/sql/t-sql/statements/alter-table-transact-sql
 */
import type { AlterTableAction } from "../../sql/ast.ts";
import type { Enforcement } from "../database.ts";
import { newFrame } from "../expressions/compiled.ts";
import { Compiler } from "../expressions/compiler.ts";
import { Scope, sourceColumn } from "../expressions/scope.ts";
import { Activation } from "../run.ts";
import { SqlError } from "../session.ts";
import type { Table } from "../table.ts";
import type { Transaction } from "../transactions.ts";
import type { Executor } from "./executor.ts";
import { checkPresentRows, referencedTable } from "./references.ts";

type Action<K extends AlterTableAction["kind"]> = AlterTableAction & { kind: K };

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

/** Puts others in the place of the constraints of those names: those that the statement found come back with it. */
function mark(table: Table, names: string[], state: Enforcement): void {
  const marked = <T extends { name: string }>(constraints: T[]) =>
    constraints.map((one) => (names.some((name) => same(name, one.name)) ? { ...one, ...state } : one));
  table.checks = marked(table.checks);
  table.foreignKeys = marked(table.foreignKeys);
  table.schemaVersion++;
}

/** Made WITH NOCHECK: nobody knows what the rows that are there would say to it. */
export function distrust(table: Table, name: string): void {
  mark(table, [name], { notTrusted: true });
}

export function enforce(
  executor: Executor,
  table: Table,
  { enabled, verified, names }: Action<"enforce">,
  transaction: Transaction,
): void {
  const all = [...table.checks, ...table.foreignKeys].map(({ name }) => name);
  for (const name of names) if (!all.some((one) => same(one, name))) throw notEnforceable(table, name);
  const chosen = names.length > 0 ? names : all;
  if (!enabled) mark(table, chosen, { disabled: true, notTrusted: true });
  else if (!verified) mark(table, chosen, { disabled: false });
  else {
    for (const name of chosen) verify(executor, table, name, transaction);
    mark(table, chosen, { disabled: false, notTrusted: false });
  }
}

function notEnforceable(table: Table, name: string): SqlError {
  const other =
    table.indexes.some((index) => index.constraintObjectId !== undefined && same(index.name, name)) ||
    table.columns.some((column) => column.default && same(column.default.name, name));
  if (!other) return new SqlError(4917, `Constraint '${name}' does not exist.`, 16, 0);
  return new SqlError(
    11415,
    `Object '${name}' cannot be disabled or enabled. This action applies only to foreign key and check constraints.`,
    16,
    1,
  );
}

/** Error 547 where a row that is there does not satisfy the constraint. */
export function verify(executor: Executor, table: Table, name: string, transaction: Transaction): void {
  const key = table.foreignKeys.find((one) => same(one.name, name));
  if (key) checkPresentRows(table, key, transaction);
  const check = table.checks.find((one) => same(one.name, name));
  if (check) verifyCheck(executor, table, check, transaction);
}

function verifyCheck(
  executor: Executor,
  table: Table,
  { name, constraint }: Table["checks"][number],
  transaction: Transaction,
): void {
  if (constraint.kind !== "check") return;
  const scope = new Scope(null);
  scope.add({ slot: scope.slots++, parts: [table.schema, table.name], columns: table.columns.map(sourceColumn) });
  const compiler = new Compiler(executor.session, new Activation(null, "check"), table.database);
  const test = compiler.condition(constraint.test, scope);
  executor.evaluating((run) => {
    const frame = newFrame(1, null, run);
    for (const row of table.rows({ ...run.snapshot, transaction })) {
      frame.rows[0] = row;
      if (test(frame) === false)
        throw new SqlError(
          547,
          `The ALTER TABLE statement conflicted with the CHECK constraint "${name}". The conflict occurred in database "${table.database.name}", table "${table.qualifiedName}".`,
          16,
          0,
        );
    }
  });
}

/** Tables that foreign keys which are added or enabled again refer to: they are locked before their rows are looked at. */
export function parentsToRead(table: Table, action: AlterTableAction): Table[] {
  const wanted =
    action.kind === "add" && !action.unchecked
      ? [...action.constraints, ...action.columns.flatMap(({ constraints }) => constraints)]
      : action.kind === "enforce" && action.enabled && action.verified
        ? table.foreignKeys.map(({ constraint }) => constraint)
        : [];
  const parents = wanted.flatMap((constraint) =>
    constraint.kind === "foreign_key" ? (referencedTable(table, { name: "", objectId: 0, constraint }) ?? []) : [],
  );
  return parents.filter((parent) => parent !== table);
}
