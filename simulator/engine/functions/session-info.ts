/** What a session can ask about itself: the error being handled, transactions, identity values, users. */

import type { Cursor } from "../cursors/cursor.ts";
import { unsupported } from "../errors.ts";
import { cast } from "../expressions/arithmetic.ts";
import type { Compiled, Frame } from "../expressions/compiled.ts";
import type { Activation } from "../run.ts";
import type { SqlError } from "../session.ts";
import type { BooleanOption } from "../session-options.ts";
import { INT, SYSNAME } from "../types/types.ts";
import { Decimal, type SqlType, type Value, Variant } from "../values.ts";
import { type Builtins, builtin, int, strict, text } from "./builtin.ts";

function info(type: SqlType, read: (frame: Frame) => Value): Compiled {
  return { type, nullable: true, evaluate: read };
}

function ofError(type: SqlType, read: (error: SqlError) => Value) {
  return builtin(0, 0, () =>
    info(type, (frame) => {
      const { caught } = frame.run.session;
      const error = caught[caught.length - 1];
      return error ? read(error) : null;
    }),
  );
}

/** https://learn.microsoft.com/sql/t-sql/functions/sessionproperty-transact-sql */
const PROPERTIES: Record<string, BooleanOption> = {
  ANSI_NULLS: "ansiNulls",
  ANSI_PADDING: "ansiPadding",
  ANSI_WARNINGS: "ansiWarnings",
  ARITHABORT: "arithAbort",
  CONCAT_NULL_YIELDS_NULL: "concatNullYieldsNull",
  NUMERIC_ROUNDABORT: "numericRoundAbort",
  QUOTED_IDENTIFIER: "quotedIdentifier",
};

const NUMERIC38: SqlType = { id: "numeric", precision: 38, scale: 0 };

export const sessionFunctions: Builtins = {
  error_number: ofError(INT, (error) => error.number),
  error_message: ofError({ id: "nvarchar", length: 4000 }, (error) => error.message),
  error_severity: ofError(INT, (error) => error.severity),
  error_state: ofError(INT, (error) => error.state),
  error_line: ofError(INT, (error) => error.line),
  error_procedure: ofError(SYSNAME, (error) => error.procedure ?? null),
  xact_state: builtin(0, 0, () =>
    info({ id: "smallint" }, (frame) => {
      const { currentTransaction } = frame.run.session;
      return currentTransaction ? (currentTransaction.doomed ? -1 : 1) : 0;
    }),
  ),
  // https://learn.microsoft.com/sql/t-sql/functions/columns-updated-transact-sql: bit n - 1 from the left byte on is column_id n.
  columns_updated: builtin(0, 0, () =>
    info({ id: "varbinary", length: 8000 }, ({ run: { activation } }) => {
      const { firing } = activation;
      if (!firing) return null;
      const { columns } = firing.inserted;
      const bits = Buffer.alloc(Math.ceil(Math.max(...columns.map(({ columnId }) => columnId)) / 8));
      for (const place of firing.updated) {
        const bit = columns[place]!.columnId - 1;
        bits[bit >> 3]! |= 1 << (bit & 7);
      }
      return bits;
    }),
  ),
  trigger_nestlevel: builtin(0, 3, (args) =>
    info(INT, ({ run: { activation } }) => {
      if (args.length > 0) throw unsupported("TRIGGER_NESTLEVEL with arguments");
      let level = 0;
      for (let each: Activation | null = activation; each; each = each.parent) if (each.firing) level++;
      return level;
    }),
  ),
  cursor_status: builtin(2, 2, ([where, name]) =>
    strict([text(where!), text(name!)], { id: "smallint" }, ([kind, given], frame) =>
      cursorStatus((kind as string).toLowerCase(), (given as string).toLowerCase(), frame),
    ),
  ),
  scope_identity: builtin(0, 0, () => info(NUMERIC38, (frame) => decimal(frame.run.activation.identity))),
  current_transaction_id: builtin(0, 0, () =>
    info({ id: "bigint" }, (frame) => frame.run.session.currentTransaction?.id ?? 0n),
  ),
  rowcount_big: builtin(0, 0, () => info({ id: "bigint" }, (frame) => BigInt(frame.run.session.rowCount))),
  context_info: builtin(0, 0, () => info({ id: "varbinary", length: 128 }, (frame) => frame.run.session.contextInfo)),
  session_context: builtin(1, 1, ([key]) =>
    strict(
      [text(key!)],
      { id: "sql_variant" },
      ([name], frame) =>
        (frame.run.session.sessionContext.get((name as string).toLowerCase()) as Value | undefined) ?? null,
    ),
  ),
  app_name: builtin(0, 0, () => info(SYSNAME, (frame) => frame.run.session.application)),
  sessionproperty: builtin(1, 1, ([name]) =>
    info({ id: "sql_variant" }, (frame) => {
      const option = PROPERTIES[String(text(name!).evaluate(frame) ?? "").toUpperCase()];
      return option ? new Variant(INT, frame.run.session.options[option] ? 1 : 0) : null;
    }),
  ),
  host_name: builtin(0, 0, () => info(SYSNAME, (frame) => frame.run.session.host)),
  suser_sname: builtin(0, 1, () => info(SYSNAME, (frame) => frame.run.session.login.name)),
  suser_name: builtin(0, 1, () => info(SYSNAME, (frame) => frame.run.session.login.name)),
  original_login: builtin(0, 0, () => info(SYSNAME, (frame) => frame.run.session.login.name)),
  system_user: builtin(0, 0, () => info(SYSNAME, (frame) => frame.run.session.login.name)),
  current_user: builtin(0, 0, () => info(SYSNAME, user)),
  session_user: builtin(0, 0, () => info(SYSNAME, user)),
  user: builtin(0, 0, () => info(SYSNAME, user)),
  user_name: builtin(0, 1, ([id]) => {
    if (!id) return info(SYSNAME, user);
    return strict([int(id)], SYSNAME, ([wanted], frame) => {
      for (const principal of frame.run.session.currentDatabase.principals.all.values())
        if (principal.principalId === wanted) return principal.name;
      return null;
    });
  }),
  is_member: builtin(1, 1, ([role]) =>
    strict([text(role!)], INT, ([name], frame) => {
      const { session } = frame.run;
      const { principals } = session.currentDatabase;
      if (!principals.find(name as string)) return null;
      return principals.isMember(session.principalIn(session.currentDatabase), name as string) ? 1 : 0;
    }),
  ),
  is_rolemember: builtin(1, 2, ([role, member]) =>
    strict([text(role!), ...(member ? [text(member)] : [])], INT, ([name, who], frame) => {
      const { session } = frame.run;
      const { principals } = session.currentDatabase;
      const principal =
        who === undefined ? session.principalIn(session.currentDatabase) : principals.find(who as string);
      if (!principal || !principals.find(name as string)) return null;
      return principals.isMember(principal, name as string) ? 1 : 0;
    }),
  ),
  is_srvrolemember: builtin(1, 2, ([role, login]) =>
    strict([text(role!), ...(login ? [text(login)] : [])], INT, ([name, who], frame) => {
      const { session } = frame.run;
      if ((name as string).toLowerCase() === "public") return 1;
      const found = who === undefined ? session.login : session.engine.logins.get((who as string).toLowerCase());
      return found ? (found.sysadmin ? 1 : 0) : null;
    }),
  ),
  applock_mode: builtin(3, 3, (args) =>
    strict(args.map(text), { id: "nvarchar", length: 32 }, ([, resource, owner], frame) =>
      frame.run.session.applicationLockMode(resource as string, owner as string),
    ),
  ),
  applock_test: builtin(4, 4, (args) =>
    strict(args.map(text), { id: "smallint" }, ([, resource, mode, owner], frame) =>
      frame.run.session.applicationLockAvailable(resource as string, mode as string, owner as string) ? 1 : 0,
    ),
  ),
  ident_current: builtin(1, 1, ([name]) =>
    strict([text(name!)], NUMERIC38, ([table], frame) => {
      const column = frame.run.session.identityColumn(table as string);
      return column ? decimal(column.next === column.seed ? column.seed : column.next - column.increment) : null;
    }),
  ),
  formatmessage: builtin(1, 21, ([message, ...args]) => {
    const values = args.map((arg) => cast(arg, { id: "sql_variant" }));
    return {
      type: { id: "nvarchar", length: 2047 },
      nullable: true,
      evaluate: (frame) => {
        const format = text(message!).evaluate(frame);
        return format === null
          ? null
          : formatMessage(
              format as string,
              values.map((value) => value.evaluate(frame)),
            );
      },
    };
  }),
};

