/**
 * Runs statements one after the other, with control flow and errors as T-SQL has them.
 *
 * An error in a statement undoes that statement, and then:
 *   in a TRY block (of this or a calling procedure) → its CATCH block runs; the transaction is doomed under XACT_ABORT, and by
 *     the errors that would have ended the batch;
 *   otherwise it goes to the client, and
 *     XACT_ABORT ON, a failed conversion, a deadlock → the transaction is rolled back and the batch ends,
 *     a name that means nothing → the procedure or batch ends,
 *     THROW → the batch ends,
 *     anything else → the next statement runs.
 * https://learn.microsoft.com/sql/t-sql/language-elements/try-catch-transact-sql
 * https://learn.microsoft.com/sql/t-sql/statements/set-xact-abort-transact-sql
 */

import type { Cond, Expr, Statement } from "../../sql/ast.ts";
import { unsupported } from "../errors.ts";
import { cast } from "../expressions/arithmetic.ts";
import { newFrame } from "../expressions/compiled.ts";
import { type CompileObserver, Compiler } from "../expressions/compiler.ts";
import { Scope } from "../expressions/scope.ts";
import { type Activation, Run } from "../run.ts";
import { FATAL_SEVERITY, messageOf, type ResultSink, SqlError } from "../session.ts";
import type { StandIn } from "../triggers/views.ts";
import type { Session } from "../user-session.ts";
import type { SqlType, Value } from "../values.ts";
import { alterTable } from "./alter-table.ts";
import { announceLoad } from "./bulk-load.ts";
import { executeProcedure, executeText } from "./calls.ts";
import { SchemaChanged } from "./changes.ts";
import { checkIdentity } from "./check-identity.ts";
import { createTable } from "./create-table.ts";
import { cursorStatement } from "./cursors.ts";
import { alterDatabase, createDatabase, useDatabase } from "./databases.ts";
import { deleteRows } from "./delete.ts";
import { describeOnly } from "./format-only.ts";
import { alterIndex, createIndex } from "./indexes.ts";
import { insertRows } from "./insert.ts";
import { killSession } from "./kill.ts";
import { mergeRows } from "./merge.ts";
import { createModule, createSchema, dropObjects } from "./modules.ts";
import { setOption } from "./options.ts";
import { beginImplicitly, runQuery } from "./queries.ts";
import { printText, raised, raisedAtOnce, raiseError, throwError, thrown } from "./raising.ts";
import { securityStatement } from "./security.ts";
import { alterSequence, createSequence, createSynonym } from "./sequences.ts";
import { declareTable } from "./table-variables.ts";
import { createTrigger, switchTriggers } from "./triggers.ts";
import { truncateTable } from "./truncate.ts";
import { updateRows } from "./update.ts";
import { createType } from "./user-types.ts";
import { assignVariable, declareVariables, passOver } from "./variables.ts";
import { pause, waitFor } from "./waiting.ts";

export type Outcome =
  | null
  | { kind: "break" | "continue" }
  | { kind: "return"; status: number }
  | { kind: "goto"; label: string };

/** The batch is over; its errors were reported. */
export class BatchAborted extends Error {}
/** So is the procedure or text that runs, but not its caller. */
export class ScopeAborted extends Error {}

/** Names that mean nothing, wrong numbers of columns and the like: found when a statement is compiled. */
const COMPILE_ERRORS = new Set([
  102, 104, 107, 108, 109, 110, 116, 134, 137, 141, 145, 147, 156, 164, 174, 189, 195, 205, 206, 207, 208, 209, 213,
  243, 257, 263, 264, 313, 402, 448, 468, 529, 1001, 1002, 1011, 1013, 1087, 2715, 2724, 4104, 4108, 4112, 4121, 8117,
  8118, 8119, 8120, 8133, 8144, 8146, 8155, 8158, 8159, 10709, 40510,
]);

