/** MERGE. https://learn.microsoft.com/sql/t-sql/statements/merge-transact-sql */

import type { MergeWhen } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import { unsupported } from "../errors.ts";
import { type Condition, type Frame, newFrame } from "../expressions/compiled.ts";
import type { Compiler } from "../expressions/compiler.ts";
import { type Names, Scope } from "../expressions/scope.ts";
import { FromClause, type Leaf, tableLeaf } from "../query/from.ts";
import { open } from "../query/joins.ts";
import { wholeNumber } from "../query/ordering.ts";
import { findObject, findSource } from "../query/sources.ts";
import type { Run } from "../run.ts";
import { SqlError } from "../session.ts";
import type { TriggerEvent } from "../storage.ts";
import type { Entry } from "../table.ts";
import type { Transaction } from "../transactions.ts";
import { firedBy } from "../triggers/firing.ts";
import { throughView } from "../triggers/views.ts";
import type { Value } from "../values.ts";
import { ChangeTarget } from "./change-target.ts";
import { type Changed, change, finish, type Kind, nothing, refuseSystem, take } from "./changes.ts";
import type { Executor } from "./executor.ts";
import { nextIdentity } from "./insert.ts";
import { OutputClause } from "./output.ts";
import { stored, writerOf } from "./row-writer.ts";
import { writableVariable } from "./table-variables.ts";
import { type Assign, assignments } from "./update.ts";

/** The target as a source of the join: a table variable, a table, or what can be written through. */
function targetLeaf(
  executor: Executor,
  { target }: Kind<"merge">,
  parts: string[],
  scope: Scope,
  compiler: Compiler,
): Leaf {
  if (target.kind === "table_variable") return tableLeaf(writableVariable(executor, target.name), parts, scope);
  const named = target.name.parts.length === 1 && scope.findNamed(target.name.parts[0]!);
  if (!named) {
    const found = findObject(target.name.parts, compiler);
    refuseSystem(found);
    if (found.kind === "table") {
      if (!found.table.temporary) compiler.require("SELECT", found.database, found.table);
      return tableLeaf(found.table, parts, scope);
    }
  }
  const alias = parts.length === 1 ? { alias: parts[0]! } : {};
  return findSource({ kind: "table", name: target.name, ...alias, hints: [] }, scope, compiler, false, true);
}

/** In which the triggers of a MERGE run. */
const EVENT_ORDER: TriggerEvent[] = ["insert", "update", "delete"];

/** Every column that a branch assigns; null where none does. */
function writtenColumns(whens: MergeWhen[]): string[] | null {
  const written = whens.flatMap(({ action }) => {
    if (action.kind === "update") return action.set.flatMap(({ column }) => (column === undefined ? [] : [column]));
    return action.kind === "insert" ? action.columns : [];
  });
  return written.length > 0 ? written : null;
}

interface Branch {
  match: MergeWhen["match"];
  test: Condition | null;
  action: { kind: "update"; assign: Assign[] } | { kind: "delete" } | { kind: "insert"; row: (frame: Frame) => Row };
}

export async function mergeRows(executor: Executor, statement: Kind<"merge">): Promise<void> {
  const events = [...new Set(statement.whens.map(({ action }) => action.kind))];
  await throughView(executor, statement.target, [], events, () => prepareMerge(executor, statement)(), true);
}

/** Compiles it, and gives what runs it. */
export function prepareMerge(executor: Executor, statement: Kind<"merge">): () => Promise<void> {
  const { session } = executor;
  if (statement.top?.percent) throw unsupported("MERGE TOP … PERCENT");
  const compiler = executor.compiler();
  const top = statement.top ? compiler.expression(statement.top.count, new Scope(null)) : null;
  const names = statement.ctes.reduce<Names | null>((before, definition) => ({ definition, before }), null);
  const scope = new Scope(null, names);
  const from = new FromClause([statement.using], scope, compiler);
  const parts = statement.alias
    ? [statement.alias]
    : statement.target.kind === "table"
      ? statement.target.name.parts
      : [statement.target.name];
  const leaf = targetLeaf(executor, statement, parts, scope, compiler);
  from.addOuterLeaf(leaf, statement.on);
  const target = new ChangeTarget(leaf, parts[parts.length - 1]!, writtenColumns(statement.whens));
  const { table, slot } = target;
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
    target.require(compiler, action.kind.toUpperCase());
    if (action.kind === "update")
      return {
        match: when.match,
        test,
        action: { kind: "update", assign: assignments(executor, action.set, target, scope, compiler, writer) },
      };
    if (action.kind === "delete") return { match: when.match, test, action };
    return { match: when.match, test, action: { kind: "insert", row: inserter(action) } };
  });
  for (const source of scope.sources) source.hidden = false;
  const output = statement.output ? new OutputClause(executor, statement.output, target, scope, compiler, true) : null;
  from.build(null);
  const alone = open(leaf, { score: 0, equal: [], hash: [], descending: false, ordered: false }, []);

  function inserter(action: MergeWhen["action"] & { kind: "insert" }): (frame: Frame) => Row {
    const plain = target.columns.flatMap(({ name }) => {
      const place = target.columnIndex(name);
      const column = table.columns[place]!;
      return column.identity || column.computed || column.type.id === "timestamp" ? [] : [place];
    });
    const places =
      action.columns.length > 0
        ? action.columns.map((name) => target.columnIndex(name))
        : action.defaultValues
          ? []
          : plain;
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

  const events = [...new Set(statement.whens.map(({ action }) => action.kind))].sort(
    (a, b) => EVENT_ORDER.indexOf(a) - EVENT_ORDER.indexOf(b),
  );
  if (firedBy(executor, table, events)?.insteadOf) throw unsupported("MERGE into a table with INSTEAD OF triggers");
  const work = async (run: Run, transaction: Transaction): Promise<Changed> => {
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
    // Of the rows that an action is for, whichever come first.
    const limit = top ? wholeNumber(top.evaluate(frame)) : Number.POSITIVE_INFINITY;
    const acted = new Set<Entry>();
    const matched = new Set<Entry>();
    const act = (match: MergeWhen["match"]): void => {
      const entry = target.entry(frame);
      if (steps.length >= limit) return;
      const branch = branches.find(
        (candidate) => candidate.match === match && (candidate.test === null || candidate.test(frame) === true),
      );
      if (!branch) return;
      const before = target.row(frame);
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
      run.row++;
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
      const entry = target.entry(frame);
      if (entry) matched.add(entry);
      act(entry ? "matched" : "not_matched");
    }
    if (branches.some((branch) => branch.match === "not_matched_by_source")) {
      frame.rows.fill(null);
      for (const token of alone(frame)) {
        const entry = token ? target.entry(frame) : null;
        if (!token) await run.breathe();
        else if (entry && !matched.has(entry)) act("not_matched_by_source");
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
    target.check(run, changed);
    output?.store(run, transaction, scratch);
    return changed;
  };
  const assigned = (writtenColumns(statement.whens.filter(({ action }) => action.kind === "update")) ?? []).map(
    (name) => target.columnIndex(name),
  );
  return async () => {
    const result = await change(executor, table, compiler.locks, work, { events, updated: new Set(assigned), output });
    if (output) await output.send();
    finish(executor, result.count, "merge", output?.visible === true);
  };
}
