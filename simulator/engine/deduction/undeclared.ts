/**
 * Which parameters a text uses without that they are declared, and what types they are to have: the text is compiled, never run.
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-describe-undeclared-parameters-transact-sql
 */
import type { Expr, Query, Statement, TableSource, Top } from "../../sql/ast.ts";
import { tokenize } from "../../sql/lexer.ts";
import { unsupported } from "../errors.ts";
import type { Compiler } from "../expressions/compiler.ts";
import { SqlError } from "../session.ts";
import type { Executor } from "../statements/executor.ts";
import { passOver } from "../statements/variables.ts";
import { INT, resolveType } from "../types/types.ts";
import { findFunction } from "../user-functions/calls.ts";
import type { SqlType } from "../values.ts";
import { deduce } from "./candidates.ts";
import { compileOnly } from "./compile-only.ts";
import { ParameterUses, type Target } from "./uses.ts";

export interface UndeclaredParameter {
  name: string;
  type: SqlType;
  alias?: Target["alias"];
  /** The parameter of the procedure or function that it is passed to. */
  formal?: string;
  input: boolean;
  output: boolean;
}

interface Mention {
  name: string;
  /** Left of an assignment: what is assigned, or its type. */
  assigned?: Expr | SqlType;
  /** Besides, its value is used: `SET @x += 1`. */
  read: boolean;
}

/** In the order in which they stand in the text. `executor` has the variables that are declared. */
export function undeclaredParameters(executor: Executor, text: string, statements: Statement[]): UndeclaredParameter[] {
  const { activation, session } = executor;
  refuseTemporaryTables(text, statements);
  passOver(executor, statements);
  const mentions = [...mentioned(statements)].filter(({ name }) => !activation.variables.has(name.toLowerCase()));
  const byName = new Map<string, Mention>();
  for (const mention of mentions) {
    const key = mention.name.toLowerCase();
    if (byName.has(key))
      throw new SqlError(
        11508,
        `The undeclared parameter '${mention.name}' is used more than once in the batch being analyzed.`,
        16,
        1,
      );
    byName.set(key, mention);
    // Whatever is assigned to it can be.
    if (mention.assigned) activation.declare(mention.name, { id: "sql_variant" });
  }
  const uses = new ParameterUses(new Set(byName.keys()));
  executor.observer = uses;
  for (const statement of statements) compileOnly(executor, statement, uses);
  const compiler = executor.compiler();
  for (const node of nodes(statements)) boundTargets(node, uses, compiler);

  const outputs = new Set(outputArguments(statements));
  const inputs = new Map([...uses.uses].map(([expr, use]) => [use.name.toLowerCase(), { expr, use }]));
  const order = tokenize(text, session.options.quotedIdentifier).flatMap(({ kind, text: name }) =>
    kind === "variable" ? [name.toLowerCase()] : [],
  );
  const place = (key: string) => order.findIndex((name) => name === key || `@${name}` === key);
  return [...byName.keys()]
    .sort((a, b) => place(a) - place(b))
    .map((key): UndeclaredParameter => {
      const { name, assigned, read } = byName.get(key)!;
      if (assigned) {
        const type = "kind" in assigned ? uses.known.get(assigned)?.type : assigned;
        if (!type || type.id === "null") throw notHere(name);
        return { name, type, input: read, output: true };
      }
      const found = inputs.get(key);
      if (!found) throw unsupported(`sp_describe_undeclared_parameters where ${name} stands`);
      const { target } = found.use;
      const type = deduce(found.expr, found.use, uses);
      const direct = found.expr.kind === "variable" && target?.simple;
      return {
        name,
        type,
        ...(direct && target.alias ? { alias: target.alias } : {}),
        ...(direct && target.formal !== undefined ? { formal: target.formal } : {}),
        input: true,
        output: outputs.has(key),
      };
    });
}

function notHere(name: string): SqlError {
  return new SqlError(11502, `The type for parameter '${name}' cannot be deduced in this context.`, 16, 1);
}

// ---------------------------------------------------------------- the tree

type Node = Record<string, unknown>;

function* nodes(value: unknown): Generator<Node> {
  if (typeof value !== "object" || value === null) return;
  if (!Array.isArray(value)) yield value as Node;
  for (const part of Object.values(value)) yield* nodes(part);
}

