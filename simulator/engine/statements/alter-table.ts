/** ALTER TABLE: https://learn.microsoft.com/sql/t-sql/statements/alter-table-transact-sql */
import type { ColumnDefinition, TableConstraint } from "../../sql/ast.ts";
import type { Column, Row } from "../database.ts";
import { unsupported } from "../errors.ts";
import { newFrame } from "../expressions/compiled.ts";
import { SqlError } from "../session.ts";
import type { TableChange } from "../storage.ts";
import type { Table } from "../table.ts";
import type { Transaction } from "../transactions.ts";
import { converter, textWidth } from "../types/conversion.ts";
import { isBinary, isText } from "../types/types.ts";
import { declaredType, userTypeOf } from "../types/user-types.ts";
import type { Value } from "../values.ts";
import { inTransaction, type Kind } from "./changes.ts";
import { ofColumn } from "./create-table.ts";
import { distrust, enforce, parentsToRead, verify } from "./enforcement.ts";
import type { Executor } from "./executor.ts";
import { refuseDuplicates } from "./indexes.ts";
import { addConstraint, makeColumn, typeComputed } from "./new-table.ts";
import { ownTable, tell } from "./own-table.ts";
import { RowWriter } from "./row-writer.ts";
import { switchTriggers } from "./triggers.ts";
export async function alterTable(executor: Executor, statement: Kind<"alter_table">): Promise<void> {
  const { session, sink } = executor;
  const { action } = statement;
  if (action.kind === "triggers") {
    const { enable, names } = action;
    return switchTriggers(executor, {
      line: statement.line,
      kind: "switch_triggers",
      enable,
      names,
      table: statement.name,
    });
  }
  await inTransaction(executor, async (transaction) => {
    const table = ownTable(executor, statement.name.parts, 4902);
    await session.lock(table, transaction, "X", executor.signal);
    for (const hook of table.database.hooks.beforeAlterTable) hook(table, session);
    for (const parent of parentsToRead(table, action)) await session.lock(parent, transaction, "S", executor.signal);
    const undo = remember(table);
    transaction.onRollback(undo);
    const changes = alter(executor, table, action, transaction);
    table.modifyDate = session.engine.now();
    table.database.engine.schemaVersion++;
    const command = statement.text;
    for (const change of changes)
      for (const hook of table.database.hooks.afterAlterTable) hook({ table, command, session, transaction, change });
    tell(executor, table, command, transaction);
  });
  session.rowCount = 0;
  sink.statementDone({});
}

/** How to put a table's structure back as it is now. Its rows are put back by undoing their conversion. */
function remember(table: Table): () => void {
  const columns = table.columns.map((column) => ({ ...column }));
  const { indexes, name } = table;
  const checks = [...table.checks];
  const foreignKeys = [...table.foreignKeys];
  return () => {
    table.columns = columns;
    table.indexes = indexes;
    table.name = name;
    table.checks = checks;
    table.foreignKeys = foreignKeys;
    table.rebuild();
    table.database.engine.schemaVersion++;
  };
}

function alter(
  executor: Executor,
  table: Table,
  action: Exclude<Kind<"alter_table">["action"], { kind: "triggers" }>,
  transaction: Transaction,
): TableChange["change"][] {
  switch (action.kind) {
    case "add":
      return add(executor, table, action, transaction);
    case "drop":
      return drop(table, action, transaction);
    case "alter_column":
      return alterColumn(executor, table, action, transaction);
    case "alter_column_masking": {
      const column = columnOf(table, action.column);
      const before = { ...column };
      const after = { ...column };
      if (action.mask === undefined) delete after.masked;
      else after.masked = action.mask;
      table.columns = table.columns.map((other) => (other === column ? after : other));
      table.schemaVersion++;
      return [{ kind: "alter", before, after }];
    }
    case "enforce":
      enforce(executor, table, action, transaction);
      return [{ kind: "other" }];
    case "other":
      throw unsupported(`ALTER TABLE ${action.text}`);
  }
}

function columnOf(table: Table, name: string): Column {
  const column = table.columns[table.columnIndex(name)];
  if (!column)
    throw new SqlError(
      4924,
      `ALTER TABLE ALTER COLUMN failed because column '${name}' does not exist in table '${table.name}'.`,
      16,
      1,
    );
  return column;
}

/** Rewrites every row; undone by writing the old ones back. */
function rewrite(table: Table, transaction: Transaction, convert: (row: Row) => Row): void {
  const old = new Map<Row, Row>();
  table.rebuild((row) => {
    const made = convert(row);
    old.set(made, row);
    return made;
  });
  transaction.onRollback(() => table.rebuild((row) => old.get(row) ?? row));
}

