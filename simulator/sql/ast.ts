/**
 * The syntax tree of a T-SQL batch: what the parser makes and the engine runs.
 *
 * Every statement carries the line on which it starts (1-based, counted in its batch), because SQL Server's errors name
 * it. Identifiers are kept as written, without their brackets or quotes; comparing them is the engine's task, since it
 * depends on the database's collation. Grammar: https://learn.microsoft.com/sql/t-sql/language-reference
 */

/** A dotted name. `parts` from the leftmost: [server.][database.][schema.]object; an omitted middle part is "". */
export interface ObjectName {
  parts: string[];
}

/** A data type as written: `decimal(12, 4)`, `nvarchar(max)`, `sys.sysname`. `args` holds numbers, -1 for `max`. */
export interface TypeName {
  name: string;
  schema?: string;
  args: number[];
  collation?: string;
}

// ---------------------------------------------------------------- expressions

export type Expr =
  /**
   * `text`: a string's value; a number as written, except that money comes without its sign (`$1.5` is "1.5"); binary
   * with its 0x. An integer beyond int's range is a decimal, as in SQL Server.
   */
  | {
      kind: "literal";
      type: "int" | "decimal" | "float" | "money" | "string" | "nstring" | "binary" | "null";
      text: string;
    }
  /** A column: `parts` as in ObjectName, the last is the column (`$action`, `$identity`, `__$start_lsn` are columns too). */
  | { kind: "column"; parts: string[] }
  /** `@x`; `@@x` is a global, its name includes both signs. */
  | { kind: "variable"; name: string }
  | { kind: "global"; name: string }
  | { kind: "unary"; op: "-" | "+" | "~"; operand: Expr }
  | { kind: "binary"; op: "+" | "-" | "*" | "/" | "%" | "&" | "|" | "^"; left: Expr; right: Expr }
  | { kind: "collate"; operand: Expr; collation: string }
  /** `f(a, b)`; `count(*)` has star; names of built-ins are one part. `over` makes it a window function. */
  | {
      kind: "call";
      name: ObjectName;
      args: Expr[];
      star?: boolean;
      distinct?: boolean;
      over?: Window;
      withinGroup?: OrderItem[];
      ignoreNulls?: boolean;
    }
  | { kind: "cast"; operand: Expr; type: TypeName; try: boolean }
  | { kind: "convert"; type: TypeName; operand: Expr; style?: Expr; try: boolean }
  | { kind: "case"; operand?: Expr; whens: { when: Cond | Expr; then: Expr }[]; else?: Expr }
  | { kind: "iif"; test: Cond; then: Expr; else: Expr }
  | { kind: "subquery"; query: Query }
  /** DATEPART, DATENAME, DATEADD, DATEDIFF, DATETRUNC …: a call whose first argument is a bare date part (lower case, "yy" stays "yy"). */
  | { kind: "datecall"; name: string; part: string; args: Expr[] }
  | { kind: "at_time_zone"; operand: Expr; zone: Expr }
  /** NEXT VALUE FOR s [OVER (ORDER BY …)] */
  /** A method of what is no bare name: `@x.value('…', 'int')`, `(SELECT …).query('…')`; of a column it is a call. */
  | { kind: "method"; operand: Expr; name: string; args: Expr[] }
  | { kind: "next_value"; sequence: ObjectName; over?: Window };
/** `{fn now()}`, `{d '2024-01-01'}`, `{ts '…'}`, `{t '…'}` become calls, or casts of string literals. */

export interface Window {
  /** A window of the WINDOW clause, which this one adds to. */
  base?: string;
  partitionBy: Expr[];
  orderBy: OrderItem[];
  frame?: { unit: "rows" | "range"; from: FrameBound; to: FrameBound };
}
export type FrameBound =
  | { kind: "unbounded_preceding" | "unbounded_following" | "current_row" }
  | { kind: "preceding" | "following"; offset: Expr };

