/** New tables: where they go, and what their columns and constraints become. */

import type { ColumnDefinition, ObjectName, TableConstraint } from "../../sql/ast.ts";
import type { Column, Index } from "../database.ts";
import { invalidColumn, unsupported } from "../errors.ts";
import { Compiler } from "../expressions/compiler.ts";
import { Scope, sourceColumn } from "../expressions/scope.ts";
import { Activation } from "../run.ts";
import { SqlError } from "../session.ts";
import type { Database } from "../storage.ts";
import { Table } from "../table.ts";
import type { Transaction } from "../transactions.ts";
import { INT } from "../types/types.ts";
import { declaredType, userTypeOf } from "../types/user-types.ts";
import type { Session } from "../user-session.ts";
import { checkActions } from "./cascades.ts";
import type { Kind } from "./changes.ts";
import type { Executor } from "./executor.ts";

/** Where an object of that name would be made. Error 2760 where there is no such schema. */
export function placeOf(
  executor: Executor,
  { parts }: ObjectName,
): { database: Database; schema: string; name: string } {
  const { session } = executor;
  const name = parts[parts.length - 1]!;
  const databaseName = parts.length === 3 ? parts[0]! : "";
  const database = databaseName === "" ? session.currentDatabase : session.engine.database(databaseName);
  if (!database)
    throw new SqlError(
      911,
      `Database '${databaseName}' does not exist. Make sure that the name is entered correctly.`,
      16,
      1,
    );
  const written = (parts.length > 1 ? parts[parts.length - 2] : "") || session.principalIn(database).defaultSchema;
  const schema = database.schemas.get(written.toLowerCase());
  if (!schema)
    throw new SqlError(
      2760,
      `The specified schema name "${written}" either does not exist or you do not have permission to use it.`,
      16,
      1,
    );
  return { database, schema: schema.name, name };
}

/** Error 262 without the right to make tables, views and the like. */
export function requireCreate(executor: Executor, what: string, database: Database): void {
  const { session } = executor;
  if (session.login.sysadmin || database.principals.allows(session.principalIn(database), what)) return;
  throw new SqlError(262, `${what} permission denied in database '${database.name}'.`, 14, 1);
}

/** Makes an empty table (temporary where the name begins with #); undone with the transaction. */
export function makeTable(executor: Executor, name: ObjectName, columns: Column[], transaction: Transaction): Table {
  const { session, activation } = executor;
  const last = name.parts[name.parts.length - 1]!;
  const createDate = session.engine.now();
  if (last.startsWith("##")) throw unsupported("global temporary tables");
  if (last.startsWith("#")) {
    const key = last.toLowerCase();
    if (session.temporaryTables.has(key)) throw alreadyThere(last);
    const tempdb = session.engine.database("tempdb")!;
    const table = new Table(tempdb, {
      objectId: -tempdb.allocateObjectId(),
      schema: "dbo",
      name: last,
      createDate,
      columns,
    });
    table.temporary = true;
    session.temporaryTables.set(key, table);
    if (activation.parent) activation.temporaryTables.push(table);
    transaction.onRollback(() => session.temporaryTables.delete(key));
    return table;
  }
  const place = placeOf(executor, name);
  requireCreate(executor, "CREATE TABLE", place.database);
  if (place.database.findObjectId(place.schema, place.name) !== undefined) throw alreadyThere(place.name);
  const table = place.database.createTable({ schema: place.schema, name: place.name, columns, createDate });
  transaction.onRollback(() => place.database.removeTable(table));
  return table;
}

export function alreadyThere(name: string): SqlError {
  return new SqlError(2714, `There is already an object named '${name}' in the database.`, 16, 6);
}

/**
 * Lower-case names of the columns of the primary key. A key that stands behind a column belongs to it only without a list of its own: in
 * `CREATE TABLE t (id int NOT NULL, price money PRIMARY KEY (id))`, where a comma is missing, it is the table's.
 */
