/** https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-describe-undeclared-parameters-transact-sql */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SqlServerSimulator, type Value } from "../../../simulator/index.ts";

let server: SqlServerSimulator;
before(async () => {
  server = await SqlServerSimulator.start({ databases: ["TestDB"] });
  await server.query(`CREATE TYPE dbo.phone FROM varchar(20)`);
  await server.query(
    `CREATE TABLE t (c1 int, c2 smallint, fixed char(30), name nvarchar(50), code varchar(30), price decimal(10, 2),
       at datetime2(3), born date, id uniqueidentifier, data varbinary(max), number phone, flag bit, cs varchar(9) COLLATE Latin1_General_CS_AS)`,
  );
  await server.query(
    "CREATE FUNCTION dbo.tbl(@a bigint, @b money, @c varchar(7)) RETURNS tinyint AS BEGIN RETURN 1 END",
  );
  await server.query("CREATE FUNCTION dbo.rows_of(@many smallint) RETURNS TABLE AS RETURN SELECT @many AS n");
  await server.query(
    "CREATE PROCEDURE total @price decimal(12, 4), @note nvarchar(max) = NULL, @sum float OUTPUT AS SET @sum = @price",
  );
});
after(() => server.close());

const quoted = (text: string): string => `N'${text.replaceAll("'", "''")}'`;

async function described(text: string, columns: string[], params?: string): Promise<Value[][]> {
  const call = `EXEC sp_describe_undeclared_parameters ${quoted(text)}${params === undefined ? "" : `, ${quoted(params)}`}`;
  const result = await server.query(call, "TestDB");
  const places = columns.map((name) => result.columns.findIndex((column) => column.name === name));
  return result.rows.map((row) => places.map((place) => row[place]!));
}

/** "@name type" of each, in their order. */
async function types(text: string, params?: string): Promise<string[]> {
  const rows = await described(text, ["name", "suggested_system_type_name"], params);
  return rows.map(([name, type]) => `${name} ${type}`);
}

/** A text by what is deduced of it. */
function deduces(cases: Record<string, string[]>): () => Promise<void> {
  return async () => {
    for (const [text, expected] of Object.entries(cases)) assert.deepEqual(await types(text), expected, text);
  };
}

test("the documentation's example: names and types of two parameters, and of the one that is not declared", async () => {
  const text = "SELECT object_id, name, type_desc FROM sys.indexes WHERE object_id = @id OR NAME = @name";
  assert.deepEqual(await types(text), ["@id int", "@name nvarchar(128)"]);
  assert.deepEqual(await types(text, "@id int"), ["@name nvarchar(128)"]);
  assert.deepEqual(await types(text, "@id int, @name sysname"), []);
});

test(
  "simple deduction: what is compared, assigned, inserted, cast or passed has the very type of the other side",
  deduces({
    "SELECT * FROM t WHERE c1 = @p1 AND @p2 = dbo.tbl(@p3, 1, 'x')": ["@p1 int", "@p2 tinyint", "@p3 bigint"],
    "SELECT * FROM t WHERE @p1 = dbo.tbl(c1, @p2, @p3)": ["@p1 tinyint", "@p2 money", "@p3 varchar(7)"],
    "SELECT * FROM t WHERE fixed = @p": ["@p char(30)"],
    "SELECT * FROM t WHERE price <> @a AND at IN (@b, @c)": ["@a decimal(10,2)", "@b datetime2(3)", "@c datetime2(3)"],
    "SELECT * FROM t WHERE @id IN (SELECT id FROM t)": ["@id uniqueidentifier"],
    "INSERT INTO t (name, price, data) VALUES (@a, @b, @c)": [
      "@a nvarchar(50)",
      "@b decimal(10,2)",
      "@c varbinary(max)",
    ],
    "INSERT t (c1, born) VALUES (1, @a), (@b, NULL)": ["@a date", "@b int"],
    "UPDATE t SET name = @name, flag = @flag WHERE id = @id": [
      "@name nvarchar(50)",
      "@flag bit",
      "@id uniqueidentifier",
    ],
    "DELETE t WHERE code = @code": ["@code varchar(30)"],
    "MERGE t USING (SELECT 1 AS one) s ON t.c1 = @a WHEN MATCHED THEN UPDATE SET name = @b WHEN NOT MATCHED THEN INSERT (price) VALUES (@c);":
      ["@a int", "@b nvarchar(50)", "@c decimal(10,2)"],
    "SELECT CAST(@a AS xml), CONVERT(varchar(10), @b, 112)": ["@a xml", "@b varchar(10)"],
    "SELECT CASE c1 WHEN @p THEN 'one' END FROM t": ["@p int"],
    "SELECT TOP (@n) * FROM t ORDER BY c1": ["@n bigint"],
    "SELECT c1 FROM t ORDER BY c1 OFFSET @skip ROWS FETCH NEXT @take ROWS ONLY": ["@skip bigint", "@take bigint"],
    "SELECT * FROM dbo.rows_of(@many)": ["@many smallint"],
    "DECLARE @x varchar(5) = @a; SET @x = @b": ["@a varchar(5)", "@b varchar(5)"],
    "IF @a = 1 SELECT c1 FROM t WHERE born = @b": ["@a int", "@b date"],
  }),
);

