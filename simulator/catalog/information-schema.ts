/**
 * INFORMATION_SCHEMA.
 * https://learn.microsoft.com/sql/relational-databases/system-information-schema-views/system-information-schema-views-transact-sql
 */

import { collationOf } from "../engine/collations.ts";
import type { Column, Index } from "../engine/database.ts";
import type { Engine, EngineContext } from "../engine/engine.ts";
import { numberValue } from "../engine/sequences.ts";
import type { Table } from "../engine/table.ts";
import { isBinary, isNumber, isTemporal, isText, isUnicode } from "../engine/types/types.ts";
import { Variant } from "../engine/values.ts";
import { type RowObject, view } from "./define.ts";
import { parametersOfModule } from "./modules.ts";
import { relations } from "./relations.ts";
import { ROUTINES, routines } from "./routines.ts";
import { collationOfType, precisionOf, scaleOf, typeName } from "./system-types.ts";

const COLUMNS = `TABLE_CATALOG nvarchar(128), TABLE_SCHEMA nvarchar(128), TABLE_NAME sysname!, COLUMN_NAME sysname, ORDINAL_POSITION int,
  COLUMN_DEFAULT nvarchar(4000), IS_NULLABLE varchar(3), DATA_TYPE nvarchar(128), CHARACTER_MAXIMUM_LENGTH int,
  CHARACTER_OCTET_LENGTH int, NUMERIC_PRECISION tinyint, NUMERIC_PRECISION_RADIX smallint, NUMERIC_SCALE int,
  DATETIME_PRECISION smallint, CHARACTER_SET_CATALOG sysname, CHARACTER_SET_SCHEMA sysname, CHARACTER_SET_NAME sysname,
  COLLATION_CATALOG sysname, COLLATION_SCHEMA sysname, COLLATION_NAME sysname, DOMAIN_CATALOG sysname,
  DOMAIN_SCHEMA sysname, DOMAIN_NAME sysname`;

const CONSTRAINT = `CONSTRAINT_CATALOG nvarchar(128), CONSTRAINT_SCHEMA nvarchar(128), CONSTRAINT_NAME sysname!,
  TABLE_CATALOG nvarchar(128), TABLE_SCHEMA nvarchar(128), TABLE_NAME sysname!`;

function* tables({ database }: EngineContext): Generator<Table> {
  for (const table of database.tables.values()) if (!table.temporary) yield table;
}

/** Lengths, precision and the like of a column, as sp_columns and INFORMATION_SCHEMA share them. */
export function facets(column: Pick<Column, "type">, databaseCollation: string): RowObject {
  const { type } = column;
  const large = { text: 2_147_483_647, ntext: 1_073_741_823, image: 2_147_483_647, xml: -1 }[type.id as string];
  const character = (isText(type) || isBinary(type)) && type.id !== "timestamp";
  const length = character ? (large ?? type.length ?? 1) : null;
  const octets = length === null || length < 0 ? length : isUnicode(type) && large === undefined ? length * 2 : length;
  const number = isNumber(type) && type.id !== "bit";
  const approximate = type.id === "float" || type.id === "real";
  const collation = collationOfType(type, databaseCollation);
  return {
    CHARACTER_MAXIMUM_LENGTH: length,
    CHARACTER_OCTET_LENGTH: type.id === "ntext" ? 2_147_483_646 : octets,
    NUMERIC_PRECISION: number ? precisionOf(type) : null,
    NUMERIC_PRECISION_RADIX: number ? (approximate ? 2 : 10) : null,
    NUMERIC_SCALE: number && !approximate ? scaleOf(type) : null,
    DATETIME_PRECISION: isTemporal(type) ? (type.id === "date" ? 0 : scaleOf(type)) : null,
    CHARACTER_SET_NAME: collation === null ? null : isUnicode(type) ? "UNICODE" : characterSet(collation),
    COLLATION_NAME: collation,
  };
}

function characterSet(collation: string): string {
  const page = collationOf(collation).codePage;
  return page === 1252 ? "iso_1" : page === 65001 ? "UTF8" : `cp${page}`;
}