export function primaryKeyColumns(definitions: ColumnDefinition[], constraints: TableConstraint[]): Set<string> {
  const keys = [...constraints, ...definitions.flatMap((definition) => definition.constraints)].flatMap((constraint) =>
    constraint.kind === "primary_key" ? constraint.columns : [],
  );
  return new Set(keys.map(({ name }) => name.toLowerCase()));
}

export function makeColumn(
  definition: ColumnDefinition,
  columnId: number,
  key: boolean,
  table: string,
  session: Session,
): Column {
  const { name } = definition;
  if (definition.computed)
    return {
      name,
      columnId,
      // Known when the other columns are: see `typeComputed`.
      type: INT,
      nullable: true,
      computed: {
        text: definition.computed.text,
        persisted: definition.computed.persisted,
        definition,
      },
    };
  const written = definition.type ?? { name: "timestamp", args: [] };
  const user = userTypeOf(written, session);
  const resolved = declaredType(written, session);
  const rowVersion = resolved.id === "timestamp";
  const nullable =
    definition.nullable ?? ((user?.nullable ?? true) && !(key || definition.identity !== undefined || rowVersion));
  if (key && definition.nullable === true)
    throw new SqlError(8111, `Cannot define PRIMARY KEY constraint on nullable column in table '${table}'.`, 16, 1);
  const column: Column = { name, columnId, type: resolved, nullable };
  if (user) column.userType = { userTypeId: user.userTypeId, schema: user.schema, name: user.name };
  const lower = written.name.toLowerCase();
  if (lower === "sysname") {
    column.declaredType = "sysname";
    column.nullable = definition.nullable ?? false;
  } else if (lower === "rowversion") column.declaredType = "rowversion";
  if (definition.identity) {
    if (nullable && definition.nullable === true)
      throw new SqlError(
        8147,
        `Could not create IDENTITY attribute on nullable column '${name}', table '${table}'.`,
        16,
        1,
      );
    const seed = BigInt(definition.identity.seed);
    column.identity = { seed, increment: BigInt(definition.identity.increment), next: seed };
  }
  if (definition.default) {
    const { default: given } = definition;
    column.default = {
      name: given.name ?? systemName("DF", table, name, session),
      text: given.text,
      definition: given,
    };
  }
  if (definition.masked !== undefined) column.masked = definition.masked;
  if (definition.rowGuid) column.rowGuid = true;
  return column;
}

/** The types of computed columns follow from what they are computed of. */
export function typeComputed(table: Table, session: Session): void {
  const scope = new Scope(null);
  scope.add({ slot: scope.slots++, parts: [table.schema, table.name], columns: table.columns.map(sourceColumn) });
  const compiler = new Compiler(session, new Activation(null, "computed"), table.database);
  for (const column of table.columns) {
    if (!column.computed) continue;
    const { definition } = column.computed;
    const compiled = compiler.expression(definition.computed!.expr, scope);
    column.type = compiled.type;
    column.nullable = definition.nullable ?? compiled.nullable;
  }
}

/** PK__Persons__3214EC27 and the like, for what the user did not name. */
export function systemName(prefix: string, table: string, column: string, session: Session): string {
  const tail = session.engine.randomBytes(4).toString("hex").toUpperCase();
  const parts = [
    prefix,
    table.slice(0, prefix === "DF" ? 9 : 16),
    ...(prefix === "DF" ? [column.slice(0, 10)] : []),
    tail,
  ];
  return parts.join("__");
}