function* mentioned(statements: Statement[]): Generator<Mention> {
  for (const node of nodes(statements)) {
    const { kind, name, variable } = node;
    const left = (found: unknown, assigned: unknown): Mention => ({
      name: found as string,
      assigned: assigned as Expr | SqlType,
      read: typeof node["op"] === "string" && node["op"] !== "=",
    });
    if (kind === "set_variable") yield left(name, node["value"]);
    else if (kind === "assign") yield left(variable, node["expr"]);
    else if (kind === "variable" && variable !== undefined) yield left(variable, node["value"]);
    else if (kind === "variable") yield { name: name as string, read: true };
    else if (kind === "execute" && node["returnVariable"] !== undefined) yield left(node["returnVariable"], INT);
  }
}

/** Those that are passed to be given a value. */
function* outputArguments(statements: Statement[]): Generator<string> {
  for (const { output, value } of nodes(statements)) {
    const { kind, name } = (value ?? {}) as Node;
    if (output === true && kind === "variable") yield (name as string).toLowerCase();
  }
}

/** What has a type by the place in which it stands: row counts, arguments of functions in FROM, what variables are assigned. */
function boundTargets(node: Node, uses: ParameterUses, compiler: Compiler): void {
  const count = (expr: Expr | undefined, id: "bigint" | "float" = "bigint") => {
    if (expr) uses.become(expr, { type: { id }, simple: true });
  };
  if ("count" in node && "percent" in node) {
    const top = node as unknown as Top;
    // "If PERCENT is specified, expression is implicitly converted to a float value; otherwise, it is converted to bigint":
    // https://learn.microsoft.com/sql/t-sql/queries/top-transact-sql
    count(top.count, top.percent ? "float" : "bigint");
  } else if ("ctes" in node && "body" in node) {
    const query = node as unknown as Query;
    count(query.offset);
    count(query.fetch);
  } else if (node["kind"] === "function" && Array.isArray(node["args"]))
    functionTargets(node as unknown as TableSource & { kind: "function" }, uses, compiler);
  else if (typeof node["variable"] === "string" && !uses.has(node["variable"])) {
    const { type } = compiler.activation.variable(node["variable"]);
    uses.become((node["expr"] ?? node["value"]) as Expr, { type, simple: true });
  }
}

function functionTargets(
  { name: { parts }, args }: TableSource & { kind: "function" },
  uses: ParameterUses,
  compiler: Compiler,
): void {
  const found = findFunction(parts, compiler);
  if (found) {
    const { parameters } = found.fn;
    uses.passed(
      args,
      parameters.map(({ name, type }) => ({ name, type: resolveType(type) })),
    );
    return;
  }
  const last = parts[parts.length - 1]!;
  if (parts.length === 1 && last.toLowerCase() === "openjson")
    uses.passed(args, [{ type: { id: "nvarchar", length: -1 } }, { type: { id: "nvarchar", length: 4000 } }]);
  const schema = parts.length === 1 ? "sys" : parts[parts.length - 2]! || "dbo";
  const { systemObjects } = compiler.session.engine;
  const system =
    compiler.database.systemObjects.tableFunction(schema, last) ?? systemObjects.tableFunction(schema, last);
  if (system)
    uses.passed(
      args,
      system.parameters.map((type) => ({ type })),
    );
}

function refuseTemporaryTables(text: string, statements: Statement[]): void {
  const lines = text.split("\n");
  for (const [i, { line }] of statements.entries()) {
    const makes = [...nodes(statements[i])].some(({ kind, name, into }) => {
      const made = (kind === "create_table" ? name : into) as { parts?: string[] } | undefined;
      return made?.parts?.at(-1)?.startsWith("#");
    });
    if (!makes) continue;
    const end = statements[i + 1]?.line ?? lines.length + 1;
    const shown = lines.slice(line - 1, Math.max(line, end - 1)).join("\n");
    throw new SqlError(
      11525,
      `The metadata could not be determined because statement '${shown.trim()}' uses a temp table. Metadata discovery only supports temp tables when analyzing a single-statement batch.`,
      16,
      1,
    );
  }
}
