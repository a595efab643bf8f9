/** FOR XML, and the methods of the xml type. https://learn.microsoft.com/sql/relational-databases/xml/xml-data-sql-server */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { type Client, start } from "../client.ts";

let sql: Client;
before(async () => {
  ({ sql } = await start());
  await sql.run(`CREATE TABLE ProductModel (ProductModelID int PRIMARY KEY, Name nvarchar(50), Price money NULL);
    INSERT ProductModel VALUES (122, N'All-Purpose Bike Stand', 159), (119, N'Bike Wash', NULL);
    CREATE TABLE Part (ModelID int, Part nvarchar(20)); INSERT Part VALUES (119, N'cap'), (119, N'can'), (122, N'leg')`);
});

const text = async (query: string) => (await sql.rows(query)).flat().join("");

describe("FOR XML", () => {
  test("the examples of the PATH pages", async () => {
    // https://learn.microsoft.com/sql/relational-databases/xml/examples-using-path-mode
    assert.equal(
      await text("SELECT ProductModelID, Name FROM ProductModel WHERE ProductModelID IN (122, 119) FOR XML PATH"),
      "<row><ProductModelID>119</ProductModelID><Name>Bike Wash</Name></row><row><ProductModelID>122</ProductModelID><Name>All-Purpose Bike Stand</Name></row>",
    );
    assert.equal(
      await text(
        "SELECT ProductModelID AS '@pmId', Name AS [text()] FROM ProductModel WHERE ProductModelID = 122 FOR XML PATH ('ProductModelData'), ROOT ('Root')",
      ),
      '<Root><ProductModelData pmId="122">All-Purpose Bike Stand</ProductModelData></Root>',
    );
    assert.equal(
      await text(
        "SELECT ProductModelID AS 'a/@id', Name AS 'a/b/name', Price AS 'a/b/price', '!' AS '*', 1 AS 'comment()' FROM ProductModel FOR XML PATH ('')",
      ),
      '<a id="119"><b><name>Bike Wash</name></b></a>!<!--1--><a id="122"><b><name>All-Purpose Bike Stand</name><price>159.0000</price></b></a>!<!--1-->',
    );
    assert.equal(
      await text("SELECT Name, Price FROM ProductModel WHERE ProductModelID = 119 FOR XML PATH, ELEMENTS XSINIL"),
      '<row xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><Name>Bike Wash</Name><Price xsi:nil="true"/></row>',
    );
    assert.equal(await text("SELECT ProductModelID AS [data()] FROM ProductModel FOR XML PATH ('')"), "119 122");
    assert.equal(await sql.error("SELECT 1 AS '@a' FOR XML PATH ('')"), 6864);
    assert.equal(await sql.error("SELECT 1 AS a, 2 AS '@b' FOR XML PATH"), 6852);
  });

  test("RAW and AUTO", async () => {
    assert.equal(
      await text("SELECT ProductModelID, Name, Price FROM ProductModel WHERE ProductModelID = 119 FOR XML RAW"),
      '<row ProductModelID="119" Name="Bike Wash"/>',
    );
    assert.equal(
      await text(
        "SELECT ProductModelID, Name FROM ProductModel WHERE ProductModelID = 119 FOR XML RAW ('ProductModel'), ROOT, ELEMENTS",
      ),
      "<root><ProductModel><ProductModelID>119</ProductModelID><Name>Bike Wash</Name></ProductModel></root>",
    );
    assert.equal(
      await text(
        "SELECT m.ProductModelID, Part FROM ProductModel m JOIN Part ON ModelID = m.ProductModelID ORDER BY 1, 2 FOR XML AUTO",
      ),
      '<m ProductModelID="119"><Part Part="can"/><Part Part="cap"/></m><m ProductModelID="122"><Part Part="leg"/></m>',
    );
    assert.equal(await sql.error("SELECT 1 FOR XML RAW"), 6809);
    assert.equal(await sql.error("SELECT 1 AS a FOR XML AUTO"), 6800);
  });

  test("a list in one string, with and without the entities", async () => {
    await sql.run("CREATE TABLE tags (t nvarchar(10)); INSERT tags VALUES (N'a<b'), (N'c&d')");
    assert.equal(
      await text("SELECT STUFF((SELECT ',' + t FROM tags ORDER BY t FOR XML PATH('')), 1, 1, '')"),
      "a&lt;b,c&amp;d",
    );
    assert.equal(
      await text(
        "SELECT STUFF((SELECT ',' + t FROM tags ORDER BY t FOR XML PATH(''), TYPE).value('.', 'nvarchar(max)'), 1, 1, '')",
      ),
      "a<b,c&d",
    );
    assert.equal(
      await text("SELECT 'x y' AS [a b], 'line' + CHAR(13) AS [1c] FOR XML PATH('r')"),
      "<r><a_x0020_b>x y</a_x0020_b><_x0031_c>line&#x0D;</_x0031_c></r>",
    );
    assert.equal(await sql.error("SELECT CHAR(1) AS a FOR XML PATH"), 6841);
    assert.deepEqual(await sql.rows("SELECT (SELECT t FROM tags WHERE 1 = 0 FOR XML PATH(''))"), [[null]]);
  });

  test("TYPE gives xml, which nests as it is", async () => {
    const { sets } = await sql.run(
      "SELECT ProductModelID AS '@id', (SELECT Part AS '*' FROM Part WHERE ModelID = ProductModelID FOR XML PATH('part'), TYPE) FROM ProductModel WHERE ProductModelID = 122 FOR XML PATH('m'), TYPE",
    );
    assert.deepEqual(
      sets[0]!.columns.map(({ name, type }) => [name, type.id]),
      [["", "xml"]],
    );
    assert.deepEqual(sets[0]!.rows, [['<m id="122"><part>leg</part></m>']]);
  });
});

