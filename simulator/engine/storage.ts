/**
 * A database: its schemas, tables, views, procedures and principals, its log, and the places where the catalogue and CDC hook in.
 */
import type {
  ColumnDefinition,
  FunctionReturns,
  ParameterDefinition,
  Query,
  Statement,
  TableConstraint,
} from "../sql/ast.ts";
import type { Column, Index, LoggedTransaction, Row, TableSchema } from "./database.ts";
import type { Engine, EngineContext } from "./engine.ts";
import { LogSequence } from "./log.ts";
import { Principals } from "./principals.ts";
import type { Sequence } from "./sequences.ts";
import { SystemObjects } from "./system-objects.ts";
import { Table } from "./table.ts";
import { SystemTransaction, type Transaction } from "./transactions.ts";
import type { Session } from "./user-session.ts";
import type { SqlType } from "./values.ts";

export interface Schema {
  schemaId: number;
  name: string;
  /** principal_id of its owner. */
  principalId: number;
}

export interface View {
  objectId: number;
  schema: string;
  name: string;
  createDate: Date;
  modifyDate: Date;
  columns: string[];
  query: Query;
  /** WITH CHECK OPTION */
  checked?: boolean;
  schemaBound?: boolean;
  /** The statement that made it, as written. */
  text?: string;
  msShipped: boolean;
}

/** What CREATE TYPE makes: another name of a type, or the shape of a table. */
export interface UserType {
  userTypeId: number;
  schema: string;
  name: string;
  createDate: Date;
  /** Of an alias. */
  base?: SqlType;
  nullable: boolean;
  /** Of a table type: how its tables are made, and what their columns are. */
  table?: { objectId: number; shape: Column[]; columns: ColumnDefinition[]; constraints: TableConstraint[] };
}

export type TriggerEvent = "insert" | "update" | "delete";

export interface Trigger {
  objectId: number;
  schema: string;
  name: string;
  createDate: Date;
  modifyDate: Date;
  tableId: number;
  insteadOf: boolean;
  events: TriggerEvent[];
  body: Statement[];
  disabled: boolean;
  /** sp_settriggerorder. */
  order?: Partial<Record<TriggerEvent, "first" | "last">>;
  /** The statement that made it, as written. */
  text?: string;
  msShipped: boolean;
}

export interface Procedure {
  objectId: number;
  schema: string;
  name: string;
  createDate: Date;
  modifyDate: Date;
  parameters: ParameterDefinition[];
  body: Statement[];
  /** The statement that made it, as written. */
  text?: string;
  msShipped: boolean;
}

export interface UserFunction {
  objectId: number;
  schema: string;
  name: string;
  createDate: Date;
  modifyDate: Date;
  parameters: ParameterDefinition[];
  returns: FunctionReturns;
  /** The statement that made it, as written. */
  text?: string;
  msShipped: boolean;
}

export interface Synonym {
  objectId: number;
  schema: string;
  name: string;
  createDate: Date;
  modifyDate: Date;
  /** What it stands for: its name's parts as written. */
  target: string[];
  msShipped: boolean;
}

/** What is told of DDL, inside its transaction: an error thrown here undoes the statement. */
export interface DatabaseHooks {
  /** Before TRUNCATE: throw what refuses it (4711 on a table that CDC tracks). */
  beforeTruncate: ((table: Table, session: Session) => void)[];
  /** Before a table's columns change; `action` is the statement's. */
  beforeAlterTable: ((table: Table, session: Session) => void)[];
  /** After they changed. `command` is the statement's text, as far as it is known. */
  afterAlterTable: ((change: TableChange) => void)[];
  beforeDropTable: ((table: Table, session: Session) => void)[];
  /** Before a row is written to a table that CDC tracks: throw what refuses it (7139 on values too long to replicate). */
  beforeTrackedWrite: ((table: Table, row: Row, before: Row | null) => void)[];
  /** After any DDL of the database. */
  onDdl: ((ddl: { command: string; objectId: number; session: Session; transaction: Transaction }) => void)[];
}

export interface TableChange {
  table: Table;
  command: string;
  session: Session;
  transaction: Transaction;
  change:
    | { kind: "add"; columns: Column[] }
    | { kind: "drop"; columns: Column[] }
    | { kind: "alter"; before: Column; after: Column }
    | { kind: "rename"; before: string; after: string }
    | { kind: "other" };
}

