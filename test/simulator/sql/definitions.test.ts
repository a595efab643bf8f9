import assert from "node:assert/strict";
import { test } from "node:test";
import { column, int, kindsOf, one, string } from "./trees.ts";

test("CREATE TABLE as Management Studio scripts it", () => {
  const table = one(`
CREATE TABLE [dbo].[Orders](
	[Id] [int] IDENTITY(1,1) NOT FOR REPLICATION NOT NULL,
	[Name] [nvarchar](50) COLLATE Latin1_General_CI_AS NULL,
	[Total] [decimal](12, 4) NOT NULL CONSTRAINT [DF_Total] DEFAULT ((0)),
	[Twice]  AS ([Total]*(2)) PERSISTED,
	[Guid] uniqueidentifier ROWGUIDCOL NOT NULL DEFAULT newid(),
	[Secret] varchar(10) MASKED WITH (FUNCTION = 'default()') NULL,
	[Rare] int SPARSE NULL,
	timestamp,
 CONSTRAINT [PK_Orders] PRIMARY KEY CLUSTERED ([Id] ASC, [Name] DESC) WITH (PAD_INDEX = OFF, STATISTICS_NORECOMPUTE = OFF) ON [PRIMARY],
 CONSTRAINT [CK] CHECK ([Total] > 0),
 UNIQUE NONCLUSTERED ([Guid]),
 FOREIGN KEY ([Name]) REFERENCES dbo.Names ([N]) ON DELETE CASCADE ON UPDATE SET NULL,
 INDEX ix UNIQUE ([Rare])
) ON [PRIMARY] TEXTIMAGE_ON [PRIMARY] WITH (DATA_COMPRESSION = PAGE)`);
  assert.ok(table.kind === "create_table");
  assert.deepEqual(table.columns, [
    {
      name: "Id",
      constraints: [],
      type: { name: "int", args: [] },
      identity: { seed: "1", increment: "1" },
      nullable: false,
    },
    {
      name: "Name",
      constraints: [],
      type: { name: "nvarchar", args: [50], collation: "Latin1_General_CI_AS" },
      nullable: true,
    },
    {
      name: "Total",
      constraints: [],
      type: { name: "decimal", args: [12, 4] },
      nullable: false,
      default: { name: "DF_Total", expr: int(0), text: "((0))" },
    },
    {
      name: "Twice",
      constraints: [],
      computed: {
        expr: { kind: "binary", op: "*", left: column("Total"), right: int(2) },
        persisted: true,
        text: "([Total]*(2))",
      },
    },
    {
      name: "Guid",
      constraints: [],
      type: { name: "uniqueidentifier", args: [] },
      rowGuid: true,
      nullable: false,
      default: { expr: { kind: "call", name: { parts: ["newid"] }, args: [] }, text: "(newid())" },
    },
    { name: "Secret", constraints: [], type: { name: "varchar", args: [10] }, masked: "default()", nullable: true },
    { name: "Rare", constraints: [], type: { name: "int", args: [] }, sparse: true, nullable: true },
    { name: "timestamp", constraints: [], type: { name: "timestamp", args: [] } },
  ]);
  assert.deepEqual(table.constraints, [
    {
      kind: "primary_key",
      name: "PK_Orders",
      clustered: true,
      columns: [
        { name: "Id", descending: false },
        { name: "Name", descending: true },
      ],
    },
    {
      kind: "check",
      name: "CK",
      test: { kind: "compare", op: ">", left: column("Total"), right: int(0) },
      text: "([Total]>(0))",
    },
    { kind: "unique", clustered: false, columns: [{ name: "Guid", descending: false }] },
    {
      kind: "foreign_key",
      columns: ["Name"],
      references: { parts: ["dbo", "Names"] },
      referenced: ["N"],
      onDelete: "cascade",
      onUpdate: "set null",
    },
    {
      kind: "index",
      name: "ix",
      unique: true,
      clustered: false,
      columns: [{ name: "Rare", descending: false }],
      include: [],
    },
  ]);
});