function isCompileError(error: SqlError): boolean {
  // Whether there is a procedure, and what parameters it has, shows only when it is called.
  if (error.number === 8144 && located.get(error)?.kind === "execute") return false;
  return COMPILE_ERRORS.has(error.number) && !error.atRunTime;
}

/** Those that end the batch and its transaction by themselves. */
const BATCH_ERRORS = new Set([241, 242, 244, 245, 248, 295, 1205, 3609, 3930, 3952, 3960, 3998, 8169]);

export class Executor {
  readonly session: Session;
  readonly activation: Activation;
  readonly sink: ResultSink;
  readonly signal: AbortSignal;
  observer: CompileObserver | null = null;
  standIn: StandIn | null = null;

  constructor(session: Session, activation: Activation, sink: ResultSink, signal: AbortSignal) {
    this.session = session;
    this.activation = activation;
    this.sink = sink;
    this.signal = signal;
  }

  /** Runs a list; a batch's end is its outcome. */
  async run(statements: Statement[]): Promise<Outcome> {
    for (let i = 0; i < statements.length; i++) {
      const outcome = await this.#guarded(statements[i]!);
      if (outcome?.kind === "goto") {
        const { label } = outcome;
        const target = statements.findIndex(
          (other) => other.kind === "label" && other.name.toLowerCase() === label.toLowerCase(),
        );
        if (target < 0) return outcome;
        passOver(this, statements.slice(i + 1, target));
        i = target;
        continue;
      }
      if (outcome) return outcome;
    }
    return null;
  }