/** Conditions (T-SQL has no boolean values, so they are a tree of their own). In a simple CASE, `when` is an Expr. */
export type Cond =
  | { kind: "and" | "or"; left: Cond; right: Cond }
  | { kind: "not"; operand: Cond }
  | { kind: "compare"; op: "=" | "<>" | "<" | "<=" | ">" | ">="; left: Expr; right: Expr }
  | {
      kind: "quantified";
      op: "=" | "<>" | "<" | "<=" | ">" | ">=";
      left: Expr;
      quantifier: "all" | "any";
      query: Query;
    }
  | { kind: "is_null"; operand: Expr; not: boolean }
  | { kind: "is_distinct"; left: Expr; right: Expr; not: boolean }
  | { kind: "like"; operand: Expr; pattern: Expr; escape?: Expr; not: boolean }
  | { kind: "between"; operand: Expr; low: Expr; high: Expr; not: boolean }
  | { kind: "in_list"; operand: Expr; list: Expr[]; not: boolean }
  | { kind: "in_query"; operand: Expr; query: Query; not: boolean }
  | { kind: "exists"; query: Query }
  /** UPDATE(column), in a trigger. */
  | { kind: "updated"; column: string };

// ---------------------------------------------------------------- queries

/** A whole query expression: common table expressions, a body, and what may follow a union. */
export interface Query {
  ctes: CommonTable[];
  /** WITH XMLNAMESPACES: prefix to URI; "" is the default one. */
  namespaces?: [prefix: string, uri: string][];
  body: QueryBody;
  orderBy: OrderItem[];
  offset?: Expr;
  fetch?: Expr;
  /** FOR XML / FOR JSON; mode upper case, options upper case words as in "ROOT ( 'r' )"; the engine refuses what it does not know. */
  forClause?: {
    kind: "xml" | "json";
    mode: string /** PATH('row'), RAW('row'): the name in parentheses */;
    name?: string;
    options: string[];
  };
  /** OPTION (…) hints, raw; they change plans, not results (MAXRECURSION n is kept in text). */
  options: string[];
}
export interface CommonTable {
  name: string;
  columns: string[];
  query: Query;
}
export type QueryBody =
  | SelectCore
  | { kind: "set"; op: "union" | "union_all" | "except" | "intersect"; left: QueryBody; right: QueryBody }
  | { kind: "nested"; query: Query };

export interface SelectCore {
  kind: "select";
  distinct: boolean;
  top?: Top;
  items: SelectItem[];
  into?: ObjectName;
  from: TableSource[];
  where?: Cond;
  groupBy: Expr[];
  /** ROLLUP, CUBE, GROUPING SETS and (): the sets of `groupBy`'s expressions by which the rows are grouped, each for itself. */
  groupingSets?: Expr[][];
  having?: Cond;
  /** WINDOW w AS (…) */
  windows?: { name: string; window: Window }[];
}
export interface Top {
  count: Expr;
  percent: boolean;
  ties: boolean;
}
export type SelectItem =
  | { kind: "star"; qualifier?: string[] }
  | { kind: "expr"; expr: Expr; alias?: string }
  /** `SELECT @x = expr`, also with `+=` and its kin. */
  | { kind: "assign"; variable: string; op: AssignOp; expr: Expr };
export type AssignOp = "=" | "+=" | "-=" | "*=" | "/=" | "%=" | "&=" | "|=" | "^=";
export interface OrderItem {
  expr: Expr;
  descending: boolean;
}

export type TableSource =
  /** hints: lower case, without WITH: "nolock", "holdlock", "updlock", "index(ix)". `forSystemTime` and the like are refused. */
  | {
      kind: "table";
      name: ObjectName;
      alias?: string;
      hints: string[];
      /** TABLESAMPLE (n PERCENT | ROWS) REPEATABLE (seed) */
      sample?: { count: Expr; rows: boolean; seed?: Expr };
    }
  | { kind: "table_variable"; name: string; alias?: string; hints: string[] }
  | {
      kind: "function";
      name: ObjectName;
      args: Expr[];
      alias?: string;
      columns: string[];
      /** OPENJSON (…) WITH (name type 'path' AS JSON) */
      withColumns?: { name: string; type: TypeName; path?: string; json?: boolean }[];
    }
  | { kind: "derived"; query: Query; alias: string; columns: string[] }
  | { kind: "values"; rows: Expr[][]; alias: string; columns: string[] }
  | {
      kind: "join";
      join: "inner" | "left" | "right" | "full" | "cross";
      left: TableSource;
      right: TableSource;
      on?: Cond;
    }
  | { kind: "apply"; outer: boolean; left: TableSource; right: TableSource }
  | { kind: "pivot"; source: TableSource; aggregate: Expr; column: string; values: string[]; alias: string }
  /** `UNPIVOT (value FOR name IN (columns))` */
  | { kind: "unpivot"; source: TableSource; value: string; name: string; columns: string[]; alias: string };

