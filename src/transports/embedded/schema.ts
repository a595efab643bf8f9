import type { FileSchema } from "../../sqlite/file.ts";

/**
 * - `queue`: one row a queue, one a subscription of a topic; what is sent to a topic is stored once for each of them.
 * - `holder`: processes that may hold keys. No `id` is given twice: two may bury a dead one while a third one enters.
 * - `lane`: one row a key that has messages. It stands in line by `turn` while free, and is held by a delivery (`lease` is that
 *   delivery's number, `until` its end in Unix ms, `holder` its process) while not; it goes with its last message.
 * - `message`: what waits or is being delivered: blocks (block.ts) of `count` messages, which are numbered from `seq` on in the
 *   order of sending. No number is given twice (`number`): a delivery names what it settles by the first and the last, also
 *   when the last was dead-lettered and others have been sent since.
 * - `remembered_0`, `remembered_1`: ids that were sent. One takes new ids, the other still knows the older ones; when the
 *   first is full or old, the second is emptied at a stroke and they change places (`memory`).
 */
export const queueSchema: FileSchema = {
  what: "the embedded queue",
  applicationId: 0x64735131,
  version: 2,
  create: `
    CREATE TABLE queue (
      id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, subscription TEXT NOT NULL,
      pending INTEGER NOT NULL DEFAULT 0, repeats INTEGER NOT NULL DEFAULT 0,
      UNIQUE (kind, name, subscription)
    ) STRICT;
    CREATE TABLE holder (
      id INTEGER PRIMARY KEY AUTOINCREMENT, host TEXT NOT NULL, pid INTEGER NOT NULL, realm TEXT NOT NULL, started INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE lane (
      id INTEGER PRIMARY KEY, queue INTEGER NOT NULL, key TEXT NOT NULL, turn INTEGER NOT NULL,
      until INTEGER NOT NULL DEFAULT 0, lease INTEGER, holder INTEGER,
      UNIQUE (queue, key)
    ) STRICT;
    CREATE INDEX lane_in_line ON lane (queue, until, turn);
    CREATE INDEX lane_held ON lane (holder) WHERE holder IS NOT NULL;
    CREATE TABLE message (
      seq INTEGER PRIMARY KEY, lane INTEGER NOT NULL, count INTEGER NOT NULL,
      ids TEXT NOT NULL, properties TEXT NOT NULL, lengths TEXT NOT NULL, bodies BLOB NOT NULL
    ) STRICT;
    CREATE INDEX message_of_lane ON message (lane);
    CREATE TABLE dead_letter (
      id INTEGER PRIMARY KEY AUTOINCREMENT, queue INTEGER NOT NULL, since INTEGER NOT NULL, reason TEXT NOT NULL,
      key TEXT NOT NULL, message TEXT NOT NULL, properties TEXT NOT NULL, body BLOB NOT NULL
    ) STRICT;
    CREATE INDEX dead_letter_of_queue ON dead_letter (queue);
    CREATE TABLE remembered_0 (queue INTEGER NOT NULL, id TEXT NOT NULL, PRIMARY KEY (queue, id)) STRICT, WITHOUT ROWID;
    CREATE TABLE remembered_1 (queue INTEGER NOT NULL, id TEXT NOT NULL, PRIMARY KEY (queue, id)) STRICT, WITHOUT ROWID;
    CREATE TABLE memory (current INTEGER NOT NULL, count INTEGER NOT NULL, since INTEGER NOT NULL) STRICT;
    INSERT INTO memory VALUES (0, 0, unixepoch() * 1000);
    CREATE TABLE turn (next INTEGER NOT NULL) STRICT;
    INSERT INTO turn VALUES (1);
    CREATE TABLE number (next INTEGER NOT NULL) STRICT;
    INSERT INTO number VALUES (1)`,
};
