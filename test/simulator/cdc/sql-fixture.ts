/** An engine with change data capture that tests speak T-SQL to, as one or several sessions. */
import { installCatalog } from "../../../simulator/catalog/install.ts";
import { CdcDatabase, type CdcOptions } from "../../../simulator/cdc/cdc-database.ts";
import { installCdc } from "../../../simulator/cdc/install.ts";
import { Engine, type EngineOptions } from "../../../simulator/engine/engine.ts";
import { type Client, open } from "../engine/client.ts";

export interface SqlFixture {
  engine: Engine;
  cdc: CdcDatabase;
  /** sa's session in the database TestDB. */
  sql: Client;
  another(user?: string): Promise<Client>;
}

export async function sqlFixture(options: CdcOptions & EngineOptions = {}): Promise<SqlFixture> {
  const chosen = { seed: 1, captureInterval: "immediate", ...options } as const;
  const engine = new Engine(chosen);
  installCatalog(engine);
  installCdc(engine, chosen);
  const database = engine.createDatabase("TestDB");
  return {
    engine,
    cdc: CdcDatabase.of(database),
    sql: await open(engine, "TestDB"),
    another: (user = "sa") => open(engine, "TestDB", user),
  };
}

/** With the table dbo.people (id int key, name), enabled. */
export async function people(options: CdcOptions & EngineOptions = {}): Promise<SqlFixture> {
  const f = await sqlFixture(options);
  await f.sql.run(`CREATE TABLE dbo.people (id int NOT NULL PRIMARY KEY, name nvarchar(20), age int);
    EXEC sys.sp_cdc_enable_db;
    EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'people', @role_name = NULL`);
  return f;
}
