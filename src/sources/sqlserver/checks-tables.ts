/** Whether each table can be read, and what change data capture itself does not show of it. */
import { ZERO_LSN } from "../../change/position.ts";
import { matches, type TablePattern } from "../../config/tables.ts";
import { DStreamError } from "../../errors.ts";
import { fullName, type TableName } from "../../ingester/checkpoint.ts";
import { closest } from "../../text/closest.ts";
import type { CapturedTable } from "./capture-instance.ts";
import type { CheckContext, Finding } from "./finding.ts";
import { lsnOrNull } from "./lsn.ts";
import { quoteName, quoteText } from "./quote.ts";
import { chosenColumns } from "./rows/columns.ts";
import type { TableOptions } from "./table-options.ts";

/** The captured tables that the configuration means, and what it means in vain. */
export async function findTables(
  context: CheckContext,
  captured: readonly CapturedTable[],
  patterns: readonly TablePattern[],
): Promise<{ tables: CapturedTable[]; findings: Finding[] }> {
  const rows = await context.ask(
    "SELECT s.name, t.name FROM sys.tables AS t JOIN sys.schemas AS s ON s.schema_id = t.schema_id WHERE t.is_ms_shipped = 0",
  );
  const all = rows.map(([schema, table]) => ({ schema: schema as string, table: table as string }));
  const isCaptured = (table: TableName) => captured.some((one) => fullName(one) === fullName(table));
  const findings: Finding[] = [];
  const tables = new Set<CapturedTable>();
  for (const pattern of patterns) {
    const matching = captured.filter((table) => matches(pattern, table));
    for (const table of matching) tables.add(table);
    const others = all.filter((table) => matches(pattern, table) && !isCaptured(table));
    for (const table of others)
      findings.push(notCaptured(table, pattern.pattern && matching.length > 0 ? "info" : "error"));
    if (matching.length === 0 && others.length === 0) findings.push(missing(context, pattern, all));
  }
  return { tables: [...tables], findings };
}

function notCaptured(table: TableName, severity: "info" | "error"): Finding {
  return {
    severity,
    subject: `table ${fullName(table)}`,
    message: "It is not under change data capture.",
    fix:
      `EXEC sys.sp_cdc_enable_table @source_schema = ${quoteText(table.schema)}, @source_name = ${quoteText(table.table)}, ` +
      "@role_name = NULL;",
  };
}

function missing(context: CheckContext, pattern: TablePattern, all: readonly TableName[]): Finding {
  const near = pattern.pattern ? undefined : closest(fullName(pattern), all.map(fullName));
  const hint = near === undefined ? "" : ` Did you mean ${near}?`;
  return {
    severity: "error",
    subject: `table ${pattern.text}`,
    message: `There is no such table that ${context.user} may see.${hint}`,
    fix:
      near === undefined ? `GRANT SELECT ON ${nameOf(pattern)} TO ${quoteName(context.user)};` : `tables = ["${near}"]`,
  };
}

export async function checkTable(
  context: CheckContext,
  table: CapturedTable,
  options: TableOptions,
  ordering: "table" | "key",
): Promise<Finding[]> {
  const parts = [
    checkColumns(table, options),
    checkInstances(table),
    checkKey(table, ordering),
    await checkPermission(context, table),
    await checkMasks(context, table),
    await checkPartitions(context, table),
    await checkCollations(context, table),
    await checkLargeValues(context, table),
  ];
  const findings = parts.flat();
  if (findings.some(({ severity }) => severity === "error" || severity === "warning")) return findings;
  return [
    { severity: "ok", subject: subjectOf(table), message: `It can be read from ${instanceNames(table)}.` },
    ...findings,
  ];
}

function subjectOf(table: TableName): string {
  return `table ${fullName(table)}`;
}

function nameOf({ schema, table }: TableName): string {
  return `${quoteName(schema)}.${quoteName(table)}`;
}

function instanceNames(table: CapturedTable): string {
  return table.instances.map(({ name }) => name).join(" and ");
}

function checkColumns(table: CapturedTable, options: TableOptions): Finding[] {
  const choice = {
    include: options.columnsInclude,
    exclude: options.columnsExclude,
    mask: options.columnsMask,
  };
  try {
    for (const [index, instance] of table.instances.entries())
      chosenColumns(table, instance, table.instances.slice(index + 1), choice);
    return [];
  } catch (error) {
    if (!(error instanceof DStreamError)) throw error;
    const fix = error.advice === undefined ? {} : { fix: error.advice };
    return [{ severity: "error", subject: subjectOf(table), message: error.message, ...fix }];
  }
}

function checkInstances(table: CapturedTable): Finding[] {
  const [older, newer] = table.instances;
  if (older === undefined || newer === undefined) return [];
  return [
    {
      severity: "info",
      subject: subjectOf(table),
      message: `It has two capture instances: ${older.name} is read up to where ${newer.name} begins, then that one. Drop the older afterwards.`,
      fix:
        `EXEC sys.sp_cdc_disable_table @source_schema = ${quoteText(table.schema)}, @source_name = ${quoteText(table.table)}, ` +
        `@capture_instance = ${quoteText(older.name)};`,
    },
  ];
}

function checkKey(table: CapturedTable, ordering: "table" | "key"): Finding[] {
  if (table.primaryKey.length > 0) return [];
  const order = ordering === "key" ? " It keeps its order as a whole." : "";
  return [
    {
      severity: "info",
      subject: subjectOf(table),
      message: `It has no primary key: consumers cannot tell by one which row a change is of.${order}`,
    },
  ];
}

/**
 * A low watermark of zero: not processed yet, or no permission
 * (https://learn.microsoft.com/sql/relational-databases/system-functions/sys-fn-cdc-get-min-lsn-transact-sql).
 */
