/** @@ROWCOUNT and its kin. https://learn.microsoft.com/sql/t-sql/functions/configuration-functions-transact-sql */

import { undeclared } from "../errors.ts";
import type { Compiled } from "../expressions/compiled.ts";
import type { Compiler } from "../expressions/compiler.ts";
import type { Run } from "../run.ts";
import { INT, SYSNAME } from "../types/types.ts";
import type { Session } from "../user-session.ts";
import { Decimal, type SqlType, type Value } from "../values.ts";

const SMALLINT: SqlType = { id: "smallint" };

type Global = [type: SqlType, read: (session: Session, run: Run) => Value];

/** Microseconds of a tick. https://learn.microsoft.com/sql/t-sql/functions/timeticks-transact-sql */
const TICK = 31_250;

/** https://learn.microsoft.com/sql/t-sql/functions/system-statistical-functions-transact-sql: of what is not measured, nothing. */
const STATISTICS: Record<string, Global> = {
  "@@timeticks": [INT, () => TICK],
  "@@idle": [INT, ({ engine }) => Math.floor(((engine.now().getTime() - engine.startTime.getTime()) * 1000) / TICK)],
  ...Object.fromEntries(
    [
      "@@cpu_busy",
      "@@io_busy",
      "@@pack_received",
      "@@pack_sent",
      "@@packet_errors",
      "@@total_errors",
      "@@total_read",
      "@@total_write",
    ].map((name): [string, Global] => [name, [INT, () => 0]]),
  ),
  "@@connections": [INT, ({ engine }) => engine.connections],
};

const GLOBALS: Record<string, Global> = {
  "@@rowcount": [INT, (session) => session.rowCount],
  "@@error": [INT, (session) => session.lastError],
  "@@trancount": [INT, (session) => session.transactionCount],
  "@@identity": [
    { id: "numeric", precision: 38, scale: 0 },
    (session) => (session.lastIdentity === null ? null : new Decimal(session.lastIdentity, 0)),
  ],
  "@@fetch_status": [INT, (session) => session.fetchStatus],
  "@@cursor_rows": [INT, (session) => session.cursorRows],
  "@@spid": [SMALLINT, (session) => session.spid],
  "@@version": [
    { id: "nvarchar", length: 300 },
    (session) =>
      `Microsoft SQL Server 2022 (RTM-CU16) (KB5048033) - ${session.engine.version} (X64) \n\tNov  6 2024 10:09:05 \n\tCopyright (C) 2022 Microsoft Corporation\n\tDeveloper Edition (64-bit) on Linux (dstream simulator) <X64>`,
  ],
  "@@servername": [SYSNAME, (session) => session.engine.serverName],
  "@@servicename": [SYSNAME, () => "MSSQLSERVER"],
  "@@language": [SYSNAME, (session) => session.options.language],
  "@@langid": [SMALLINT, () => 0],
  "@@datefirst": [{ id: "tinyint" }, (session) => session.options.dateFirst],
  "@@max_precision": [{ id: "tinyint" }, () => 38],
  "@@max_connections": [INT, () => 32767],
  "@@microsoftversion": [INT, () => 0x10001001],
  "@@options": [INT, (session) => optionBits(session)],
  "@@nestlevel": [INT, (_session, run) => run.activation.nesting],
  "@@procid": [INT, () => 0],
  "@@lock_timeout": [INT, (session) => session.options.lockTimeout],
  "@@textsize": [INT, (session) => session.options.textSize],
  ...STATISTICS,
  "@@dbts": [
    { id: "varbinary", length: 8 },
    (session) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64BE(session.engine.rowVersion);
      return bytes;
    },
  ],
};

export function globalVariable(name: string, compiler: Compiler): Compiled {
  const found = GLOBALS[name.toLowerCase()];
  if (!found) throw undeclared(name);
  const [type, read] = found;
  const text = type.id === "nvarchar" ? { collation: { name: compiler.collation, label: "default" as const } } : {};
  return { type, nullable: true, constant: true, ...text, evaluate: (frame) => read(frame.run.session, frame.run) };
}

/** https://learn.microsoft.com/sql/database-engine/configure-windows/configure-the-user-options-server-configuration-option */
function optionBits(session: Session): number {
  const { options } = session;
  const bits: [boolean, number][] = [
    [options.implicitTransactions, 2],
    [options.ansiWarnings, 8],
    [options.ansiPadding, 16],
    [options.ansiNulls, 32],
    [options.arithAbort, 64],
    [options.quotedIdentifier, 256],
    [options.nocount, 512],
    [options.concatNullYieldsNull, 4096],
    [options.numericRoundAbort, 8192],
    [options.xactAbort, 16384],
  ];
  return bits.reduce((sum, [on, bit]) => sum + (on ? bit : 0), 1024);
}
