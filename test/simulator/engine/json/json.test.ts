/** The JSON functions, OPENJSON and FOR JSON, by the examples of their pages. https://learn.microsoft.com/sql/relational-databases/json/json-data-sql-server */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { type Client, start } from "../client.ts";

let sql: Client;
before(async () => {
  ({ sql } = await start());
  await sql.run(`CREATE TABLE Person (BusinessEntityID int PRIMARY KEY, FirstName nvarchar(20), LastName nvarchar(20), Title nvarchar(8), MiddleName nvarchar(20));
    INSERT Person VALUES (1, N'Ken', N'Sánchez', NULL, N'J'), (2, N'Terri', N'Duffy', NULL, N'Lee'), (3, N'Roberto', N'Tamburello', NULL, NULL);
    CREATE TABLE Pet (Owner int, Name nvarchar(20)); INSERT Pet VALUES (1, N'Rex'), (1, N'Tom'), (3, N'Kit')`);
});

describe("JSON functions", () => {
  test("JSON_VALUE and JSON_QUERY take scalars and fragments, lax and strict", async () => {
    const info = `'{"info":{"type":1,"address":{"town":"Bristol","county":"Avon","country":"England"},"tags":["Sport","Water polo"]},"type":"Basic"}'`;
    const { sets } = await sql.run(`DECLARE @j nvarchar(max) = N${info};
      SELECT JSON_VALUE(@j, '$.info.address.town'), JSON_VALUE(@j, '$.info.tags[1]'), JSON_VALUE(@j, '$.info.type'), JSON_VALUE(@j, '$.info.address'), JSON_VALUE(@j, '$.info.Type'),
        JSON_QUERY(@j, '$.info.tags'), JSON_QUERY(@j, '$.type')`);
    assert.deepEqual(sets[0]!.rows, [["Bristol", "Water polo", "1", null, null, '["Sport","Water polo"]', null]]);
    assert.deepEqual(sets[0]!.columns.map(({ type }) => [type.id, type.length]).slice(4, 6), [
      ["nvarchar", 4000],
      ["nvarchar", -1],
    ]);
    const strict = (path: string, fn = "JSON_VALUE") => sql.error(`SELECT ${fn}(N${info}, 'strict ${path}')`);
    assert.equal(await strict("$.nothing"), 13608);
    assert.equal(await strict("$.info"), 13623);
    assert.equal(await strict("$.type", "JSON_QUERY"), 13624);
    assert.equal(await sql.error("SELECT JSON_VALUE('{', '$.a')"), 13609);
    assert.equal(await sql.error("SELECT JSON_VALUE('{}', 'a')"), 13607);
  });

  test("the examples of the JSON_MODIFY page", async () => {
    const run = async (steps: string) =>
      (
        await sql.rows(`DECLARE @info nvarchar(100) = '{"name":"John","skills":["C#","SQL"]}'; ${steps} SELECT @info`)
      )[0]![0];
    assert.equal(
      await run("SET @info = JSON_MODIFY(@info, '$.name', 'Mike');"),
      '{"name":"Mike","skills":["C#","SQL"]}',
    );
    assert.equal(
      await run("SET @info = JSON_MODIFY(@info, '$.surname', 'Smith');"),
      '{"name":"John","skills":["C#","SQL"],"surname":"Smith"}',
    );
    assert.equal(
      await run("SET @info = JSON_MODIFY(@info, 'strict $.name', NULL);"),
      '{"name":null,"skills":["C#","SQL"]}',
    );
    assert.equal(await run("SET @info = JSON_MODIFY(@info, '$.name', NULL);"), '{"skills":["C#","SQL"]}');
    assert.equal(
      await run("SET @info = JSON_MODIFY(@info, 'append $.skills', 'Azure');"),
      '{"name":"John","skills":["C#","SQL","Azure"]}',
    );
    assert.equal(
      await run(
        "SET @info = JSON_MODIFY(JSON_MODIFY(JSON_MODIFY(@info, '$.name', 'Mike'), '$.surname', 'Smith'), 'append $.skills', 'Azure');",
      ),
      '{"name":"Mike","skills":["C#","SQL","Azure"],"surname":"Smith"}',
    );
    assert.deepEqual(
      await sql.rows(`DECLARE @product nvarchar(100) = '{"price":49.99}';
        SELECT JSON_MODIFY(JSON_MODIFY(@product, '$.Price', CAST(JSON_VALUE(@product, '$.price') AS NUMERIC(4, 2))), '$.price', NULL)`),
      [['{"Price":49.99}']],
    );
    assert.deepEqual(
      await sql.rows(`DECLARE @stats nvarchar(100) = '{"click_count": 173}';
        SELECT JSON_MODIFY(@stats, '$.click_count', CAST(JSON_VALUE(@stats, '$.click_count') AS INT) + 1)`),
      [['{"click_count": 174}']],
    );
    // Text is escaped, JSON is not.
    assert.equal(
      await run(`SET @info = JSON_MODIFY(@info, '$.skills', '["C#","T-SQL","Azure"]');`),
      '{"name":"John","skills":"[\\"C#\\",\\"T-SQL\\",\\"Azure\\"]"}',
    );
    assert.equal(
      await run(`SET @info = JSON_MODIFY(@info, '$.skills', JSON_QUERY('["C#","T-SQL","Azure"]'));`),
      '{"name":"John","skills":["C#","T-SQL","Azure"]}',
    );
  });

  test("ISJSON, JSON_PATH_EXISTS, JSON_OBJECT, JSON_ARRAY and STRING_ESCAPE", async () => {
    assert.deepEqual(
      await sql.rows(
        `SELECT ISJSON('{"a":[1,2]}'), ISJSON('text'), ISJSON('true', VALUE), ISJSON('"test string"', SCALAR), ISJSON('[]', OBJECT), ISJSON(NULL), JSON_PATH_EXISTS('{"info":{"address":[{"town":"Paris"}]}}', '$.info.address')`,
      ),
      [[1, 0, 1, 1, 0, null, 1]],
    );
    assert.deepEqual(
      await sql.rows(`SELECT JSON_OBJECT(), JSON_OBJECT('name':'value', 'type':1), JSON_OBJECT('name':'value', 'type':NULL ABSENT ON NULL),
        JSON_OBJECT('name':'value', 'type':JSON_ARRAY(1, 2)), JSON_OBJECT('name':'value', 'type':JSON_OBJECT('type_id':1, 'name':'a'))`),
      [
        [
          "{}",
          '{"name":"value","type":1}',
          '{"name":"value"}',
          '{"name":"value","type":[1,2]}',
          '{"name":"value","type":{"type_id":1,"name":"a"}}',
        ],
      ],
    );
    assert.deepEqual(
      await sql.rows(
        `SELECT JSON_ARRAY(), JSON_ARRAY('a', 1, 'b', 2), JSON_ARRAY('a', 1, 'b', NULL), JSON_ARRAY('a', 1, NULL, 2 NULL ON NULL), JSON_ARRAY('a', JSON_OBJECT('name':'value', 'type':1))`,
      ),
      [["[]", '["a",1,"b",2]', '["a",1,"b"]', '["a",1,null,2]', '["a",{"name":"value","type":1}]']],
    );
    assert.deepEqual(await sql.rows(String.raw`SELECT STRING_ESCAPE('\	/` + "\n" + String.raw`\\	"	', 'json')`), [
      [String.raw`\\\t\/\n\\\\\t\"\t`],
    ]);
  });
});