function* columnRows(context: EngineContext): Generator<RowObject> {
  const { database } = context;
  for (const table of relations(context))
    for (const [i, column] of table.columns.entries())
      yield {
        TABLE_CATALOG: database.name,
        TABLE_SCHEMA: table.schema,
        TABLE_NAME: table.name,
        COLUMN_NAME: column.name,
        ORDINAL_POSITION: i + 1,
        COLUMN_DEFAULT: column.default?.text ?? null,
        IS_NULLABLE: column.nullable ? "YES" : "NO",
        DATA_TYPE: column.declaredType === "sysname" ? "nvarchar" : typeName(column.type),
        ...facets(column, database.collation),
      };
}

function keyIndexes(table: Table): Index[] {
  return table.indexes.filter((index) => index.primaryKey || index.uniqueConstraint);
}

function* constraintRows(context: EngineContext): Generator<RowObject> {
  for (const table of tables(context)) {
    const common = named(context, table);
    const rule = { IS_DEFERRABLE: "NO", INITIALLY_DEFERRED: "NO" };
    for (const index of keyIndexes(table))
      yield {
        ...common,
        ...rule,
        CONSTRAINT_NAME: index.name,
        CONSTRAINT_TYPE: index.primaryKey ? "PRIMARY KEY" : "UNIQUE",
      };
    for (const { name } of table.checks) yield { ...common, ...rule, CONSTRAINT_NAME: name, CONSTRAINT_TYPE: "CHECK" };
    for (const { name } of table.foreignKeys)
      yield { ...common, ...rule, CONSTRAINT_NAME: name, CONSTRAINT_TYPE: "FOREIGN KEY" };
  }
}

function named({ database }: EngineContext, table: Table): RowObject {
  return {
    CONSTRAINT_CATALOG: database.name,
    CONSTRAINT_SCHEMA: table.schema,
    TABLE_CATALOG: database.name,
    TABLE_SCHEMA: table.schema,
    TABLE_NAME: table.name,
  };
}

function* keyColumnRows(context: EngineContext): Generator<RowObject> {
  for (const table of tables(context)) {
    const common = named(context, table);
    for (const index of keyIndexes(table))
      for (const [i, { column }] of index.columns.entries())
        yield {
          ...common,
          CONSTRAINT_NAME: index.name,
          COLUMN_NAME: table.columns[column]!.name,
          ORDINAL_POSITION: i + 1,
        };
    for (const { name, constraint } of table.foreignKeys)
      if (constraint.kind === "foreign_key")
        for (const [i, column] of constraint.columns.entries())
          yield { ...common, CONSTRAINT_NAME: name, COLUMN_NAME: column, ORDINAL_POSITION: i + 1 };
  }
}

