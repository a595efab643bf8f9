/** CREATE, ALTER and DROP DATABASE; USE. */
import { SqlError } from "../session.ts";
import type { Database } from "../storage.ts";
import { Session } from "../user-session.ts";
import type { Kind } from "./changes.ts";
import type { Executor } from "./executor.ts";

export async function useDatabase(executor: Executor, name: string): Promise<void> {
  const { session, sink } = executor;
  const database = session.engine.database(name);
  if (!database)
    throw new SqlError(911, `Database '${name}' does not exist. Make sure that the name is entered correctly.`, 16, 1);
  if (!Session.mayUse(database, session.login))
    throw new SqlError(
      916,
      `The server principal "${session.login.name}" is not able to access the database "${database.name}" under the current security context.`,
      14,
      2,
    );
  if (database !== session.currentDatabase && Session.singleUserOf(database))
    throw new SqlError(924, `Database '${database.name}' is already open and can only have one user at a time.`, 14, 1);
  const from = session.currentDatabase.name;
  session.currentDatabase = database;
  sink.environment({ kind: "database", from, to: database.name });
  sink.message({
    number: 5701,
    state: 2,
    severity: 0,
    message: `Changed database context to '${database.name}'.`,
    line: 1,
  });
  sink.statementDone({});
}

export async function createDatabase(executor: Executor, { name, collation }: Kind<"create_database">): Promise<void> {
  const { session, sink } = executor;
  if (!session.login.sysadmin)
    throw new SqlError(262, "CREATE DATABASE permission denied in database 'master'.", 14, 1);
  if (session.currentTransaction)
    throw new SqlError(226, "CREATE DATABASE statement not allowed within multi-statement transaction.", 16, 6);
  session.engine.createDatabase(name, collation);
  sink.statementDone({});
}

/** ALTER DATABASE x SET a ON, b = c WITH …: kept by name, as far as it can be told apart; what has no meaning here is accepted. */
export async function alterDatabase(executor: Executor, { name, text }: Kind<"alter_database">): Promise<void> {
  const { session, sink } = executor;
  const database = name.toUpperCase() === "CURRENT" ? session.currentDatabase : session.engine.database(name);
  if (!database)
    throw new SqlError(
      5011,
      `User does not have permission to alter database '${name}', the database does not exist, or the database is not in a state that allows access checks.`,
      14,
      5,
    );
  if (!session.login.sysadmin && !database.principals.allows(session.principalIn(database), "ALTER"))
    throw new SqlError(
      5011,
      `User does not have permission to alter database '${name}', the database does not exist, or the database is not in a state that allows access checks.`,
      14,
      5,
    );
  const set = /^\s*SET\s+(.*?)(?:\s+WITH\s+(.*))?$/is.exec(text);
  for (const option of set?.[1]?.split(",") ?? []) {
    const found = /^\s*(\w+)\s*(?:=\s*)?(.*?)\s*$/s.exec(option);
    if (!found) continue;
    const key = found[1]!.toUpperCase();
    if (EXCLUSIVE.has(key)) makeRoom(session, database, set?.[2]?.toUpperCase() ?? "");
    const others = STATES.find((states) => states.includes(key)) ?? [];
    for (const state of others) database.options.delete(state);
    database.options.set(key, found[2]!);
  }
  sink.statementDone({});
}

/** Of each of these one is in force. */
const STATES = [
  ["SINGLE_USER", "RESTRICTED_USER", "MULTI_USER"],
  ["READ_ONLY", "READ_WRITE"],
  ["ONLINE", "OFFLINE", "EMERGENCY"],
];

/** Options that need the database for themselves. */
const EXCLUSIVE = new Set(["SINGLE_USER", "OFFLINE", "READ_ONLY", "READ_WRITE", "READ_COMMITTED_SNAPSHOT"]);

/**
 * What becomes of the other sessions in a database: WITH ROLLBACK ends them, WITH NO_WAIT fails. (Without either SQL Server waits until
 * they are gone; here they may stay.) https://learn.microsoft.com/sql/t-sql/statements/alter-database-transact-sql-set-options
 */
function makeRoom(session: Session, database: Database, termination: string): void {
  const others = [...session.engine.sessions.values()].filter(
    (other) => other !== session && other.currentDatabase === database,
  );
  if (termination.startsWith("ROLLBACK")) for (const other of others) other.kill();
  else if (termination.startsWith("NO_WAIT") && others.length > 0)
    throw new SqlError(
      5070,
      `Database state cannot be changed while other users are using the database '${database.name}'`,
      16,
      2,
    );
}

export function dropDatabases(executor: Executor, statement: Kind<"drop">): void {
  const { session } = executor;
  for (const { parts } of statement.names) {
    const name = parts.join(".");
    const database = session.engine.database(name);
    if (!database) {
      if (statement.ifExists) continue;
      throw new SqlError(
        3701,
        `Cannot drop the database '${name}', because it does not exist or you do not have permission.`,
        11,
        1,
      );
    }
    if (database.id <= 4)
      throw new SqlError(3708, `Cannot drop the database '${name}' because it is a system database.`, 16, 4);
    for (const other of session.engine.sessions.values())
      if (other.currentDatabase === database)
        throw new SqlError(3702, `Cannot drop database "${name}" because it is currently in use.`, 16, 3);
    session.engine.dropDatabase(database);
  }
}
