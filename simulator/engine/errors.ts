/** The server errors that more than one file raises, with SQL Server's own numbers, severities and texts. */
import { SqlError } from "./session.ts";

/**
 * What SQL Server would run and the simulator does not. 40510 is Azure SQL Database's "Statement '%' is not supported in
 * this version of SQL Server": the nearest that clients know.
 * https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
 */
export function unsupported(what: string): SqlError {
  return new SqlError(40510, `The simulator does not support ${what}.`, 16, 1);
}

export function invalidObject(name: string): SqlError {
  return new SqlError(208, `Invalid object name '${name}'.`, 16, 1);
}

export function invalidColumn(name: string): SqlError {
  return new SqlError(207, `Invalid column name '${name}'.`, 16, 1);
}

export function undeclared(name: string): SqlError {
  return new SqlError(137, `Must declare the scalar variable "${name}".`, 15, 2);
}

export function deadlockVictim(spid: number): SqlError {
  return new SqlError(
    1205,
    `Transaction (Process ID ${spid}) was deadlocked on lock resources with another process and has been chosen as the deadlock victim. Rerun the transaction.`,
    13,
    51,
  );
}

export function lockTimeout(): SqlError {
  return new SqlError(1222, "Lock request time out period exceeded.", 16, 45);
}

export function noCorresponding(kind: "COMMIT" | "ROLLBACK"): SqlError {
  return kind === "COMMIT"
    ? new SqlError(3902, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.", 16, 1)
    : new SqlError(3903, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.", 16, 1);
}

/** A request that was cancelled (ATTENTION): unwinds the statement; never shown to the client. */
export class Cancelled extends Error {
  constructor() {
    super("The request was cancelled.");
    this.name = "Cancelled";
  }
}
