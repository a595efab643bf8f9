/** An engine with change data capture and no SQL: tables, transactions and procedure calls straight from the test. */
import { installCatalog } from "../../../simulator/catalog/install.ts";
import { CdcDatabase, type CdcOptions } from "../../../simulator/cdc/cdc-database.ts";
import { installCdc } from "../../../simulator/cdc/install.ts";
import type { Column, Row } from "../../../simulator/engine/database.ts";
import { Engine, type EngineContext, type EngineOptions } from "../../../simulator/engine/engine.ts";
import type { ResultSink } from "../../../simulator/engine/session.ts";
import type { Database } from "../../../simulator/engine/storage.ts";
import type { Entry, Table } from "../../../simulator/engine/table.ts";
import type { Transaction } from "../../../simulator/engine/transactions.ts";
import type { SqlType, Value } from "../../../simulator/engine/values.ts";

export interface Fixture {
  engine: Engine;
  database: Database;
  cdc: CdcDatabase;
  context: EngineContext;
  call(procedure: string, args?: Record<string, Value>): Promise<Record<string, Value>[]>;
  fn(name: string, ...args: Value[]): Value;
  changes(captureInstance: string): Record<string, Value>[];
}

export function fixture(options: CdcOptions & EngineOptions = { captureInterval: "immediate" }): Fixture {
  const engine = new Engine({ seed: 1, ...options });
  installCatalog(engine);
  installCdc(engine, options);
  const database = engine.createDatabase("TestDB");
  const session = engine.openSession(engine.logins.get("sa")!, database);
  const snapshot = { seq: Number.MAX_SAFE_INTEGER, transaction: null };
  const context: EngineContext = { engine, database, session, snapshot, now: () => engine.now() };
  return {
    engine,
    database,
    cdc: CdcDatabase.of(database),
    context,
    async call(name, given = {}) {
      const procedure = engine.systemObjects.procedure("sys", name)!;
      const args = new Map<string, Value>();
      for (const parameter of procedure.parameters) args.set(parameter.name.toLowerCase(), parameter.default ?? null);
      for (const [key, value] of Object.entries(given)) args.set(`@${key}`, value);
      const rows: Record<string, Value>[] = [];
      let names: string[] = [];
      const sink: ResultSink = {
        columns: (columns) => {
          names = columns.map((column) => column.name);
        },
        row: (values) => {
          rows.push(Object.fromEntries(names.map((column, i) => [column, values[i]!])));
        },
        statementDone() {},
        message() {},
        environment() {},
        output() {},
        returnStatus() {},
      };
      await procedure.run(context, args, sink, new AbortController().signal);
      return rows;
    },
    fn: (name, ...args) => engine.systemObjects.function("sys", name)!.call(context, args),
    changes(captureInstance) {
      const table = database.findTable("cdc", `${captureInstance}_CT`)!;
      return [...table.rows(snapshot)].map((row) =>
        Object.fromEntries(table.columns.map((column, i) => [column.name, row[i]!])),
      );
    },
  };
}

export function column(name: string, columnId: number, type: SqlType, nullable = true): Column {
  return { name, columnId, type, nullable };
}

export function createTable(database: Database, name: string, columns: Column[]): Table {
  return database.createTable({
    schema: "dbo",
    name,
    columns,
    indexes: [
      {
        name: `PK_${name}`,
        unique: true,
        clustered: true,
        primaryKey: true,
        uniqueConstraint: false,
        columns: [{ column: 0, descending: false }],
        include: [],
        constraintObjectId: database.allocateObjectId(),
      },
    ],
  });
}

/** A transaction whose statements are numbered as a session numbers them. */
export class Work {
  readonly transaction: Transaction;
  constructor({ engine, context }: Fixture) {
    this.transaction = engine.beginTransaction(context.session, "", "read committed");
  }
  statement(): this {
    this.transaction.command++;
    return this;
  }
  insert(table: Table, ...row: Row): void {
    this.transaction.insert(table, row);
  }
  update(table: Table, key: Value, change: (row: Row) => Row): void {
    this.updateAll(table, [key], change);
  }
  /** One statement's rows, found before any of them changes, as a key may be one that another row has just left. */
  updateAll(table: Table, keys: Value[], change: (row: Row) => Row): void {
    for (const { entry, row } of keys.map((key) => this.#find(table, key))) {
      this.transaction.lock(entry);
      this.transaction.update(table, entry, change(row));
    }
  }
  delete(table: Table, key: Value): void {
    const { entry } = this.#find(table, key);
    this.transaction.lock(entry);
    this.transaction.delete(table, entry);
  }
  #find(table: Table, key: Value): { entry: Entry; row: Row } {
    const snapshot = { seq: Number.MAX_SAFE_INTEGER, transaction: this.transaction };
    for (const found of table.entries(snapshot)) if (found.row[0] === key) return found;
    throw new Error(`no row ${String(key)}`);
  }
}