test("constraints behind a column belong to it", () => {
  const table = one(
    "CREATE TABLE t (a int PRIMARY KEY, b int UNIQUE CHECK (b > 0) REFERENCES u, c int CONSTRAINT x FOREIGN KEY REFERENCES v (w),)",
  );
  assert.ok(table.kind === "create_table");
  assert.deepEqual(
    table.columns.map((c) => c.constraints.map((constraint) => constraint.kind)),
    [["primary_key"], ["unique", "check", "foreign_key"], ["foreign_key"]],
  );
});

test("ALTER TABLE: add, drop, alter a column, mask it; the rest stays text", () => {
  const actions = [
    "ADD a int NULL, b int NOT NULL CONSTRAINT d DEFAULT 0 WITH VALUES",
    "WITH NOCHECK ADD CONSTRAINT pk PRIMARY KEY NONCLUSTERED (a), CONSTRAINT df DEFAULT ('x') FOR c",
    "DROP CONSTRAINT IF EXISTS x, y, COLUMN a, b",
    "ALTER COLUMN a varchar(10) COLLATE Latin1_General_BIN NOT NULL",
    "ALTER COLUMN a ADD MASKED WITH (FUNCTION = 'email()')",
    "ALTER COLUMN a DROP MASKED",
    "SWITCH PARTITION 1 TO dbo.u",
  ].map((action) => {
    const statement = one(`ALTER TABLE dbo.t ${action}`);
    return statement.kind === "alter_table" ? statement.action : statement;
  });
  assert.deepEqual(actions, [
    {
      kind: "add",
      columns: [
        { name: "a", constraints: [], type: { name: "int", args: [] }, nullable: true },
        {
          name: "b",
          constraints: [],
          type: { name: "int", args: [] },
          nullable: false,
          default: { name: "d", expr: int(0), text: "((0))", withValues: true },
        },
      ],
      constraints: [],
    },
    {
      kind: "add",
      columns: [],
      constraints: [
        { kind: "primary_key", name: "pk", clustered: false, columns: [{ name: "a", descending: false }] },
        { kind: "default", name: "df", expr: string("x"), text: "('x')", column: "c" },
      ],
      unchecked: true,
    },
    { kind: "drop", columns: ["a", "b"], constraints: ["x", "y"], ifExists: true },
    {
      kind: "alter_column",
      column: "a",
      type: { name: "varchar", args: [10], collation: "Latin1_General_BIN" },
      nullable: false,
    },
    { kind: "alter_column_masking", column: "a", mask: "email()" },
    { kind: "alter_column_masking", column: "a" },
    { kind: "other", text: "SWITCH PARTITION 1 TO dbo.u" },
  ]);
});

test("CREATE INDEX with its included columns and filter", () => {
  assert.deepEqual(
    one(
      "CREATE UNIQUE NONCLUSTERED INDEX ix ON dbo.t (a, b DESC) INCLUDE (c) WHERE c IS NOT NULL WITH (ONLINE = ON) ON [PRIMARY]",
    ),
    {
      line: 1,
      kind: "create_index",
      name: "ix",
      unique: true,
      clustered: false,
      table: { parts: ["dbo", "t"] },
      columns: [
        { name: "a", descending: false },
        { name: "b", descending: true },
      ],
      include: ["c"],
      filter: { test: { kind: "is_null", operand: column("c"), not: true }, text: "([c] IS NOT NULL)" },
    },
  );
});

test("DROP: several names, IF EXISTS, both spellings of an index", () => {
  assert.deepEqual(one("DROP TABLE IF EXISTS #a, dbo.b"), {
    line: 1,
    kind: "drop",
    object: "table",
    names: [{ parts: ["#a"] }, { parts: ["dbo", "b"] }],
    ifExists: true,
  });
  const index = {
    line: 1,
    kind: "drop",
    object: "index",
    names: [{ parts: ["ix"] }],
    ifExists: false,
    on: { parts: ["dbo", "t"] },
  };
  assert.deepEqual(one("DROP INDEX ix ON dbo.t"), index);
  assert.deepEqual(one("DROP INDEX dbo.t.ix"), index);
  assert.deepEqual(kindsOf("DROP INDEX a ON t, b ON u DROP PROC p DROP ASSEMBLY s"), ["block", "drop", "unsupported"]);
});

