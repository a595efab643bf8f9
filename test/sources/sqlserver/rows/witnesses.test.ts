/**
 * The same rows of one change table, read by dstream and by clients that nobody here wrote: what each shows of a value, as
 * text, is what stands in our message. Limits of the clients themselves are stated with them (test/simulator-conformance).
 */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { baseOf, type Client, reads } from "../../../simulator-conformance/client.ts";
import { goMssqldb } from "../../../simulator-conformance/clients/go-mssqldb.ts";
import { mssqlJdbc } from "../../../simulator-conformance/clients/mssql-jdbc.ts";
import { tedious } from "../../../simulator-conformance/clients/tedious.ts";
import { compare } from "../../../simulator-conformance/compare.ts";
import { type MissingTool, skipped } from "../../../simulator-conformance/suite.ts";
import { go, java } from "../../../simulator-conformance/tools.ts";
import { firstTable, maximum, readerFromStart, readToEnd, World } from "../world.ts";
import { charactersOf } from "./code-page-tables.ts";
import { Random } from "./random.ts";

/** T-SQL literals. */
type Literal = (random: Random) => string;

const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;
const integer =
  (least: bigint, most: bigint): Literal =>
  (random) => {
    const edge = random.below(8);
    if (edge < 3) return String([least, most, 0n][edge]!);
    return String(least + random.edgy(most - least + 1n));
  };
const decimal =
  (precision: number, scale: number): Literal =>
  (random) => {
    const digits = String(random.edgy(10n ** BigInt(precision))).padStart(scale + 1, "0");
    const point = digits.length - scale;
    return `${random.chance(0.5) ? "-" : ""}${digits.slice(0, point)}.${digits.slice(point)}`;
  };
const money =
  (most: bigint): Literal =>
  (random) => {
    const text = integer(-most, most)(random);
    const digits = text.replace("-", "").padStart(5, "0");
    return `${text.startsWith("-") ? "-" : ""}${digits.slice(0, -4)}.${digits.slice(-4)}`;
  };
const float: Literal = (random) => {
  const bytes = random.bytes(8);
  const value = bytes.readDoubleLE();
  const some = random.pick([value, value, random.between(-99_999, 99_999) / 100, 5e-324, 1.7976931348623157e308, 0]);
  return Number.isFinite(some) ? some.toExponential() : "0E0";
};
const real: Literal = (random) => {
  const value = random.bytes(4).readFloatLE();
  const some = random.pick([
    value,
    value,
    random.between(-99_999, 99_999) / 100,
    3.4028234663852886e38,
    1.1754943508222875e-38,
    0,
  ]);
  return Math.abs(some) > 1.2e-38 ? some.toExponential() : "0E0";
};
const day =
  (least: string, most: string): Literal =>
  (random) => {
    const [from, to] = [Date.parse(least), Date.parse(most)];
    const days = Math.round((to - from) / 86_400_000);
    const at = random.chance(0.1) ? random.pick([0, days]) : random.below(days + 1);
    return new Date(from + at * 86_400_000).toISOString().slice(0, 10);
  };
const clock =
  (scale: number): Literal =>
  (random) => {
    const units = random.edgy(86_400n * 10n ** BigInt(scale));
    const seconds = new Date(Number(units / 10n ** BigInt(scale)) * 1000).toISOString().slice(11, 19);
    return scale === 0 ? seconds : `${seconds}.${String(units % 10n ** BigInt(scale)).padStart(scale, "0")}`;
  };
const dateTime =
  (least: string, most: string, scale: number): Literal =>
  (random) =>
    quoted(`${day(least, most)(random)}T${clock(scale)(random)}`);
const dateTimeOffset =
  (scale: number): Literal =>
  (random) => {
    // From the Gregorian reform on: Java counts days before it by another calendar.
    const minutes = random.chance(0.2) ? random.pick([-840, 840, 0]) : random.between(-840, 840);
    const zone = new Date(Math.abs(minutes) * 60_000).toISOString().slice(11, 16);
    return quoted(
      `${day("1600-01-02", "9999-12-30")(random)}T${clock(scale)(random)}${minutes < 0 ? "-" : "+"}${zone}`,
    );
  };
const hex =
  (least: number, most: number): Literal =>
  (random) =>
    `0x${random.bytes(random.between(least, most)).toString("hex")}`;
