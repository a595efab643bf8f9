/**
 * Principals, memberships and permissions.
 * https://learn.microsoft.com/sql/relational-databases/system-catalog-views/security-catalog-views-transact-sql
 */
import { toDatetime } from "../cdc/server-time.ts";
import type { Engine } from "../engine/engine.ts";
import type { Permission } from "../engine/principals.ts";
import { type RowObject, view } from "./define.ts";

/** Four letters, as sys.database_permissions.type has them. */
const PERMISSION_TYPES: Record<string, string> = {
  SELECT: "SL  ",
  INSERT: "IN  ",
  UPDATE: "UP  ",
  DELETE: "DL  ",
  EXECUTE: "EX  ",
  ALTER: "AL  ",
  CONTROL: "CL  ",
  CONNECT: "CO  ",
  REFERENCES: "RF  ",
  "VIEW DEFINITION": "VW  ",
  "VIEW DATABASE STATE": "VWDS",
};

const CLASSES: Record<Permission["class"], [number, string]> = {
  database: [0, "DATABASE"],
  object: [1, "OBJECT_OR_COLUMN"],
  schema: [3, "SCHEMA"],
};

export function registerPrincipalViews(engine: Engine): void {
  const views = [
    view(
      "sys",
      "database_principals",
      `name sysname!, principal_id int!, type char(1)!, type_desc nvarchar(60), default_schema_name sysname,
       create_date datetime!, modify_date datetime!, owning_principal_id int, sid varbinary(85), is_fixed_role bit!,
       authentication_type int!, authentication_type_desc nvarchar(60), default_language_name sysname,
       default_language_lcid int, allow_encrypted_value_modifications bit!`,
      ({ database }) =>
        [...database.principals.all.values()].map((principal) => ({
          name: principal.name,
          principal_id: principal.principalId,
          type: principal.kind === "role" ? "R" : "S",
          type_desc: principal.kind === "role" ? "DATABASE_ROLE" : "SQL_USER",
          default_schema_name: principal.kind === "role" ? null : principal.defaultSchema,
          create_date: toDatetime(engine, principal.createDate),
          modify_date: toDatetime(engine, principal.createDate),
          owning_principal_id: principal.kind === "role" ? 1 : null,
          sid: principal.principalId === 1 ? Buffer.from([1]) : null,
          is_fixed_role: principal.fixedRole,
          authentication_type: principal.login || principal.name === "dbo" ? 1 : 0,
          authentication_type_desc: principal.login || principal.name === "dbo" ? "INSTANCE" : "NONE",
        })),
    ),
    view(
      "sys",
      "server_principals",
      `name sysname!, principal_id int!, sid varbinary(85), type char(1)!, type_desc nvarchar(60), is_disabled bit,
       create_date datetime!, modify_date datetime!, default_database_name sysname, default_language_name sysname,
       credential_id int, owning_principal_id int, is_fixed_role bit!`,
      function* ({ engine: server }): Generator<RowObject> {
        for (const login of server.logins.values())
          yield {
            name: login.name,
            principal_id: login.principalId,
            sid: login.principalId === 1 ? Buffer.from([1]) : Buffer.from(login.name),
            type: "S",
            type_desc: "SQL_LOGIN",
            is_disabled: false,
            create_date: toDatetime(server, login.createDate),
            modify_date: toDatetime(server, login.createDate),
            default_database_name: "master",
            default_language_name: "us_english",
          };
        for (const [i, name] of ["public", "sysadmin"].entries())
          yield {
            name,
            principal_id: i + 2,
            type: "R",
            type_desc: "SERVER_ROLE",
            is_disabled: false,
            create_date: toDatetime(server, server.startTime),
            modify_date: toDatetime(server, server.startTime),
            is_fixed_role: name !== "public",
          };
      },
    ),
    view("sys", "server_role_members", "role_principal_id int!, member_principal_id int!", ({ engine: server }) =>
      [...server.logins.values()]
        .filter((login) => login.sysadmin)
        .map((login) => ({ role_principal_id: 3, member_principal_id: login.principalId })),
    ),
    view("sys", "database_role_members", "role_principal_id int!, member_principal_id int!", function* ({ database }) {
      for (const member of database.principals.all.values())
        for (const role of member.roles)
          yield {
            role_principal_id: database.principals.find(role)?.principalId ?? 0,
            member_principal_id: member.principalId,
          };
      yield { role_principal_id: 16384, member_principal_id: 1 };
    }),
    view(
      "sys",
      "database_permissions",
      `class tinyint!, class_desc nvarchar(60), major_id int!, minor_id int!, grantee_principal_id int!,
       grantor_principal_id int!, type char(4)!, permission_name nvarchar(128), state char(1)!, state_desc nvarchar(60)`,
      ({ database }) =>
        database.principals.permissions.map((permission): RowObject => {
          const [number, description] = CLASSES[permission.class];
          return {
            class: number,
            class_desc: description,
            major_id: permission.majorId,
            grantee_principal_id: database.principals.find(permission.grantee)?.principalId ?? 0,
            grantor_principal_id: 1,
            type: PERMISSION_TYPES[permission.permission] ?? permission.permission.slice(0, 4).padEnd(4),
            permission_name: permission.permission,
            state: permission.state === "deny" ? "D" : "G",
            state_desc: permission.state === "deny" ? "DENY" : "GRANT",
          };
        }),
    ),
  ];
  for (const definition of views) engine.registerView(definition);
}
