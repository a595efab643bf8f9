/** JSON and XML in queries. What is expected is what the pages on FOR JSON, OPENJSON, FOR XML and the xml methods say. */
import type { Scenario } from "../scenario.ts";
import { fails, rows, run } from "./steps.ts";

const pets = [
  run("CREATE TABLE dbo.owner (id int NOT NULL PRIMARY KEY, name nvarchar(20) NOT NULL)"),
  run("CREATE TABLE dbo.pet (owner int NOT NULL, name nvarchar(20) NOT NULL, legs int NULL)"),
  run("INSERT INTO dbo.owner VALUES (1, N'Ann'), (2, N'Bo & Co')"),
  run("INSERT INTO dbo.pet VALUES (1, N'Rex', 4), (1, N'Tom', NULL), (2, N'Kit', 4)"),
];

export const documents: Scenario[] = [
  {
    name: "writes rows as JSON",
    steps: [
      ...pets,
      rows(
        "SELECT id, name AS [info.name] FROM dbo.owner ORDER BY id FOR JSON PATH",
        [['[{"id":1,"info":{"name":"Ann"}},{"id":2,"info":{"name":"Bo & Co"}}]']],
        ["nvarchar(max)"],
      ),
      rows(
        "SELECT name, legs FROM dbo.pet WHERE owner = 1 ORDER BY name FOR JSON PATH, ROOT('pets'), INCLUDE_NULL_VALUES",
        [['{"pets":[{"name":"Rex","legs":4},{"name":"Tom","legs":null}]}']],
      ),
      rows(
        "SELECT o.name, p.name FROM dbo.owner o JOIN dbo.pet p ON p.owner = o.id ORDER BY o.id, p.name FOR JSON AUTO",
        [['[{"name":"Ann","p":[{"name":"Rex"},{"name":"Tom"}]},{"name":"Bo & Co","p":[{"name":"Kit"}]}]']],
      ),
    ],
  },
  {
    name: "reads JSON",
    steps: [
      rows(
        `SELECT JSON_VALUE('{"a":{"b":[1,"x"]}}', '$.a.b[1]'), JSON_QUERY('{"a":{"b":[1,"x"]}}', '$.a.b'), ISJSON('{}'), JSON_MODIFY('{"a":1}', '$.b', 'c')`,
        [["x", '[1,"x"]', 1, '{"a":1,"b":"c"}']],
      ),
      rows(`SELECT [key], value, type FROM OPENJSON('{"a":1,"b":"x","c":null,"d":[true]}')`, [
        ["a", "1", 2],
        ["b", "x", 1],
        ["c", null, 0],
        ["d", "[true]", 4],
      ]),
      rows(
        `SELECT * FROM OPENJSON('[{"id":2,"info":{"name":"John"}},{"id":5}]') WITH (id int '$.id', name nvarchar(50) '$.info.name')`,
        [
          [2, "John"],
          [5, null],
        ],
        ["int", "nvarchar(50)"],
      ),
      fails(`SELECT JSON_VALUE('{"a":1}', 'strict $.b')`, 13608),
    ],
  },
  {
    name: "writes rows as XML",
    steps: [
      ...pets,
      rows("SELECT id, name FROM dbo.owner ORDER BY id FOR XML RAW", [
        ['<row id="1" name="Ann"/><row id="2" name="Bo &amp; Co"/>'],
      ]),
      rows(
        "SELECT o.name, p.name FROM dbo.owner o JOIN dbo.pet p ON p.owner = o.id WHERE o.id = 1 ORDER BY p.name FOR XML AUTO, ROOT('all')",
        [['<all><o name="Ann"><p name="Rex"/><p name="Tom"/></o></all>']],
      ),
      rows("SELECT name AS '@name', legs FROM dbo.pet ORDER BY name FOR XML PATH('pet')", [
        ['<pet name="Kit"><legs>4</legs></pet><pet name="Rex"><legs>4</legs></pet><pet name="Tom"/>'],
      ]),
      rows(
        "SELECT STUFF((SELECT ',' + name FROM dbo.owner ORDER BY id FOR XML PATH(''), TYPE).value('.', 'nvarchar(max)'), 1, 1, '')",
        [["Ann,Bo & Co"]],
        ["nvarchar(max)"],
      ),
    ],
  },
  {
    name: "asks XML for its parts",
    steps: [
      rows(
        `DECLARE @x xml = '<r><i n="1">a</i><i n="2">b</i></r>';
         SELECT @x.value('(/r/i/@n)[2]', 'int'), @x.exist('/r/i[. = "a"]'), @x.value('count(//i)', 'int'), CAST(@x.query('/r/i[1]') AS nvarchar(50))`,
        [[2, "1", 2, '<i n="1">a</i>']],
        ["int", "bit", "int", "nvarchar(50)"],
      ),
      rows(
        `DECLARE @x xml = '<r><i n="1">a</i><i n="2">b</i></r>';
         SELECT t.c.value('@n', 'int'), t.c.value('.', 'varchar(5)') FROM @x.nodes('/r/i') AS t(c)`,
        [
          [1, "a"],
          [2, "b"],
        ],
      ),
      fails("DECLARE @x xml = '<a/>'; SELECT @x.value('/a', 'int')", 2389),
      fails("SELECT CAST('<a></b>' AS xml)", 9436),
    ],
  },
];
