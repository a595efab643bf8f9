/** What the command line says to somebody who does not know it yet, or has mistyped. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { configuration, Workplace } from "./dstream.ts";

const WRONG = `ingester {
  db_connection_string = "{{ env "NO_SUCH_VARIABLE" }}"
  tables = ["Persons", "persons"]
  poll_intervall = "5s"
  poll_interval_defaults {
    poll_interval = "5 bananas"
  }
  queue {
    typ = "embedded"
  }
  tables_overrides {
    overrides {
      table_name = "Car"
    }
  }
}
roter {
}
`;

test("everything that is wrong with a configuration is said at once, with its place", async (t) => {
  const place = new Workplace(t, WRONG);
  const commands = ["check", "ingester", "router", "server", "checkpoints list", "dead-letters list"];
  const outcomes = await Promise.all(commands.map(async (command) => ({ command, ...(await place.run(command)) })));
  for (const { command, code, stdout, stderr } of outcomes) {
    assert.equal(code, 1, command);
    assert.equal(stdout, "");
    assert.deepEqual(
      stderr.split("\n").filter((line) => line.startsWith("dstream.hcl")),
      [
        "dstream.hcl:2:27: the environment variable NO_SUCH_VARIABLE is not set",
        "dstream.hcl:3:24: persons is listed twice: first in line 3 as Persons",
        "dstream.hcl:4:3: unknown key poll_intervall in ingester",
        'dstream.hcl:6:21: poll_interval = "5 bananas" is not a duration',
        "dstream.hcl:9:5: unknown key typ in queue",
        "dstream.hcl:13:20: Car has an override, but tables does not list it",
        "dstream.hcl:17:1: unknown block roter",
      ],
    );
    assert.match(stderr, /Did you mean type\?/);
    assert.match(stderr, /Did you mean router\?/);
    assert.doesNotMatch(stderr, /^ +at /m, "no stack");
  }
});

test("a configuration that is not there is asked for", async (t) => {
  const place = new Workplace(t, null);
  const { code, stdout, stderr } = await place.run("ingester");
  assert.equal(code, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /^dstream\.hcl:1:1: there is no such configuration file\n.*--config/);
});

test("integrated security without a Windows session says what to use", async (t) => {
  const place = new Workplace(t, configuration(), {
    DSTREAM_DB_CONNECTION_STRING: "server=db.example.com;database=TestDB;trusted_connection=true",
  });
  const { code, stderr } = await place.run("check");
  assert.equal(code, 1);
  assert.match(stderr, /^dstream\.hcl:2:26: .*trusted_connection.*NTLM.*SQL login.*ActiveDirectoryDefault/);
});

test("a command, an option and an argument that do not exist are refused with the way to help", async (t) => {
  const place = new Workplace(t, configuration(), { DSTREAM_DB_CONNECTION_STRING: "sqlserver://u:p@h?database=d" });
  const refusals = {
    ingest: /unknown command 'ingest'[\s\S]*ingester[\s\S]*dstream --help/,
    "ingester --conf x": /unknown option '--conf'/,
    "ingester now": /too many arguments/,
    "checkpoints set": /missing required argument 'table'/,
    "checkpoints set Persons": /--lsn <lsn> or --now/,
    "checkpoints rewind Persons": /--lsn <lsn> or --time <time>/,
    "checkpoints rewind Persons --lsn abc": /abc is no LSN/,
    "checkpoints rewind Persons --time yesterday": /yesterday is no time: write it as 2026-11-21T10:00:00Z/,
    "dead-letters replay": /Name the dead letters to replay, or say --all/,
    "demo --changes many": /'many' is invalid/,
    "check --log-level loud": /--log-level loud: use one of trace, debug, info/,
  };
  const outcomes = await Promise.all(
    Object.entries(refusals).map(async ([command, expected]) => ({ ...(await place.run(command)), command, expected })),
  );
  for (const { command, expected, code, stdout, stderr } of outcomes) {
    assert.equal(code, 1, command);
    assert.equal(stdout, "", command);
    assert.match(stderr, expected, command);
    assert.doesNotMatch(stderr, /^ +at /m, `no stack: ${command}`);
  }
});

test("help names every command, on standard output, and ends well", async (t) => {
  const place = new Workplace(t, null);
  const [help, version, none] = await Promise.all([place.run("--help"), place.run("--version"), place.run("")]);
  assert.equal(help.code, 0);
  for (const command of ["ingester", "router", "server", "check", "dead-letters", "checkpoints", "demo"])
    assert.match(help.stdout, new RegExp(`^  ${command} `, "m"));
  assert.equal(version.code, 0);
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  assert.equal(none.code, 1, "nothing was asked for");
  assert.match(none.stderr, /Usage: dstream/);
});
