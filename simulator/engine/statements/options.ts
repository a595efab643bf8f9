/** SET: https://learn.microsoft.com/sql/t-sql/statements/set-statements-transact-sql */
import { unsupported } from "../errors.ts";
import { languageOf } from "../languages.ts";
import { SqlError } from "../session.ts";
import type { BooleanOption } from "../session-options.ts";
import { type Kind, targetTable } from "./changes.ts";
import type { Executor } from "./executor.ts";

const SWITCHES: Record<string, BooleanOption> = {
  NOCOUNT: "nocount",
  XACT_ABORT: "xactAbort",
  IMPLICIT_TRANSACTIONS: "implicitTransactions",
  ANSI_NULLS: "ansiNulls",
  ANSI_PADDING: "ansiPadding",
  ANSI_WARNINGS: "ansiWarnings",
  ARITHABORT: "arithAbort",
  CONCAT_NULL_YIELDS_NULL: "concatNullYieldsNull",
  QUOTED_IDENTIFIER: "quotedIdentifier",
  NUMERIC_ROUNDABORT: "numericRoundAbort",
  FMTONLY: "formatOnly",
  CURSOR_CLOSE_ON_COMMIT: "cursorCloseOnCommit",
};

/** Those that change what a client is shown about plans and times, or nothing at all here. */
const WITHOUT_EFFECT = new Set([
  "STATISTICS",
  "ANSI_NULL_DFLT_ON",
  "ANSI_NULL_DFLT_OFF",
  "FORCEPLAN",
  "QUERY_GOVERNOR_COST_LIMIT",
  "ARITHIGNORE",
  "REMOTE_PROC_TRANSACTIONS",
  "FIPS_FLAGGER",
]);

/** SET LANGUAGE: its name, date format and first day of the week. */
export async function setOption(executor: Executor, statement: Kind<"set_option">): Promise<void> {
  const { session, sink } = executor;
  const { options } = session;
  const value = statement.value.replace(/^N?'(.*)'$/s, "$1").trim();
  const option = statement.option.toUpperCase();
  const on = value.toUpperCase() === "ON";
  const toggle = SWITCHES[option];
  if (toggle) {
    // What no present server offers is not pretended: NULL = NULL, unpadded columns, NULL + 'x' = 'x'.
    if (!on && (toggle === "ansiNulls" || toggle === "concatNullYieldsNull")) throw unsupported(`SET ${option} OFF`);
    options[toggle] = on;
  } else if (option === "ANSI_DEFAULTS") {
    for (const each of ["ansiNulls", "ansiPadding", "ansiWarnings", "quotedIdentifier"] as const) options[each] = true;
    options.implicitTransactions = on;
  } else if (option === "IDENTITY_INSERT") setIdentityInsert(executor, statement, on);
  else if (option === "LOCK_TIMEOUT") options.lockTimeout = await number(executor, value);
  else if (option === "DEADLOCK_PRIORITY") options.deadlockPriority = priority(value);
  else if (option === "ROWCOUNT") options.rowCount = await number(executor, value);
  else if (option === "DATEFIRST") options.dateFirst = await number(executor, value);
  else if (option === "TEXTSIZE") options.textSize = await textSize(executor, value);
  else if (option === "DATEFORMAT") options.dateFormat = value.toLowerCase();
  else if (option === "LANGUAGE") setLanguage(executor, value);
  else if (option === "CONTEXT_INFO") session.contextInfo = await contextInfo(executor, value);
  else if (value.toUpperCase() !== "OFF" && (!WITHOUT_EFFECT.has(option.split(" ")[0]!) || option === "STATISTICS XML"))
    throw unsupported(`SET ${option} ${value}`);
  sink.statementDone({});
}

function setIdentityInsert(executor: Executor, statement: Kind<"set_option">, on: boolean): void {
  const { session } = executor;
  const table = targetTable(executor, { kind: "table", name: statement.table!, hints: [] }, "ALTER");
  if (!table.columns.some((column) => column.identity))
    throw new SqlError(
      8106,
      `Table '${table.qualifiedName}' does not have the identity property. Cannot perform SET operation.`,
      16,
      1,
    );
  const held = session.identityInsert;
  if (on && held && held !== table)
    throw new SqlError(
      8107,
      `IDENTITY_INSERT is already ON for table '${held.database.name}.${held.qualifiedName}'. Cannot perform SET operation for table '${table.qualifiedName}'.`,
      16,
      1,
    );
  if (on) session.identityInsert = table;
  else if (held === table) session.identityInsert = null;
}

async function number(executor: Executor, value: string): Promise<number> {
  if (!value.startsWith("@")) return Number(value);
  return Number(await executor.value({ kind: "variable", name: value }, { id: "int" }));
}

async function textSize(executor: Executor, value: string): Promise<number> {
  const size = await number(executor, value);
  return size <= 0 ? 2_147_483_647 : size;
}

function priority(value: string): number {
  const named: Record<string, number> = { LOW: -5, NORMAL: 0, HIGH: 5 };
  return named[value.toUpperCase()] ?? Number(value);
}

function setLanguage(executor: Executor, value: string): void {
  const { session, sink } = executor;
  const found = languageOf(value.replace(/^\[|\]$/g, ""));
  if (!found) throw unsupported(`SET LANGUAGE ${value}`);
  const { language: from } = session.options;
  Object.assign(session.options, found);
  const { language: to } = found;
  sink.environment({ kind: "language", from, to });
  const message = `Changed language setting to ${to}.`;
  sink.message({ number: 5703, state: 1, severity: 0, message, line: 1 });
}

async function contextInfo(executor: Executor, value: string): Promise<Buffer> {
  const bytes = value.startsWith("@")
    ? ((await executor.value({ kind: "variable", name: value }, { id: "varbinary", length: 128 })) as Buffer | null)
    : Buffer.from(value.replace(/^0x/i, ""), "hex");
  const whole = Buffer.alloc(128);
  bytes?.copy(whole);
  return whole;
}