export interface TableDefinition {
  schema: string;
  name: string;
  columns: Column[];
  /** Without index ids: 1 is the clustered one's, the others follow from 2. */
  indexes?: Omit<Index, "indexId">[];
  msShipped?: boolean;
  createDate?: Date;
}

export class Database {
  readonly engine: Engine;
  readonly name: string;
  readonly id: number;
  readonly collation: string;
  readonly createDate: Date;
  /** By object id. */
  readonly tables = new Map<number, Table>();
  readonly views = new Map<number, View>();
  readonly procedures = new Map<number, Procedure>();
  readonly functions = new Map<number, UserFunction>();
  readonly triggers = new Map<number, Trigger>();
  readonly sequences = new Map<number, Sequence>();
  readonly synonyms = new Map<number, Synonym>();
  /** By lower-case schema and name: types have names apart from those of other objects. */
  readonly types = new Map<string, UserType>();
  /** By lower-case name. */
  readonly schemas = new Map<string, Schema>();
  readonly principals: Principals;
  /** Its own system objects; the engine's are in every database. */
  readonly systemObjects = new SystemObjects<EngineContext>();
  /** Committed transactions that changed tracked tables, in commit order. Who reads them may drop what is no longer needed. */
  readonly log: LoggedTransaction[] = [];
  readonly lsn = new LogSequence();
  readonly hooks: DatabaseHooks = {
    beforeTruncate: [],
    beforeAlterTable: [],
    afterAlterTable: [],
    beforeDropTable: [],
    beforeTrackedWrite: [],
    onDdl: [],
  };
  /** ALTER DATABASE … SET: upper-case names, values as written ("ON"). */
  readonly options = new Map<string, string>();
  /** The state of whoever builds on the engine (CDC's, the catalogue's), by its own key. */
  readonly properties = new Map<string, unknown>();
  readonly #names = new Map<string, number>();
  readonly #commitListeners = new Set<(transaction: LoggedTransaction) => void>();
  nextObjectId = 901_578_250;
  nextSchemaId = 5;
  nextTypeId = 257;

  constructor(engine: Engine, name: string, id: number, collation: string, createDate: Date) {
    this.engine = engine;
    this.name = name;
    this.id = id;
    this.collation = collation;
    this.createDate = createDate;
    this.principals = new Principals(createDate);
    for (const [schemaId, schema] of [
      [1, "dbo"],
      [2, "guest"],
      [3, "INFORMATION_SCHEMA"],
      [4, "sys"],
    ] as const)
      this.schemas.set(schema.toLowerCase(), { schemaId, name: schema, principalId: schemaId });
  }

  allocateObjectId(): number {
    // Object ids of user objects are this far apart in SQL Server.
    this.nextObjectId += 16_000_057;
    if (this.nextObjectId > 2_147_483_647) this.nextObjectId -= 2_000_000_000;
    while (
      this.tables.has(this.nextObjectId) ||
      this.views.has(this.nextObjectId) ||
      this.procedures.has(this.nextObjectId) ||
      this.functions.has(this.nextObjectId) ||
      this.sequences.has(this.nextObjectId) ||
      this.synonyms.has(this.nextObjectId)
    )
      this.nextObjectId++;
    return this.nextObjectId;
  }

  createSchema(name: string, principalId = 1): Schema {
    const schema: Schema = { schemaId: this.nextSchemaId++, name, principalId };
    this.schemas.set(name.toLowerCase(), schema);
    return schema;
  }

  dropSchema(name: string): void {
    this.schemas.delete(name.toLowerCase());
  }

  /** Makes a table as it is defined, without asking who may. */
  createTable(definition: TableDefinition): Table {
    const schema: Pick<TableSchema, "objectId" | "schema" | "name" | "createDate" | "columns"> = {
      objectId: this.allocateObjectId(),
      schema: definition.schema,
      name: definition.name,
      createDate: definition.createDate ?? this.engine.now(),
      columns: definition.columns,
    };
    const table = new Table(this, schema);
    table.msShipped = definition.msShipped ?? false;
    let next = 2;
    for (const index of definition.indexes ?? []) table.addIndex({ ...index, indexId: index.clustered ? 1 : next++ });
    this.addTable(table);
    return table;
  }

  addTable(table: Table): void {
    this.tables.set(table.objectId, table);
    this.#names.set(key(table.schema, table.name), table.objectId);
    this.engine.schemaVersion++;
  }

  removeTable(table: Table): void {
    this.tables.delete(table.objectId);
    this.#names.delete(key(table.schema, table.name));
    this.engine.schemaVersion++;
  }

  addView(view: View): void {
    this.#add(this.views, view);
  }