// ---------------------------------------------------------------- statements

export type Statement = { line: number } & (
  | { kind: "query"; query: Query }
  | {
      kind: "insert";
      ctes: CommonTable[];
      top?: Top;
      target: Target;
      columns: string[];
      output?: Output;
      source: InsertSource;
    }
  /** INSERT BULK, which bulk copy clients send before the rows; options upper case: "TABLOCK", "KEEP_NULLS". */
  | { kind: "insert_bulk"; table: ObjectName; columns: { name: string; type: TypeName }[]; options: string[] }
  | {
      kind: "update";
      ctes: CommonTable[];
      top?: Top;
      target: Target;
      set: SetClause[];
      output?: Output;
      from: TableSource[];
      where?: Cond;
      /** WHERE CURRENT OF, in place of `where`. */
      currentOf?: CursorReference;
    }
  | {
      kind: "delete";
      ctes: CommonTable[];
      top?: Top;
      target: Target;
      output?: Output;
      from: TableSource[];
      where?: Cond;
      currentOf?: CursorReference;
    }
  | {
      kind: "merge";
      ctes: CommonTable[];
      top?: Top;
      target: Target;
      alias?: string;
      using: TableSource;
      on: Cond;
      whens: MergeWhen[];
      output?: Output;
    }
  | { kind: "truncate"; name: ObjectName; partitions?: boolean }
  | { kind: "create_table"; name: ObjectName; columns: ColumnDefinition[]; constraints: TableConstraint[] }
  /** `text`: the statement as written. */
  | { kind: "alter_table"; name: ObjectName; action: AlterTableAction; text: string }
  | {
      kind: "drop";
      object:
        | "table"
        | "view"
        | "procedure"
        | "function"
        | "schema"
        | "database"
        | "index"
        | "user"
        | "role"
        | "login"
        | "type"
        | "sequence"
        | "synonym"
        | "trigger";
      names: ObjectName[];
      ifExists: boolean /** DROP INDEX ix ON t */;
      on?: ObjectName;
    }
  | {
      kind: "create_index";
      name: string;
      unique: boolean;
      clustered: boolean;
      table: ObjectName;
      columns: { name: string; descending: boolean }[];
      include: string[];
      filter?: IndexFilter;
    }
  | {
      kind: "create_trigger";
      name: ObjectName;
      table: ObjectName;
      insteadOf: boolean;
      events: ("insert" | "update" | "delete")[];
      body: Statement[];
      orAlter: boolean;
      mustExist?: boolean;
      text?: string;
    }
  /** REBUILD, REORGANIZE and SET, which change how an index is kept; no name: all of the table. */
  | { kind: "alter_index"; name?: string; table: ObjectName }
  /** ENABLE and DISABLE TRIGGER; no names: all. */
  | { kind: "switch_triggers"; enable: boolean; names: ObjectName[]; table: ObjectName }
  /** `base`: an alias of it; without one, a table type. */
  | {
      kind: "create_type";
      name: ObjectName;
      base?: TypeName;
      nullable?: boolean;
      columns: ColumnDefinition[];
      constraints: TableConstraint[];
    }
  | { kind: "create_schema"; name: string; authorization?: string }
  | { kind: "create_database"; name: string; collation?: string }
  | {
      kind: "alter_database";
      name: string /** the words after the name, upper case for keywords, as written else */;
      text: string;
    }
  /** `text`: the statement as written; `mustExist`: ALTER VIEW (then orAlter is true too). So for procedures. */
  | {
      kind: "create_view";
      name: ObjectName;
      columns: string[];
      query: Query;
      /** WITH CHECK OPTION */
      checked?: boolean;
      schemaBound?: boolean;
      orAlter: boolean;
      mustExist?: boolean;
      text?: string;
    }
  | {
      kind: "create_procedure";
      name: ObjectName;
      parameters: ParameterDefinition[];
      body: Statement[];
      orAlter: boolean;
      mustExist?: boolean;
      text?: string;
    }
  | {
      kind: "create_function";
      name: ObjectName;
      parameters: ParameterDefinition[];
      returns: FunctionReturns;
      orAlter: boolean;
      mustExist?: boolean;
      text?: string;
    }
  | { kind: "create_sequence"; name: ObjectName; type?: TypeName; options: SequenceOptions }
  | { kind: "alter_sequence"; name: ObjectName; options: SequenceOptions }
  | { kind: "create_synonym"; name: ObjectName; target: ObjectName }
  | {
      kind: "create_user" | "create_login" | "create_role";
      name: string /** FOR LOGIN x, WITH PASSWORD = 'y' */;
      login?: string;
      password?: string;
    }
  | { kind: "alter_role"; name: string; action: "add" | "drop"; member: string }
  | {
      kind: "grant" | "deny" | "revoke";
      permissions: string[] /** undefined: the database */;
      on?: { class: "object" | "schema" | "database"; name: ObjectName; columns: string[] };
      to: string[];
    }
  | { kind: "use"; database: string }
  | { kind: "declare"; variables: { name: string; type: TypeName; value?: Expr }[] }
  | { kind: "declare_table"; name: string; columns: ColumnDefinition[]; constraints: TableConstraint[] }
  | { kind: "declare_cursor"; name: string; query: Query /** LOCAL, FAST_FORWARD … */; options: string[] }
  | { kind: "declare_cursor_variable"; name: string }
  /** SET @c = CURSOR … FOR query, or = the name of a cursor or another variable. */
  | { kind: "set_cursor"; name: string; source: { query: Query; options: string[] } | { cursor: CursorReference } }
  | { kind: "cursor"; action: "open" | "close" | "deallocate"; cursor: CursorReference }
  | {
      kind: "fetch";
      cursor: CursorReference;
      direction: "next" | "prior" | "first" | "last" | "absolute" | "relative";
      n?: Expr;
      into: string[];
    }
  | { kind: "set_variable"; name: string; op: AssignOp; value: Expr }
  /** SET NOCOUNT ON, SET LOCK_TIMEOUT 5000, SET IDENTITY_INSERT t ON: option upper case, value as written. */
  | { kind: "set_option"; option: string; value: string; table?: ObjectName }
  | {
      kind: "set_isolation";
      level: "read uncommitted" | "read committed" | "repeatable read" | "snapshot" | "serializable";
    }
  | { kind: "if"; test: Cond; then: Statement; else?: Statement }
  | { kind: "while"; test: Cond; body: Statement }
  | { kind: "block"; body: Statement[] }
  | { kind: "try"; body: Statement[]; handler: Statement[] }
  | { kind: "break" | "continue" }
  | { kind: "return"; value?: Expr }
  | { kind: "goto"; label: string }
  | { kind: "label"; name: string }
  | { kind: "throw"; number?: Expr; message?: Expr; state?: Expr }
  | { kind: "raiserror"; message: Expr; severity: Expr; state: Expr; args: Expr[]; options: string[] }
  | { kind: "print"; value: Expr }
  | { kind: "waitfor"; delay?: Expr; time?: Expr }
  /** EXEC [@rc =] name args, and `{[? =] call name(args)}`. */
  | { kind: "execute"; returnVariable?: string; name: ObjectName | { variable: string }; args: ExecArgument[] }
  /** EXEC ('text' + @x). */
  | { kind: "execute_text"; text: Expr }
  | { kind: "begin_transaction"; name?: string }
  | { kind: "commit"; name?: string }
  | { kind: "rollback"; name?: string }
  | { kind: "save_transaction"; name: string }
  | { kind: "checkpoint" }
  /** With or without OVERRIDE. */
  | { kind: "reconfigure" }
  /** DBCC CHECKIDENT; `quiet`: NO_INFOMSGS. */
  | { kind: "check_identity"; table: ObjectName; reseed: boolean; value?: Expr; quiet: boolean }
  /** KILL 53 */
  | { kind: "kill"; spid: Expr }
  /** What SQL Server would run and the simulator does not: the engine answers with an error that names it. */
  | { kind: "unsupported"; what: string }
);

