/** What a name (or a subquery, a function, a list of values) in FROM stands for. */
import type { Query, TableSource } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import { invalidObject, unsupported } from "../errors.ts";
import { cast } from "../expressions/arithmetic.ts";
import { type Compiled, newFrame } from "../expressions/compiled.ts";
import type { Compiler } from "../expressions/compiler.ts";
import { Scope, type SourceColumn, sourceColumn } from "../expressions/scope.ts";
import { SqlError } from "../session.ts";
import type { Database, View } from "../storage.ts";
import type { Table } from "../table.ts";
import { INT, NULL_TYPE, unify } from "../types/types.ts";
import type { SqlType } from "../values.ts";
import { type Leaf, tableLeaf } from "./from.ts";
import { tableFunction } from "./function-sources.ts";
import { planLeaf, renamed, rowsLeaf } from "./leaves.ts";
import { allOf, pivoted, unpivoted } from "./pivot.ts";
import type { Plan } from "./plan.ts";
import { compileQuery } from "./query.ts";
import { recursionRows } from "./recursion.ts";
import { sampler } from "./sample.ts";

/** `traced`: the statement changes its rows. */
export function findSource(
  source: TableSource,
  scope: Scope,
  compiler: Compiler,
  lateral: boolean,
  traced = false,
): Leaf {
  switch (source.kind) {
    case "table":
      return named(source, scope, compiler, traced);
    case "table_variable": {
      const table = compiler.activation.tableVariables.get(source.name.toLowerCase());
      if (!table) throw new SqlError(1087, `Must declare the table variable "${source.name}".`, 16, 1);
      // Its rows are of no transaction: also under SNAPSHOT they are there at once.
      return { ...tableLeaf(table, [source.alias ?? source.name], scope), dirty: true };
    }
    case "derived":
      return derived(source, scope, compiler, lateral, traced);
    case "values":
      return values(source, scope, compiler, lateral);
    case "function":
      return tableFunction(source, scope, compiler, lateral);
    case "join":
    case "apply":
      throw unsupported("a join in this place");
    case "pivot":
    case "unpivot": {
      const { columns } = subplan(allOf(source.source), scope, compiler, lateral, false);
      const query = source.kind === "pivot" ? pivoted(source, columns) : unpivoted(source, columns);
      return planLeaf(scope, [source.alias], subplan(query, scope, compiler, lateral, false), [], lateral);
    }
  }
}

function named(source: TableSource & { kind: "table" }, scope: Scope, compiler: Compiler, traced: boolean): Leaf {
  const { parts } = source.name;
  const shown = source.alias ? [source.alias] : parts;
  if (parts.length === 1) {
    const cte = scope.findNamed(parts[0]!);
    if (cte?.recursion) {
      const { recursion } = cte;
      recursion.used = true;
      return rowsLeaf(scope, shown, recursion.columns, {
        rows: (_frame, run) => recursionRows(run, recursion.key),
        correlated: true,
      });
    }
    if (cte) {
      const plan = compileQuery(cte.definition.query, null, compiler, {
        names: cte.before,
        cte: cte.definition,
        traced,
        noSequences: 11719,
      });
      return planLeaf(scope, shown, plan, cte.definition.columns, false);
    }
  }
  const found = findObject(parts, compiler);
  if (found.kind === "table") {
    if (!found.table.temporary) checkSelect(compiler, found.database, found.table);
    if (source.sample) return sampledLeaf(found.table, source.sample, shown, scope, compiler);
    const leaf = tableLeaf(found.table, shown, scope);
    applyHints(leaf, source.hints, compiler);
    if (!found.table.temporary && !leaf.dirty) requireSnapshots(compiler, found.database);
    const { isolation } = compiler.session;
    const repeatable = isolation === "repeatable read" || isolation === "serializable";
    if (repeatable && !found.table.temporary && !leaf.dirty) compiler.lock(found.table, "S");
    return leaf;
  }
  if (source.sample) throw new SqlError(494, "The TABLESAMPLE clause can only be used with local tables.", 16, 1);
  if (found.kind === "view") {
    checkSelect(compiler, found.database, found.view);
    const plan = compileQuery(found.view.query, null, compiler.inside(found.database), { traced });
    return { ...planLeaf(scope, shown, plan, found.view.columns, false), view: found };
  }
  const { view, database } = found;
  return rowsLeaf(scope, shown, view.columns, {
    rows(_frame, run) {
      // Made once a statement, however often it is referred to.
      let rows = run.cache.get(view) as Row[] | undefined;
      if (!rows) run.cache.set(view, (rows = [...view.rows(run.in(database))]));
      return rows;
    },
  });
}

function sampledLeaf(
  table: Table,
  sample: NonNullable<(TableSource & { kind: "table" })["sample"]>,
  shown: string[],
  scope: Scope,
  compiler: Compiler,
): Leaf {
  const rows = sampler(table, sample, compiler);
  return rowsLeaf(scope, shown, table.columns.map(sourceColumn), { rows: (around, run) => rows(around, run) });
}

/** https://learn.microsoft.com/sql/t-sql/queries/hints-transact-sql-table */
function applyHints(leaf: Leaf, hints: string[], compiler: Compiler): void {
  for (const hint of hints) {
    if (hint === "nolock" || hint === "readuncommitted") leaf.dirty = true;
    else if (hint === "readpast") leaf.readPast = true;
    else if (hint === "updlock") compiler.lock(leaf.table!, "U");
    else if (hint === "xlock" || hint === "tablockx") compiler.lock(leaf.table!, "X");
    else if (hint === "holdlock" || hint === "serializable" || hint === "repeatableread")
      compiler.lock(leaf.table!, "S");
  }
  if (compiler.session.isolation === "read uncommitted") leaf.dirty = true;
}

