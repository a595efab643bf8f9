import { parseConnectionString } from "../../src/sources/sqlserver/connection-string.ts";
import { SqlServerLockStore } from "../../src/sources/sqlserver/lock-store.ts";
import { silent } from "../../src/telemetry/logger.ts";

export interface SqlServerLockPlace {
  connectionString: string;
  table: string;
  leaseMs: number;
}

export const open = async ({ connectionString, table, leaseMs }: SqlServerLockPlace) =>
  new SqlServerLockStore({ target: parseConnectionString(connectionString), table, leaseMs, logger: silent });
