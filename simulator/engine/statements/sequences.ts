/** CREATE and ALTER SEQUENCE, CREATE SYNONYM. */
import type { Expr } from "../../sql/ast.ts";
import { changeSequence, newSequence, type Sequence } from "../sequences.ts";
import { SqlError } from "../session.ts";
import type { Database, Synonym } from "../storage.ts";
import { resolveType } from "../types/types.ts";
import { inTransaction, type Kind } from "./changes.ts";
import type { Executor } from "./executor.ts";
import { alreadyThere, placeOf, requireCreate } from "./new-table.ts";

export async function createSequence(executor: Executor, statement: Kind<"create_sequence">): Promise<void> {
  const { database, schema, name } = placeOf(executor, statement.name);
  requireCreate(executor, "CREATE SEQUENCE", database);
  if (database.findObjectId(schema, name) !== undefined) throw alreadyThere(name);
  const type = statement.type ? resolveType(statement.type) : ({ id: "bigint" } as const);
  const createDate = executor.session.engine.now();
  const identity = { objectId: database.allocateObjectId(), schema, name, createDate };
  const sequence = newSequence(identity, type, statement.options);
  await inTransaction(executor, async (transaction) => {
    database.addSequence(sequence);
    transaction.onRollback(() => database.removeObject(sequence));
  });
  executor.sink.statementDone({});
}

export async function alterSequence(executor: Executor, statement: Kind<"alter_sequence">): Promise<void> {
  const { database, schema, name } = placeOf(executor, statement.name);
  const sequence = database.findSequence(schema, name);
  if (!sequence)
    throw new SqlError(
      15151,
      `Cannot find the object '${name}', because it does not exist or you do not have permission.`,
    );
  if (Object.keys(statement.options).length === 0)
    throw new SqlError(11715, "No properties specified for ALTER SEQUENCE.", 15, 1);
  const before = { ...sequence };
  await inTransaction(executor, async (transaction) => {
    transaction.onRollback(() => Object.assign(sequence, before));
    changeSequence(sequence, statement.options, executor.session.engine.now());
  });
  executor.sink.statementDone({});
}

/** What it stands for need not be there. https://learn.microsoft.com/sql/t-sql/statements/create-synonym-transact-sql */
export async function createSynonym(executor: Executor, statement: Kind<"create_synonym">): Promise<void> {
  const { database, schema, name } = placeOf(executor, statement.name);
  requireCreate(executor, "CREATE SYNONYM", database);
  if (database.findObjectId(schema, name) !== undefined) throw alreadyThere(name);
  const now = executor.session.engine.now();
  const synonym: Synonym = {
    objectId: database.allocateObjectId(),
    schema,
    name,
    createDate: now,
    modifyDate: now,
    target: statement.target.parts,
    msShipped: false,
  };
  await inTransaction(executor, async (transaction) => {
    database.addSynonym(synonym);
    transaction.onRollback(() => database.removeObject(synonym));
  });
  executor.sink.statementDone({});
}

/** The name of a default constraint that takes numbers of the sequence. */
export function usesSequence(database: Database, sequence: Sequence): string | undefined {
  for (const table of database.tables.values())
    for (const { default: given } of table.columns) {
      const parts = given?.definition && sequenceOf(given.definition.expr);
      if (!parts) continue;
      const schema = parts.length > 1 ? parts[parts.length - 2]! : "dbo";
      if (database.findSequence(schema, parts[parts.length - 1]!) === sequence) return given!.name;
    }
  return undefined;
}

function sequenceOf(expr: Expr): string[] | undefined {
  if (expr.kind === "next_value") return expr.sequence.parts;
  if (expr.kind === "binary") return sequenceOf(expr.left) ?? sequenceOf(expr.right);
  return expr.kind === "cast" || expr.kind === "convert" ? sequenceOf(expr.operand) : undefined;
}