type Found =
  | { kind: "table"; table: Table; database: Database }
  | { kind: "view"; view: View; database: Database }
  | { kind: "system"; view: NonNullable<ReturnType<Database["systemObjects"]["view"]>>; database: Database };

/** A table or view by its name in the compiler's database; error 208. */
export function findObject(parts: string[], compiler: Names): Found {
  const found = lookUp(parts, compiler);
  if (!found) throw invalidObject(parts.join("."));
  return found;
}

/** What the meaning of a name depends on. */
type Names = Pick<Compiler, "database" | "session" | "activation" | "standIn">;

export function lookUp(parts: string[], compiler: Names): Found | undefined {
  const name = parts[parts.length - 1]!;
  if (parts.length > 3) throw unsupported("linked servers (a name of four parts)");
  if (name.startsWith("#")) {
    const table = compiler.session.temporaryTables.get(name.toLowerCase());
    return table && { kind: "table", table, database: table.database };
  }
  const { firing } = compiler.activation;
  const shown = firing && parts.length === 1 ? name.toLowerCase() : "";
  if (firing && (shown === "inserted" || shown === "deleted"))
    return { kind: "table", table: firing[shown], database: firing[shown].database };
  const databaseName = parts.length === 3 ? parts[0]! : "";
  const database = databaseName === "" ? compiler.database : compiler.session.engine.database(databaseName);
  if (!database) return undefined;
  const written = parts.length > 1 ? parts[parts.length - 2]! : "";
  const schemas = written !== "" ? [written] : [compiler.session.principalIn(database).defaultSchema, "dbo", "sys"];
  for (const schema of schemas) {
    const synonym = database.findSynonym(schema, name);
    if (synonym)
      return lookUp(synonym.target, {
        session: compiler.session,
        activation: compiler.activation,
        standIn: compiler.standIn,
        database,
      });
    const table = database.findTable(schema, name);
    if (table) return { kind: "table", table, database };
    const view = database.findView(schema, name);
    if (view && compiler.standIn?.view === view)
      return { kind: "table", table: compiler.standIn.table, database: compiler.standIn.table.database };
    if (view) return { kind: "view", view, database };
    const system = database.systemObjects.view(schema, name) ?? database.engine.systemObjects.view(schema, name);
    if (system) return { kind: "system", view: system, database };
  }
  return undefined;
}

/**
 * Error 3952 where a SNAPSHOT transaction would read or write in a database that does not allow it.
 * https://learn.microsoft.com/sql/t-sql/statements/set-transaction-isolation-level-transact-sql
 */
export function requireSnapshots({ session }: Compiler, database: Database): void {
  if (session.isolation !== "snapshot" || database.id <= 4) return;
  if (database.options.get("ALLOW_SNAPSHOT_ISOLATION")?.toUpperCase() === "ON") return;
  throw new SqlError(
    3952,
    `Snapshot isolation transaction failed accessing database '${database.name}' because snapshot isolation is not allowed in this database. Use ALTER DATABASE to allow snapshot isolation.`,
    16,
    1,
  );
}

function checkSelect(compiler: Compiler, database: Database, object: Table | View): void {
  compiler.require("SELECT", database, object);
}

// ---------------------------------------------------------------- rows that are computed

function derived(
  source: TableSource & { kind: "derived" },
  scope: Scope,
  compiler: Compiler,
  lateral: boolean,
  traced: boolean,
): Leaf {
  const plan = subplan(source.query, scope, compiler, lateral, traced);
  return planLeaf(scope, [source.alias], plan, source.columns, lateral);
}

/** Behind APPLY a subquery sees the sources before it, elsewhere only the blocks around. */
function subplan(query: Query, scope: Scope, compiler: Compiler, lateral: boolean, traced: boolean): Plan {
  return lateral
    ? compileQuery(query, scope, compiler, { traced, noSequences: 11719 })
    : compileQuery(query, scope.outer, compiler, { names: scope.names, traced, noSequences: 11719 });
}

function values(source: TableSource & { kind: "values" }, scope: Scope, compiler: Compiler, lateral: boolean): Leaf {
  const inner = new Scope(lateral ? scope : scope.outer, scope.names);
  const { columns, rows } = valueRows(source.rows.map((row) => row.map((expr) => compiler.expression(expr, inner))));
  if (!lateral) scope.reach = Math.max(scope.reach, inner.reach);
  return rowsLeaf(scope, [source.alias], renamed(columns, source.columns, source.alias), {
    rows(around, run) {
      const frame = newFrame(0, around, run);
      return rows.map((row) => row.map((value) => value.evaluate(frame)));
    },
    ...(lateral ? { lateral } : {}),
    ...(inner.reach > 0 || rows.some((row) => row.some((value) => !value.constant)) ? { correlated: true } : {}),
  });
}

/** Rows of expressions with one type a column. */
export function valueRows(rows: Compiled[][]): { columns: SourceColumn[]; rows: Compiled[][] } {
  const width = rows[0]!.length;
  const types: SqlType[] = [];
  for (const row of rows)
    if (row.length !== width)
      throw new SqlError(
        10709,
        "The number of columns for each row in a table value constructor must be the same.",
        16,
        1,
      );
  for (let i = 0; i < width; i++) {
    const type = rows.reduce((common, row) => unify(common, row[i]!.type), NULL_TYPE as SqlType);
    types.push(type.id === "null" ? INT : type);
  }
  return {
    columns: types.map((type, i) => ({ name: "", type, nullable: rows.some((row) => row[i]!.nullable) })),
    rows: rows.map((row) => row.map((value, i) => cast(value, types[i]!))),
  };
}