/** What INSERT, UPDATE, DELETE and MERGE write to; for UPDATE and DELETE possibly an alias of the FROM clause. */
export type Target = { kind: "table"; name: ObjectName; hints: string[] } | { kind: "table_variable"; name: string };

export type InsertSource =
  | { kind: "values"; rows: (Expr | "default")[][] }
  | { kind: "query"; query: Query }
  | { kind: "execute"; statement: Statement }
  | { kind: "default_values" };

export type SetClause =
  | { kind: "column"; column: string; op: AssignOp; value: Expr | "default" }
  /** `@v = expr` and `@v = column = expr` */
  | { kind: "variable"; variable: string; column?: string; op: AssignOp; value: Expr };

/** OUTPUT items [INTO target (columns)]; `inserted.x` and `deleted.x` are columns with that qualifier. */
export interface Output {
  items: SelectItem[];
  into?: { target: Target; columns: string[] };
}

export interface MergeWhen {
  match: "matched" | "not_matched" | "not_matched_by_source";
  and?: Cond;
  action:
    | { kind: "update"; set: SetClause[] }
    | { kind: "delete" }
    | { kind: "insert"; columns: string[]; values: (Expr | "default")[]; defaultValues?: boolean };
}

export interface ColumnDefinition {
  name: string;
  /** Absent for a computed column. */
  type?: TypeName;
  computed?: { expr: Expr; persisted: boolean; text: string };
  identity?: { seed: string; increment: string };
  /** undefined: as the table's other rules say (nullable, NOT NULL in a primary key). */
  nullable?: boolean;
  /** withValues: `ALTER TABLE … ADD c int NULL DEFAULT 1 WITH VALUES` fills the rows that exist. */
  default?: { name?: string; expr: Expr; text: string; withValues?: boolean };
  rowGuid?: boolean;
  sparse?: boolean;
  /** MASKED WITH (FUNCTION = 'default()') */
  masked?: string;
  constraints: TableConstraint[];
}