  async #guarded(statement: Statement): Promise<Outcome> {
    const { session } = this;
    try {
      const held = session.engine.beforeStatement?.(session, statement.kind);
      if (held) await held;
      return await this.#statement(statement);
    } catch (error) {
      if (!(error instanceof SqlError)) throw error;
      this.#locate(error, statement);
      // TRY … CATCH does not see what ends the session.
      if (session.tries > 0 && !endsSession(error)) throw error;
      this.report(error);
      return null;
    }
  }

  /** Where an error came from: said once, where it arose. */
  #locate(error: SqlError, statement: Statement): void {
    if (located.has(error)) return;
    located.set(error, { activation: this.activation, kind: statement.kind });
    error.line = statement.line;
    error.procedure ??= this.activation.procedure;
  }

  /** Tells the client, and ends what the error ends. */
  report(error: SqlError): void {
    const { session, sink } = this;
    sink.message({ ...messageOf(error), atOnce: raisedAtOnce.has(error) });
    session.lastError = error.number;
    session.rowCount = 0;
    if (TERMINATING.has(error.number) && CHANGING.has(located.get(error)?.kind ?? ""))
      sink.message({
        number: 3621,
        state: 0,
        severity: 0,
        message: "The statement has been terminated.",
        line: error.line,
      });
    sink.statementDone({ error: true });
    if (BATCH_ERRORS.has(error.number) || endsSession(error) || (session.options.xactAbort && !raised.has(error))) {
      if (session.currentTransaction) session.rollback("", sink);
      throw new BatchAborted();
    }
    if (thrown.has(error)) throw new BatchAborted();
    if (isCompileError(error) && located.get(error)?.activation === this.activation) throw new ScopeAborted();
  }

  async #statement(statement: Statement): Promise<Outcome> {
    const { session } = this;
    if (session.options.formatOnly && (await describeOnly(this, statement))) return null;
    switch (statement.kind) {
      case "if":
        return this.#if(statement);
      case "while":
        return this.#loop(statement);
      case "block":
        return this.run(statement.body);
      case "try":
        return this.#try(statement);
      case "break":
      case "continue":
        return { kind: statement.kind };
      case "goto":
        return { kind: "goto", label: statement.label };
      case "label":
        return null;
      case "return": {
        const value = statement.value ? await this.value(statement.value, { id: "int" }) : 0;
        return { kind: "return", status: (value as number | null) ?? 0 };
      }
      default:
        break;
    }
    try {
      await this.#compiledAnew(statement);
    } finally {
      if (!ROWS_ONLY.has(statement.kind)) session.definitionsChanged();
    }
    session.lastError = 0;
    return null;
  }

  async #compiledAnew(statement: Statement): Promise<void> {
    for (;;) {
      try {
        await this.#simple(statement);
        return;
      } catch (error) {
        if (!(error instanceof SchemaChanged)) throw error;
        this.session.keptPlans.forget();
      }
    }
  }

  async #simple(statement: Statement): Promise<void> {
    const { session, sink } = this;
    switch (statement.kind) {
      case "query":
        return runQuery(this, statement.query);
      case "insert":
        return insertRows(this, statement);
      case "update":
        return updateRows(this, statement);
      case "delete":
        return deleteRows(this, statement);
      case "merge":
        return mergeRows(this, statement);
      case "truncate":
        return truncateTable(this, statement);
      case "declare":
        return declareVariables(this, statement);
      case "declare_table":
        return declareTable(this, statement);
      case "set_variable":
        return assignVariable(this, statement);
      case "set_option":
        return setOption(this, statement);
      case "set_isolation":
        session.isolation = statement.level;
        sink.statementDone({});
        return;
      case "use":
        return useDatabase(this, statement.database);
      case "print":
        return printText(this, statement.value);
      case "throw":
        return throwError(this, statement);
      case "raiserror":
        return raiseError(this, statement);
      case "waitfor":
        return waitFor(this, statement);
      case "execute":
        return executeProcedure(this, statement);
      case "execute_text":
        return executeText(this, statement.text);
      case "begin_transaction":
        session.begin(statement.name ?? "", sink);
        session.rowCount = 0;
        sink.statementDone({});
        return;
      case "commit":
        session.commit(sink);
        session.rowCount = 0;
        sink.statementDone({});
        return;
      case "rollback":
        session.rollback(statement.name ?? "", sink);
        sink.statementDone({});
        return;
      case "save_transaction":
        session.save(statement.name);
        sink.statementDone({});
        return;
      case "create_table":
        return createTable(this, statement);
      case "alter_table":
        return alterTable(this, statement);
      case "create_index":
        return createIndex(this, statement);
      case "drop":
        return dropObjects(this, statement);
      case "create_sequence":
        return createSequence(this, statement);
      case "alter_sequence":
        return alterSequence(this, statement);
      case "create_synonym":
        return createSynonym(this, statement);
      case "alter_index":
        return alterIndex(this, statement);
      case "create_trigger":
        return createTrigger(this, statement);
      case "switch_triggers":
        return switchTriggers(this, statement);
      case "create_type":
        return createType(this, statement);
      case "create_schema":
        return createSchema(this, statement);
      case "create_view":
      case "create_procedure":
      case "create_function":
        return createModule(this, statement);
      case "create_database":
        return createDatabase(this, statement);
      case "alter_database":
        return alterDatabase(this, statement);
      case "create_user":
      case "create_login":
      case "create_role":
      case "alter_role":
      case "grant":
      case "deny":
      case "revoke":
        return securityStatement(this, statement);
      case "declare_cursor_variable":
        this.activation.cursorVariables.set(statement.name.toLowerCase(), null);
        return;
      case "set_cursor":
      case "declare_cursor":
      case "cursor":
      case "fetch":
        return cursorStatement(this, statement);
      case "kill":
        return killSession(this, statement.spid);
      case "check_identity":
        return checkIdentity(this, statement);
      case "reconfigure":
        if (!session.login.sysadmin)
          throw new SqlError(5812, "You do not have permission to run the RECONFIGURE statement.");
        if (session.currentTransaction)
          throw new SqlError(574, "RECONFIGURE statement cannot be used inside a user transaction.");
        session.engine.reconfigure();
        sink.statementDone({});
        return;
      case "checkpoint":
        sink.statementDone({});
        return;
      case "insert_bulk":
        return announceLoad(this, statement);
      case "unsupported":
        throw unsupported(statement.what);
      default:
        throw unsupported(`${statement.kind} here`);
    }
  }

  // ---------------------------------------------------------------- expressions without rows

  compiler(): Compiler {
    const compiler = new Compiler(this.session, this.activation);
    compiler.observer = this.observer;
    compiler.standIn = this.standIn;
    return compiler;
  }

  /** Runs what evaluates expressions: with a snapshot for the subqueries that they may have. */
  evaluating<T>(work: (run: Run) => T): T {
    const { session } = this;
    const snapshot = session.openSnapshot(session.currentTransaction);
    try {
      return work(new Run(session, this.activation, snapshot, this.signal));
    } finally {
      session.closeSnapshot(snapshot);
    }
  }

  async value(expr: Expr, type?: SqlType): Promise<Value> {
    beginImplicitly(this, expr);
    const compiled = this.compiler().expression(expr, new Scope(null));
    const wanted = type ? cast(compiled, type) : compiled;
    return this.evaluating((run) => wanted.evaluate(newFrame(0, null, run)));
  }

  async #test(cond: Cond): Promise<boolean> {
    beginImplicitly(this, cond);
    const test = this.compiler().condition(cond, new Scope(null));
    return this.evaluating((run) => test(newFrame(0, null, run)) === true);
  }

  // ---------------------------------------------------------------- control

  async #if({ test, then, else: otherwise }: Statement & { kind: "if" }): Promise<Outcome> {
    if (await this.#test(test)) {
      const outcome = await this.#guarded(then);
      if (otherwise) passOver(this, [otherwise]);
      return outcome;
    }
    passOver(this, [then]);
    return otherwise ? this.#guarded(otherwise) : null;
  }

  async #loop(statement: Statement & { kind: "while" }): Promise<Outcome> {
    let turns = 0;
    while (await this.#test(statement.test)) {
      if (this.signal.aborted) await pause(this, 0);
      if (++turns % 64 === 0) await new Promise<void>((resolve) => setImmediate(resolve));
      const outcome = await this.#guarded(statement.body);
      if (outcome?.kind === "break") break;
      if (outcome && outcome.kind !== "continue") return outcome;
    }
    passOver(this, [statement.body]);
    return null;
  }

  async #try(statement: Statement & { kind: "try" }): Promise<Outcome> {
    const { session } = this;
    let failure: SqlError;
    session.tries++;
    try {
      const outcome = await this.run(statement.body);
      passOver(this, statement.handler);
      return outcome;
    } catch (error) {
      if (!(error instanceof SqlError)) throw error;
      // What cannot be compiled is not caught at its own level.
      if (isCompileError(error) && located.get(error)?.activation === this.activation) {
        session.tries--;
        try {
          if (session.tries > 0) throw error;
          this.report(error);
          return null;
        } finally {
          session.tries++;
        }
      }
      failure = error;
    } finally {
      session.tries--;
    }
    const { currentTransaction } = session;
    if (currentTransaction && (session.options.xactAbort || BATCH_ERRORS.has(failure.number)))
      currentTransaction.doomed = true;
    session.lastError = failure.number;
    session.caught.push(failure);
    passOver(this, statement.body);
    try {
      return await this.run(statement.handler);
    } finally {
      session.caught.pop();
    }
  }
}

function endsSession({ severity, closes }: SqlError): boolean {
  return closes || severity >= FATAL_SEVERITY;
}

/** After these the client is also told that the statement was terminated. */
const TERMINATING = new Set([220, 515, 547, 2601, 2627, 2628, 8115, 8134, 8152]);

/** Statements after which nothing is another but rows and the session itself. */
const ROWS_ONLY = new Set(
  "query insert update delete merge truncate declare declare_table set_variable set_option set_isolation use print throw raiserror waitfor begin_transaction commit rollback save_transaction declare_cursor cursor fetch checkpoint reconfigure".split(
    " ",
  ),
);

const CHANGING = new Set(["insert", "update", "delete", "merge"]);

const located = new WeakMap<SqlError, { activation: Activation; kind: string }>();
