/** `dstream check` for SQL Server: looks at everything that change data capture needs, and changes nothing. */
import type { TablePattern } from "../../config/tables.ts";
import { DStreamError, describeError, SourceError } from "../../errors.ts";
import { fullName, type TableName } from "../../ingester/checkpoint.ts";
import type { CapturedTable } from "./capture-instance.ts";
import { readCatalog } from "./catalog.ts";
import { addedColumns, createTable } from "./checkpoint-rows.ts";
import { checkCapture } from "./checks-capture.ts";
import { checkTable, findTables } from "./checks-tables.ts";
import { type ConnectionTimes, describeHost, SqlConnection } from "./connection.ts";
import type { SqlServerTarget } from "./connection-string.ts";
import type { CheckContext, Finding } from "./finding.ts";
import { quoteName, quoteText } from "./quote.ts";
import { readServerTime } from "./server-time.ts";
import { defaultTableOptions, type TableOptions } from "./table-options.ts";

export type { Finding } from "./finding.ts";

export interface SqlServerCheckOptions {
  target: SqlServerTarget;
  tables: readonly TablePattern[];
  tableOptions?: (table: TableName) => TableOptions;
  ordering?: "table" | "key";
  /** Where checkpoints are kept in the database itself, the table's name. */
  checkpointTable?: string | undefined;
  times?: Partial<ConnectionTimes>;
}

export async function checkSqlServer(options: SqlServerCheckOptions, signal: AbortSignal): Promise<Finding[]> {
  const { target } = options;
  const connection = new SqlConnection(target, options.times);
  const ask = async (sql: string) => {
    const { sets } = await connection.query(sql, [], signal, { doing: "checking" });
    return sets[0]?.rows ?? [];
  };
  try {
    const opened = await open(ask, target);
    if (!("user" in opened)) return [opened];
    const context: CheckContext = { ask, database: target.database, user: opened.user };
    return [
      {
        severity: "ok",
        subject: `server ${describeHost(target.hosts[0])}`,
        message: `SQL Server ${opened.version} answers.`,
      },
      ...(await checkDatabase(context, connection, options, signal)),
    ];
  } finally {
    await connection.close();
  }
}

async function open(
  ask: CheckContext["ask"],
  target: SqlServerTarget,
): Promise<Finding | { user: string; version: string }> {
  try {
    const [row] = await ask("SELECT USER_NAME(), CONVERT(nvarchar(128), SERVERPROPERTY('ProductVersion'))");
    return { user: row![0] as string, version: row![1] as string };
  } catch (error) {
    return failed(`server ${describeHost(target.hosts[0])}`, error);
  }
}

async function checkDatabase(
  context: CheckContext,
  connection: SqlConnection,
  options: SqlServerCheckOptions,
  signal: AbortSignal,
): Promise<Finding[]> {
  const subject = `database ${context.database}`;
  const [state] = await context.ask(
    "SELECT is_cdc_enabled, CONVERT(nvarchar(128), DATABASEPROPERTYEX(name, 'Updateability')) FROM sys.databases WHERE name = DB_NAME()",
  );
  const [enabled, updateability] = state ?? [];
  const readOnly = updateability === "READ_ONLY";
  const findings = await checkCheckpoints(context, options, readOnly);
  if (!enabled) {
    const fix = `USE ${quoteName(context.database)}; EXEC sys.sp_cdc_enable_db;`;
    return [{ severity: "error", subject, message: "Change data capture is off.", fix }, ...findings];
  }
  const [permission] = await context.ask("SELECT HAS_PERMS_BY_NAME(N'cdc', N'SCHEMA', N'SELECT')");
  if (permission?.[0] !== 1) {
    const fix = `GRANT SELECT ON SCHEMA::cdc TO ${quoteName(context.user)};`;
    return [
      { severity: "error", subject, message: `${context.user} may not read the change tables.`, fix },
      ...findings,
    ];
  }
  const captured = await readCatalog(connection, signal);
  findings.unshift({
    severity: "ok",
    subject,
    message: `Change data capture is on, for ${captured.length} ${captured.length === 1 ? "table" : "tables"}.`,
  });
  // The jobs are made with the first captured table.
  if (captured.length > 0) findings.push(...(await checkCapture(context, readOnly)));
  findings.push(...(await checkTime(connection, signal)));
  const found = await findTables(context, captured, options.tables);
  findings.push(...found.findings);
  for (const table of found.tables) findings.push(...(await attempt(table, () => checkOne(context, table, options))));
  return findings;
}

