/** Opens a data file: what is in it goes into the engine, and from now on what the engine commits goes into it. */
import { type Definitions, define, identityOf } from "../catalog/definitions.ts";
import { CdcDatabase } from "../cdc/cdc-database.ts";
import { resumeDatabase } from "../cdc/enable-database.ts";
import type { LoggedTransaction, Row } from "../engine/database.ts";
import type { Engine, ServerLogin } from "../engine/engine.ts";
import { Database } from "../engine/storage.ts";
import { decode } from "./codec.ts";
import { DataFile } from "./data-file.ts";
import { FileJournal } from "./file-journal.ts";

/** For an engine without databases of users. Capture jobs that ran go on. */
export function openDataFile(engine: Engine, path: string): FileJournal {
  const file = new DataFile(path);
  const counters = new Map<string, string>();
  for (const { key, text } of file.rows<{ key: string; text: string }>("SELECT key, text FROM counters"))
    counters.set(key, text);
  const server = counters.get("server");
  if (server === undefined) return (engine.journal = new FileJournal(engine, file, true));
  const { logins, configuration } = decode(server) as Pick<Engine, "logins" | "configuration">;
  for (const [name, login] of logins) restoreLogin(engine, name, login);
  for (const [name, value] of configuration) engine.configuration.set(name, value);
  engine.reconfigure();
  const databases = readDatabases(engine, file, counters);
  Object.assign(engine.counters, decode(counters.get("engine")!));
  const journal = (engine.journal = new FileJournal(engine, file, false));
  for (const database of databases) {
    const cdc = CdcDatabase.of(database);
    if (cdc.enabled && cdc.captureJob && cdc.startCapture) cdc.start();
  }
  return journal;
}

/** The password that the simulator is started with goes before the one in the file. */
function restoreLogin(engine: Engine, name: string, login: ServerLogin): void {
  const given = engine.logins.get(name);
  engine.logins.set(name, given ? { ...login, password: given.password } : login);
}

function readDatabases(engine: Engine, file: DataFile, counters: Map<string, string>): Database[] {
  const definitions = new Map<number, Definitions>();
  const stored = file.rows<{ database: number; key: string; text: string }>(
    "SELECT database, key, text FROM definitions ORDER BY database",
  );
  for (const { database, key, text } of stored) {
    const known = definitions.get(database) ?? new Map<string, unknown>();
    definitions.set(database, known.set(key, decode(text)));
  }
  return [...definitions].map(([id, known]) => {
    const database = engine.databaseById(id) ?? made(engine, known);
    define(database, known);
    readRows(database, file);
    resumeDatabase(CdcDatabase.of(database));
    readCounters(database, counters);
    for (const { text } of file.rows<{ text: string }>("SELECT text FROM log WHERE database = ? ORDER BY lsn", id))
      database.log.push(decode(text) as LoggedTransaction);
    return database;
  });
}

function made(engine: Engine, definitions: Definitions): Database {
  const { name, id, collation, createDate } = identityOf(definitions);
  const database = new Database(engine, name, id, collation, createDate);
  engine.adoptDatabase(database);
  return database;
}

function readRows(database: Database, file: DataFile): void {
  const stored = file.rows<{ object: number; entry: number; text: string }>(
    "SELECT object, entry, text FROM rows WHERE database = ? ORDER BY object, entry",
    database.id,
  );
  for (const { object, entry, text } of stored) database.tables.get(object)?.load(entry, decode(text) as Row);
}

function readCounters(database: Database, counters: Map<string, string>): void {
  const lsn = counters.get(`lsn:${database.id}`);
  if (lsn !== undefined) database.lsn.advance(BigInt(`0x${lsn}`));
  for (const sequence of database.sequences.values()) {
    const given = counters.get(`sequence:${database.id}:${sequence.objectId}`);
    if (given !== undefined) Object.assign(sequence, decode(given));
  }
  for (const table of database.tables.values())
    for (const { columnId, identity } of table.columns) {
      const next = counters.get(`identity:${database.id}:${table.objectId}:${columnId}`);
      if (identity && next !== undefined) identity.next = BigInt(next);
    }
}