function user(frame: Frame): string {
  const { session } = frame.run;
  return session.principalIn(session.currentDatabase).name;
}

function decimal(value: bigint | null): Decimal | null {
  return value === null ? null : new Decimal(value, 0);
}

/** printf as RAISERROR knows it: https://learn.microsoft.com/sql/t-sql/language-elements/raiserror-transact-sql */
export function formatMessage(format: string, args: Value[]): string {
  let next = 0;
  return format.replace(
    /%([-+0# ]*)(\*|\d+)?(?:\.(\*|\d+))?(?:h|l|I64)?([diosuxX%])/g,
    (_all, flags: string, width: string | undefined, precision: string | undefined, kind: string) => {
      if (kind === "%") return "%";
      const star = () => Number(plain(args[next++] ?? null));
      const size = width === "*" ? star() : width === undefined ? 0 : Number(width);
      const limit = precision === "*" ? star() : precision === undefined ? undefined : Number(precision);
      const value = plain(args[next++] ?? null);
      let text: string;
      if (value === null) text = "(null)";
      else if (kind === "s") text = limit === undefined ? String(value) : String(value).slice(0, limit);
      else {
        const number = BigInt(value as number);
        if (kind === "d" || kind === "i")
          text =
            (flags.includes("+") && number >= 0n ? "+" : flags.includes(" ") && number >= 0n ? " " : "") +
            number.toString();
        else {
          const unsigned = number < 0n ? BigInt.asUintN(32, number) : number;
          text = unsigned.toString(kind === "o" ? 8 : kind === "u" ? 10 : 16);
          if (flags.includes("#") && kind !== "u") text = (kind === "o" ? "0" : `0${kind}`) + text;
          if (kind === "X") text = text.toUpperCase();
        }
        if (limit !== undefined) text = text.padStart(limit, "0");
      }
      if (flags.includes("-")) return text.padEnd(size, " ");
      return flags.includes("0") && kind !== "s" ? text.padStart(size, "0") : text.padStart(size, " ");
    },
  );
}

function plain(value: Value): Value {
  return value !== null && typeof value === "object" && "type" in value ? value.value : value;
}

/** https://learn.microsoft.com/sql/t-sql/functions/cursor-status-transact-sql */
function cursorStatus(kind: string, name: string, { run: { activation, session } }: Frame): number {
  let cursor: Cursor | null | undefined;
  if (kind === "local") cursor = activation.cursors.get(name);
  else if (kind === "global") cursor = session.cursors.get(name);
  else cursor = activation.cursorVariables.get(name.startsWith("@") ? name : `@${name}`);
  if (cursor === undefined) return -3;
  if (cursor === null) return -2;
  if (!cursor.isOpen) return -1;
  return cursor.rowCount === 0 ? 0 : 1;
}