async function checkOne(
  context: CheckContext,
  table: CapturedTable,
  options: SqlServerCheckOptions,
): Promise<Finding[]> {
  const tableOptions = options.tableOptions?.(table) ?? defaultTableOptions;
  return await checkTable(context, table, tableOptions, options.ordering ?? "table");
}

async function attempt(table: TableName, check: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await check();
  } catch (error) {
    return [failed(`table ${fullName(table)}`, error)];
  }
}

async function checkCheckpoints(
  context: CheckContext,
  options: SqlServerCheckOptions,
  readOnly: boolean,
): Promise<Finding[]> {
  const name = options.checkpointTable;
  if (name === undefined) return [];
  const subject = `checkpoint table ${name}`;
  if (readOnly)
    return [
      {
        severity: "error",
        subject,
        message: "The database is read-only: no checkpoint can be saved in it.",
        fix: 'checkpoints { type = "file" }',
      },
    ];
  const parts = name.split(".");
  const table = parts.pop()!;
  const schema = parts.join(".") || "dbo";
  const quoted = `${quoteName(schema)}.${quoteName(table)}`;
  const object = quoteText(quoted);
  const may = (what: string) => `HAS_PERMS_BY_NAME(${object}, N'OBJECT', N'${what}')`;
  const inSchema = (what: string) => `HAS_PERMS_BY_NAME(${quoteText(schema)}, N'SCHEMA', N'${what}')`;
  const product = (factors: string[]) => factors.join(" * ");
  const columns = Object.keys(addedColumns);
  const [row] = await context.ask(
    `SELECT OBJECT_ID(${object}), ${product(["SELECT", "INSERT", "UPDATE"].map(may))}, ${may("ALTER")}, ` +
      // A table belongs to its schema's owner: who made it may use it only where the schema as a whole may be used.
      `${product(["ALTER", "SELECT", "INSERT", "UPDATE"].map(inSchema))} * HAS_PERMS_BY_NAME(DB_NAME(), N'DATABASE', N'CREATE TABLE'), ` +
      columns.map((column) => `COL_LENGTH(${object}, N'${column}')`).join(", "),
  );
  const [id, use, alter, create, ...lengths] = row!;
  const grant = `GRANT SELECT, INSERT, UPDATE ON ${quoted} TO ${quoteName(context.user)};`;
  const failing = (message: string, fix: string): Finding[] => [{ severity: "error", subject, message, fix }];
  if (id === null && create !== 1)
    return failing(
      `There is none that ${context.user} may see, and it may not make one.`,
      `${createTable(quoted)} ${grant}`,
    );
  if (id !== null && use !== 1) return failing(`${context.user} may not read and write it.`, grant);
  const missing = id === null ? [] : columns.filter((_, index) => lengths[index] === null);
  if (missing.length > 0 && alter !== 1)
    return failing(
      `It is of an earlier version, and ${context.user} may not add its columns.`,
      `ALTER TABLE ${quoted} ADD ${missing.map((column) => `${column} ${addedColumns[column]}`).join(", ")};`,
    );
  const message = missing.length > 0 ? "It will be upgraded in place." : "It can be written.";
  return [{ severity: "ok", subject, message: id === null ? "It will be made." : message }];
}

async function checkTime(connection: SqlConnection, signal: AbortSignal): Promise<Finding[]> {
  const { zone, offset } = await readServerTime(connection, signal);
  if (zone !== null || offset === 0) return [];
  return [
    {
      severity: "info",
      subject: "server's time zone",
      message:
        `The server cannot name its time zone: commit times are taken to be ${offset} minutes ahead of UTC, as its clock is now, ` +
        "also those from before the clocks last changed.",
    },
  ];
}

function failed(subject: string, error: unknown): Finding {
  const fix = error instanceof DStreamError ? error.advice : undefined;
  return { severity: "error", subject, message: describeFirst(error), ...(fix === undefined ? {} : { fix }) };
}

function describeFirst(error: unknown): string {
  return error instanceof SourceError ? error.message : describeError(error);
}
