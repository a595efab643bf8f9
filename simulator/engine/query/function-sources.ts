/** Functions in FROM: built-in ones, those of users, of the catalogue and of CDC, and nodes() of xml. */
import type { TableSource } from "../../sql/ast.ts";
import type { EngineContext } from "../engine.ts";
import { invalidObject } from "../errors.ts";
import { cast } from "../expressions/arithmetic.ts";
import { newFrame } from "../expressions/compiled.ts";
import type { Compiler } from "../expressions/compiler.ts";
import { Scope, type SourceColumn } from "../expressions/scope.ts";
import { builtinTableFunction } from "../functions/table-functions.ts";
import { openJson } from "../json/open-json.ts";
import type { Run } from "../run.ts";
import { SqlError } from "../session.ts";
import { bind, type FoundFunction, findFunction, tableCall } from "../user-functions/calls.ts";
import type { Value } from "../values.ts";
import { nodesOf } from "../xml/methods.ts";
import type { Leaf } from "./from.ts";
import { renamed, rowsLeaf } from "./leaves.ts";

/** `@x.nodes('…') AS T(c)`, or of a column of the sources before it. */
function xmlNodes(
  source: TableSource & { kind: "function" },
  scope: Scope,
  inner: Scope,
  compiler: Compiler,
  lateral: boolean,
): Leaf {
  const { parts } = source.name;
  const [column] = source.columns;
  if (source.alias === undefined || column === undefined)
    throw new SqlError(102, "Incorrect syntax near 'nodes'.", 15, 1);
  const call = parts[0]!.startsWith("@")
    ? {
        operand: compiler.expression({ kind: "variable", name: parts[0]! }, inner),
        label: "nodes()",
        name: "nodes",
        args: source.args,
      }
    : compiler.columnMethod(parts, source.args, inner);
  const { columns, rows } = nodesOf(call, inner, compiler, column);
  if (!lateral) scope.reach = Math.max(scope.reach, inner.reach);
  return rowsLeaf(scope, [source.alias], columns, {
    rows: (around, run) => rows(lateral ? around : newFrame(0, around, run)),
    ...(lateral ? { lateral } : {}),
    correlated: true,
  });
}

function userFunction(
  source: TableSource & { kind: "function" },
  found: FoundFunction,
  scope: Scope,
  inner: Scope,
  compiler: Compiler,
  lateral: boolean,
): Leaf {
  const args = bind(found, source.args, inner, compiler);
  if (!lateral) scope.reach = Math.max(scope.reach, inner.reach);
  const { columns, open } = tableCall(found, args, compiler);
  const shown = source.alias ?? source.name.parts[source.name.parts.length - 1]!;
  const fixed = !lateral && inner.reach === 0 && args.every((arg) => arg.constant);
  return rowsLeaf(scope, [shown], renamed(columns, source.columns, shown), {
    rows: (around, run) => open(lateral ? around : newFrame(0, around, run)),
    ...(lateral ? { lateral } : {}),
    ...(fixed ? {} : { correlated: true }),
  });
}

export function tableFunction(
  source: TableSource & { kind: "function" },
  scope: Scope,
  compiler: Compiler,
  lateral: boolean,
): Leaf {
  const { parts } = source.name;
  const name = parts[parts.length - 1]!;
  const inner = lateral ? scope : new Scope(scope.outer, scope.names);
  if (name === "nodes" && parts.length > 1) return xmlNodes(source, scope, inner, compiler, lateral);
  const own = findFunction(parts, compiler);
  if (own) return userFunction(source, own, scope, inner, compiler, lateral);
  const args = source.args.map((arg) => compiler.expression(arg, inner));
  if (!lateral) scope.reach = Math.max(scope.reach, inner.reach);
  const shown = [source.alias ?? name];
  const fixed = !lateral && inner.reach === 0 && args.every((arg) => arg.constant);
  const frameOf = (around: Parameters<NonNullable<Leaf["rows"]>>[0], run: Run) =>
    lateral ? around : newFrame(0, around, run);
  const flags = { ...(lateral ? { lateral } : {}), ...(fixed ? {} : { correlated: true }) };
  const builtin =
    parts.length > 1
      ? undefined
      : name.toLowerCase() === "openjson"
        ? openJson(args, source.withColumns)
        : builtinTableFunction(name, args);
  if (builtin)
    return rowsLeaf(scope, shown, renamed(builtin.columns, source.columns, shown[0]!), {
      rows: (around, run) => builtin.rows(frameOf(around, run)),
      ...flags,
    });
  const databaseName = parts.length === 3 ? parts[0]! : "";
  const database = databaseName === "" ? compiler.database : compiler.session.engine.database(databaseName);
  // Those of sys are found without it too.
  const schema = parts.length === 1 ? "sys" : parts[parts.length - 2]! || "dbo";
  const fn =
    database?.systemObjects.tableFunction(schema, name) ??
    compiler.session.engine.systemObjects.tableFunction(schema, name);
  if (!fn || !database) throw invalidObject(parts.join("."));
  if (args.length < fn.parameters.length)
    throw new SqlError(
      313,
      `An insufficient number of arguments were supplied for the procedure or function ${parts.join(".")}.`,
      16,
      3,
    );
  if (args.length > fn.parameters.length)
    throw new SqlError(8144, `Procedure or function ${parts.join(".")} has too many arguments specified.`, 16, 3);
  const converted = args.map((arg, i) => cast(arg, fn.parameters[i]!));
  const given = (around: Parameters<NonNullable<Leaf["rows"]>>[0], run: Run): [EngineContext, Value[]] => {
    const frame = frameOf(around, run);
    return [run.in(database), converted.map((arg) => arg.evaluate(frame))];
  };
  return rowsLeaf(scope, shown, renamed(fn.columns as SourceColumn[], source.columns, shown[0]!), {
    rows: (around, run) => fn.rows(...given(around, run)),
    ...(fn.blocks ? { blocks: (around, run) => fn.blocks!(...given(around, run)) } : {}),
    ...flags,
  });
}