test(
  "general deduction: an inequality or an operator takes the candidate that needs the fewest and best conversions",
  deduces({
    "SELECT * FROM t WHERE fixed > @p": ["@p varchar(8000)"],
    "SELECT * FROM t WHERE code > @p": ["@p varchar(8000)"],
    "SELECT * FROM t WHERE name LIKE @p": ["@p nvarchar(4000)"],
    "SELECT * FROM t WHERE c1 = c1 + @p": ["@p int"],
    "SELECT * FROM t WHERE c1 = c2 + @p": ["@p int"],
    "SELECT NULL + @p": ["@p int"],
    "SELECT @p + 2": ["@p int"],
    "SELECT * FROM t WHERE price > @p": ["@p numeric(38,19)"],
    "SELECT * FROM t WHERE at BETWEEN @a AND @b": ["@a datetime2(7)", "@b datetime2(7)"],
    "UPDATE t SET c1 += @p": ["@p int"],
    "SELECT * FROM t WHERE code = SUBSTRING(@p, 2, 3)": ["@p varchar(8000)"],
    "SELECT * FROM t WHERE c1 = LEN(code) + LEFT(code, @n)": ["@n int"],
    "SELECT DATEADD(day, @n, born) FROM t": ["@n int"],
  }),
);

async function refuses(text: string, number: number, message: RegExp): Promise<void> {
  await assert.rejects(types(text), (error: Error & { number: number }) => {
    assert.equal(error.number, number, `${text}: ${error.message}`);
    assert.match(error.message, message);
    return true;
  });
}

test("two arguments without types, one that any type would do for, and one used twice are errors", async () => {
  const two = /single expression contains two untyped parameters, '@p1' and '@p2'/;
  await refuses("SELECT * FROM t WHERE @p1 = @p2", 11503, two);
  await refuses("SELECT * FROM t WHERE c1 = @p1 + @p2", 11503, two);
  await refuses("SELECT * FROM t WHERE @p1 = SUBSTRING(@p2, 2, 3)", 11503, two);
  const any = /'@p' cannot be uniquely deduced; two possibilities are 'sql_variant' and 'xml'/;
  await refuses("SELECT @p FROM t", 11506, any);
  await refuses("SELECT c1 FROM t WHERE @p IS NULL", 11506, any);
  await refuses("SELECT c1 FROM t WHERE c1 = @p OR c2 = @P", 11508, /'@P' is used more than once in the batch/);
});

test("a text that is not valid is an error of its own and 11501, one that makes a temporary table 11525", async () => {
  await refuses("SELECT nothing FROM t WHERE c1 = @p", 207, /Invalid column name 'nothing'/);
  await refuses("SELECT FROM t WHERE c1 = @p", 156, /Incorrect syntax/);
  await refuses("CREATE TABLE #x (id int); SELECT id FROM #x WHERE id = @p", 11525, /uses a temp table/);
  await assert.rejects(types("SELECT 1", "@a int, @a int"), { number: 134 });
  const call = "EXEC sp_describe_undeclared_parameters N'SELECT nothing FROM t WHERE c1 = @p'";
  const caught = await server.query(`BEGIN TRY ${call} END TRY BEGIN CATCH SELECT ERROR_NUMBER() END CATCH`, "TestDB");
  assert.deepEqual(caught.rows, [[11501]]);
});

test("arguments of procedures have the types and names of its parameters; what is assigned is an output", async () => {
  const columns = [
    "name",
    "suggested_system_type_name",
    "formal_parameter_name",
    "suggested_is_input",
    "suggested_is_output",
  ];
  assert.deepEqual(await described("EXEC @r = total @a, @sum = @b OUTPUT", columns), [
    ["@r", "int", null, false, true],
    ["@a", "decimal(12,4)", "@price", true, false],
    ["@b", "float", "@sum", true, true],
  ]);
  assert.deepEqual(await described("SELECT @found = name FROM t WHERE c1 = @id", columns), [
    ["@found", "nvarchar(50)", null, false, true],
    ["@id", "int", null, true, false],
  ]);
});

test("the columns of the result are the documented ones, and measure the type as sys.columns does", async () => {
  const result = await server.query("EXEC sp_describe_undeclared_parameters N'DELETE t WHERE number = @p'", "TestDB");
  assert.deepEqual(Object.fromEntries(result.columns.map(({ name }, i) => [name, result.rows[0]![i]])), {
    parameter_ordinal: 1,
    name: "@p",
    suggested_system_type_id: 167,
    suggested_system_type_name: "varchar(20)",
    suggested_max_length: 20,
    suggested_precision: 0,
    suggested_scale: 0,
    suggested_user_type_id: 257,
    suggested_user_type_database: "TestDB",
    suggested_user_type_schema: "dbo",
    suggested_user_type_name: "phone",
    suggested_assembly_qualified_type_name: null,
    suggested_xml_collection_id: null,
    suggested_xml_collection_database: null,
    suggested_xml_collection_schema: null,
    suggested_xml_collection_name: null,
    suggested_is_xml_document: false,
    suggested_is_case_sensitive: false,
    suggested_is_fixed_length_clr_type: false,
    suggested_is_input: true,
    suggested_is_output: false,
    formal_parameter_name: null,
    suggested_tds_type_id: 167,
    suggested_tds_length: 20,
  });
  const columns = ["suggested_max_length", "suggested_precision", "suggested_scale", "suggested_is_case_sensitive"];
  assert.deepEqual(await described("INSERT t (price, at, cs, data) VALUES (@a, @b, @c, @d)", columns), [
    [9, 10, 2, false],
    [7, 23, 3, false],
    [9, 0, 0, true],
    [-1, 0, 0, false],
  ]);
});

test("what cannot be deduced here is said, not guessed", async () => {
  await refuses("SELECT SQRT(@p)", 40510, /undeclared argument|SQRT/);
});
