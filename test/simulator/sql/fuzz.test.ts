import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RESERVED } from "../../../simulator/sql/keywords.ts";
import { parseBatch, SqlSyntaxError } from "../../../simulator/sql/parser.ts";

/** A text has a tree or a syntax error with a line of its own, and nothing else. */
function parses(text: string): void {
  try {
    parseBatch(text);
  } catch (error) {
    assert.ok(error instanceof SqlSyntaxError, `${error instanceof Error ? error.stack : error}\nfrom: ${text}`);
    assert.ok(error.line >= 1 && error.line <= text.split("\n").length, `line ${error.line} of: ${text}`);
  }
}

const WORDS = [
  ...RESERVED,
  ..."a t dbo [b c] \"d\" #t @x @@rowcount 1 2.5 1e3 0xAB $1 'x' N'y' x: \n -- /* */ ? COUNT MAX CAST IIF DATEPART TRIM".split(
    " ",
  ),
  ..."TRY CATCH MATCHED USING OUTPUT inserted APPLY ROWS OFFSET PARTITION PRECEDING TIME ZONE NOLOCK XML PATH THROW".split(
    " ",
  ),
  ..."ISOLATION LEVEL DELAY MEMBER INCLUDE MASKED fn ts call VALUES PERSISTED".split(" "),
];
const SYMBOLS = "( ) ( ) , ; . * + - / % & | ^ ~ = <> <= >= != += :: : { }".split(" ");

const soup = fc
  .array(fc.oneof(fc.constantFrom(...WORDS), fc.constantFrom(...SYMBOLS)), { maxLength: 40 })
  .map((tokens) => tokens.join(" "));

test("random tokens", () => {
  fc.assert(fc.property(soup, parses), { numRuns: 3000 });
});

test("random characters", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 60 }), parses), { numRuns: 500 });
});

const WHOLE = [
  "WITH c (a) AS (SELECT 1) SELECT TOP (1) a, COUNT(*) OVER (ORDER BY a ROWS 1 PRECEDING) FROM c JOIN t x WITH (NOLOCK) ON c.a = x.a WHERE (a IN (1) OR b LIKE 'x') GROUP BY a ORDER BY 1 OFFSET 1 ROWS OPTION (RECOMPILE)",
  "MERGE INTO t AS x USING (VALUES (1)) s (a) ON x.a = s.a WHEN NOT MATCHED THEN INSERT (a) VALUES (DEFAULT) WHEN MATCHED THEN UPDATE SET a += 1 OUTPUT $action INTO @o (a);",
  "CREATE TABLE dbo.t (a int IDENTITY(1,1) NOT NULL CONSTRAINT pk PRIMARY KEY CLUSTERED (a) WITH (PAD_INDEX = ON), b AS (a + 1), CHECK (a > 0), FOREIGN KEY (a) REFERENCES u (a) ON DELETE CASCADE) ON [PRIMARY]",
  "BEGIN TRY DECLARE @t TABLE (a int), @x int = 1 EXEC @x = p @a = 1 OUTPUT, DEFAULT; END TRY BEGIN CATCH IF @x > 1 ROLLBACK TRAN ELSE THROW END CATCH",
  "ALTER TABLE t DROP CONSTRAINT IF EXISTS a, COLUMN b GRANT SELECT (a) ON OBJECT::dbo.t TO public {? = call p(?, {ts '2020-01-01'})} DECLARE c CURSOR FOR SELECT 1 FOR READ ONLY FETCH NEXT FROM c INTO @x",
];

test("statements with a token dropped, doubled, replaced or cut off", () => {
  const mutation = fc.record({
    text: fc.constantFrom(...WHOLE),
    at: fc.nat(200),
    how: fc.constantFrom("drop", "double", "replace", "cut"),
    other: fc.constantFrom(...WORDS, ...SYMBOLS),
  });
  fc.assert(
    fc.property(mutation, ({ text, at, how, other }) => {
      const tokens = text.split(/(?<=[\s(),])|(?=[(),])/);
      const place = at % tokens.length;
      const put = { drop: [], double: [tokens[place]!, tokens[place]!], replace: [` ${other} `], cut: [] }[how];
      tokens.splice(place, how === "cut" ? tokens.length : 1, ...put);
      parses(tokens.join(""));
    }),
    { numRuns: 3000 },
  );
});

test("the whole statements themselves have trees", () => {
  for (const text of WHOLE) assert.ok(parseBatch(text).length > 0);
});