export function registerInformationSchema(engine: Engine): void {
  const schema = "INFORMATION_SCHEMA";
  const views = [
    view(
      schema,
      "TABLES",
      "TABLE_CATALOG nvarchar(128), TABLE_SCHEMA nvarchar(128), TABLE_NAME sysname!, TABLE_TYPE varchar(10)",
      function* (context): Generator<RowObject> {
        const { database } = context;
        for (const table of tables(context))
          yield {
            TABLE_CATALOG: database.name,
            TABLE_SCHEMA: table.schema,
            TABLE_NAME: table.name,
            TABLE_TYPE: "BASE TABLE",
          };
        for (const { schema: owner, name } of database.views.values())
          yield { TABLE_CATALOG: database.name, TABLE_SCHEMA: owner, TABLE_NAME: name, TABLE_TYPE: "VIEW" };
      },
    ),
    view(schema, "COLUMNS", COLUMNS, columnRows),
    view(
      schema,
      "TABLE_CONSTRAINTS",
      `${CONSTRAINT}, CONSTRAINT_TYPE varchar(11), IS_DEFERRABLE varchar(2)!, INITIALLY_DEFERRED varchar(2)!`,
      constraintRows,
    ),
    view(schema, "KEY_COLUMN_USAGE", `${CONSTRAINT}, COLUMN_NAME nvarchar(128), ORDINAL_POSITION int!`, keyColumnRows),
    view(
      schema,
      "CONSTRAINT_COLUMN_USAGE",
      `TABLE_CATALOG nvarchar(128), TABLE_SCHEMA nvarchar(128), TABLE_NAME nvarchar(128), COLUMN_NAME nvarchar(128),
       CONSTRAINT_CATALOG nvarchar(128), CONSTRAINT_SCHEMA nvarchar(128), CONSTRAINT_NAME sysname!`,
      keyColumnRows,
    ),
    view(
      schema,
      "CONSTRAINT_TABLE_USAGE",
      `TABLE_CATALOG nvarchar(128), TABLE_SCHEMA nvarchar(128), TABLE_NAME sysname!, CONSTRAINT_CATALOG nvarchar(128),
       CONSTRAINT_SCHEMA nvarchar(128), CONSTRAINT_NAME sysname!`,
      constraintRows,
    ),
    view(
      schema,
      "REFERENTIAL_CONSTRAINTS",
      `CONSTRAINT_CATALOG nvarchar(128), CONSTRAINT_SCHEMA nvarchar(128), CONSTRAINT_NAME sysname!,
       UNIQUE_CONSTRAINT_CATALOG nvarchar(128), UNIQUE_CONSTRAINT_SCHEMA nvarchar(128), UNIQUE_CONSTRAINT_NAME sysname,
       MATCH_OPTION varchar(7), UPDATE_RULE varchar(11), DELETE_RULE varchar(11)`,
      function* (context): Generator<RowObject> {
        const { database } = context;
        for (const table of tables(context))
          for (const { name, constraint } of table.foreignKeys) {
            if (constraint.kind !== "foreign_key") continue;
            const { parts } = constraint.references;
            const referenced = database.findTable(parts.at(-2) || "dbo", parts.at(-1)!);
            const key = referenced?.indexes.find((index) => index.primaryKey) ?? referenced?.indexes[0];
            yield {
              CONSTRAINT_CATALOG: database.name,
              CONSTRAINT_SCHEMA: table.schema,
              CONSTRAINT_NAME: name,
              UNIQUE_CONSTRAINT_CATALOG: database.name,
              UNIQUE_CONSTRAINT_SCHEMA: referenced?.schema ?? null,
              UNIQUE_CONSTRAINT_NAME: key?.name ?? null,
              MATCH_OPTION: "SIMPLE",
              UPDATE_RULE: (constraint.onUpdate ?? "no action").toUpperCase(),
              DELETE_RULE: (constraint.onDelete ?? "no action").toUpperCase(),
            };
          }
      },
    ),
    view(
      schema,
      "CHECK_CONSTRAINTS",
      "CONSTRAINT_CATALOG nvarchar(128), CONSTRAINT_SCHEMA nvarchar(128), CONSTRAINT_NAME sysname!, CHECK_CLAUSE nvarchar(4000)",
      function* (context): Generator<RowObject> {
        for (const table of tables(context))
          for (const { name, text } of table.checks)
            yield { ...named(context, table), CONSTRAINT_NAME: name, CHECK_CLAUSE: text };
      },
    ),
    view(
      schema,
      "SCHEMATA",
      `CATALOG_NAME nvarchar(128), SCHEMA_NAME nvarchar(128)!, SCHEMA_OWNER nvarchar(128), DEFAULT_CHARACTER_SET_CATALOG varchar(6),
       DEFAULT_CHARACTER_SET_SCHEMA varchar(3), DEFAULT_CHARACTER_SET_NAME sysname`,
      ({ database }) =>
        [...database.schemas.values()].map(({ name, principalId }) => ({
          CATALOG_NAME: database.name,
          SCHEMA_NAME: name,
          SCHEMA_OWNER:
            [...database.principals.all.values()].find((owner) => owner.principalId === principalId)?.name ?? null,
          DEFAULT_CHARACTER_SET_NAME: "iso_1",
        })),
    ),
    view(
      schema,
      "VIEWS",
      `TABLE_CATALOG nvarchar(128), TABLE_SCHEMA nvarchar(128), TABLE_NAME sysname!, VIEW_DEFINITION nvarchar(4000),
       CHECK_OPTION varchar(7), IS_UPDATABLE varchar(2)!`,
      ({ database }) =>
        [...database.views.values()].map((one) => ({
          TABLE_CATALOG: database.name,
          TABLE_SCHEMA: one.schema,
          TABLE_NAME: one.name,
          // NULL where it is longer than the column.
          VIEW_DEFINITION: one.text !== undefined && one.text.length <= 4000 ? one.text : null,
          CHECK_OPTION: one.checked ? "CASCADE" : "NONE",
          IS_UPDATABLE: "NO",
        })),
    ),
    view(schema, "ROUTINES", ROUTINES, routines),
    view(
      schema,
      "SEQUENCES",
      `SEQUENCE_CATALOG nvarchar(128), SEQUENCE_SCHEMA nvarchar(128), SEQUENCE_NAME sysname!, DATA_TYPE nvarchar(128),
       NUMERIC_PRECISION tinyint, NUMERIC_PRECISION_RADIX smallint, NUMERIC_SCALE int, START_VALUE sql_variant!,
       MINIMUM_VALUE sql_variant!, MAXIMUM_VALUE sql_variant!, INCREMENT sql_variant!, CYCLE_OPTION bit,
       DECLARED_DATA_TYPE sysname, DECLARED_NUMERIC_PRECISION tinyint, DECLARED_NUMERIC_SCALE int`,
      ({ database }) =>
        [...database.sequences.values()].map((one) => {
          const { type } = one;
          const variant = (number: bigint) => new Variant(type, numberValue(one, number));
          return {
            SEQUENCE_CATALOG: database.name,
            SEQUENCE_SCHEMA: one.schema,
            SEQUENCE_NAME: one.name,
            DATA_TYPE: typeName(type),
            NUMERIC_PRECISION: precisionOf(type),
            NUMERIC_PRECISION_RADIX: 10,
            NUMERIC_SCALE: scaleOf(type),
            START_VALUE: variant(one.start),
            MINIMUM_VALUE: variant(one.minimum),
            MAXIMUM_VALUE: variant(one.maximum),
            INCREMENT: variant(one.increment),
            CYCLE_OPTION: one.cycle,
          };
        }),
    ),
    view(
      schema,
      "PARAMETERS",
      `SPECIFIC_CATALOG nvarchar(128), SPECIFIC_SCHEMA nvarchar(128), SPECIFIC_NAME nvarchar(128)!, ORDINAL_POSITION int!,
       PARAMETER_MODE nvarchar(10), IS_RESULT nvarchar(10), AS_LOCATOR nvarchar(10), PARAMETER_NAME sysname,
       DATA_TYPE nvarchar(128), CHARACTER_MAXIMUM_LENGTH int, CHARACTER_OCTET_LENGTH int, COLLATION_CATALOG nvarchar(128),
       COLLATION_SCHEMA nvarchar(128), COLLATION_NAME nvarchar(128), CHARACTER_SET_CATALOG nvarchar(128),
       CHARACTER_SET_SCHEMA nvarchar(128), CHARACTER_SET_NAME nvarchar(128), NUMERIC_PRECISION tinyint,
       NUMERIC_PRECISION_RADIX smallint, NUMERIC_SCALE tinyint, DATETIME_PRECISION smallint`,
      (context) =>
        [...context.database.procedures.values(), ...context.database.functions.values()].flatMap((module) =>
          parametersOfModule(module, context).map(({ name, ordinal, type, output }) => ({
            SPECIFIC_CATALOG: context.database.name,
            SPECIFIC_SCHEMA: module.schema,
            SPECIFIC_NAME: module.name,
            ORDINAL_POSITION: ordinal,
            PARAMETER_MODE: ordinal === 0 ? "OUT" : output ? "INOUT" : "IN",
            IS_RESULT: ordinal === 0 ? "YES" : "NO",
            AS_LOCATOR: "NO",
            PARAMETER_NAME: name,
            DATA_TYPE: type ? typeName(type) : "table type",
            ...(type ? facets({ type }, context.database.collation) : {}),
          })),
        ),
    ),
  ];
  for (const definition of views) engine.registerView(definition);
}