/** Adds a key, check or foreign key to a table; the rows that are there must satisfy it. */
export function addConstraint(
  table: Table,
  constraint: TableConstraint,
  session: Session,
): { name: string; index?: Index } {
  const { database } = table;
  switch (constraint.kind) {
    case "primary_key":
    case "unique": {
      const primary = constraint.kind === "primary_key";
      if (primary && table.indexes.some((index) => index.primaryKey))
        throw new SqlError(1779, `Table '${table.name}' already has a primary key defined on it.`, 16, 0);
      const name = constraint.name ?? systemName(primary ? "PK" : "UQ", table.name, "", session);
      const clustered = constraint.clustered ?? (primary && table.clusteredIndex === null);
      const columns = keyColumns(table, constraint.columns);
      if (primary)
        for (const { column } of columns)
          if (table.columns[column]!.nullable)
            throw new SqlError(
              8111,
              `Cannot define PRIMARY KEY constraint on nullable column in table '${table.name}'.`,
              16,
              1,
            );
      const index: Index = {
        name,
        indexId: nextIndexId(table, clustered),
        unique: true,
        clustered,
        primaryKey: primary,
        uniqueConstraint: !primary,
        columns,
        include: [],
        constraintObjectId: database.allocateObjectId(),
      };
      table.addIndex(index);
      return { name, index };
    }
    case "index": {
      const index = newIndex(table, constraint);
      table.addIndex(index);
      return { name: index.name, index };
    }
    case "check": {
      const name = constraint.name ?? systemName("CK", table.name, "", session);
      table.checks.push({
        name,
        text: constraint.text,
        objectId: database.allocateObjectId(),
        constraint,
      });
      table.schemaVersion++;
      return { name };
    }
    case "foreign_key": {
      const name = constraint.name ?? systemName("FK", table.name, "", session);
      const { parts } = constraint.references;
      const parent = database.findTable(
        (parts.length > 1 ? parts[parts.length - 2] : "") || "dbo",
        parts[parts.length - 1]!,
      );
      if (!parent)
        throw new SqlError(1767, `Foreign key '${name}' references invalid table '${parts.join(".")}'.`, 16, 0);
      for (const column of constraint.columns) if (table.columnIndex(column) < 0) throw invalidColumn(column);
      for (const column of constraint.referenced)
        if (parent.columnIndex(column) < 0)
          throw new SqlError(
            1770,
            `Foreign key '${name}' references invalid column '${column}' in referenced table '${parent.name}'.`,
            16,
            0,
          );
      const key = { name, objectId: database.allocateObjectId(), constraint };
      checkActions(table, name, key);
      table.foreignKeys.push(key);
      table.schemaVersion++;
      return { name };
    }
    case "default": {
      const column = table.columns[table.columnIndex(constraint.column)];
      if (!column) throw invalidColumn(constraint.column);
      if (column.default) throw new SqlError(1781, "Column already has a DEFAULT bound to it.", 16, 1);
      const name = constraint.name ?? systemName("DF", table.name, column.name, session);
      column.default = {
        name,
        text: constraint.text,
        definition: { name, expr: constraint.expr, text: constraint.text },
      };
      table.schemaVersion++;
      return { name };
    }
  }
}

/** As CREATE INDEX, or INDEX in CREATE TABLE, defines it. */
export function newIndex(
  table: Table,
  definition: (TableConstraint & { kind: "index" }) | Kind<"create_index">,
): Index {
  const { name, unique, clustered, filter } = definition;
  const index: Index = {
    name,
    indexId: nextIndexId(table, clustered),
    unique,
    clustered,
    primaryKey: false,
    uniqueConstraint: false,
    columns: keyColumns(table, definition.columns),
    include: definition.include.map((column) => keyColumn(table, column)),
  };
  if (filter) index.filter = filter;
  return index;
}

export function nextIndexId(table: Table, clustered: boolean): number {
  if (clustered) {
    if (table.clusteredIndex)
      throw new SqlError(
        1902,
        `Cannot create more than one clustered index on table '${table.qualifiedName}'. Drop the existing clustered index '${table.clusteredIndex.name}' before creating another.`,
        16,
        3,
      );
    return 1;
  }
  return Math.max(1, ...table.indexes.map((index) => index.indexId)) + 1;
}

export function keyColumns(table: Table, columns: { name: string; descending: boolean }[]): Index["columns"] {
  return columns.map(({ name, descending }) => ({ column: keyColumn(table, name), descending }));
}

function keyColumn(table: Table, name: string): number {
  const column = table.columnIndex(name);
  if (column < 0) throw new SqlError(1911, `Column name '${name}' does not exist in the target table or view.`, 16, 1);
  return column;
}