test("a procedure takes the rest of the batch and keeps its text", () => {
  const text = `CREATE OR ALTER PROCEDURE dbo.p @a int = 1, @b nvarchar(10) = N'x' OUTPUT WITH RECOMPILE, EXECUTE AS OWNER AS
SET NOCOUNT ON;
IF @a = 1 RETURN 0
SELECT @a`;
  const procedure = one(text);
  assert.ok(procedure.kind === "create_procedure");
  assert.deepEqual(
    procedure.parameters.map((p) => [p.name, p.output]),
    [
      ["@a", false],
      ["@b", true],
    ],
  );
  assert.deepEqual(
    procedure.body.map((statement) => [statement.kind, statement.line]),
    [
      ["set_option", 2],
      ["if", 3],
      ["query", 4],
    ],
  );
  assert.equal(procedure.text, text);
  assert.equal(procedure.orAlter, true);
});

test("views, schemas, databases", () => {
  const view = one("CREATE VIEW v (x) WITH SCHEMABINDING AS WITH c AS (SELECT 1 a) SELECT a FROM c WITH CHECK OPTION");
  assert.ok(view.kind === "create_view" && view.query.ctes.length === 1 && view.columns[0] === "x");
  assert.deepEqual(one("CREATE SCHEMA s AUTHORIZATION dbo"), {
    line: 1,
    kind: "create_schema",
    name: "s",
    authorization: "dbo",
  });
  assert.deepEqual(one("CREATE DATABASE d ON (NAME = x, FILENAME = 'f') COLLATE Latin1_General_100_CI_AS_SC_UTF8"), {
    line: 1,
    kind: "create_database",
    name: "d",
    collation: "Latin1_General_100_CI_AS_SC_UTF8",
  });
  assert.deepEqual(
    [
      "SET RECOVERY simple",
      "SET SINGLE_USER WITH ROLLBACK IMMEDIATE",
      "MODIFY NAME = NewName",
      "set read_committed_snapshot on",
    ].map((text) => {
      const statement = one(`ALTER DATABASE [d b] ${text}`);
      return statement.kind === "alter_database" && [statement.name, statement.text].join(": ");
    }),
    [
      "d b: SET RECOVERY SIMPLE",
      "d b: SET SINGLE_USER WITH ROLLBACK IMMEDIATE",
      "d b: MODIFY NAME = NewName",
      "d b: SET READ_COMMITTED_SNAPSHOT ON",
    ],
  );
});

test("principals and permissions", () => {
  assert.deepEqual(one("CREATE LOGIN l WITH PASSWORD = N'p', CHECK_POLICY = OFF, DEFAULT_DATABASE = [db]"), {
    line: 1,
    kind: "create_login",
    name: "l",
    password: "p",
  });
  assert.deepEqual(one("CREATE USER u FOR LOGIN l WITH DEFAULT_SCHEMA = dbo"), {
    line: 1,
    kind: "create_user",
    name: "u",
    login: "l",
  });
  assert.deepEqual(one("ALTER ROLE db_owner ADD MEMBER [u]"), {
    line: 1,
    kind: "alter_role",
    name: "db_owner",
    action: "add",
    member: "u",
  });
  assert.deepEqual(one("GRANT SELECT, VIEW DEFINITION ON SCHEMA::cdc TO u, public WITH GRANT OPTION"), {
    line: 1,
    kind: "grant",
    permissions: ["SELECT", "VIEW DEFINITION"],
    on: { class: "schema", name: { parts: ["cdc"] }, columns: [] },
    to: ["u", "public"],
  });
  assert.deepEqual(one("DENY SELECT (a, b) ON dbo.t TO u"), {
    line: 1,
    kind: "deny",
    permissions: ["SELECT"],
    on: { class: "object", name: { parts: ["dbo", "t"] }, columns: ["a", "b"] },
    to: ["u"],
  });
  assert.deepEqual(one("REVOKE VIEW DATABASE STATE FROM u"), {
    line: 1,
    kind: "revoke",
    permissions: ["VIEW DATABASE STATE"],
    to: ["u"],
  });
});

