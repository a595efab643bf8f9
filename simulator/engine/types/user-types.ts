/**
 * Types that CREATE TYPE made, by their names.
 * https://learn.microsoft.com/sql/t-sql/statements/create-type-transact-sql
 */
import type { TypeName } from "../../sql/ast.ts";
import { SqlError } from "../session.ts";
import type { Database, UserType } from "../storage.ts";
import type { Session } from "../user-session.ts";
import type { SqlType } from "../values.ts";
import { CLR_TYPES, resolveType } from "./types.ts";

/** undefined for a type of the system: a name without a schema means that first. */
export function userTypeOf(name: TypeName, session: Session, database = session.currentDatabase): UserType | undefined {
  if (name.schema !== undefined) return database.findType(name.schema, name.name);
  if (isSystemType(name)) return undefined;
  const { defaultSchema } = session.principalIn(database);
  return database.findType(defaultSchema, name.name) ?? database.findType("dbo", name.name);
}

function isSystemType(name: TypeName): boolean {
  if (CLR_TYPES.has(name.name.toLowerCase())) return true;
  try {
    resolveType({ name: name.name, args: [] });
    return true;
  } catch {
    return false;
  }
}

/** The type of a column, variable or parameter; of an alias, what it stands for. Error 2715 for a name that is none. */
export function declaredType(name: TypeName, session: Session, database?: Database): SqlType {
  const user = userTypeOf(name, session, database);
  if (user?.base) return user.base;
  const system = name.schema === undefined || name.schema.toLowerCase() === "sys";
  if (!user && (system || name.schema === "") && isSystemType(name)) return resolveType(name);
  const shown = name.schema ? `${name.schema}.${name.name}` : name.name;
  if (user) throw new SqlError(2724, `Parameter or variable '${shown}' has an invalid data type.`, 16, 3);
  throw new SqlError(2715, `Column, parameter, or variable #1: Cannot find data type ${shown}.`, 16, 6);
}
