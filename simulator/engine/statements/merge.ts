/** MERGE. https://learn.microsoft.com/sql/t-sql/statements/merge-transact-sql */
import type { MergeWhen } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import { invalidColumn, unsupported } from "../errors.ts";
import { type Condition, type Frame, newFrame } from "../expressions/compiled.ts";
import { type Names, Scope } from "../expressions/scope.ts";
import { FromClause, tableLeaf } from "../query/from.ts";
import { SqlError } from "../session.ts";
import type { Entry } from "../table.ts";
import type { Value } from "../values.ts";
import { change, finish, type Kind, nothing, take, targetTable } from "./changes.ts";
import type { Executor } from "./executor.ts";
import { nextIdentity } from "./insert.ts";
import { OutputClause } from "./output.ts";
import { stored, writerOf } from "./row-writer.ts";
import { type Assign, assignments } from "./update.ts";

interface Branch {
  match: MergeWhen["match"];
  test: Condition | null;
  action: { kind: "update"; assign: Assign[] } | { kind: "delete" } | { kind: "insert"; row: (frame: Frame) => Row };
}

export async function mergeRows(executor: Executor, statement: Kind<"merge">): Promise<void> {
  const { session } = executor;
  if (statement.top) throw unsupported("MERGE TOP");
  const compiler = executor.compiler();
  const table = targetTable(executor, statement.target, "SELECT");
  const names = statement.ctes.reduce<Names | null>((before, definition) => ({ definition, before }), null);
  const scope = new Scope(null, names);
  const from = new FromClause([statement.using], scope, compiler);
  const parts = statement.alias
    ? [statement.alias]
    : statement.target.kind === "table"
      ? statement.target.name.parts
      : [statement.target.name];
  const target = tableLeaf(table, parts, scope);
  from.addOuterLeaf(target, statement.on);
  const { slot } = target;
  if (statement.target.kind === "table") {
    // An upsert under HOLDLOCK is to keep others from inserting the same key meanwhile.
    const { hints } = statement.target;
    if (hints.some((hint) => ["holdlock", "serializable", "xlock", "tablockx", "updlock"].includes(hint)))
      compiler.lock(table, "X");
  }
  const writer = writerOf(table, session);
  const branches = statement.whens.map((when): Branch => {
    // A bare name is looked up only on the sides that have a row.
    for (const source of scope.sources)
      source.hidden = source.slot === slot ? when.match === "not_matched" : when.match === "not_matched_by_source";
    const test = when.and ? compiler.condition(when.and, scope) : null;
    const { action } = when;
    if (!table.temporary) compiler.require(action.kind.toUpperCase(), table.database, table);
    if (action.kind === "update")
      return {
        match: when.match,
        test,
        action: { kind: "update", assign: assignments(executor, action.set, table, slot, scope, compiler, writer) },
      };
    if (action.kind === "delete") return { match: when.match, test, action };
    return { match: when.match, test, action: { kind: "insert", row: inserter(action) } };
  });
  for (const source of scope.sources) source.hidden = false;
  const output = statement.output ? new OutputClause(executor, statement.output, table, scope, compiler, true) : null;
  from.build(null);

  function inserter(action: MergeWhen["action"] & { kind: "insert" }): (frame: Frame) => Row {
    const plain = table.columns.flatMap((column, i) =>
      column.identity || column.computed || column.type.id === "timestamp" ? [] : [i],
    );
    const places =
      action.columns.length > 0
        ? action.columns.map((name) => table.columnIndex(name))
        : action.defaultValues
          ? []
          : plain;
    const missing = places.indexOf(-1);
    if (missing >= 0) throw invalidColumn(action.columns[missing]!);
    if (!action.defaultValues && places.length !== action.values.length)
      throw new SqlError(213, "Column name or number of supplied values does not match table definition.", 16, 1);
    for (const place of places)
      if (table.columns[place]!.identity && session.identityInsert !== table)
        throw new SqlError(
          544,
          `Cannot insert explicit value for identity column in table '${table.name}' when IDENTITY_INSERT is set to OFF.`,
          16,
          1,
        );
    const cells = action.values.map((value, i) =>
      value === "default"
        ? null
        : stored(compiler.expression(value, scope), table, places[i]!, session.options.dateFormat),
    );
    return (frame) =>
      table.columns.map((column, i): Value => {
        const at = places.indexOf(i);
        if (at >= 0 && cells[at]) return cells[at](frame);
        if (column.identity) {
          const value = nextIdentity(table, i);
          session.lastIdentity = executor.activation.identity = BigInt(String(value));
          return value;
        }
        return column.computed ? null : writer.defaultOf(i, frame);
      });
  }

  const result = await change(executor, table, compiler.locks, async (run, transaction) => {
    const changed = nothing();
    output?.restart();
    const frame = newFrame(scope.slots, null, run);
    frame.entries = new Array<Entry | null>(scope.slots).fill(null);
    const steps: {
      kind: "insert" | "update" | "delete";
      entry: Entry | null;
      before: Row | null;
      after: Row | null;
      sources: (Row | null)[];
    }[] = [];
    const acted = new Set<Entry>();
    const matched = new Set<Entry>();
    const act = (match: MergeWhen["match"]): void => {
      const entry = frame.entries![slot] ?? null;
      const branch = branches.find(
        (candidate) => candidate.match === match && (candidate.test === null || candidate.test(frame) === true),
      );
      if (!branch) return;
      const before = entry ? frame.rows[slot]! : null;
      if (entry) {
        if (acted.has(entry))
          throw new SqlError(
            8672,
            "The MERGE statement attempted to UPDATE or DELETE the same row more than once. This happens when a target row matches more than one source row. A MERGE statement cannot UPDATE/DELETE the same row of the target table multiple times. Refine the ON clause to ensure a target row matches at most one source row, or use the GROUP BY clause to group the source rows.",
            16,
            1,
          );
        acted.add(entry);
      }
      const { action } = branch;
      let after: Row | null = null;
      if (action.kind === "update") {
        after = [...before!];
        for (const assign of action.assign) assign(frame, after);
      } else if (action.kind === "insert") after = action.row(frame);
      steps.push({ kind: action.kind, entry, before, after, sources: [...frame.rows] });
    };
    for (const token of from.open(frame)) {
      if (!token) {
        await run.breathe();
        continue;
      }
      const entry = frame.rows[slot] ? frame.entries![slot]! : null;
      if (!entry) frame.entries![slot] = null;
      if (entry) matched.add(entry);
      act(entry ? "matched" : "not_matched");
    }
    if (branches.some((branch) => branch.match === "not_matched_by_source")) {
      frame.rows.fill(null);
      for (const { entry, row } of table.entries(run.snapshot)) {
        if (matched.has(entry)) continue;
        frame.rows[slot] = row;
        frame.entries![slot] = entry;
        act("not_matched_by_source");
      }
    }
    const scratch = newFrame(scope.slots, null, run);
    for (const { kind, entry, before, after, sources } of steps) {
      if (entry) take(transaction, entry, before!);
      if (after) writer.finish(after, run, kind === "insert" ? "INSERT" : "UPDATE");
      if (kind === "insert")
        changed.written.push({ entry: transaction.insert(table, after!), before: null, after: after! });
      else if (kind === "update")
        changed.written.push({ entry: transaction.update(table, entry!, after!), before: before!, after: after! });
      else {
        transaction.delete(table, entry!);
        changed.deleted.push(before!);
      }
      if (output) {
        scratch.rows = sources;
        output.add(scratch, after, before, kind.toUpperCase());
      }
      if ((++changed.count & 127) === 0 && run.due()) await run.breathe();
    }
    output?.store(run, transaction, scratch);
    return changed;
  });
  if (output) await output.send();
  finish(executor, result.count, "merge", output?.visible === true);
}