test("what the tree has no node for is named, and the statements behind it still run", () => {
  const cases: [text: string, what: string][] = [
    ["BACKUP DATABASE d TO DISK = N'x' WITH INIT, FORMAT", "BACKUP DATABASE"],
    ["RESTORE DATABASE d FROM DISK = 'x' WITH REPLACE", "RESTORE DATABASE"],
    ["DBCC FREEPROCCACHE WITH NO_INFOMSGS", "DBCC FREEPROCCACHE"],
    ["UPDATE STATISTICS t", "UPDATE STATISTICS"],
    ["CREATE ASSEMBLY a FROM 0x4D", "CREATE ASSEMBLY"],
    ["CREATE CLUSTERED COLUMNSTORE INDEX cci ON t", "CREATE COLUMNSTORE INDEX"],
    ["SELECT * FROM t FOR SYSTEM_TIME AS OF '2020-01-01' WHERE a = 1", "FOR SYSTEM_TIME"],
    ["SELECT * FROM OPENROWSET(BULK 'f', SINGLE_CLOB) AS x", "OPENROWSET"],
    ["ALTER DATABASE SCOPED CONFIGURATION SET MAXDOP = 1", "ALTER DATABASE SCOPED"],
    ["EXECUTE AS USER = 'u'", "EXECUTE AS"],
    ["SELECT * FROM CHANGETABLE(CHANGES dbo.t, 0) AS c", "CHANGETABLE"],
    ["SELECT 1 WHERE a = 1 AND CONTAINS(*, 'x')", "CONTAINS"],
  ];
  for (const [text, what] of cases) {
    const statements = kindsOf(`${text} PRINT 1`);
    assert.deepEqual(statements, ["unsupported", "print"], text);
    assert.deepEqual(one(text), { line: 1, kind: "unsupported", what });
  }
});

test("functions: scalar, inline and of several statements", () => {
  const scalar = one(
    "CREATE FUNCTION f(@a int, @b int = 2) RETURNS int WITH SCHEMABINDING, RETURNS NULL ON NULL INPUT AS BEGIN RETURN 1 END",
  );
  assert.ok(scalar.kind === "create_function" && scalar.returns.kind === "scalar");
  assert.equal(scalar.returns.strict, true);
  assert.deepEqual(
    scalar.parameters.map(({ name, default: given }) => [name, given !== undefined]),
    [
      ["@a", false],
      ["@b", true],
    ],
  );
  for (const text of [
    "(SELECT 1 AS a)",
    "SELECT 1 AS a",
    "(SELECT 1 AS a) UNION (SELECT 2)",
    "(WITH c AS (SELECT 1 AS a) SELECT a FROM c);",
  ]) {
    const inline = one(`ALTER FUNCTION f() RETURNS TABLE RETURN ${text}`);
    assert.ok(inline.kind === "create_function" && inline.mustExist && inline.returns.kind === "inline", text);
  }
  const several = one("CREATE OR ALTER FUNCTION f() RETURNS @t TABLE (a int, PRIMARY KEY (a)) AS BEGIN RETURN END");
  assert.ok(several.kind === "create_function" && several.returns.kind === "table");
  assert.equal(several.returns.variable, "@t");
});

test("sequences and synonyms", () => {
  assert.deepEqual(
    one("CREATE SEQUENCE dbo.s AS decimal(3, 0) START WITH -5 INCREMENT BY 2 NO MINVALUE MAXVALUE 7 CYCLE NO CACHE"),
    {
      line: 1,
      kind: "create_sequence",
      name: { parts: ["dbo", "s"] },
      type: { name: "decimal", args: [3, 0] },
      options: { start: -5n, increment: 2n, minimum: null, maximum: 7n, cycle: true, cache: 0 },
    },
  );
  assert.deepEqual(one("ALTER SEQUENCE s RESTART NO CYCLE CACHE 10"), {
    line: 1,
    kind: "alter_sequence",
    name: { parts: ["s"] },
    options: { restart: null, cycle: false, cache: 10 },
  });
  assert.deepEqual(one("CREATE SYNONYM a FOR db..t"), {
    line: 1,
    kind: "create_synonym",
    name: { parts: ["a"] },
    target: { parts: ["db", "", "t"] },
  });
});
