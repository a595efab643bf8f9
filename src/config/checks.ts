/** What no single setting shows: durations that contradict each other, tables that are listed twice, overrides for nobody. */
import { closest } from "../text/closest.ts";
import type { Note } from "./hcl/document.ts";
import type { Path, Settings } from "./settings.ts";
import { overlaps, type TablePattern } from "./tables.ts";

export function checkSettings(settings: Settings, note: Note): void {
  if (settings.values.ingester === undefined) return;
  checkIntervals(settings, note);
  checkSizes(settings, note);
  checkTables(settings, note);
  checkOverrides(settings, note);
}

function checkIntervals(settings: Settings, note: Note): void {
  const { poll_interval_defaults: defaults, tables_overrides } = settings.values.ingester ?? {};
  const compare = (path: Path, shortest: number | undefined, longest: number | undefined) => {
    if (shortest === undefined || longest === undefined || shortest <= longest) return;
    const own = [...path, "poll_interval"];
    const at = settings.place(settings.given(own) ? own : [...path, "max_poll_interval"]);
    note(at, "poll_interval is longer than max_poll_interval", "Lower the one or raise the other.");
  };
  compare(["ingester", "poll_interval_defaults"], defaults?.poll_interval, defaults?.max_poll_interval);
  for (const [index, override] of (tables_overrides?.overrides ?? []).entries()) {
    if (override.poll_interval === undefined && override.max_poll_interval === undefined) continue;
    compare(
      ["ingester", "tables_overrides", "overrides", index],
      override.poll_interval ?? defaults?.poll_interval,
      override.max_poll_interval ?? defaults?.max_poll_interval,
    );
  }
}

function checkSizes(settings: Settings, note: Note): void {
  const { max_batch_bytes: batch, max_in_flight_bytes: all } = settings.values.ingester ?? {};
  if (batch === undefined || all === undefined || batch <= all) return;
  const own = ["ingester", "max_batch_bytes"];
  const at = settings.place(settings.given(own) ? own : ["ingester", "max_in_flight_bytes"]);
  note(at, "max_batch_bytes is more than max_in_flight_bytes", "What is in flight holds at least one batch.");
}

function checkTables(settings: Settings, note: Note): void {
  const path = ["ingester", "tables"];
  const tables = settings.values.ingester?.tables ?? [];
  if (settings.values.ingester?.tables?.length === 0)
    note(settings.place(path), "tables is empty", 'List what to read: tables = ["Persons"].');
  const seen = new Map<string, number>();
  for (const [index, table] of tables.entries()) {
    const first = seen.get(identity(table));
    if (first === undefined) {
      seen.set(identity(table), index);
      continue;
    }
    const at = settings.place([...path, index]);
    const firstAt = settings.place([...path, first]);
    const name = named(settings, [...path, index], table);
    const same = table.text === tables[first]?.text ? "" : ` as ${named(settings, [...path, first], tables[first]!)}`;
    note(
      at,
      `${name} is listed twice: first in line ${firstAt.line}${same}`,
      "Table names ignore case, and Persons is dbo.Persons.",
    );
  }
}

function checkOverrides(settings: Settings, note: Note): void {
  const { tables, tables_overrides } = settings.values.ingester ?? {};
  const seen = new Map<string, number>();
  for (const [index, override] of (tables_overrides?.overrides ?? []).entries()) {
    const path = ["ingester", "tables_overrides", "overrides", index];
    const namePath = [...path, "table_name"];
    const table = override.table_name as TablePattern | undefined;
    if (override.columns_include !== undefined && override.columns_exclude !== undefined) {
      note(
        settings.place([...path, "columns_exclude"]),
        "columns_include and columns_exclude contradict each other",
        "Keep one.",
      );
    }
    if (table === undefined) continue;
    const at = settings.place(namePath);
    const name = named(settings, namePath, table);
    const first = seen.get(identity(table));
    if (first !== undefined) {
      const { line } = settings.place([...path.slice(0, -1), first, "table_name"]);
      note(at, `${name} has a second override: the first stands in line ${line}`, "Put its settings into one block.");
    } else seen.set(identity(table), index);
    if (tables === undefined || tables.some((listed) => overlaps(listed, table))) continue;
    const listed = tables.filter((_, i) => !settings.secret(["ingester", "tables", i])).map(({ text }) => text);
    const meant = settings.secret(namePath) ? undefined : closest(table.text, listed);
    note(
      at,
      `${name} has an override, but tables does not list it`,
      meant === undefined ? `Listed are ${listed.join(", ")}.` : `Did you mean ${meant}?`,
    );
  }
}

function identity({ schema, table }: TablePattern): string {
  return `${schema}\0${table}`.toLowerCase();
}

function named(settings: Settings, path: Path, { text }: TablePattern): string {
  return settings.secret(path) ? "this table" : text;
}
