/** `dstream checkpoints`: looking at positions and moving them. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { places, startServer, type Workplace, workplaceOf } from "./dstream.ts";

/** Every message id that was ever sent to the ingest queue: a repeat is known by its own. */
function repeats(place: Workplace): number {
  const file = new DatabaseSync(place.path(".dstream", "queue.db"), { readOnly: true });
  try {
    const rows = file.prepare("SELECT name, repeats FROM queue").all();
    return Number(rows.find(({ name }) => name === "ingest-queue")!["repeats"]);
  } finally {
    file.close();
  }
}

test("checkpoints are listed, set and rewound, by LSN and by time, and what comes again has the same ids", async (t) => {
  const server = await startServer(t);
  const place = workplaceOf(t, server, { tables: ["Persons"] });
  const none = await place.run("checkpoints list");
  assert.equal(none.code, 0);
  assert.match(none.stderr, /no checkpoints yet/);

  const first = place.start("server");
  for (const id of [1, 2, 3]) await server.query(`INSERT INTO Persons VALUES (${id}, N'Ana', N'Sato')`);
  const changes = await first.shows(3);
  assert.equal(await first.end(), 0);
  const lsns = changes.map(({ metadata }) => metadata["LSN"] as string);
  const written = (lsn: string) => `${lsn.slice(0, 8)}:${lsn.slice(8, 16)}:${lsn.slice(16)}`;

  const listed = await place.run("checkpoints list");
  assert.equal(listed.code, 0);
  assert.match(listed.stdout, /^Persons +(after )?[0-9a-f:]{22} .*committed \d{4}-.* token 1 +saved \d{4}-.*Z\n$/);

  // From the second one on, by LSN: the queue has their ids, and swallows them.
  const rewound = await place.run(`checkpoints rewind Persons --lsn ${lsns[1]}`);
  assert.match(rewound.stderr, /remembers will be read again, but not delivered again/);
  assert.equal(rewound.code, 0, rewound.stderr);
  assert.match(rewound.stdout, new RegExp(`^dbo\\.Persons: from .* to before ${written(lsns[1]!)}\n$`));
  const before = repeats(place);
  const second = place.start("server");
  await server.query("INSERT INTO Persons VALUES (4, N'Ana', N'Sato')");
  await second.shows(1);
  assert.equal(await second.end(), 0);
  assert.deepEqual(
    second.changes.map(({ data }) => data["ID"]),
    [4],
  );
  assert.equal(repeats(place) - before, 2, "changes 2 and 3 came again under the ids that the queue knew");

  // By time, into another queue: all that CDC holds since then, exactly as it was.
  const rewoundByTime = await place.run("checkpoints rewind Persons --time 2020-01-01T00:00:00Z");
  assert.equal(rewoundByTime.code, 0, rewoundByTime.stderr);
  const fresh = workplaceOf(t, server, { tables: ["Persons"] });
  const third = fresh.start("server");
  await third.shows(4);
  assert.equal(await third.end(), 0);
  assert.deepEqual(places(third.changes), places([...changes, ...second.changes]));

  // Set: everything so far, or up to an LSN, counts as read.
  await server.query("INSERT INTO Persons VALUES (5, N'Ana', N'Sato')");
  const set = await place.run(`checkpoints set Persons --lsn ${written(lsns[2]!)}`);
  assert.match(set.stdout, new RegExp(`to after ${written(lsns[2]!)}\n$`));
  const fourth = workplaceOf(t, server, { tables: ["Persons"] }).start("server");
  await fourth.shows(2);
  assert.equal(await fourth.end(), 0);
  assert.deepEqual(
    fourth.changes.map(({ data }) => data["ID"]),
    [4, 5],
  );
  await place.run("checkpoints rewind Persons --time 2020-01-01T00:00:00Z");
  assert.equal((await place.run("checkpoints set Persons --now")).code, 0);
  const fifth = workplaceOf(t, server, { tables: ["Persons"] }).start("server");
  await fifth.says(/tables to read/);
  await server.query("INSERT INTO Persons VALUES (6, N'Ana', N'Sato')");
  await fifth.shows(1);
  assert.equal(await fifth.end(), 0);
  assert.deepEqual(
    fifth.changes.map(({ data }) => data["ID"]),
    [6],
  );
});

test("a running owner is named and kept from harm, unless it is forced", async (t) => {
  const server = await startServer(t);
  const place = workplaceOf(t, server, { tables: ["Persons"] });
  const running = place.start("server");
  await server.query("INSERT INTO Persons VALUES (1, N'Ana', N'Sato')");
  const [change] = await running.shows(1);
  const lsn = change!.metadata["LSN"];
  const refused = await place.run(`checkpoints rewind Persons --lsn ${lsn}`);
  assert.equal(refused.code, 1);
  assert.equal(refused.stdout, "");
  assert.match(refused.stderr, new RegExp(`Process ${running.process.pid} on .*stop it first, or say --force`));

  const forced = await place.run(`checkpoints rewind Persons --lsn ${lsn} --force`);
  assert.equal(forced.code, 0, forced.stderr);
  await server.query("INSERT INTO Persons VALUES (2, N'Zoë', N'Novák')");
  await running.says(/has another owner, or may have/);
  await running.shows(2);
  assert.equal(await running.end(), 0);
  const next = place.start("server");
  await server.query("INSERT INTO Persons VALUES (3, N'Eve', N'Smith')");
  await next.shows(1);
  assert.equal(await next.end(), 0);
  assert.deepEqual(
    [...running.changes, ...next.changes].map(({ data }) => data["ID"]),
    [1, 2, 3],
  );
  assert.equal(repeats(place), 2, "both came again from the forced place on, under their ids");
});

test("a table that the configuration does not name, and an LSN that CDC no longer holds, are refused", async (t) => {
  const server = await startServer(t);
  await server.query("INSERT INTO Persons VALUES (1, N'Ana', N'Sato')");
  const place = workplaceOf(t, server, { tables: ["Persons"] });
  const [table, lsn] = await Promise.all([
    place.run("checkpoints set Houses --now"),
    place.run("checkpoints rewind Persons --lsn 00000001:00000001:0001"),
  ]);
  assert.equal(table.code, 1);
  assert.match(table.stderr, /does not name Houses; it names dbo\.Persons/);
  assert.equal(lsn.code, 1);
  assert.match(lsn.stderr, /cannot start at LSN 00000001:00000001:0001: CDC holds from/);
  assert.equal((await place.run("checkpoints list")).stdout, "");
});