  addProcedure(procedure: Procedure): void {
    this.#add(this.procedures, procedure);
  }

  addTrigger(trigger: Trigger): void {
    this.#add(this.triggers, trigger);
  }

  addFunction(made: UserFunction): void {
    this.#add(this.functions, made);
  }

  addSequence(sequence: Sequence): void {
    this.#add(this.sequences, sequence);
  }

  addSynonym(synonym: Synonym): void {
    this.#add(this.synonyms, synonym);
  }

  #add<T extends Named>(objects: Map<number, T>, object: T): void {
    objects.set(object.objectId, object);
    this.#names.set(key(object.schema, object.name), object.objectId);
    this.engine.schemaVersion++;
  }

  /** Takes away any object but a table. */
  removeObject(object: Named): void {
    for (const objects of [this.views, this.procedures, this.functions, this.triggers, this.sequences, this.synonyms])
      objects.delete(object.objectId);
    this.#names.delete(key(object.schema, object.name));
    this.engine.schemaVersion++;
  }

  /** The maps of tables, views and so on were filled by other means than `add…`. */
  namesChanged(): void {
    this.#names.clear();
    for (const map of Object.values(this))
      if (map instanceof Map)
        for (const object of map.values())
          if (isNamed(object)) this.#names.set(key(object.schema, object.name), object.objectId);
    this.engine.schemaVersion++;
  }

  findTable(schema: string, name: string): Table | undefined {
    const id = this.#names.get(key(schema, name));
    return id === undefined ? undefined : this.tables.get(id);
  }

  findView(schema: string, name: string): View | undefined {
    const id = this.#names.get(key(schema, name));
    return id === undefined ? undefined : this.views.get(id);
  }

  findProcedure(schema: string, name: string): Procedure | undefined {
    return this.procedures.get(this.#names.get(key(schema, name)) ?? 0);
  }

  findTrigger(schema: string, name: string): Trigger | undefined {
    return this.triggers.get(this.#names.get(key(schema, name)) ?? 0);
  }

  findFunction(schema: string, name: string): UserFunction | undefined {
    return this.functions.get(this.#names.get(key(schema, name)) ?? 0);
  }

  findSequence(schema: string, name: string): Sequence | undefined {
    return this.sequences.get(this.#names.get(key(schema, name)) ?? 0);
  }

  findSynonym(schema: string, name: string): Synonym | undefined {
    return this.synonyms.get(this.#names.get(key(schema, name)) ?? 0);
  }

  /** The object id of a table, a view, a procedure and the like. */
  findObjectId(schema: string, name: string): number | undefined {
    return this.#names.get(key(schema, name));
  }

  addType(type: UserType): void {
    this.types.set(key(type.schema, type.name), type);
    this.engine.schemaVersion++;
  }

  removeType(type: UserType): void {
    this.types.delete(key(type.schema, type.name));
    this.engine.schemaVersion++;
  }

  findType(schema: string, name: string): UserType | undefined {
    return this.types.get(key(schema, name));
  }

  allocateTypeId(): number {
    return this.nextTypeId++;
  }

  schemaId(name: string): number {
    return this.schemas.get(name.toLowerCase())?.schemaId ?? 0;
  }

  /**
   * Runs `work` as a transaction of the system: its changes become visible together, or, if it throws, not at all.
   * `work` does not yield.
   */
  systemTransaction<T>(work: (transaction: SystemTransaction) => T): T {
    const transaction = this.engine.beginTransaction(null, "", "read committed");
    try {
      const result = work(new SystemTransaction(transaction));
      transaction.commit(this.engine.now());
      return result;
    } catch (error) {
      if (transaction.state === "active") transaction.rollback();
      throw error;
    }
  }

  /** Calls back after each logged transaction's commit, when its changes are visible. Returns how to stop that. */
  onCommit(listener: (transaction: LoggedTransaction) => void): () => void {
    this.#commitListeners.add(listener);
    return () => this.#commitListeners.delete(listener);
  }

  /** Called by a transaction that commits. */
  appendLog(transaction: LoggedTransaction): void {
    this.log.push(transaction);
    for (const listener of this.#commitListeners) listener(transaction);
  }
}

type Named = Pick<View, "objectId" | "schema" | "name">;

function isNamed(object: unknown): object is Named {
  return (
    typeof object === "object" && object !== null && "objectId" in object && "schema" in object && "name" in object
  );
}

function key(schema: string, name: string): string {
  return `${schema}.${name}`.toLowerCase();
}