describe("xml values", () => {
  test("text is parsed, and kept in SQL Server's form", async () => {
    const xml = (source: string) => sql.value(`CAST('${source}' AS xml)`);
    assert.equal(
      await xml("<?xml version=\"1.0\"?>\n<a  b=''1''>\n  <c></c>\n <d>x &amp; y</d></a>"),
      '<a b="1"><c/><d>x &amp; y</d></a>',
    );
    assert.equal(await xml("<![CDATA[a<b]]>text<e/>"), "a&lt;btext<e/>");
    assert.equal(await sql.value("CONVERT(xml, '<a> <b/> </a>', 1)"), "<a> <b/> </a>");
    assert.equal(await sql.error("SELECT CAST('<a>' AS xml)"), 9400);
    assert.equal(await sql.error("SELECT CAST('<a></b>' AS xml)"), 9436);
    assert.equal(await sql.error("SELECT CAST('<a b=1/>' AS xml)"), 9413);
    assert.equal(await sql.error('SELECT CAST(N\'<?xml version="1.0" encoding="utf-8"?><a/>\' AS xml)'), 9402);
  });

  test("the example of the value() page, and its rule of one item", async () => {
    const doc = `DECLARE @myDoc XML = '<Root>
      <ProductDescription ProductID="1" ProductName="Road Bike">
        <Features><Warranty>1 year parts and labor</Warranty><Maintenance>3 year parts and labor extended maintenance is available</Maintenance></Features>
      </ProductDescription></Root>';`;
    assert.deepEqual(
      await sql.rows(
        `${doc} DECLARE @ProdID INT; SET @ProdID = @myDoc.value('(/Root/ProductDescription/@ProductID)[1]', 'INT'); SELECT @ProdID`,
      ),
      [[1]],
    );
    assert.deepEqual(
      await sql.rows(
        `${doc} SELECT @myDoc.query('/Root/ProductDescription/Features/Warranty'), @myDoc.exist('//Warranty'), @myDoc.exist('//Nothing')`,
      ),
      [["<Warranty>1 year parts and labor</Warranty>", true, false]],
    );
    assert.equal(await sql.error(`${doc} SELECT @myDoc.value('/Root/ProductDescription/@ProductID', 'INT')`), 2389);
    assert.equal(await sql.error(`${doc} SELECT @myDoc.value('(/Root/@)[1]', 'INT')`), 2209);
    assert.equal(await sql.error("DECLARE @s varchar(10) = '<a/>'; SELECT @s.value('.', 'int')"), 258);
  });

  test("the examples of the nodes() page", async () => {
    const doc = `DECLARE @x XML = '<Root><row id="1"><name>Larry</name><oflw>some text</oflw></row><row id="2"><name>moe</name></row><row id="3"/></Root>';`;
    assert.deepEqual(await sql.rows(`${doc} SELECT T.c.query('.') AS result FROM @x.nodes('/Root/row') T(c)`), [
      ['<row id="1"><name>Larry</name><oflw>some text</oflw></row>'],
      ['<row id="2"><name>moe</name></row>'],
      ['<row id="3"/>'],
    ]);
    assert.deepEqual(
      await sql.rows(
        `${doc} SELECT COUNT(*) FROM @x.nodes('/Root/row') T(c) WHERE T.c.query('..').exist('/Root/row[@id="2"]') = 1`,
      ),
      [[3]],
    );
    assert.deepEqual(
      await sql.rows(
        `${doc} SELECT T.c.value('@id', 'int'), T.c.value('(name/text())[1]', 'varchar(10)') FROM @x.nodes('/Root/row[name]') T(c)`,
      ),
      [
        [1, "Larry"],
        [2, "moe"],
      ],
    );
    assert.equal(await sql.error(`${doc} SELECT c FROM @x.nodes('/Root/row') T(c)`), 493);
    assert.equal(await sql.error(`${doc} SELECT * FROM @x.nodes('/Root/row') T(c)`), 493);
  });

  test("a column's nodes behind CROSS APPLY, variables and columns inside a query", async () => {
    await sql.run(
      `CREATE TABLE docs (id int, x xml); INSERT docs VALUES (1, '<r><i n="1">a</i><i n="2">b</i></r>'), (2, '<r><i n="3">c</i></r>'), (3, NULL)`,
    );
    assert.deepEqual(
      await sql.rows(
        "SELECT d.id, n.c.value('@n', 'int'), n.c.value('.', 'varchar(5)') FROM docs d CROSS APPLY d.x.nodes('/r/i') AS n(c) ORDER BY 1, 2",
      ),
      [
        [1, 1, "a"],
        [1, 2, "b"],
        [2, 3, "c"],
      ],
    );
    assert.deepEqual(
      await sql.rows(`DECLARE @n int = 3; SELECT id FROM docs WHERE x.exist('/r/i[@n = sql:variable("@n")]') = 1`),
      [[2]],
    );
    assert.deepEqual(
      await sql.rows(
        `SELECT x.value('count(/r/i)', 'int'), x.value('(/r/i[last()])[1]', 'char(1)'), x.value('sum(/r/i/@n)', 'float') FROM docs WHERE id = 1`,
      ),
      [[2, "b", 3]],
    );
    assert.deepEqual(await sql.rows(`SELECT x.query('/r/i[@n > 1 and contains(., "b")]') FROM docs WHERE id = 1`), [
      ['<i n="2">b</i>'],
    ]);
    assert.deepEqual(await sql.rows("SELECT x.value('(/r/i)[1]', 'varchar(1)') FROM docs WHERE id = 3"), [[null]]);
  });

  // https://learn.microsoft.com/sql/relational-databases/xml/add-namespaces-to-queries-with-with-xmlnamespaces
  test("WITH XMLNAMESPACES declares them for FOR XML and for the methods", async () => {
    assert.equal(
      await text(
        "WITH XMLNAMESPACES ('uri' AS ns1) SELECT ProductModelID AS 'ns1:ProductID', Name AS 'ns1:Name' FROM ProductModel WHERE ProductModelID = 119 FOR XML RAW ('ns1:Prod'), ELEMENTS",
      ),
      '<ns1:Prod xmlns:ns1="uri"><ns1:ProductID>119</ns1:ProductID><ns1:Name>Bike Wash</ns1:Name></ns1:Prod>',
    );
    assert.equal(
      await text("WITH XMLNAMESPACES (DEFAULT 'urn:d'), m AS (SELECT 1 AS a) SELECT a FROM m FOR XML PATH, ROOT"),
      '<root xmlns="urn:d"><row><a>1</a></row></root>',
    );
    assert.deepEqual(
      await sql.rows(`DECLARE @x xml = '<p xmlns="urn:plan"><q n="3"/></p>';
        WITH XMLNAMESPACES (DEFAULT 'urn:plan', 'urn:plan' AS pl) SELECT @x.value('(/p/pl:q/@n)[1]', 'int'), t.c.value('@n', 'int') FROM @x.nodes('//q') t(c)`),
      [[3, 3]],
    );
  });

  test("namespaces of the prolog", async () => {
    assert.deepEqual(
      await sql.rows(`DECLARE @x xml = '<a xmlns="urn:u" xmlns:p="urn:p"><p:b>1</p:b></a>';
        SELECT @x.value('declare default element namespace "urn:u"; declare namespace q="urn:p"; (/a/q:b)[1]', 'int'), @x.value('(/*/*:b)[1]', 'int'), @x.exist('/a')`),
      [[1, 1, false]],
    );
    assert.equal(await sql.error("DECLARE @x xml = '<a/>'; SELECT @x.query('/z:a')"), 2229);
    assert.equal(await sql.error("DECLARE @x xml = '<a/>'; SELECT @x.query('for $i in /a return $i')"), 40510);
  });
});
