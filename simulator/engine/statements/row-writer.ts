/**
 * How rows get into a table: what an assignment does to a value (conversion, truncation), defaults, computed columns, rowversion,
 * NOT NULL and CHECK. Compiled once per table and schema version.
 */
import type { Row } from "../database.ts";
import { cast } from "../expressions/arithmetic.ts";
import { type Compiled, type Condition, type Frame, newFrame } from "../expressions/compiled.ts";
import { Compiler } from "../expressions/compiler.ts";
import { Scope, sourceColumn } from "../expressions/scope.ts";
import { Activation, type Run } from "../run.ts";
import { SqlError } from "../session.ts";
import type { Table } from "../table.ts";
import { trimBlanks } from "../types/comparison.ts";
import { converter, textWidth } from "../types/conversion.ts";
import { isBinary, isText } from "../types/types.ts";
import type { Session } from "../user-session.ts";
import type { SqlType, Value } from "../values.ts";

export class RowWriter {
  readonly table: Table;
  readonly defaults: (Compiled | null)[];
  readonly #computed: { index: number; value: Compiled }[] = [];
  readonly #checks: { name: string; test: Condition }[] = [];
  readonly #rowVersion: number;
  readonly #required: number[];

  constructor(table: Table, session: Session) {
    this.table = table;
    const compiler = new Compiler(session, new Activation(null, "default"), table.database);
    const empty = new Scope(null);
    compiler.forDefault = true;
    this.defaults = table.columns.map(({ default: given, type }) =>
      given?.definition ? cast(compiler.expression(given.definition.expr, empty), type) : null,
    );
    compiler.forDefault = false;
    const scope = new Scope(null);
    scope.noSequences = 11719;
    scope.add({ slot: scope.slots++, parts: [table.schema, table.name], columns: table.columns.map(sourceColumn) });
    for (const [index, { computed, type }] of table.columns.entries())
      if (computed)
        this.#computed.push({
          index,
          value: cast(compiler.expression(computed.definition.computed!.expr, scope), type),
        });
    for (const { name, constraint, disabled } of table.checks)
      if (constraint.kind === "check" && !disabled)
        this.#checks.push({ name, test: compiler.condition(constraint.test, scope) });
    this.#rowVersion = table.columns.findIndex((column) => column.type.id === "timestamp");
    this.#required = table.columns.flatMap((column, i) => (column.nullable || column.computed ? [] : [i]));
  }

  /** Completes a new or changed row and checks what can be said of it alone; `unchecked`: but for its CHECK constraints. */
  finish(row: Row, run: Run, statement: "INSERT" | "UPDATE", unchecked = false): void {
    const { table } = this;
    if (this.#rowVersion >= 0) row[this.#rowVersion] = run.engine.nextRowVersion();
    if (this.#computed.length > 0 || this.#checks.length > 0) {
      const frame = newFrame(1, null, run);
      frame.rows[0] = row;
      // A computed column may not refer to another, so their order does not matter.
      for (const { index, value } of this.#computed) row[index] = value.evaluate(frame);
      this.#refuseNulls(row, statement);
      if (unchecked || run.insteadOf) return;
      for (const { name, test } of this.#checks) if (test(frame) === false) throw this.#conflict(name, statement);
      return;
    }
    this.#refuseNulls(row, statement);
    if (row.length !== table.columns.length) throw new Error(`${table.qualifiedName}: a row of ${row.length} values`);
  }

  /** Fills in the computed columns alone. */
  compute(row: Row, run: Run): void {
    if (this.#computed.length === 0) return;
    const frame = newFrame(1, null, run);
    frame.rows[0] = row;
    for (const { index, value } of this.#computed) row[index] = value.evaluate(frame);
  }

  #refuseNulls(row: Row, statement: string): void {
    for (const index of this.#required) {
      if (row[index] !== null) continue;
      const { table } = this;
      throw new SqlError(
        515,
        `Cannot insert the value NULL into column '${table.columns[index]!.name}', table '${table.database.name}.${table.qualifiedName}'; column does not allow nulls. ${statement} fails.`,
        16,
        2,
      );
    }
  }

  #conflict(name: string, statement: string): SqlError {
    const { table } = this;
    return new SqlError(
      547,
      `The ${statement} statement conflicted with the CHECK constraint "${name}". The conflict occurred in database "${table.database.name}", table "${table.qualifiedName}".`,
      16,
      0,
    );
  }

  /** The default's value, or NULL. */
  defaultOf(index: number, frame: Frame): Value {
    return this.defaults[index]?.evaluate(frame) ?? null;
  }
}

const writers = new WeakMap<Table, { version: number; engineVersion: number; writer: RowWriter }>();

export function writerOf(table: Table, session: Session): RowWriter {
  const known = writers.get(table);
  const engineVersion = session.engine.schemaVersion;
  if (known && known.version === table.schemaVersion && known.engineVersion === engineVersion) return known.writer;
  const writer = new RowWriter(table, session);
  writers.set(table, { version: table.schemaVersion, engineVersion, writer });
  return writer;
}

/** An expression's value as a column keeps it: text and bytes that are too long are an error, but for blanks at the end. */
export function stored(value: Compiled, table: Table, index: number, dateFormat: string): (frame: Frame) => Value {
  const { type, name } = table.columns[index]!;
  value.storedIn?.(table.columns[index]!);
  const { collation } = table.database;
  const wanted: SqlType = isText(type) && type.collation === undefined ? { ...type, collation } : type;
  const convert = converter(value.type, wanted, { implicit: true, dateFormat, collation });
  if (!convert) return (frame) => value.evaluate(frame);
  const limit = type.length ?? -1;
  const measure =
    limit !== -1 &&
    ((isText(type) && isText(value.type)) || (isBinary(type) && isBinary(value.type) && type.id !== "timestamp"));
  return (frame) => {
    const given = value.evaluate(frame);
    if (given === null) return null;
    if (measure && tooLong(given, type, limit, collation)) throw truncated(table, name, given, limit);
    return convert(given);
  };
}

function tooLong(value: NonNullable<Value>, type: SqlType, limit: number, collation: string): boolean {
  if (Buffer.isBuffer(value)) return value.length > limit;
  if ((value as string).length * 4 <= limit) return false;
  return textWidth(trimBlanks(value as string), type, collation) > limit;
}

function truncated(table: Table, column: string, value: NonNullable<Value>, limit: number): SqlError {
  const shown = Buffer.isBuffer(value) ? "" : (value as string).slice(0, limit);
  return new SqlError(
    2628,
    `String or binary data would be truncated in table '${table.database.name}.${table.qualifiedName}', column '${column}'. Truncated value: '${shown}'.`,
    16,
    1,
  );
}