describe("OPENJSON", () => {
  test("the page's example of the default columns", async () => {
    const { sets } = await sql.run(`DECLARE @json NVARCHAR(2048) = N'{
       "String_value": "John", "DoublePrecisionFloatingPoint_value": 45, "DoublePrecisionFloatingPoint_value": 2.3456,
       "BooleanTrue_value": true, "BooleanFalse_value": false, "Null_value": null,
       "Array_value": ["a","r","r","a","y"], "Object_value": {"obj":"ect"}}';
      SELECT * FROM OpenJson(@json);`);
    assert.deepEqual(
      sets[0]!.columns.map(({ name, type }) => [name, type.id]),
      [
        ["key", "nvarchar"],
        ["value", "nvarchar"],
        ["type", "tinyint"],
      ],
    );
    assert.deepEqual(sets[0]!.rows, [
      ["String_value", "John", 1],
      ["DoublePrecisionFloatingPoint_value", "45", 2],
      ["DoublePrecisionFloatingPoint_value", "2.3456", 2],
      ["BooleanTrue_value", "true", 3],
      ["BooleanFalse_value", "false", 3],
      ["Null_value", null, 0],
      ["Array_value", '["a","r","r","a","y"]', 4],
      ["Object_value", '{"obj":"ect"}', 5],
    ]);
    assert.deepEqual(
      await sql.rows(
        `SELECT [key], value FROM OPENJSON(N'{"path":{"to":{"sub-object":["en-GB","en-UK","de-AT","es-AR","sr-Cyrl"]}}}', '$.path.to."sub-object"') WHERE value LIKE 'en%'`,
      ),
      [
        ["0", "en-GB"],
        ["1", "en-UK"],
      ],
    );
  });

  test("the page's example of explicit columns", async () => {
    assert.deepEqual(
      await sql.rows(`DECLARE @json NVARCHAR(MAX) = N'[
        {"Order":{"Number":"SO43659","Date":"2011-05-31T00:00:00"},"AccountNumber":"AW29825","Item":{"Price":2024.9940,"Quantity":1}},
        {"Order":{"Number":"SO43661","Date":"2011-06-01T00:00:00"},"AccountNumber":"AW73565","Item":{"Price":2024.9940,"Quantity":3}}]';
      SELECT * FROM OPENJSON ( @json )
      WITH (Number VARCHAR(200) '$.Order.Number', Date DATETIME '$.Order.Date', Customer VARCHAR(200) '$.AccountNumber', Quantity INT '$.Item.Quantity', [Order] NVARCHAR(MAX) AS JSON)`),
      [
        ["SO43659", "2011-05-31 00:00:00.000", "AW29825", 1, '{"Number":"SO43659","Date":"2011-05-31T00:00:00"}'],
        ["SO43661", "2011-06-01 00:00:00.000", "AW73565", 3, '{"Number":"SO43661","Date":"2011-06-01T00:00:00"}'],
      ],
    );
  });

  test("a list as a parameter, as Entity Framework sends it; and per row behind APPLY", async () => {
    assert.deepEqual(
      await sql.rows(
        "SELECT p.FirstName FROM Person p WHERE p.BusinessEntityID IN (SELECT i.value FROM OPENJSON(N'[1,3]') WITH (value int '$') AS i) ORDER BY 1",
      ),
      [["Ken"], ["Roberto"]],
    );
    assert.deepEqual(
      await sql.rows(
        `SELECT v.id, t.value FROM (VALUES (1, '["a","b"]'), (2, NULL), (3, '[]')) v (id, tags) OUTER APPLY OPENJSON(v.tags) t`,
      ),
      [
        [1, "a"],
        [1, "b"],
        [2, null],
        [3, null],
      ],
    );
    assert.equal(await sql.error(`SELECT * FROM OPENJSON('[{}]') WITH (a int 'strict $.a')`), 13608);
    assert.equal(await sql.error(`SELECT * FROM OPENJSON('[1]') WITH (a varchar(10) AS JSON)`), 13618);
  });
});