function add(
  executor: Executor,
  table: Table,
  action: { columns: ColumnDefinition[]; constraints: TableConstraint[]; unchecked?: boolean },
  transaction: Transaction,
): TableChange["change"][] {
  const { session } = executor;
  const changes: TableChange["change"][] = [];
  if (action.columns.length > 0) {
    let nextId = Math.max(table.lastColumnId, ...table.columns.map((column) => column.columnId)) + 1;
    const added = action.columns.map((definition) => makeColumn(definition, nextId++, false, table.name, session));
    for (const { name } of added)
      if (table.columnIndex(name) >= 0)
        throw new SqlError(
          2705,
          `Column names in each table must be unique. Column name '${name}' in table '${table.name}' is specified more than once.`,
          16,
          4,
        );
    const width = table.columns.length;
    table.columns = [...table.columns, ...added];
    table.lastColumnId = nextId - 1;
    typeComputed(table, session);
    fill(executor, table, width, action.columns, transaction);
    changes.push({ kind: "add", columns: added });
  }
  const all = [
    ...action.columns.flatMap(({ name, constraints }) => constraints.map((each) => ofColumn(each, name))),
    ...action.constraints,
  ];
  for (const constraint of all) {
    const { name, index } = addConstraint(table, constraint, session);
    if (index?.unique) refuseDuplicates(executor, table, index);
    if (constraint.kind !== "check" && constraint.kind !== "foreign_key") continue;
    if (action.unchecked) distrust(table, name);
    else verify(executor, table, name, transaction);
  }
  if (changes.length === 0) changes.push({ kind: "other" });
  return changes;
}

/** Values of new columns for the rows that are there: the default where the column takes no NULL or asks for it. */
function fill(
  executor: Executor,
  table: Table,
  from: number,
  definitions: ColumnDefinition[],
  transaction: Transaction,
): void {
  const { session } = executor;
  const writer = new RowWriter(table, session);
  executor.evaluating((run) => {
    const frame = newFrame(1, null, run);
    const added = table.columns.slice(from);
    const values = added.map((column, i): Value => {
      const wanted = !column.nullable || definitions[i]!.default?.withValues === true;
      return wanted ? writer.defaultOf(from + i, frame) : null;
    });
    const version = added.findIndex((column) => column.type.id === "timestamp");
    const identity = added.findIndex((column) => column.identity);
    rewrite(table, transaction, (row) => {
      const made = [...row, ...values];
      if (version >= 0) made[from + version] = session.engine.nextRowVersion();
      if (identity >= 0) {
        const { identity: counter, type } = added[identity]!;
        made[from + identity] = type.id === "bigint" ? counter!.next : Number(counter!.next);
        counter!.next += counter!.increment;
      }
      const missing = added.findIndex((column, i) => !column.nullable && !column.computed && made[from + i] === null);
      if (missing >= 0)
        throw new SqlError(
          4901,
          `ALTER TABLE only allows columns to be added that can contain nulls, or have a DEFAULT definition specified, or the column being added is an identity or timestamp column, or alternatively if none of the previous conditions are satisfied the table must be empty to allow addition of this column. Column '${added[missing]!.name}' cannot be added to non-empty table '${table.name}' because it does not satisfy these conditions.`,
          16,
          1,
        );
      writer.compute(made, run);
      return made;
    });
  });
}

function drop(
  table: Table,
  action: { columns: string[]; constraints: string[]; ifExists: boolean },
  transaction: Transaction,
): TableChange["change"][] {
  for (const name of action.constraints) dropConstraint(table, name, action.ifExists);
  const places: number[] = [];
  for (const name of action.columns) {
    const place = table.columnIndex(name);
    if (place < 0) {
      if (action.ifExists) continue;
      throw new SqlError(
        4924,
        `ALTER TABLE DROP COLUMN failed because column '${name}' does not exist in table '${table.name}'.`,
        16,
        1,
      );
    }
    refuseDependents(table, place);
    places.push(place);
  }
  if (places.length === 0) return [{ kind: "other" }];
  const dropped = places.map((place) => table.columns[place]!);
  const moved = table.columns.map((_, i) => i - places.filter((place) => place < i).length);
  table.lastColumnId = Math.max(table.lastColumnId, ...table.columns.map((column) => column.columnId));
  table.columns = table.columns.filter((_, i) => !places.includes(i));
  table.indexes = table.indexes.map((index) => ({
    ...index,
    columns: index.columns.map(({ column, descending }) => ({ column: moved[column]!, descending })),
    include: index.include.map((column) => moved[column]!),
  }));
  rewrite(table, transaction, (row) => row.filter((_, i) => !places.includes(i)));
  return [{ kind: "drop", columns: dropped }];
}

