/**
 * A database's content at one moment, and going back to it as RESTORE does: what was committed since is gone, the log goes on from
 * the old LSN with other content, and recovery_fork_guid is another.
 * https://learn.microsoft.com/sql/relational-databases/backup-restore/recovery-paths-sql-server
 */
import { CdcDatabase } from "../cdc/cdc-database.ts";
import { resumeDatabase } from "../cdc/enable-database.ts";
import type { LoggedTransaction, Row } from "../engine/database.ts";
import { Database } from "../engine/storage.ts";
import { decode, encode } from "../persistence/codec.ts";
import { forkRecovery, recoveryOf } from "./databases.ts";
import { type Definitions, define, definitionsOf } from "./definitions.ts";

export interface DatabaseSnapshot {
  readonly database: Database;
  /** As text, because the database's own go on changing. */
  readonly definitions: Map<string, string>;
  /** By object id. */
  readonly rows: Map<number, Row[]>;
  readonly log: LoggedTransaction[];
  readonly lsn: bigint;
}

/** As committed now. */
export function takeSnapshot(database: Database): DatabaseSnapshot {
  const rows = new Map<number, Row[]>();
  database.systemTransaction(({ snapshot }) => {
    for (const table of database.tables.values()) rows.set(table.objectId, [...table.rows(snapshot)]);
  });
  return {
    database,
    definitions: new Map([...definitionsOf(database)].map(([key, definition]) => [key, encode(definition)])),
    rows,
    log: [...database.log],
    lsn: database.lsn.current,
  };
}

/** Takes the database's place. Sessions that are in it go on in the restored one; their open transactions must have ended. */
export function restoreSnapshot(snapshot: DatabaseSnapshot): Database {
  const { engine, name } = snapshot.database;
  const current = engine.database(name);
  if (!current) throw new Error(`there is no database ${name} to restore`);
  const running = CdcDatabase.of(current).capture.running;
  CdcDatabase.of(current).capture.stop();

  const { id, collation, createDate } = snapshot.database;
  const restored = new Database(engine, name, id, collation, createDate);
  const definitions: Definitions = new Map(
    [...snapshot.definitions].map(([key, definition]) => [key, decode(definition)]),
  );
  define(restored, definitions);
  for (const [objectId, rows] of snapshot.rows) {
    const table = restored.tables.get(objectId)!;
    rows.forEach((row, i) => {
      table.load(i + 1, row);
    });
  }
  resumeDatabase(CdcDatabase.of(restored));
  // `advance` goes to the next block: a block that has not begun yet is the next one.
  restored.lsn.advance((snapshot.lsn & 0xffffn) === 0n ? snapshot.lsn - 0x10000n : snapshot.lsn);
  restored.log.push(...snapshot.log);
  // A fork of the history that was gone on with, however old the snapshot.
  restored.properties.set("recovery", recoveryOf(current));
  forkRecovery(restored);

  engine.databases.set(name.toLowerCase(), restored);
  engine.schemaVersion++;
  for (const session of engine.sessions.values())
    if (session.currentDatabase === current) session.currentDatabase = restored;
  if (running) CdcDatabase.of(restored).start();
  return restored;
}
