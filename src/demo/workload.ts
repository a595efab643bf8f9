/**
 * A reproducible workload on the demo's tables: inserts, updates, deletes, changed primary keys, statements of many rows,
 * and transactions that span tables. It knows how many changes each transaction makes (a changed key makes two: a delete
 * and an insert), so that a run ends with exactly as many as were asked for.
 */

import { FIRST, LAST } from "./names.ts";
import type { Random } from "./random.ts";

export interface DemoTransaction {
  sql: string;
  changes: number;
}

const BRANDS = ["Volvo", "Škoda", "Citroën", "Fiat", "Tesla", "Mini"];
const STATUS = ["open", "paid", "packed", "shipped", "returned"];

interface LiveTable {
  keys: number[];
  next: number;
}

export class Workload {
  readonly #random: Random;
  readonly #persons: LiveTable = { keys: [], next: 1 };
  readonly #cars: LiveTable = { keys: [], next: 1 };
  readonly #orders: LiveTable = { keys: [], next: 1 };
  #stamp = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** The next transaction, of at most `limit` changes (1 or more). */
  next(limit: number): DemoTransaction {
    const statements: DemoTransaction[] = [];
    let left = limit;
    const add = (statement: DemoTransaction | null): void => {
      if (!statement || statement.changes > left) return;
      statements.push(statement);
      left -= statement.changes;
    };
    const dice = this.#random.next();
    if (limit === 1 || this.#persons.keys.length < 20) add(this.#insertPersons(Math.min(limit, 20)));
    else if (dice < 0.3) add(this.#insertPersons(Math.min(left, this.#random.between(1, 8))));
    else if (dice < 0.45) add(this.#updatePersons());
    else if (dice < 0.53) add(this.#remove(this.#persons, "dbo.Persons", "ID"));
    else if (dice < 0.6) add(left >= 2 ? this.#changePersonKey() : null);
    else if (dice < 0.72) {
      // One transaction over all tables.
      add(this.#insertPersons(1));
      if (left > 0) add(this.#insertCars(1));
      if (left > 0) add(this.#insertOrders(1));
      if (left > 0) add(this.#updatePersons());
    } else if (dice < 0.8) add(this.#insertOrders(Math.min(left, this.#random.between(1, 4))));
    else if (dice < 0.86) add(this.#updateOrder());
    else if (dice < 0.9) add(this.#remove(this.#orders, "sales.Orders", "OrderID"));
    else if (dice < 0.95) add(this.#insertCars(Math.min(left, this.#random.between(1, 6))));
    else if (dice < 0.98) add(this.#updateManyCars(left));
    else add(this.#remove(this.#cars, "dbo.Cars", "CarID"));
    if (statements.length === 0) add(this.#insertPersons(1));
    const body = statements.map((s) => s.sql).join(";\n");
    return {
      sql: statements.length > 1 ? `BEGIN TRANSACTION;\n${body};\nCOMMIT` : body,
      changes: statements.reduce((sum, s) => sum + s.changes, 0),
    };
  }

  #takeKey(table: LiveTable): number {
    const key = table.next++;
    table.keys.push(key);
    return key;
  }

  /** Forgets a random live key and returns it; null where none lives. */
  #dropKey(table: LiveTable): number | null {
    if (table.keys.length === 0) return null;
    const at = this.#random.between(0, table.keys.length - 1);
    const key = table.keys[at]!;
    table.keys[at] = table.keys.at(-1)!;
    table.keys.pop();
    return key;
  }

  #insertPersons(count: number): DemoTransaction {
    const rows = Array.from({ length: count }, () => {
      const first = this.#random.next() < 0.1 ? "NULL" : text(this.#random.pick(FIRST));
      return `(${this.#takeKey(this.#persons)}, ${first}, ${text(this.#random.pick(LAST))})`;
    });
    return { sql: `INSERT INTO dbo.Persons (ID, FirstName, LastName) VALUES ${rows.join(", ")}`, changes: count };
  }

  #updatePersons(): DemoTransaction | null {
    if (this.#persons.keys.length === 0) return null;
    const key = this.#random.pick(this.#persons.keys);
    // The stamp makes every update a real one: SQL Server captures no update that changes nothing.
    return {
      sql: `UPDATE dbo.Persons SET LastName = ${text(`Married ${++this.#stamp}`)} WHERE ID = ${key}`,
      changes: 1,
    };
  }

  #changePersonKey(): DemoTransaction | null {
    const old = this.#dropKey(this.#persons);
    if (old === null) return null;
    return { sql: `UPDATE dbo.Persons SET ID = ${this.#takeKey(this.#persons)} WHERE ID = ${old}`, changes: 2 };
  }

  #insertCars(count: number): DemoTransaction {
    const rows = Array.from({ length: count }, () => {
      const owner = this.#persons.keys.length > 0 ? this.#random.pick(this.#persons.keys) : "NULL";
      const price = `${this.#random.between(-500, 90000)}.${String(this.#random.between(0, 9999)).padStart(4, "0")}`;
      const sold =
        this.#random.next() < 0.5
          ? "NULL"
          : `'2026-0${this.#random.between(1, 9)}-11T10:11:12.${this.#random.between(100, 999)}'`;
      return `(${this.#takeKey(this.#cars)}, ${owner}, N${quote(this.#random.pick(BRANDS))}, ${price}, ${sold})`;
    });
    return {
      sql: `INSERT INTO dbo.Cars (CarID, OwnerID, Brand, Price, Sold) VALUES ${rows.join(", ")}`,
      changes: count,
    };
  }

  /** One statement, many rows: one command id, rising seqvals. */
  #updateManyCars(limit: number): DemoTransaction | null {
    const keys = this.#cars.keys.slice(0, Math.min(limit, 200));
    if (keys.length === 0) return null;
    return {
      sql: `UPDATE dbo.Cars SET Price = Price + 1.0001 WHERE CarID IN (${keys.join(", ")})`,
      changes: keys.length,
    };
  }

  #insertOrders(count: number): DemoTransaction {
    const rows = Array.from({ length: count }, () => `(${this.#orderValues(orderKey(this.#takeKey(this.#orders)))})`);
    return {
      sql:
        "INSERT INTO sales.Orders (OrderID, Customer, Status, Quantity, Priority, Paid, Amount, Total, Fee, Weight, Ratio, " +
        "Ordered, Shipped, Due, Slot, Promised, Entered, Reference, Code, Country, Signature, Note, Extra) VALUES " +
        rows.join(", "),
      changes: count,
    };
  }

  #orderValues(key: string): string {
    const r = this.#random;
    const maybe = (value: string): string => (r.next() < 0.3 ? "NULL" : value);
    const digits = (n: number): string => Array.from({ length: n }, () => r.between(0, 9)).join("");
    const hex = (n: number): string => Array.from({ length: n }, () => r.between(0, 15).toString(16)).join("");
    const day = `20${r.between(10, 49)}-${pad(r.between(1, 12))}-${pad(r.between(1, 28))}`;
    const time = `${pad(r.between(0, 23))}:${pad(r.between(0, 59))}:${pad(r.between(0, 59))}`;
    return [
      key,
      text(`${r.pick(FIRST)} ${r.pick(LAST)}`),
      quote(r.pick(STATUS)),
      r.between(-32768, 32767),
      r.between(0, 255),
      r.between(0, 1),
      `${r.between(-99999999, 99999999)}.${digits(4)}`,
      `${r.between(-900000000, 900000000)}.${digits(4)}`,
      maybe(`${r.between(-200000, 200000)}.${digits(4)}`),
      maybe(`${r.between(-9, 9)}.${digits(15)}E${r.between(-20, 20)}`),
      maybe(`${r.between(0, 99)}.${digits(4)}`),
      quote(`${day}T${time}.${digits(7)}`),
      maybe(quote(`${day}T${time}.${digits(3)}`)),
      maybe(quote(day)),
      maybe(quote(`${time}.${digits(3)}`)),
      maybe(quote(`${day}T${time}.${digits(7)}${r.pick(["+02:00", "-05:30", "+00:00", "+14:00"])}`)),
      quote(`${day}T${time.slice(0, 5)}:00`),
      quote(`${hex(8)}-${hex(4)}-${hex(4)}-${hex(4)}-${hex(12)}`),
      quote(`C${r.between(1, 9999)}`),
      text(r.pick(["DE", "é", "日本", "US"])),
      maybe(`0x${hex(2 * r.between(1, 32))}`),
      maybe(text(`Line 1\nLine 2\t${"x".repeat(r.between(0, 300))} “${r.pick(LAST)}” ${r.pick(FIRST)}`)),
      maybe(text(`<order n="${r.between(1, 99)}"><item>é &amp; more</item></order>`)),
    ].join(", ");
  }

  #updateOrder(): DemoTransaction | null {
    if (this.#orders.keys.length === 0) return null;
    const key = orderKey(this.#random.pick(this.#orders.keys));
    const set =
      this.#random.next() < 0.5 ? `Note = ${text(`changed ${++this.#stamp}`)}` : `Amount = ${++this.#stamp}.0001`;
    return { sql: `UPDATE sales.Orders SET ${set} WHERE OrderID = ${key}`, changes: 1 };
  }

  #remove(table: LiveTable, name: string, key: string): DemoTransaction | null {
    const dropped = this.#dropKey(table);
    if (dropped === null) return null;
    const value = table === this.#orders ? orderKey(dropped) : dropped;
    return { sql: `DELETE FROM ${name} WHERE ${key} = ${value}`, changes: 1 };
  }
}

/** Beyond 2^53, where a reader that makes doubles of numbers would lose digits. */
function orderKey(n: number): string {
  return String(9007199254740993n + BigInt(n));
}

function pad(n: number): string {
  return String(n).padStart(2, "0");
}

function quote(s: string): string {
  return `'${s.replaceAll("'", "''")}'`;
}

function text(s: string): string {
  return `N${quote(s)}`;
}
