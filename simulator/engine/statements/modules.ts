/** Schemas, views, procedures and functions; and DROP of everything. */

import { unsupported } from "../errors.ts";
import { compileQuery } from "../query/query.ts";
import { lookUp } from "../query/sources.ts";
import { SqlError } from "../session.ts";
import type { Database, Procedure, Trigger, UserFunction, View } from "../storage.ts";
import type { Transaction } from "../transactions.ts";
import { userTypeOf } from "../types/user-types.ts";
import { inlineColumns } from "../user-functions/calls.ts";
import { checkBody } from "../user-functions/checks.ts";
import { inTransaction, type Kind } from "./changes.ts";
import { dropDatabases } from "./databases.ts";
import type { Executor } from "./executor.ts";
import { alreadyThere, placeOf, requireCreate } from "./new-table.ts";
import { checkParameters } from "./parameters.ts";
import { isReferenced } from "./references.ts";
import { refuseBound } from "./schema-binding.ts";
import { dropPrincipals } from "./security.ts";
import { usesSequence } from "./sequences.ts";
import { dropType } from "./user-types.ts";

export async function createSchema(executor: Executor, { name, authorization }: Kind<"create_schema">): Promise<void> {
  const { session, sink } = executor;
  const database = session.currentDatabase;
  requireCreate(executor, "CREATE SCHEMA", database);
  if (database.schemas.has(name.toLowerCase())) throw alreadyThere(name);
  const owner = authorization === undefined ? undefined : database.principals.find(authorization);
  if (authorization !== undefined && !owner)
    throw new SqlError(
      15151,
      `Cannot find the user '${authorization}', because it does not exist or you do not have permission.`,
      16,
      1,
    );
  await inTransaction(executor, async (transaction) => {
    database.createSchema(name, owner?.principalId);
    transaction.onRollback(() => database.dropSchema(name));
  });
  sink.statementDone({});
}

type Module = View | Procedure | UserFunction | Trigger;

export async function createModule(
  executor: Executor,
  statement: Kind<"create_view"> | Kind<"create_procedure"> | Kind<"create_function">,
): Promise<void> {
  const { session, sink } = executor;
  const { database, schema, name } = placeOf(executor, statement.name);
  const kind = statement.kind.slice("create_".length) as "view" | "procedure" | "function";
  if (name.startsWith("#")) return createTemporary(executor, statement, name);
  requireCreate(executor, `CREATE ${kind.toUpperCase()}`, database);
  const existing = findModule(database, kind, schema, name);
  if (!existing && database.findObjectId(schema, name) !== undefined) throw alreadyThere(name);
  if (existing && !statement.orAlter) throw alreadyThere(name);
  if (
    statement.kind === "create_function" &&
    existing &&
    "returns" in existing &&
    existing.returns.kind !== statement.returns.kind
  )
    throw new SqlError(
      2010,
      `Cannot perform alter on '${schema}.${name}' because it is an incompatible object type.`,
      16,
      1,
    );
  if (!existing && statement.mustExist) throw new SqlError(208, `Invalid object name '${schema}.${name}'.`, 16, 6);
  const now = session.engine.now();
  const common = {
    objectId: existing?.objectId ?? database.allocateObjectId(),
    schema,
    name: existing?.name ?? name,
    createDate: existing?.createDate ?? now,
    modifyDate: now,
    msShipped: false,
    ...(statement.text === undefined ? {} : { text: statement.text }),
  };
  await inTransaction(executor, async (transaction) => {
    if (existing) database.removeObject(existing);
    transaction.onRollback(() => {
      database.removeObject(common);
      if (existing) addModule(database, existing);
    });
    addModule(database, { ...common, ...definitionOf(executor, statement, database) });
    for (const hook of database.hooks.onDdl)
      hook({ command: statement.text ?? "", objectId: common.objectId, session, transaction });
  });
  sink.statementDone({});
}

/** A procedure that the session alone sees, in whatever database it is. */
function createTemporary(
  executor: Executor,
  statement: Kind<"create_view"> | Kind<"create_procedure"> | Kind<"create_function">,
  name: string,
): void {
  const { session, sink } = executor;
  if (statement.kind !== "create_procedure") throw unsupported("temporary views and functions");
  if (name.startsWith("##")) throw unsupported("global temporary procedures");
  const key = name.toLowerCase();
  if (session.temporaryProcedures.has(key) && !statement.orAlter) throw alreadyThere(name);
  const tempdb = session.engine.database("tempdb")!;
  checkParameters(executor, statement.parameters, session.currentDatabase);
  const now = session.engine.now();
  const { parameters, body } = statement;
  const common = { objectId: -tempdb.allocateObjectId(), schema: "dbo", createDate: now, modifyDate: now };
  session.temporaryProcedures.set(key, { ...common, name, parameters, body, msShipped: false });
  sink.statementDone({});
}

