import assert from "node:assert/strict";
import { test } from "node:test";
import { firstTable, maximum, readerFromStart, readToEnd, World } from "./world.ts";

/** Column definition, T-SQL of a value, JSON text of it. */
const cases: [type: string, sql: string, json: string][] = [
  ["bit", "1", "true"],
  ["tinyint", "255", "255"],
  ["smallint", "-32768", "-32768"],
  ["int", "-2147483648", "-2147483648"],
  ["bigint", "9223372036854775807", "9223372036854775807"],
  ["decimal(38, 10)", "-1234567890123456789012345678.0123456789", '"-1234567890123456789012345678.0123456789"'],
  ["numeric(18, 4)", "12.34", '"12.3400"'],
  ["decimal(5, 2)", "-0.5", '"-0.50"'],
  ["money", "922337203685477.5807", '"922337203685477.5807"'],
  ["money", "-0.5", '"-0.5000"'],
  ["smallmoney", "-214748.3648", '"-214748.3648"'],
  ["float", "0.1", "0.1"],
  ["float", "1.7976931348623157E308", "1.7976931348623157e+308"],
  ["real", "0.1", "0.1"],
  ["date", "'0001-01-01'", '"0001-01-01"'],
  ["date", "'9999-12-31'", '"9999-12-31"'],
  ["time(7)", "'23:59:59.9999999'", '"23:59:59.9999999"'],
  ["time(0)", "'10:11:12'", '"10:11:12"'],
  ["time(3)", "'10:11:12.120'", '"10:11:12.120"'],
  ["datetime", "'2026-11-21T10:11:12.123'", '"2026-11-21T10:11:12.123"'],
  ["datetime", "'2026-11-21T10:11:12.997'", '"2026-11-21T10:11:12.997"'],
  ["smalldatetime", "'2026-11-21T10:11:00'", '"2026-11-21T10:11:00"'],
  ["datetime2(7)", "'0001-01-01T00:00:00.0000001'", '"0001-01-01T00:00:00.0000001"'],
  ["datetime2(0)", "'2026-11-21T10:11:12'", '"2026-11-21T10:11:12"'],
  ["datetime2(3)", "'2026-11-21T10:11:12'", '"2026-11-21T10:11:12.000"'],
  ["datetimeoffset(7)", "'2026-11-21T12:11:12.1234567+02:00'", '"2026-11-21T12:11:12.1234567+02:00"'],
  ["datetimeoffset(0)", "'2026-11-21T12:11:12-05:30'", '"2026-11-21T12:11:12-05:30"'],
  ["char(5)", "'ab'", '"ab   "'],
  ["varchar(20)", "'Käse €'", '"Käse €"'],
  ["varchar(max)", "'x'", '"x"'],
  ["nchar(3)", "N'ü'", '"ü  "'],
  ["nvarchar(20)", "N'ünïcødé 😀'", '"ünïcødé 😀"'],
  ["nvarchar(20)", "NCHAR(55357)", '"\\ud83d"'],
  ["nvarchar(20)", "N'\"\\'", '"\\"\\\\"'],
  ["xml", "N'<a b=\"1\">x</a>'", '"<a b=\\"1\\">x</a>"'],
  ["uniqueidentifier", "'49fbedad-37b6-4870-bce3-3f713f46bcf5'", '"49FBEDAD-37B6-4870-BCE3-3F713F46BCF5"'],
  ["binary(4)", "0x000102", '"AAECAA=="'],
  ["varbinary(max)", "0x00FF", '"AP8="'],
  ["text", "'text'", '"text"'],
  ["ntext", "N'ntext ü'", '"ntext ü"'],
  ["image", "0x0001", '"AAE="'],
];

test("every type's edge values arrive digit for digit", async () => {
  await using world = await World.open();
  const columns = cases.map(([type], index) => `c${index} ${type} NULL`);
  await world.sql(`CREATE TABLE dbo.Wide (id int NOT NULL PRIMARY KEY, ${columns.join(", ")})`);
  await world.capture("Wide");
  await world.sql(`INSERT INTO Wide VALUES (1, ${cases.map(([, sql]) => sql).join(", ")})`);
  await world.sql("INSERT INTO Wide (id) VALUES (2)");
  const source = world.source(["Wide"]);
  const { messages } = await readToEnd(await readerFromStart(source, await firstTable(source)), await maximum(source));
  const [full, empty] = messages.map(({ body }) => body.toString());
  for (const [index, [type, sql, json]] of cases.entries()) {
    const member = `"c${index}":${json}`;
    assert.ok(full!.includes(`${member},`) || full!.includes(`${member}}`), `${type} ${sql}: ${member} in ${full}`);
  }
  assert.deepEqual(new Set(Object.values(JSON.parse(empty!).data)), new Set([2, null]));
});

