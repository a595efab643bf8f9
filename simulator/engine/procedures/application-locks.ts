/** sp_getapplock: https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-getapplock-transact-sql */

import { Cancelled } from "../errors.ts";
import type { LockMode, LockOwner } from "../locks.ts";
import { SqlError } from "../session.ts";
import type { Argument, Caller } from "../statements/calls.ts";
import type { Session } from "../user-session.ts";
import { Arguments } from "./arguments.ts";

const MODES: Record<string, LockMode> = {
  shared: "S",
  update: "U",
  intentshared: "IS",
  intentexclusive: "IX",
  exclusive: "X",
};

function ownerOf(session: Session, given: string | null): LockOwner {
  const owner = (given ?? "Transaction").toLowerCase();
  if (owner === "session") return session;
  if (owner !== "transaction") throw invalid("LockOwner");
  if (!session.currentTransaction)
    throw new SqlError(
      1224,
      "An invalid application lock resource was passed to sp_getapplock: there is no transaction to own the lock.",
      16,
      1,
    );
  return session.currentTransaction;
}

function invalid(parameter: string): SqlError {
  return new SqlError(1227, `An invalid value was passed to ${parameter} of an application lock.`, 16, 1);
}

/** 0 granted, 1 granted after waiting, -1 timeout, -2 cancelled, -3 deadlock victim. */
export async function applicationLock(caller: Caller, args: Argument[]): Promise<number> {
  const { session, signal } = caller;
  const given = new Arguments(
    "sp_getapplock",
    ["resource", "lockmode", "lockowner", "locktimeout", "dbprincipal"],
    args,
    session,
  );
  const resource = given.text("resource");
  const mode = MODES[(given.text("lockmode") ?? "").toLowerCase()];
  if (resource === null || mode === undefined) return -999;
  const owner = ownerOf(session, given.text("lockowner", "Transaction"));
  const timeout = given.value("locktimeout", { id: "int" }, session.options.lockTimeout) as number | null;
  const key = session.applicationLockKey(resource);
  const result = await session.engine.locks.acquire(key, owner, session, mode, timeout ?? -1, signal);
  if (owner === session && result.startsWith("granted")) session.noteApplicationLock(key);
  switch (result) {
    case "granted":
      return 0;
    case "granted after waiting":
      return 1;
    case "timeout":
      return -1;
    case "cancelled":
      throw new Cancelled();
    case "deadlock":
      return -3;
  }
}

export async function releaseApplicationLock(caller: Caller, args: Argument[]): Promise<number> {
  const { session } = caller;
  const given = new Arguments("sp_releaseapplock", ["resource", "lockowner", "dbprincipal"], args, session);
  const resource = given.text("resource") ?? "";
  const owner = ownerOf(session, given.text("lockowner", "Transaction"));
  if (!session.engine.locks.release(session.applicationLockKey(resource), owner))
    throw new SqlError(
      1223,
      `Cannot release the application lock (Database Principal: 'public', Resource: '${resource}') because it is not currently held.`,
      16,
      1,
    );
  return 0;
}