const guid: Literal = (random) => {
  const digits = random.bytes(16).toString("hex");
  return quoted(digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"));
};

const PLAIN = [..." abcXYZ019'\"\\/<>&\t\n"];
const BEYOND = [..."äßéłßЖяΩ中文字€‰", "😀", "𝄞", "\ufeff", "\u2028", "\u00ad"];
function words(random: Random, from: readonly string[], most: number): string {
  let text = "";
  for (let length = random.below(most + 1); length > 0; length--) text += random.pick(from);
  return text;
}
const national =
  (most: number): Literal =>
  (random) =>
    `N${quoted(words(random, [...PLAIN, ...BEYOND], most))}`;
/** Of the characters that a code page has beyond its controls; no byte order mark, which tedious takes from the front of UTF-8. */
const ofPage = (page: number, most: number): Literal => {
  const letters = (charactersOf(page) ?? [...PLAIN, ...BEYOND]).filter(
    (character) => character >= " " && !/[\x7f-\x9f\ufeff]/.test(character),
  );
  return (random) => `N${quoted(words(random, letters, most))}`;
};

interface Column {
  type: string;
  definition?: string;
  literal: Literal;
}

const columns: Column[] = [
  { type: "bit", literal: integer(0n, 1n) },
  { type: "tinyint", literal: integer(0n, 255n) },
  { type: "smallint", literal: integer(-(2n ** 15n), 2n ** 15n - 1n) },
  { type: "int", literal: integer(-(2n ** 31n), 2n ** 31n - 1n) },
  { type: "bigint", literal: integer(-(2n ** 63n), 2n ** 63n - 1n) },
  { type: "decimal(5,2)", literal: decimal(5, 2) },
  { type: "decimal(9,9)", literal: decimal(9, 9) },
  { type: "decimal(18,4)", literal: decimal(18, 4) },
  { type: "decimal(28,10)", literal: decimal(28, 10) },
  { type: "decimal(38,20)", literal: decimal(38, 20) },
  { type: "numeric(38,0)", literal: (random) => decimal(38, 0)(random).replace(".", "") },
  { type: "money", literal: money(2n ** 63n - 1n) },
  { type: "smallmoney", literal: money(2n ** 31n - 1n) },
  { type: "float", literal: float },
  { type: "real", literal: real },
  { type: "date", literal: (random) => quoted(day("0001-01-01", "9999-12-31")(random)) },
  ...[0, 3, 7].map((scale) => ({ type: `time(${scale})`, literal: (random: Random) => quoted(clock(scale)(random)) })),
  { type: "datetime", literal: dateTime("1753-01-01", "9999-12-30", 3) },
  { type: "smalldatetime", literal: dateTime("1900-01-01", "2079-06-05", 0) },
  ...[0, 2, 4, 7].map((scale) => ({
    type: `datetime2(${scale})`,
    literal: dateTime("0001-01-01", "9999-12-31", scale),
  })),
  ...[0, 3, 7].map((scale) => ({ type: `datetimeoffset(${scale})`, literal: dateTimeOffset(scale) })),
  { type: "nchar(8)", literal: (random) => `N${quoted(words(random, PLAIN, 8))}` },
  { type: "nvarchar(60)", literal: national(30) },
  { type: "nvarchar(max)", literal: national(60) },
  { type: "ntext", literal: national(20) },
  ...(
    [
      ["Latin1_General_CI_AS", 1252],
      ["Polish_CI_AS", 1250],
      ["Cyrillic_General_CI_AS", 1251],
      ["Turkish_CI_AS", 1254],
      ["Arabic_CI_AS", 1256],
      ["Latin1_General_100_CI_AS_SC_UTF8", 65001],
    ] as const
  ).map(([collation, page]) => ({
    type: "varchar(80)",
    definition: `varchar(80) COLLATE ${collation}`,
    literal: ofPage(page, 20),
  })),
  { type: "char(12)", literal: ofPage(1252, 12) },
  { type: "varchar(max)", literal: ofPage(1252, 60) },
  { type: "text", literal: ofPage(1252, 20) },
  { type: "uniqueidentifier", literal: guid },
  { type: "binary(8)", literal: hex(8, 8) },
  { type: "varbinary(20)", literal: hex(0, 20) },
  { type: "varbinary(max)", literal: hex(0, 60) },
  { type: "image", literal: hex(0, 20) },
  {
    type: "xml",
    literal: (random) => `N'<a b="${random.below(100)}">${words(random, ["x", "ü", "&amp;", "😀"], 8)}</a>'`,
  },
];

const ROWS = 1_000;

const seed = Date.now() % 2 ** 31;

describe(`clients that nobody here wrote see the values that are in our messages (seed ${seed})`, () => {
  let world: World;
  let expected: (string | null)[][];
  const folder = mkdtempSync(join(tmpdir(), "dstream-witnesses-"));
  const certificate = join(folder, "server.pem");
  before(async () => {
    world = await World.open();
    writeFileSync(certificate, world.simulator.server.certificate.cert);
    const definitions = columns.map(({ type, definition = type }, index) => `c${index} ${definition} NULL`);
    await world.sql(`CREATE TABLE dbo.Wide (id int NOT NULL PRIMARY KEY, ${definitions.join(", ")})`);
    await world.capture("Wide");
    const random = new Random(seed);
    for (let from = 0; from < ROWS; from += 100) {
      const rows = Array.from({ length: 100 }, (_, index) => {
        const values = columns.map(({ literal }) => (random.chance(0.05) ? "NULL" : literal(random)));
        return `(${from + index}, ${values.join(", ")})`;
      });
      await world.sql(`INSERT INTO Wide VALUES ${rows.join(", ")}`);
    }
    const source = world.source(["Wide"]);
    const { messages } = await readToEnd(
      await readerFromStart(source, await firstTable(source)),
      await maximum(source),
      400,
    );
    expected = messages.map(({ body }) => textsOf(body.toString()));
  });
  after(async () => {
    await world[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  // It makes doubles of these, and not always the nearest.
  const inexact = ["decimal(18,4)", "decimal(28,10)", "decimal(38,20)", "numeric(38,0)", "money"];
  witness("tedious", { ...tedious, cannotRead: inexact });
  witness("go-mssqldb", go.missing() ?? goMssqldb());
  const jdbc = java.missing();
  if (!jdbc && !existsSync(join(java.classes, "Conformance.class"))) java.build();
  witness("mssql-jdbc", jdbc ?? mssqlJdbc("direct"));

  function witness(name: string, found: Client | MissingTool): void {
    if (!("play" in found)) {
      skipped(name, found);
      return;
    }
    test(name, async () => {
      const { host, port, password } = world.simulator;
      const target = { host, port, user: "sa", password, database: "TestDB", certificate };
      const shown = columns.flatMap(({ type }, index) => (reads(found, type) ? [index] : []));
      const names = shown.map((index) => `c${index}`);
      const sql = `SELECT ${names.join(", ")} FROM cdc.dbo_Wide_CT WHERE __$operation = 2 ORDER BY id`;
      const types = shown.map((index) => columns[index]!.type);
      const rows = expected.map((row) => shown.map((index) => row[index]!));
      const scenario = { name, steps: [{ do: "batch" as const, sql, expect: { sets: [{ types, rows }] } }] };
      const encryption = found.encryptions.includes("none") ? "none" : "login";
      try {
        compare(scenario, await found.play(scenario, { ...target, encryption }), found);
      } finally {
        await found.close();
      }
    });
  }
});

/** The values of a message's data as the clients' texts have them: bits as 1 and 0, bytes as 0x00FF, numbers with all digits. */
function textsOf(body: string): (string | null)[] {
  const sources = new Map<string, string>();
  const { data } = JSON.parse(body, ((key: string, value: unknown, { source }: { source?: string }) => {
    if (source !== undefined && /^c\d+$/.test(key)) sources.set(key, source);
    return value;
  }) as (key: string, value: unknown) => unknown) as { data: Record<string, unknown> };
  return columns.map(({ type }, index) => {
    const value = data[`c${index}`];
    assert.notEqual(value, undefined, `c${index} in ${body}`);
    if (value === null) return null;
    if (typeof value === "boolean") return value ? "1" : "0";
    if (typeof value === "number") return sources.get(`c${index}`)!;
    const isBinary = ["binary", "varbinary", "image"].includes(baseOf(type));
    return isBinary ? `0x${Buffer.from(String(value), "base64").toString("hex").toUpperCase()}` : String(value);
  });
}
