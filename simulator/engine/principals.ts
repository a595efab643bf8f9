/**
 * Who may do what: users and roles of a database, and permissions granted to them. Enough for the errors that a login
 * without rights meets (229, 230, 262, 297); the logins that the simulator was started with are sysadmins, and so is the database's
 * owner within it.
 * https://learn.microsoft.com/sql/relational-databases/security/authentication-access/database-level-roles
 */
import { SqlError } from "./session.ts";

export interface Principal {
  principalId: number;
  name: string;
  kind: "user" | "role";
  /** The login of a user. */
  login?: string;
  defaultSchema: string;
  createDate: Date;
  /** Roles of which it is a member, lower case. */
  roles: Set<string>;
  fixedRole: boolean;
}

export interface Permission {
  /** Lower case. */
  grantee: string;
  state: "grant" | "deny";
  /** Upper case: SELECT, EXECUTE, VIEW DATABASE STATE … */
  permission: string;
  class: "database" | "schema" | "object";
  /** The object's id, or the schema's; 0 for the database. */
  majorId: number;
  columns: string[];
}

export interface Securable {
  objectId: number;
  schemaId: number;
  schema: string;
  name: string;
}

const FIXED_ROLES: Record<string, readonly string[]> = {
  db_owner: [],
  db_accessadmin: [],
  db_securityadmin: [],
  db_ddladmin: ["ALTER", "CREATE TABLE", "CREATE VIEW", "CREATE PROCEDURE", "CREATE SCHEMA"],
  db_backupoperator: [],
  db_datareader: ["SELECT"],
  db_datawriter: ["INSERT", "UPDATE", "DELETE"],
  db_denydatareader: [],
  db_denydatawriter: [],
};

/** A database's users, roles and permissions. Names compare without case. */
export class Principals {
  readonly all = new Map<string, Principal>();
  readonly permissions: Permission[] = [];
  nextId = 5;

  constructor(now: Date) {
    const add = (
      principalId: number,
      name: string,
      kind: Principal["kind"],
      defaultSchema: string,
      fixedRole: boolean,
    ) =>
      this.all.set(name.toLowerCase(), {
        principalId,
        name,
        kind,
        defaultSchema,
        createDate: now,
        roles: new Set(),
        fixedRole,
      });
    add(0, "public", "role", "dbo", false);
    add(1, "dbo", "user", "dbo", false);
    add(2, "guest", "user", "guest", false);
    add(3, "INFORMATION_SCHEMA", "user", "INFORMATION_SCHEMA", false);
    add(4, "sys", "user", "sys", false);
    Object.keys(FIXED_ROLES).forEach((name, i) => {
      add(16384 + i, name, "role", "dbo", true);
    });
  }

  find(name: string): Principal | undefined {
    return this.all.get(name.toLowerCase());
  }

  create(name: string, kind: Principal["kind"], now: Date, login?: string): Principal {
    if (this.find(name)) {
      throw new SqlError(15023, `User, group, or role '${name}' already exists in the current database.`, 16, 1);
    }
    const principal: Principal = {
      principalId: this.nextId++,
      name,
      kind,
      defaultSchema: "dbo",
      createDate: now,
      roles: new Set(),
      fixedRole: false,
      ...(login === undefined ? {} : { login }),
    };
    this.all.set(name.toLowerCase(), principal);
    return principal;
  }

  drop(name: string): void {
    const principal = this.find(name);
    if (!principal || principal.principalId < 5 || principal.fixedRole)
      throw new SqlError(
        15151,
        `Cannot drop the user '${name}', because it does not exist or you do not have permission.`,
        16,
        1,
      );
    this.all.delete(name.toLowerCase());
    for (const other of this.all.values()) other.roles.delete(name.toLowerCase());
    for (let i = this.permissions.length - 1; i >= 0; i--)
      if (this.permissions[i]!.grantee === name.toLowerCase()) this.permissions.splice(i, 1);
  }

  userOfLogin(login: string): Principal | undefined {
    for (const principal of this.all.values())
      if (principal.kind === "user" && principal.login?.toLowerCase() === login.toLowerCase()) return principal;
    return undefined;
  }

  /** The principal itself and all roles that it is in, directly or not, and public; lower case. */
  identities(principal: Principal): Set<string> {
    const found = new Set<string>();
    const add = (name: string): void => {
      if (found.has(name)) return;
      found.add(name);
      for (const role of this.find(name)?.roles ?? []) add(role);
    };
    add(principal.name.toLowerCase());
    found.add("public");
    return found;
  }

  isMember(principal: Principal, role: string): boolean {
    const identities = this.identities(principal);
    return identities.has(role.toLowerCase()) || principal.name === "dbo" || identities.has("db_owner");
  }

  /** Deny goes before grant. Without a securable: on the database itself. With a column: on that column of it. */
  allows(principal: Principal, permission: string, securable?: Securable, column?: string): boolean {
    if (principal.name === "dbo") return true;
    const identities = this.identities(principal);
    if (identities.has("db_owner")) return true;
    let granted = false;
    for (const entry of this.permissions) {
      if (!identities.has(entry.grantee) || !covers(entry.permission, permission)) continue;
      const applies =
        entry.class === "database" ||
        (entry.class === "schema" && entry.majorId === securable?.schemaId) ||
        (entry.class === "object" && entry.majorId === securable?.objectId);
      if (!applies || !coversColumn(entry.columns, column)) continue;
      if (entry.state === "deny") return false;
      granted = true;
    }
    if (identities.has("db_denydatareader") && permission === "SELECT") return false;
    if (identities.has("db_denydatawriter") && FIXED_ROLES["db_datawriter"]!.includes(permission)) return false;
    if (granted) return true;
    for (const [role, permissions] of Object.entries(FIXED_ROLES))
      if (identities.has(role) && permissions.includes(permission)) return true;
    return false;
  }
}

function coversColumn(columns: string[], wanted: string | undefined): boolean {
  if (wanted === undefined || columns.length === 0) return true;
  return columns.some((column) => column.toLowerCase() === wanted.toLowerCase());
}

function covers(held: string, wanted: string): boolean {
  return held === wanted || held === "CONTROL" || held === "ALL" || (held === "ALTER" && wanted.startsWith("CREATE "));
}