describe("FOR JSON", () => {
  test("PATH: the page's example with dots in the names", async () => {
    const { sets } =
      await sql.run(`SELECT BusinessEntityID As Id, FirstName, LastName, Title As 'Info.Title', MiddleName As 'Info.MiddleName'
      FROM Person FOR JSON PATH`);
    assert.equal(sets[0]!.columns[0]!.name, "JSON_F52E2B61-18A1-11d1-B105-00805F49916B");
    assert.deepEqual(sets[0]!.rows, [
      [
        '[{"Id":1,"FirstName":"Ken","LastName":"Sánchez","Info":{"MiddleName":"J"}},{"Id":2,"FirstName":"Terri","LastName":"Duffy","Info":{"MiddleName":"Lee"}},{"Id":3,"FirstName":"Roberto","LastName":"Tamburello"}]',
      ],
    ]);
    assert.equal(await sql.error("SELECT 1 AS a, 2 AS a FOR JSON PATH"), 13601);
    assert.equal(await sql.error("SELECT 1 FOR JSON PATH"), 13605);
    assert.equal(await sql.error("SELECT 1 AS a FOR JSON AUTO"), 13600);
  });

  test("AUTO nests by the tables of the select list", async () => {
    assert.deepEqual(
      await sql.rows(
        "SELECT Person.FirstName, Pet.Name FROM Person JOIN Pet ON Owner = BusinessEntityID ORDER BY 1, 2 FOR JSON AUTO, ROOT('all')",
      ),
      [
        [
          '{"all":[{"FirstName":"Ken","Pet":[{"Name":"Rex"},{"Name":"Tom"}]},{"FirstName":"Roberto","Pet":[{"Name":"Kit"}]}]}',
        ],
      ],
    );
  });

  test("options, types, and JSON inside JSON", async () => {
    assert.deepEqual(
      await sql.rows(`SELECT CAST(1 AS bit) AS b, CAST(1.50 AS decimal(5,2)) AS d, CAST(5.0885 AS money) AS m, CAST(1.5 AS float) AS f,
          CAST('2015-10-01T10:20:30.5' AS datetime2(7)) AS t, CAST('2015-10-01T00:00:00+00:00' AS datetimeoffset(0)) AS o, 0x0102 AS x, N'a/"' AS s, CAST(NULL AS int) AS n,
          (SELECT Name FROM Pet WHERE Owner = 1 FOR JSON PATH) AS pets, JSON_QUERY('[1]') AS q, '[1]' AS r
        FOR JSON PATH, INCLUDE_NULL_VALUES, WITHOUT_ARRAY_WRAPPER`),
      [
        [
          '{"b":true,"d":1.50,"m":5.0885,"f":1.500000000000000e+000,"t":"2015-10-01T10:20:30.5","o":"2015-10-01T00:00:00Z","x":"AQI=","s":"a\\/\\"","n":null,"pets":[{"Name":"Rex"},{"Name":"Tom"}],"q":[1],"r":"[1]"}',
        ],
      ],
    );
    assert.equal(await sql.error("SELECT 1 AS a FOR JSON PATH, ROOT, WITHOUT_ARRAY_WRAPPER"), 13620);
    assert.deepEqual(await sql.rows("SELECT (SELECT Name FROM Pet WHERE Owner = 99 FOR JSON PATH)"), [[null]]);
  });

  test("a long text comes in rows of 2033 characters to the client, in one piece elsewhere", async () => {
    const query = "SELECT value AS v FROM GENERATE_SERIES(1, 1000) FOR JSON PATH";
    const rows = (await sql.rows(query)) as string[][];
    assert.ok(rows.length > 1);
    assert.equal(rows[0]![0]!.length, 2033);
    assert.equal((JSON.parse(rows.flat().join("")) as unknown[]).length, 1000);
    assert.deepEqual(await sql.rows(`SELECT LEN((${query}))`), [[BigInt(rows.flat().join("").length)]]);
  });
});