test("the settings for decimals, bigints and binary, and the older look in which every value is a string", async () => {
  await using world = await World.open();
  await world.sql(
    "CREATE TABLE dbo.V (id int NOT NULL PRIMARY KEY, d decimal(10, 4) NULL, b bigint NULL, x varbinary(4) NULL, f bit NULL, n int NULL)",
  );
  await world.capture("V");
  await world.sql("INSERT INTO V VALUES (1, 12.34, 9007199254740993, 0x0001, 1, NULL)");
  const read = async (values: Parameters<World["source"]>[1]) => {
    const source = world.source(["V"], values);
    const { messages } = await readToEnd(
      await readerFromStart(source, await firstTable(source)),
      await maximum(source),
    );
    return /"data":(\{.*?\})/.exec(messages[0]!.body.toString())![1];
  };
  assert.equal(
    await read({ values: { decimals: "number", bigints: "string", binary: "hex" } }),
    '{"id":1,"d":12.3400,"b":"9007199254740993","x":"0001","f":true,"n":null}',
  );
  assert.equal(
    await read({ values: { values: "string" } }),
    '{"id":"1","d":"12.3400","b":"9007199254740993","x":"AAE=","f":"true","n":null}',
  );
});

test("a server that is not in UTC: commit times in UTC, by its time zone where it names it, else by its clock", async () => {
  for (const [version, expected] of [
    ["16.0.4175.1", "2026-07-01T10:00:0"],
    ["13.0.5026.0", "2026-07-01T10:00:0"],
  ] as const) {
    let now = Date.parse("2026-07-01T10:00:00Z");
    await using world = await World.open({ timeZone: "Europe/Berlin", version, clock: () => new Date(now++) });
    await world.persons();
    await world.sql("INSERT INTO Persons VALUES (1, N'a', NULL)");
    const source = world.source(["Persons"]);
    const { messages, checkpoint } = await readToEnd(
      await readerFromStart(source, await firstTable(source)),
      await maximum(source),
    );
    const { metadata } = JSON.parse(messages[0]!.body.toString());
    assert.ok(metadata.CommitTime.startsWith(expected), `${version}: ${metadata.CommitTime}`);
    assert.match(checkpoint.commitTime!, /^2026-07-01T12:00:0/);
  }
});

test("text in the code page of its column", async () => {
  await using world = await World.open();
  await world.sql(
    "CREATE TABLE dbo.C (id int NOT NULL PRIMARY KEY, l varchar(20) COLLATE Latin1_General_CI_AS NULL, " +
      "g varchar(20) COLLATE Cyrillic_General_CI_AS NULL, j varchar(20) COLLATE Japanese_CI_AS NULL, " +
      "u varchar(20) COLLATE Latin1_General_100_CI_AS_SC_UTF8 NULL)",
  );
  await world.capture("C");
  await world.sql("INSERT INTO C VALUES (1, N'Käse', N'Сыр', N'チーズ', N'チーズ 😀')");
  const source = world.source(["C"]);
  const { messages } = await readToEnd(await readerFromStart(source, await firstTable(source)), await maximum(source));
  assert.deepEqual(JSON.parse(messages[0]!.body.toString()).data, {
    id: 1,
    l: "Käse",
    g: "Сыр",
    j: "チーズ",
    u: "チーズ 😀",
  });
});

test("a sql_variant arrives as its base type", async () => {
  const variants: [sql: string, json: unknown][] = [
    ["CONVERT(bit, 1)", true],
    ["CONVERT(tinyint, 255)", 255],
    ["42", 42],
    ["CONVERT(decimal(10, 4), 12.34)", "12.3400"],
    ["CONVERT(money, -0.5)", "-0.5000"],
    ["CONVERT(float, 0.1)", 0.1],
    ["CONVERT(real, 0.1)", 0.1],
    ["CONVERT(date, '2026-11-21')", "2026-11-21"],
    ["CONVERT(time(2), '10:11:12.12')", "10:11:12.12"],
    ["CONVERT(datetime, '2026-11-21T10:11:12.123')", "2026-11-21T10:11:12.123"],
    ["CONVERT(smalldatetime, '2026-11-21T10:11:00')", "2026-11-21T10:11:00"],
    ["CONVERT(datetime2(0), '2026-11-21T10:11:12')", "2026-11-21T10:11:12"],
    ["CONVERT(datetimeoffset(3), '2026-11-21T12:11:12.123+02:00')", "2026-11-21T12:11:12.123+02:00"],
    ["N'ü'", "ü"],
    ["'x'", "x"],
    ["0x0001FF", "AAH/"],
    ["CONVERT(uniqueidentifier, '49fbedad-37b6-4870-bce3-3f713f46bcf5')", "49FBEDAD-37B6-4870-BCE3-3F713F46BCF5"],
    ["NULL", null],
  ];
  await using world = await World.open();
  await world.sql("CREATE TABLE dbo.V (id int NOT NULL PRIMARY KEY, v sql_variant NULL)");
  await world.capture("V");
  for (const [index, [sql]] of variants.entries()) await world.sql(`INSERT INTO V VALUES (${index}, ${sql})`);
  const source = world.source(["V"]);
  const { messages } = await readToEnd(await readerFromStart(source, await firstTable(source)), await maximum(source));
  const arrived = messages.map(({ body }) => JSON.parse(body.toString()).data.v);
  assert.deepEqual(
    arrived,
    variants.map(([, json]) => json),
  );
});