/** What a module is of its own; what it refers to must be there for views and inline functions. */
function definitionOf(
  executor: Executor,
  statement: Kind<"create_view"> | Kind<"create_procedure"> | Kind<"create_function">,
  database: Database,
):
  | Pick<View, "columns" | "query" | "checked" | "schemaBound">
  | Pick<Procedure, "parameters" | "body">
  | Pick<UserFunction, "parameters" | "returns"> {
  checkParameters(executor, statement.kind === "create_view" ? [] : statement.parameters, database);
  if (statement.kind === "create_procedure") return { parameters: statement.parameters, body: statement.body };
  if (statement.kind === "create_function") {
    const { parameters, returns } = statement;
    if (parameters.some(({ type }) => userTypeOf(type, executor.session, database)))
      throw unsupported("user-defined types as parameters of functions");
    if (returns.kind === "inline")
      refuseNameless(inlineColumns(parameters, returns.query, executor.compiler(), database));
    else checkBody(returns.body);
    return { parameters, returns };
  }
  const { columns, query, checked, schemaBound } = statement;
  const plan = compileQuery(query, null, executor.compiler().inside(database));
  if (columns.length === 0) refuseNameless(plan.columns);
  return { columns, query, ...(checked ? { checked } : {}), ...(schemaBound ? { schemaBound } : {}) };
}

function refuseNameless(columns: { name: string }[]): void {
  const nameless = columns.findIndex((column) => column.name === "");
  if (nameless < 0) return;
  throw new SqlError(
    4511,
    `Create View or Function failed because no column name was specified for column ${nameless + 1}.`,
    16,
    1,
  );
}

function findModule(database: Database, kind: string, schema: string, name: string): Module | undefined {
  if (kind === "view") return database.findView(schema, name);
  if (kind === "trigger") return database.findTrigger(schema, name);
  return kind === "procedure" ? database.findProcedure(schema, name) : database.findFunction(schema, name);
}

function addModule(database: Database, module: Module): void {
  if ("query" in module) database.addView(module);
  else if ("tableId" in module) database.addTrigger(module);
  else if ("body" in module) database.addProcedure(module);
  else database.addFunction(module);
}

export async function dropObjects(executor: Executor, statement: Kind<"drop">): Promise<void> {
  const { session, sink } = executor;
  switch (statement.object) {
    case "database":
      dropDatabases(executor, statement);
      break;
    case "user":
    case "role":
    case "login":
      dropPrincipals(executor, statement);
      break;
    case "type":
      await inTransaction(executor, async (transaction) => {
        for (const name of statement.names) dropType(executor, name, statement.ifExists, transaction);
      });
      break;
    default:
      await inTransaction(executor, async (transaction) => {
        for (const { parts } of statement.names) await dropOne(executor, statement, parts, transaction);
      });
  }
  session.rowCount = 0;
  sink.statementDone({});
}

function missing(object: string, name: string): SqlError {
  return new SqlError(
    3701,
    `Cannot drop the ${object} '${name}', because it does not exist or you do not have permission.`,
    11,
    5,
  );
}

async function dropOne(
  executor: Executor,
  statement: Kind<"drop">,
  parts: string[],
  transaction: Transaction,
): Promise<void> {
  const { session } = executor;
  const name = parts.join(".");
  const last = parts[parts.length - 1]!;
  const { engine } = session;
  const gone = () => {
    if (!statement.ifExists) throw missing(statement.object, name);
  };
  if (statement.object === "schema") {
    dropSchema(executor, last, transaction, gone);
    return;
  }
  if (statement.object === "index") {
    dropIndex(executor, statement, parts, transaction, gone);
    return;
  }
  if (statement.object === "table") {
    const found = lookUp(parts, executor.compiler());
    if (found?.kind !== "table") {
      gone();
      return;
    }
    const { table, database } = found;
    if (table.temporary) {
      session.temporaryTables.delete(last.toLowerCase());
      transaction.onRollback(() => session.temporaryTables.set(last.toLowerCase(), table));
      return;
    }
    requireAlter(executor, name, statement.object);
    // Who has changed it goes first, as behind the lock Sch-M.
    await session.lock(table, transaction, "X", executor.signal);
    refuseBound(database, "TABLE", table.schema, table.name);
    for (const hook of database.hooks.beforeDropTable) hook(table, session);
    if (isReferenced(table))
      throw new SqlError(
        3726,
        `Could not drop object '${name}' because it is referenced by a FOREIGN KEY constraint.`,
        16,
        1,
      );
    database.removeTable(table);
    transaction.onRollback(() => database.addTable(table));
    dropTriggers(database, table.objectId, transaction);
    for (const hook of database.hooks.onDdl)
      hook({ command: `DROP TABLE ${name}`, objectId: table.objectId, session, transaction });
    return;
  }
  const database = (parts.length === 3 && engine.database(parts[0]!)) || session.currentDatabase;
  const written = parts.length > 1 ? parts[parts.length - 2]! : "";
  const schema = written || session.principalIn(database).defaultSchema;
  if (statement.object === "sequence" || statement.object === "synonym") {
    dropSmall(executor, statement.object, database, schema, last, transaction, gone);
    return;
  }
  if (statement.object === "procedure" && session.temporaryProcedures.delete(last.toLowerCase())) return;
  const module = findModule(database, statement.object, schema, last);
  if (!module) {
    gone();
    return;
  }
  requireAlter(executor, name, statement.object);
  if (statement.object === "view") refuseBound(database, "VIEW", module.schema, module.name);
  database.removeObject(module);
  transaction.onRollback(() => addModule(database, module));
  dropTriggers(database, module.objectId, transaction);
}