async function checkPermission(context: CheckContext, table: CapturedTable): Promise<Finding[]> {
  const findings: Finding[] = [];
  const subject = subjectOf(table);
  const user = quoteName(context.user);
  for (const { name, roleName, startLsn } of table.instances) {
    const role = quoteText(roleName ?? "db_owner");
    const [row] = await context.ask(
      `SELECT sys.fn_cdc_get_min_lsn(${quoteText(name)}), IS_ROLEMEMBER(${role}), IS_ROLEMEMBER(N'db_owner')`,
    );
    const [low, member, owner] = row!;
    const watermark = lsnOrNull(low);
    if (watermark !== null && watermark !== ZERO_LSN) continue;
    // Zero is documented for who may not, and what is not. NULL is neither: there is no low watermark to tell yet.
    if (startLsn === null || watermark === null) {
      const message = `The capture job has not processed ${name} yet.`;
      findings.push({
        severity: "warning",
        subject,
        message,
        fix: "EXEC sys.sp_cdc_start_job @job_type = N'capture';",
      });
    } else if (roleName !== null && member !== 1 && owner !== 1) {
      const message = `${context.user} is not in ${roleName}, the gating role of ${name}.`;
      findings.push({
        severity: "error",
        subject,
        message,
        fix: `ALTER ROLE ${quoteName(roleName)} ADD MEMBER ${user};`,
      });
    } else {
      const message = `${context.user} may not read the table, which the server wants of readers of its changes.`;
      findings.push({ severity: "error", subject, message, fix: `GRANT SELECT ON ${nameOf(table)} TO ${user};` });
    }
  }
  return findings;
}

async function checkMasks(context: CheckContext, table: CapturedTable): Promise<Finding[]> {
  const rows = await context.ask(
    "SELECT c.name, HAS_PERMS_BY_NAME(DB_NAME(), N'DATABASE', N'UNMASK') FROM sys.columns AS c " +
      `WHERE c.object_id = ${table.objectId} AND c.is_masked = 1`,
  );
  const masked = rows.filter(([, unmask]) => unmask !== 1).map(([name]) => name as string);
  if (masked.length === 0) return [];
  return [
    {
      severity: "warning",
      subject: subjectOf(table),
      message: `${context.user} gets masked values for ${masked.join(", ")}.`,
      fix: `GRANT UNMASK TO ${quoteName(context.user)}; or columns_exclude = [${masked.map((name) => `"${name}"`).join(", ")}]`,
    },
  ];
}

/** For a table that is not partitioned the setting means nothing. */
async function checkPartitions(context: CheckContext, table: CapturedTable): Promise<Finding[]> {
  const rows = await context.ask(
    "SELECT ct.capture_instance FROM cdc.change_tables AS ct " +
      `WHERE ct.source_object_id = ${table.objectId} AND ct.partition_switch = 1 AND EXISTS (SELECT 1 FROM sys.indexes AS i ` +
      "JOIN sys.partition_schemes AS ps ON ps.data_space_id = i.data_space_id " +
      "WHERE i.object_id = ct.source_object_id AND i.index_id IN (0, 1))",
  );
  return rows.map(([name]) => ({
    severity: "warning" as const,
    subject: subjectOf(table),
    message: `Partitions can be switched in and out, which ${name as string} does not capture.`,
    fix:
      `EXEC sys.sp_cdc_enable_table @source_schema = ${quoteText(table.schema)}, @source_name = ${quoteText(table.table)}, ` +
      `@role_name = NULL, @capture_instance = N'<a new name>', @allow_partition_switch = 0; and disable ${name as string} once it is read.`,
  }));
}

async function checkCollations(context: CheckContext, table: CapturedTable): Promise<Finding[]> {
  const rows = await context.ask(
    "SELECT c.name, c.collation_name FROM sys.columns AS c JOIN sys.types AS t ON t.user_type_id = c.system_type_id " +
      `WHERE c.object_id = ${table.objectId} AND t.name IN (N'char', N'varchar', N'text') ` +
      "AND c.collation_name <> CONVERT(nvarchar(128), DATABASEPROPERTYEX(DB_NAME(), 'Collation'))",
  );
  if (rows.length === 0) return [];
  const columns = rows.map(([name, collation]) => `${name as string} (${collation as string})`);
  return [
    {
      severity: "warning",
      subject: subjectOf(table),
      message: `Columns whose collation is not the database's can be captured wrongly: ${columns.join(", ")}.`,
      fix: "Make them nvarchar, or give them the database's collation.",
    },
  ];
}

/** https://learn.microsoft.com/sql/database-engine/configure-windows/configure-the-max-text-repl-size-server-configuration-option */
async function checkLargeValues(context: CheckContext, table: CapturedTable): Promise<Finding[]> {
  const large = new Set(
    table.instances.flatMap(({ columns }) =>
      columns
        .filter(({ type, maxLength }) => maxLength === -1 || ["text", "ntext", "image", "xml"].includes(type))
        .map(({ name }) => name),
    ),
  );
  if (large.size === 0) return [];
  const [[limit] = []] = await context.ask(
    "SELECT CONVERT(int, value_in_use) FROM sys.configurations WHERE name = N'max text repl size (B)'",
  );
  if (typeof limit !== "number" || limit === -1) return [];
  return [
    {
      severity: "warning",
      subject: subjectOf(table),
      message: `The server refuses to write values of more than ${limit} bytes to ${[...large].join(", ")} while they are captured.`,
      fix: "EXEC sp_configure N'max text repl size', -1; RECONFIGURE;",
    },
  ];
}
