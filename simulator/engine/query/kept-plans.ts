/**
 * Plans of a session's queries, kept from one run to the next: a wide query takes milliseconds to compile, and programs ask the
 * same ones again and again. A plan holds no state of a run (that is in its Run and its frames), so what it was compiled from
 * is all that matters: the syntax tree (one object for one text), the definitions, the types of variables, and the settings that
 * names and literals are read by. Whatever else compilation may look at is not kept: temporary tables, table variables,
 * triggers, procedures, permissions of users that have not all of them, isolation levels that lock or need snapshots.
 */
import type { Query } from "../../sql/ast.ts";
import type { Compiler } from "../expressions/compiler.ts";
import type { Activation } from "../run.ts";
import type { Database } from "../storage.ts";
import type { SqlType } from "../values.ts";
import type { Plan } from "./plan.ts";

interface Kept {
  plan: Plan;
  database: Database;
  schemaVersion: number;
  /** Variables and settings, as text. */
  surroundings: string;
}

export class KeptPlans {
  #kept = new WeakMap<Query, Kept>();

  /** The kept plan, or what `compile` makes with this compiler. */
  of(query: Query, compiler: Compiler, compile: () => Plan): Plan {
    if (!isKeepable(compiler)) return compile();
    const { session, activation, database } = compiler;
    const { schemaVersion } = session.engine;
    const surroundings = `${variables(activation)} ${JSON.stringify(session.options)}`;
    const kept = this.#kept.get(query);
    if (
      kept !== undefined &&
      kept.schemaVersion === schemaVersion &&
      kept.database === database &&
      kept.surroundings === surroundings
    )
      return kept.plan;
    const plan = compile();
    // Numbers of sequences are taken, and locks asked for, by what the compiler noted on the way.
    if (compiler.locks.size === 0 && !compiler.numbersRows && isPlain(query))
      this.#kept.set(query, { plan, database, schemaVersion, surroundings });
    return plan;
  }

  /** All of them: one has met a table that is not what it was. */
  forget(): void {
    this.#kept = new WeakMap();
  }
}

function isKeepable({ session, activation, observer, standIn }: Compiler): boolean {
  return (
    observer === null &&
    standIn === null &&
    session.login.sysadmin &&
    session.isolation === "read committed" &&
    session.temporaryTables.size === 0 &&
    activation.tableVariables.size === 0 &&
    activation.firing === null &&
    activation.procedure === undefined
  );
}

function variables(activation: Activation): string {
  let text = "";
  for (const [name, { type }] of activation.variables) text += `${name} ${typeText(type)};`;
  return text;
}

function typeText({ id, length, precision, scale, collation }: SqlType): string {
  return `${id} ${length} ${precision} ${scale} ${collation}`;
}

/** No XML, no JSON, no samples, no sequences: rare, and each with settings of its own. */
function isPlain(tree: unknown): boolean {
  if (typeof tree !== "object" || tree === null) return true;
  if (Array.isArray(tree)) return tree.every(isPlain);
  const node = tree as { kind?: unknown; sample?: unknown; forClause?: unknown; namespaces?: unknown };
  if (node.kind === "next_value" || node.sample || node.forClause || node.namespaces) return false;
  return Object.values(tree).every(isPlain);
}