export type TableConstraint =
  | {
      kind: "primary_key" | "unique";
      name?: string;
      clustered?: boolean;
      columns: { name: string; descending: boolean }[];
    }
  | {
      kind: "foreign_key";
      name?: string;
      columns: string[];
      references: ObjectName;
      referenced: string[];
      onDelete?: ReferentialAction;
      onUpdate?: ReferentialAction;
    }
  | { kind: "check"; name?: string; test: Cond; text: string }
  /** ALTER TABLE … ADD CONSTRAINT d DEFAULT e FOR c */
  | { kind: "default"; name?: string; expr: Expr; text: string; column: string }
  | {
      kind: "index";
      name: string;
      unique: boolean;
      clustered: boolean;
      columns: { name: string; descending: boolean }[];
      include: string[];
      filter?: IndexFilter;
    };

/** `text` as the catalogue shows it. */
export interface IndexFilter {
  test: Cond;
  text: string;
}

export type ReferentialAction = "no action" | "cascade" | "set null" | "set default";

export type AlterTableAction =
  /** `unchecked`: WITH NOCHECK, present rows are not held against new constraints. */
  | { kind: "add"; columns: ColumnDefinition[]; constraints: TableConstraint[]; unchecked?: boolean }
  /** CHECK and NOCHECK CONSTRAINT; `verified`: WITH CHECK, present rows are held against them. No names: ALL. */
  | { kind: "enforce"; enabled: boolean; verified: boolean; names: string[] }
  | { kind: "drop"; columns: string[]; constraints: string[]; ifExists: boolean }
  | { kind: "alter_column"; column: string; type: TypeName; nullable?: boolean }
  | { kind: "alter_column_masking"; column: string; mask?: string }
  /** ENABLE and DISABLE TRIGGER; no names: all. */
  | { kind: "triggers"; enable: boolean; names: ObjectName[] }
  /** SWITCH PARTITION, ENABLE CHANGE_TRACKING …: raw. */
  | { kind: "other"; text: string };

export type FunctionReturns =
  /** `strict`: RETURNS NULL ON NULL INPUT. */
  | { kind: "scalar"; type: TypeName; strict: boolean; body: Statement[] }
  | { kind: "inline"; query: Query }
  /** RETURNS @t TABLE (…) */
  | {
      kind: "table";
      variable: string;
      columns: ColumnDefinition[];
      constraints: TableConstraint[];
      body: Statement[];
    };

/** null: NO MINVALUE, NO MAXVALUE, RESTART without a value, CACHE without a size; a cache of 0 is NO CACHE. */
export interface SequenceOptions {
  start?: bigint;
  restart?: bigint | null;
  increment?: bigint;
  minimum?: bigint | null;
  maximum?: bigint | null;
  cycle?: boolean;
  cache?: number | null;
}

export interface ParameterDefinition {
  name: string;
  type: TypeName;
  default?: Expr;
  output: boolean;
  readOnly?: boolean;
}

/** By name, which GLOBAL says is not that of a local one; or the variable that holds it. */
export interface CursorReference {
  name: string;
  global: boolean;
}

export interface ExecArgument {
  /** With its @; absent for a positional argument. */
  name?: string;
  value: Expr | "default";
  output: boolean;
}
