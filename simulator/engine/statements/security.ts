/** Logins, users, roles and permissions. */

import { findObject } from "../query/sources.ts";
import { SqlError } from "../session.ts";
import type { Database } from "../storage.ts";
import type { Kind } from "./changes.ts";
import type { Executor } from "./executor.ts";

type SecurityStatement =
  | Kind<"create_user" | "create_login" | "create_role">
  | Kind<"alter_role">
  | Kind<"grant" | "deny" | "revoke">;

export async function securityStatement(executor: Executor, statement: SecurityStatement): Promise<void> {
  const { session, sink } = executor;
  const database = session.currentDatabase;
  requireOwner(executor, database);
  switch (statement.kind) {
    case "create_login":
      if (session.engine.logins.has(statement.name.toLowerCase()))
        throw new SqlError(15025, `The server principal '${statement.name}' already exists.`, 16, 1);
      session.engine.addLogin(statement.name, statement.password ?? "", false);
      break;
    case "create_user": {
      const login = statement.login ?? statement.name;
      if (statement.password !== undefined) session.engine.addLogin(statement.name, statement.password, false);
      else if (statement.login !== undefined && !session.engine.logins.has(login.toLowerCase()))
        throw new SqlError(15007, `'${login}' is not a valid login or you do not have permission.`, 16, 1);
      database.principals.create(statement.name, "user", session.engine.now(), login);
      break;
    }
    case "create_role":
      database.principals.create(statement.name, "role", session.engine.now());
      break;
    case "alter_role":
      changeMembership(database, statement.name, statement.member, statement.action);
      break;
    default:
      changePermissions(executor, database, statement);
  }
  sink.statementDone({});
}

function requireOwner(executor: Executor, database: Database): void {
  const { session } = executor;
  if (session.login.sysadmin || database.principals.isMember(session.principalIn(database), "db_owner")) return;
  throw new SqlError(15247, "User does not have permission to perform this action.", 16, 1);
}

/** For ALTER ROLE and sp_addrolemember. */
export function changeMembership(database: Database, role: string, member: string, action: "add" | "drop"): void {
  const { principals } = database;
  const found = principals.find(role);
  if (found?.kind !== "role")
    throw new SqlError(
      15151,
      `Cannot alter the role '${role}', because it does not exist or you do not have permission.`,
      16,
      1,
    );
  const who = principals.find(member);
  if (!who)
    throw new SqlError(
      15151,
      `Cannot add the principal '${member}', because it does not exist or you do not have permission.`,
      16,
      1,
    );
  if (action === "add") who.roles.add(role.toLowerCase());
  else who.roles.delete(role.toLowerCase());
}

function changePermissions(executor: Executor, database: Database, statement: Kind<"grant" | "deny" | "revoke">): void {
  const { permissions } = database.principals;
  const { on } = statement;
  let majorId = 0;
  if (on?.class === "schema") {
    majorId = database.schemaId(on.name.parts[on.name.parts.length - 1]!);
    if (majorId === 0)
      throw new SqlError(
        15151,
        `Cannot find the schema '${on.name.parts.join(".")}', because it does not exist or you do not have permission.`,
        16,
        1,
      );
  } else if (on?.class === "object") majorId = objectId(executor, on.name.parts);
  const scope = on?.class ?? "database";
  for (const name of statement.to) {
    const principal = database.principals.find(name);
    if (!principal)
      throw new SqlError(
        15151,
        `Cannot find the user '${name}', because it does not exist or you do not have permission.`,
        16,
        1,
      );
    const grantee = principal.name.toLowerCase();
    for (const permission of statement.permissions.map((each) => each.toUpperCase())) {
      for (let i = permissions.length - 1; i >= 0; i--) {
        const held = permissions[i]!;
        if (
          held.grantee === grantee &&
          held.permission === permission &&
          held.class === scope &&
          held.majorId === majorId
        )
          permissions.splice(i, 1);
      }
      if (statement.kind !== "revoke")
        permissions.push({
          grantee,
          state: statement.kind,
          permission,
          class: scope,
          majorId,
          columns: on?.columns ?? [],
        });
    }
  }
}

function objectId(executor: Executor, parts: string[]): number {
  const database = executor.session.currentDatabase;
  const schema = (parts.length > 1 ? parts[parts.length - 2] : "") || "dbo";
  const known = database.findObjectId(schema, parts[parts.length - 1]!);
  if (known !== undefined) return known;
  const found = findObject(parts, executor.compiler());
  // System views are everybody's to read.
  return found.kind === "table" ? found.table.objectId : found.kind === "view" ? found.view.objectId : -1;
}

export function dropPrincipals(executor: Executor, statement: Kind<"drop">): void {
  const { session } = executor;
  requireOwner(executor, session.currentDatabase);
  for (const { parts } of statement.names) {
    const name = parts.join(".");
    const there =
      statement.object === "login"
        ? session.engine.logins.has(name.toLowerCase())
        : session.currentDatabase.principals.find(name);
    if (!there && statement.ifExists) continue;
    if (statement.object !== "login") session.currentDatabase.principals.drop(name);
    else if (!session.engine.logins.delete(name.toLowerCase()))
      throw new SqlError(
        15151,
        `Cannot drop the login '${name}', because it does not exist or you do not have permission.`,
        16,
        1,
      );
  }
}