/** Those of a table or view go with it. */
function dropTriggers(database: Database, objectId: number, transaction: Transaction): void {
  for (const trigger of [...database.triggers.values()].filter(({ tableId }) => tableId === objectId)) {
    database.removeObject(trigger);
    transaction.onRollback(() => database.addTrigger(trigger));
  }
}

function dropSmall(
  executor: Executor,
  kind: "sequence" | "synonym",
  database: Database,
  schema: string,
  name: string,
  transaction: Transaction,
  gone: () => void,
): void {
  const sequence = kind === "sequence" ? database.findSequence(schema, name) : undefined;
  const synonym = kind === "synonym" ? database.findSynonym(schema, name) : undefined;
  const object = sequence ?? synonym;
  if (!object) {
    gone();
    return;
  }
  requireAlter(executor, name, kind);
  const user = sequence && usesSequence(database, sequence);
  if (user)
    throw new SqlError(
      3729,
      `Cannot DROP SEQUENCE '${schema}.${name}' because it is being referenced by object '${user}'.`,
      16,
      1,
    );
  database.removeObject(object);
  transaction.onRollback(() => (sequence ? database.addSequence(sequence) : database.addSynonym(synonym!)));
}

function requireAlter(executor: Executor, name: string, object: string): void {
  const { session } = executor;
  const database = session.currentDatabase;
  if (session.login.sysadmin || database.principals.allows(session.principalIn(database), "ALTER")) return;
  throw missing(object, name);
}

function dropSchema(executor: Executor, name: string, transaction: Transaction, gone: () => void): void {
  const database = executor.session.currentDatabase;
  const schema = database.schemas.get(name.toLowerCase());
  if (!schema || schema.schemaId < 5) {
    gone();
    return;
  }
  const used = [
    ...database.tables.values(),
    ...database.views.values(),
    ...database.procedures.values(),
    ...database.functions.values(),
    ...database.sequences.values(),
    ...database.synonyms.values(),
  ].find((object) => object.schema.toLowerCase() === name.toLowerCase());
  if (used)
    throw new SqlError(
      3729,
      `Cannot drop schema '${name}' because it is being referenced by object '${used.name}'.`,
      16,
      1,
    );
  database.dropSchema(name);
  transaction.onRollback(() => database.schemas.set(name.toLowerCase(), schema));
}

function dropIndex(
  executor: Executor,
  statement: Kind<"drop">,
  parts: string[],
  transaction: Transaction,
  gone: () => void,
): void {
  const on = statement.on?.parts ?? parts.slice(0, -1);
  const wanted = parts[parts.length - 1]!.toLowerCase();
  const found = lookUp(on, executor.compiler());
  const index =
    found?.kind === "table" ? found.table.indexes.find((other) => other.name.toLowerCase() === wanted) : undefined;
  if (found?.kind !== "table" || !index) {
    gone();
    return;
  }
  if (index.primaryKey || index.uniqueConstraint)
    throw new SqlError(
      3723,
      `An explicit DROP INDEX is not allowed on index '${found.table.qualifiedName}.${index.name}'. It is being used for ${index.primaryKey ? "PRIMARY KEY" : "UNIQUE KEY"} constraint enforcement.`,
      16,
      4,
    );
  const { table } = found;
  table.dropIndex(index);
  transaction.onRollback(() => table.addIndex(index));
  executor.session.engine.schemaVersion++;
}