/** Whether an expression's text has the column's name in it. */
export function mentions(text: string, { name }: Column): boolean {
  return new RegExp(`(^|[^\\w@#$])\\[?${name.replace(/[^\w]/g, "\\$&")}\\]?($|[^\\w@#$])`, "i").test(text);
}

function refuseDependents(table: Table, place: number): void {
  const column = table.columns[place]!;
  const index = table.indexes.find(
    ({ columns, include, filter }) =>
      columns.some((key) => key.column === place) ||
      include.includes(place) ||
      (filter && mentions(filter.text, column)),
  );
  const check = table.checks.find(({ text }) => mentions(text, column));
  const dependent =
    index?.name ??
    column.default?.name ??
    check?.name ??
    table.columns.find((other) => other.computed && mentions(other.computed.text, column))?.name;
  if (dependent === undefined) return;
  throw new SqlError(
    5074,
    `The ${index ? (index.primaryKey || index.uniqueConstraint ? "object" : "index") : "object"} '${dependent}' is dependent on column '${column.name}'.`,
    16,
    1,
  );
}

function dropConstraint(table: Table, name: string, ifExists: boolean): void {
  const wanted = name.toLowerCase();
  const same = (other: { name: string }) => other.name.toLowerCase() === wanted;
  const index = table.indexes.find((other) => (other.primaryKey || other.uniqueConstraint) && same(other));
  const column = table.columns.find((other) => other.default && same(other.default));
  if (index) table.dropIndex(index);
  else if (column) delete column.default;
  else if (table.checks.some(same)) table.checks = table.checks.filter((other) => !same(other));
  else if (table.foreignKeys.some(same)) table.foreignKeys = table.foreignKeys.filter((other) => !same(other));
  else if (!ifExists) throw new SqlError(3728, `'${name}' is not a constraint.`, 16, 1);
  table.schemaVersion++;
}

function alterColumn(
  executor: Executor,
  table: Table,
  action: Kind<"alter_table">["action"] & { kind: "alter_column" },
  transaction: Transaction,
): TableChange["change"][] {
  const before = columnOf(table, action.column);
  const place = table.columns.indexOf(before);
  if (before.computed)
    throw new SqlError(4928, `Cannot alter column '${before.name}' because it is 'COMPUTED'.`, 16, 1);
  const user = userTypeOf(action.type, executor.session, table.database);
  const type = declaredType(action.type, executor.session, table.database);
  const keyed = table.indexes.some((index) => index.columns.some(({ column }) => column === place));
  const sameKind =
    type.id === before.type.id &&
    (type.length === undefined || type.length === -1 || type.length >= (before.type.length ?? 0));
  if (keyed && !sameKind) refuseDependents(table, place);
  const { userType: _, ...kept } = before;
  const after: Column = { ...kept, type, nullable: action.nullable ?? user?.nullable ?? true };
  if (user) after.userType = { userTypeId: user.userTypeId, schema: user.schema, name: user.name };
  const inPrimaryKey = table.indexes.some(
    (index) => index.primaryKey && index.columns.some(({ column }) => column === place),
  );
  if (inPrimaryKey) after.nullable = false;
  const convert = converter(before.type, type, {
    dateFormat: executor.session.options.dateFormat,
    collation: table.database.collation,
  });
  const limit = type.length ?? -1;
  table.columns = table.columns.map((column) => (column === before ? after : column));
  rewrite(table, transaction, (row) => {
    const value = row[place]!;
    if (value === null) {
      if (after.nullable) return row.slice();
      throw new SqlError(
        515,
        `Cannot insert the value NULL into column '${after.name}', table '${table.database.name}.${table.qualifiedName}'; column does not allow nulls. UPDATE fails.`,
        16,
        2,
      );
    }
    if (
      limit !== -1 &&
      typeof value === "string" &&
      isText(type) &&
      textWidth(value.trimEnd(), type, table.database.collation) > limit
    )
      throw new SqlError(
        2628,
        `String or binary data would be truncated in table '${table.database.name}.${table.qualifiedName}', column '${after.name}'. Truncated value: '${value.slice(0, limit)}'.`,
        16,
        1,
      );
    if (limit !== -1 && Buffer.isBuffer(value) && isBinary(type) && value.length > limit)
      throw new SqlError(
        2628,
        `String or binary data would be truncated in table '${table.database.name}.${table.qualifiedName}', column '${after.name}'. Truncated value: ''.`,
        16,
        1,
      );
    const made = row.slice();
    made[place] = convert ? convert(value) : value;
    return made;
  });
  return [{ kind: "alter", before, after }];
}
