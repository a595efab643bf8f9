/** The tables that benchmarks read: their columns, and rows of values in T-SQL. */
import { FIRST, LAST } from "../src/demo/names.ts";

export interface Shape {
  name: string;
  description: string;
  /** The columns of CREATE TABLE. */
  columns: string;
  /** The values of row n, from 0. */
  values(n: number): string[];
}

const CITY = ["Praha", "Zürich", "Göteborg", "København", "Lisboa", "Rennes", "Wien"];
const STATUS = ["open", "paid", "packed", "shipped", "returned"];

/** 19 columns of many types, some of them NULL: about 485 bytes of JSON. */
const orders: Shape = {
  name: "orders",
  description: "19 columns",
  columns: `
    id int NOT NULL PRIMARY KEY, customer_id bigint, order_no varchar(20), status nvarchar(20), quantity smallint,
    price decimal(18, 4), discount decimal(9, 2), total money, weight float, express bit NOT NULL, tag uniqueidentifier,
    first_name nvarchar(40), last_name nvarchar(40), city varchar(40), notes nvarchar(200), placed datetime2(7), shipped datetime2(3),
    changed datetimeoffset(7), signature varbinary(32)`,
  values: (n) => [
    `${n + 1}`,
    `${9_000_000_000 + n * 7919}`,
    `'ORD-${String(n * 37).padStart(8, "0")}'`,
    text(STATUS, n),
    n % 11 === 0 ? "NULL" : `${n % 300}`,
    `${(n * 7919) % 100_000}.${String((n * 104_729) % 10_000).padStart(4, "0")}`,
    n % 3 === 0 ? "NULL" : `${n % 90}.${String(n % 100).padStart(2, "0")}`,
    `${n % 2 === 0 ? "-" : ""}${(n * 31) % 90_000}.${String((n * 17) % 10_000).padStart(4, "0")}`,
    `${(n % 1000) / 8}e0`,
    `${n % 2}`,
    `'${hex(n, 8)}-1234-4${hex(n, 3)}-A${hex(n, 3)}-${hex(n * 7, 12)}'`,
    text(FIRST, n),
    n % 7 === 0 ? "NULL" : text(LAST, n),
    `'${CITY[n % CITY.length]}'`,
    n % 5 === 0 ? "NULL" : `N'Leave it at the door, please; ring ${n % 4} times ✓'`,
    `'2026-${two(1 + (n % 12))}-${two(1 + (n % 28))}T${two(n % 24)}:${two(n % 60)}:${two((n * 7) % 60)}.${digits(n, 7)}'`,
    n % 4 === 0 ? "NULL" : `'2026-${two(1 + (n % 12))}-${two(1 + (n % 28))}T12:${two(n % 60)}:00.${digits(n, 3)}'`,
    `'2026-06-${two(1 + (n % 28))}T${two(n % 24)}:00:${two(n % 60)}.${digits(n, 7)} +0${n % 10}:30'`,
    n % 6 === 0 ? "NULL" : `0x${hex(n * 2_654_435, 16)}${hex(n, 16)}`,
  ],
};

/** 4 columns. */
const narrow: Shape = {
  name: "narrow",
  description: "4 columns",
  columns: "id int NOT NULL PRIMARY KEY, name nvarchar(30), amount decimal(18, 2), at datetime2(3)",
  values: (n) => [
    `${n + 1}`,
    n % 10 === 0 ? "NULL" : text(LAST, n),
    `${n * 3}.${two(n % 100)}`,
    `'2026-01-${two(1 + (n % 28))}T00:${two(n % 60)}:00.${digits(n, 3)}'`,
  ],
};

/** 60 columns: about 1.4 KB of JSON. */
const wide: Shape = {
  name: "wide",
  description: "60 columns",
  columns: `id int NOT NULL PRIMARY KEY, ${Array.from({ length: 59 }, (_, i) => {
    const type = ["int", "nvarchar(30)", "decimal(19, 4)", "datetime2(3)", "bigint", "varchar(30)", "bit", "float"][
      i % 8
    ];
    return `column${i + 1} ${type}`;
  }).join(", ")}`,
  values: (n) => [
    `${n + 1}`,
    ...Array.from({ length: 59 }, (_, i) => {
      const m = n * 59 + i;
      if (m % 13 === 0) return "NULL";
      return [
        `${m}`,
        text(LAST, m),
        `${m}.${String(m % 10_000).padStart(4, "0")}`,
        `'2026-03-${two(1 + (m % 28))}T10:${two(m % 60)}:00.${digits(m, 3)}'`,
        `${m * 1_000_003}`,
        `'article ${m % 1000} of many'`,
        `${m % 2}`,
        `${m / 4}e0`,
      ][i % 8]!;
    }),
  ],
};

export const SHAPES: readonly Shape[] = [orders, narrow, wide];

export function shapeOf(name: string): Shape {
  const found = SHAPES.find((shape) => shape.name === name);
  if (!found) throw new Error(`no shape ${name}; there are ${SHAPES.map((shape) => shape.name).join(", ")}`);
  return found;
}

/** CREATE TABLE of dbo.<name>. */
export function createTable({ columns }: Shape, name: string): string {
  return `CREATE TABLE dbo.${name} (${columns})`;
}

/** Statements that insert so many rows into dbo.<name>. */
export function insertRows({ values }: Shape, name: string, count: number): string {
  const rows = Array.from({ length: count }, (_, n) => `(${values(n).join(", ")})`);
  const statements: string[] = [];
  // A statement takes up to 1000 rows.
  for (let i = 0; i < count; i += 1000)
    statements.push(`INSERT INTO dbo.${name} VALUES ${rows.slice(i, i + 1000).join(",\n")};`);
  return statements.join("\n");
}

function text(choices: readonly string[], n: number): string {
  return `N'${choices[n % choices.length]!.replaceAll("'", "''")}'`;
}

function two(n: number): string {
  return String(n).padStart(2, "0");
}

function digits(n: number, count: number): string {
  return String((n * 7_654_321) % 10 ** count).padStart(count, "0");
}

function hex(n: number, length: number): string {
  return Math.floor(n).toString(16).padStart(length, "0").slice(-length).toUpperCase();
}
