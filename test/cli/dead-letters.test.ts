/** `dstream dead-letters`: what could not be sent or delivered, in both of its places. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DeadLetterStore } from "../../src/dead-letters/store.ts";
import { EmbeddedTransport } from "../../src/transports/embedded/transport.ts";
import { startServer, workplaceOf } from "./dstream.ts";

const QUEUE = { kind: "queue", name: "ingest-queue" } as const;

test("a message that is none of ours goes to the dead letters with the reason, is shown, and sent again", async (t) => {
  const server = await startServer(t);
  const place = workplaceOf(t, server);
  const empty = await place.run("dead-letters list");
  assert.deepEqual(empty, { code: 0, stdout: "", stderr: "There are no dead letters.\n" });

  const router = place.start("router");
  await router.says(/^dstream router starts/);
  const queue = await EmbeddedTransport.open({ path: place.path(".dstream", "queue.db") });
  await queue.ensure(QUEUE);
  const sender = await queue.sender(QUEUE);
  await sender.send([{ id: "stranger", key: "k", body: Buffer.from('{"hello":"wörld"}'), properties: { From: "me" } }]);
  await queue.close();
  await router.says(/moved to the dead letters/);
  assert.equal(await router.end(), 0);

  const listed = await place.run("dead-letters list");
  assert.equal(listed.code, 0);
  const [, id, reason] = /^(\S+) +\d{4}-\S+Z +queue +\? +\? +(.+)\n$/.exec(listed.stdout) ?? [];
  assert.ok(id && reason, listed.stdout);
  const shown = JSON.parse((await place.run(`dead-letters show ${id}`)).stdout) as Record<string, unknown>;
  assert.equal(shown["place"], "queue");
  assert.equal(shown["reason"], reason);
  assert.deepEqual(shown["message"], {
    id: "stranger",
    key: "k",
    properties: { From: "me" },
    body: { hello: "wörld" },
  });

  const replayed = await place.run(`dead-letters replay ${id}`);
  assert.deepEqual(replayed, {
    code: 0,
    stdout: `${id}  sent again to the ingest queue\n`,
    stderr: "1 replayed.\n",
  });
  assert.equal((await place.run("dead-letters list")).stdout, "");
  const again = place.start("router");
  await again.says(/moved to the dead letters/);
  assert.equal(await again.end(), 0);
});

test("what the ingester put aside is listed, and sent again it arrives", async (t) => {
  const server = await startServer(t);
  const place = workplaceOf(t, server, { tables: ["Persons"] });
  const body =
    '{"data":{"ID":7},"metadata":{"Destination":"s.testdb.persons.events","IngestQueue":"ingest-queue",' +
    '"LSN":"0000003600000b200003","OperationID":2,"OperationType":"Insert","TableName":"Persons","Schema":"dbo"}}';
  const properties = {
    Destination: "s.testdb.persons.events",
    TableName: "Persons",
    OperationType: "Insert",
    LSN: "0000003600000b200003",
  };
  await new DeadLetterStore(place.path(".dstream", "dead-letters")).append({
    table: { schema: "dbo", table: "Persons" },
    position: { startLsn: "0000003600000b200003", commandId: 1, seqval: "0000003600000b200002", operation: 2 },
    reason: "A change of dbo.Persons is too large",
    message: { id: "0123-7", key: "dbo.Persons", body: Buffer.from(body), properties },
  });
  const listed = await place.run("dead-letters list");
  assert.match(
    listed.stdout,
    /^0123-7 +\d{4}-\S+Z +ingester +s\.testdb\.persons\.events +Insert +A change of dbo\.Persons is too large\n$/,
  );
  assert.equal((await place.run("dead-letters replay --all")).code, 0);
  assert.equal((await place.run("dead-letters list")).stdout, "");
  const router = place.start("router");
  await router.shows(1);
  assert.equal(await router.end(), 0);
  assert.equal(router.stdout, `${body}\n`);
});

test("a dead letter that is not there is said so", async (t) => {
  const server = await startServer(t);
  const place = workplaceOf(t, server);
  const { code, stderr } = await place.run("dead-letters show 12");
  assert.equal(code, 1);
  assert.equal(stderr, "There is no dead letter 12: dstream dead-letters list shows those that are there.\n");
});
