import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { tableSettings } from "../../src/config/config.ts";
import { ConfigError } from "../../src/config/errors.ts";
import { loadConfig } from "../../src/config/load.ts";
import { type Built, builtToday, transportTypes } from "../../src/config/types.ts";
import { brokerSettings } from "../../src/transports/settings.ts";
import { database, everythingBuilt, ingester, problems, read, readIngester } from "./harness.ts";

/** The advice where a type is not built: it grows with every one that is. */
function built(role: "queue" | "source" | "output", without?: string): string {
  const ready = Object.entries(transportTypes).filter(([name, { built }]) => name !== without && built.includes(role));
  return `  Built are ${new Intl.ListFormat("en-GB").format(ready.map(([name]) => `"${name}"`))}.`;
}

const serviceBus = (connectionString: string) => ({
  type: "servicebus",
  connectionString,
  settings: brokerSettings.servicebus.parse({}),
});
const seed = await readFile(new URL("./files/seed.hcl", import.meta.url), "utf8");
const seedEnv = {
  DSTREAM_DB_CONNECTION_STRING: database,
  DSTREAM_INGEST_CONNECTION_STRING: "Endpoint=sb://ingest/",
  DSTREAM_BLOB_CONNECTION_STRING: "AccountName=blob",
  DSTREAM_PUBLISHER_CONNECTION_STRING: "Endpoint=sb://publish/",
};

describe("the seed's configuration", () => {
  test("is read as it stands", async () => {
    const config = await read(seed, seedEnv, everythingBuilt);
    const { tables, overrides, ...rest } = config.ingester;
    assert.deepEqual(
      tables.map(({ schema, table, pattern }) => ({ schema, table, pattern })),
      [{ schema: "dbo", table: "Persons", pattern: false }],
    );
    assert.equal(overrides.length, 1);
    assert.deepEqual(rest, {
      dbType: "sqlserver",
      connectionString: database,
      pollIntervalMs: 5000,
      maxPollIntervalMs: 120_000,
      queue: {
        endpoint: serviceBus("Endpoint=sb://ingest/"),
        name: "ingest-queue",
        messages: "row",
      },
      locks: { type: "azure_blob", connectionString: "AccountName=blob", containerName: "locks" },
      checkpoints: { type: "sqlserver", table: "cdc_offsets" },
      start: { at: "low_watermark" },
      onGap: "fail",
      before: false,
      onOversize: "stop",
      ordering: "table",
      destination: undefined,
      values: "native",
      bigints: "number",
      decimals: "string",
      binary: "base64",
      maxConcurrentTables: 4,
      maxBatchRows: 10_000,
      maxBatchBytes: 4 * 1024 * 1024,
      maxInFlightBytes: 64 * 1024 * 1024,
    });
    assert.deepEqual(config.router, {
      source: {
        endpoint: serviceBus("Endpoint=sb://publish/"),
        name: "ingest-queue",
      },
      output: serviceBus("Endpoint=sb://publish/"),
      onPoison: "stop",
    });
    const persons = tableSettings(config.ingester, { schema: "dbo", table: "persons" });
    assert.deepEqual([persons.pollIntervalMs, persons.maxPollIntervalMs], [5000, 600_000]);
  });

  test("its environment variables stand in for connection strings that are left out", async () => {
    const without = seed.replaceAll(/^.*connection_string = .*$/gm, "");
    assert.deepEqual(await read(without, seedEnv, everythingBuilt), await read(seed, seedEnv, everythingBuilt));
    const { log } = await read(without, { ...seedEnv, DSTREAM_LOG_LEVEL: "debug" }, everythingBuilt);
    assert.equal(log.level, "debug");
  });

  test("every variable that is not set is named with its line", async () => {
    const said = await problems(seed, {}, everythingBuilt);
    assert.deepEqual(
      said.filter((line) => line.includes("not set")),
      [
        "3:29: the environment variable DSTREAM_DB_CONNECTION_STRING is not set",
        "13:30: the environment variable DSTREAM_INGEST_CONNECTION_STRING is not set",
        "18:30: the environment variable DSTREAM_BLOB_CONNECTION_STRING is not set",
        "36:30: the environment variable DSTREAM_PUBLISHER_CONNECTION_STRING is not set",
        "41:30: the environment variable DSTREAM_PUBLISHER_CONNECTION_STRING is not set",
      ],
    );
  });

  test("a type that is not built is an error that lists those that are", async () => {
    const withoutServiceBus = {
      built: ((role, type) => type !== "servicebus" && builtToday(role, type)) satisfies Built,
    };
    const said = await problems(
      seed.replace('"azure_blob"', '"none"').replace(/.*container_name.*|.*BLOB.*/g, ""),
      seedEnv,
      withoutServiceBus,
    );
    assert.deepEqual(said.slice(0, 2), ['11:16: type "servicebus" is not built yet', built("queue", "servicebus")]);
    assert.deepEqual(said.slice(-2), ['40:16: type "servicebus" is not built yet', built("output", "servicebus")]);
  });
});

describe("what is left out", () => {
  test("locks that are left out follow the queue: a file beside the embedded one, the source database with any other", async () => {
    const queue = 'queue {\n type = "nats"\n connection_string = "nats://localhost"\n}';
    assert.deepEqual((await readIngester(queue)).ingester.locks, { type: "sqlserver", connectionString: undefined });
    const file = 'checkpoints {\n type = "file"\n}';
    assert.equal((await readIngester(`${queue}\n${file}`)).ingester.locks.type, "embedded");
    const own = 'locks {\n type = "none"\n}';
    assert.equal((await readIngester(`${queue}\n${own}`)).ingester.locks.type, "none");
  });

  test("checkpoints in Kafka are in the ingest queue's, in a topic that is named after it", async () => {
    const queue = 'queue {\n type = "kafka"\n name = "changes"\n connection_string = "kafka://localhost"\n}';
    const { ingester: settings } = await readIngester(`${queue}\ncheckpoints {\n type = "kafka"\n}`);
    assert.deepEqual(settings.checkpoints, {
      type: "kafka",
      topic: "changes.checkpoints",
      endpoint: settings.queue.endpoint,
    });
    const named = await readIngester(`${queue}\ncheckpoints {\n type = "kafka"\n topic = "places"\n}`);
    assert.ok(named.ingester.checkpoints.type === "kafka" && named.ingester.checkpoints.topic === "places");
    assert.deepEqual(await problems(ingester('checkpoints {\n type = "kafka"\n table = "t"\n}')), [
      `5:9: checkpoints are kept in the ingest queue's Kafka, and the queue is of type "embedded"`,
      '  Set queue { type = "kafka" }, or keep checkpoints elsewhere: "sqlserver" or "file".',
      '6:10: table has no meaning for type "kafka"',
      "  Leave it out.",
    ]);
  });

  test("Event Hubs keeps in the storage account of azure_blob locks what it has no place for, unless another one is named", async () => {
    const blobsOf = async (text: string, env = {}) => {
      const { ingester: settings } = await readIngester(text, env);
      const { endpoint } = settings.queue;
      assert.ok(endpoint.type === "eventhubs");
      return endpoint.settings.blob_connection_string;
    };
    const hub = (block: string) => `queue {\n type = "eventhub"\n connection_string = "Endpoint=x"\n${block}\n}`;
    const locks = 'locks {\n type = "azure_blob"\n connection_string = "AccountName=locks"\n}';
    assert.equal(await blobsOf(`${hub("")}\n${locks}`), "AccountName=locks");
    const env = { DSTREAM_BLOB_CONNECTION_STRING: "AccountName=env" };
    assert.equal(await blobsOf(hub(""), env), "AccountName=env");
    const own = hub('eventhubs {\n blob_connection_string = "AccountName=own"\n}');
    assert.equal(await blobsOf(`${own}\n${locks}`, env), "AccountName=own");
    assert.deepEqual(await problems(ingester(hub(""))), [
      "4:1: blob_connection_string is missing: Event Hubs itself does not keep how far it was read",
      "  Give it in eventhubs { … }, or set DSTREAM_BLOB_CONNECTION_STRING.",
    ]);
    const output = `${ingester("")}router {\n output {\n type = "eventhubs"\n connection_string = "Endpoint=x"\n }\n}`;
    assert.equal((await read(output)).router.output.type, "eventhubs");
  });

  test("queue, locks and router are the embedded ones, beside the configuration file", async () => {
    const { ingester: settings, router, deadLetters, dir, log } = await readIngester("");
    assert.equal(dir, "/etc/shop");
    const queue = { type: "embedded", path: "/etc/shop/.dstream/queue.db" };
    assert.deepEqual(settings.queue.endpoint, queue);
    assert.deepEqual(settings.locks, { type: "embedded", path: "/etc/shop/.dstream/locks.db" });
    assert.deepEqual(router, { source: { endpoint: queue, name: "ingest-queue" }, output: queue, onPoison: "stop" });
    assert.deepEqual(deadLetters, { path: "/etc/shop/.dstream/dead-letters" });
    assert.deepEqual(log, { level: "info", format: "auto" });
  });

  test("the router reads from the ingest queue, wherever that is", async () => {
    const body = 'queue {\n name = "q1"\n path = "data/q.db"\n}';
    const own = { endpoint: { type: "embedded", path: "/etc/shop/data/q.db" }, name: "q1" };
    assert.deepEqual((await readIngester(body)).router.source, own);
    const withSource = await read(`${ingester(body)}router {\n source {\n type = "embedded"\n }\n}`);
    assert.deepEqual(withSource.router.source, own);
    const bus = ingester('queue {\n type = "azure_service_bus"\n connection_string = "Endpoint=x"\n}');
    const inherited = await read(`${bus}router {\n source {\n type = "servicebus"\n }\n}`, {}, everythingBuilt);
    assert.deepEqual(inherited.router.source.endpoint, serviceBus("Endpoint=x"));
  });

  test("a block of another messaging system than the one that is used has no meaning", async () => {
    const body = 'queue {\n type = "embedded"\n kafka {\n }\n}';
    assert.deepEqual(await problems(ingester(body)), [
      '6:2: block kafka has no meaning for type "embedded"',
      "  Leave it out.",
    ]);
  });

  test("an ingester, its tables and its connection string are asked for", async () => {
    assert.deepEqual(await problems(""), ["1:1: there is no ingester block"]);
    assert.deepEqual(await problems("ingester {\n}"), [
      "1:1: tables is missing in ingester",
      "1:1: db_connection_string is missing in ingester",
      "  Give it, or set DSTREAM_DB_CONNECTION_STRING.",
    ]);
    assert.match(
      (await problems('ingester {\n tables = []\n db_connection_string = " "\n}')).join(),
      /tables is empty.*connection_string is empty/,
    );
  });
});

test("every key of our own is understood", async () => {
  const text = `
ingester {
  db_connection_string = "server=db;database=d;user id=u;password=p"
  tables = ["Persons", "sales.*", "[my.schema].[my table]"]
  values = "string"
  before = true
  bigints = "string"
  decimals = "number"
  binary = "hex"
  start = "0x0000003600000b200003"
  on_gap = "skip"
  on_oversize = "dead_letter"
  ordering = "key"
  destination = "{server}.{database}.{schema}.{table}"
  max_concurrent_tables = 8
  max_batch_rows = 500
  max_batch_bytes = "256KB"
  max_in_flight_bytes = 1000000
  checkpoints {
    type = "file"
    path = "/var/lib/checkpoints.json"
  }
  queue {
    messages = "batch"
  }
  locks {
    type = "none"
  }
  tables_overrides {
    overrides {
      table_name = "sales.*"
      start = "2026-11-21T10:00:00+01:00"
      before = false
      columns_include = ["Id"]
    }
    overrides {
      table_name = "sales.Orders"
      on_gap = "fail"
      columns_include = ["Id", "Total"]
    }
    overrides {
      table_name = "[my.schema].[MY TABLE]"
      start = "now"
      columns_exclude = ["Photo"]
      columns_mask = ["Phone"]
    }
  }
}
router {
  output {
    type = "console"
  }
  on_poison = "dead_letter"
}
dead_letters {
  path = "lost"
}
log {
  level = "trace"
  format = "json"
}`;
  const { ingester: settings, router, deadLetters, log } = await read(text, { DSTREAM_LOG_LEVEL: "error" });
  const { values, before, bigints, decimals, binary, start, onGap, onOversize, ordering, destination } = settings;
  assert.deepEqual(
    [values, before, bigints, decimals, binary, onGap, onOversize, ordering],
    ["string", true, "string", "number", "hex", "skip", "dead_letter", "key"],
  );
  assert.deepEqual(start, { at: "lsn", lsn: "0000003600000b200003" });
  assert.equal(destination, "{server}.{database}.{schema}.{table}");
  const { maxConcurrentTables, maxBatchRows, maxBatchBytes, maxInFlightBytes } = settings;
  assert.deepEqual([maxConcurrentTables, maxBatchRows, maxBatchBytes, maxInFlightBytes], [8, 500, 262_144, 1_000_000]);
  assert.deepEqual(settings.checkpoints, { type: "file", path: "/var/lib/checkpoints.json" });
  assert.equal(settings.queue.messages, "batch");
  assert.deepEqual(settings.locks, { type: "none" });
  assert.deepEqual([router.output, router.onPoison], [{ type: "console" }, "dead_letter"]);
  assert.deepEqual(deadLetters, { path: "/etc/shop/lost" });
  assert.deepEqual(log, { level: "trace", format: "json" }, "the file goes before the environment");

  const orders = tableSettings(settings, { schema: "Sales", table: "ORDERS" });
  assert.deepEqual(orders.start, { at: "time", time: new Date("2026-11-21T09:00:00Z") }, "from the pattern");
  assert.deepEqual([orders.before, orders.onGap], [false, "fail"]);
  assert.deepEqual(orders.columnsInclude, ["Id", "Total"], "the exact name goes before the pattern");
  const quoted = tableSettings(settings, { schema: "my.schema", table: "my table" });
  assert.deepEqual([quoted.start, quoted.columnsExclude, quoted.columnsMask], [{ at: "now" }, ["Photo"], ["Phone"]]);
  assert.deepEqual(tableSettings(settings, { schema: "dbo", table: "Persons" }).start, settings.start);
});

describe("what is wrong", () => {
  test("is said all at once, each with its place and what was meant", async () => {
    const text = `ingester {
  db_conection_string = "x"
  db_type = "postgres"
  tables = ["Persons", "dbo.persons", 5, "a.b.c", "sales.*"]
  poll_interval_defaults {
    poll_interval = "5 seconds"
    max_poll_interval = 7
  }
  queue = { name = "x" }
  locks {
    type = "azure_blobs"
  }
  locks {
  }
  on_gap = "resnapshot"
  max_batch_bytes = "5GB"
  ordering = "Key"
  ordering = "table"
  destination = "{srver}.x"
  start = "nw"
  before = "perhaps"
  tables_overrides {
    overrides {
      table_name = "Person"
    }
    overrides {
      table_name = "sales.Orders"
    }
    overrides {
      poll_interval = "3m"
    }
  }
}
task "copy" {
}
routr {
}
router {
  output {
    type = "console"
    path = "x.db"
  }
  source {
    type = "console"
  }
}
`;
    assert.deepEqual(await problems(text, { DSTREAM_DB_CONNECTION_STRING: database }), [
      "2:3: unknown key db_conection_string in ingester",
      "  Did you mean db_connection_string?",
      '3:13: db_type = "postgres" is not one of "sqlserver"',
      "4:24: dbo.persons is listed twice: first in line 4 as Persons",
      "  Table names ignore case, and Persons is dbo.Persons.",
      "4:39: tables must be a table name",
      '4:42: tables = "a.b.c" has more than two parts: the connection string names server and database',
      '  Tables are written "Persons", "sales.Orders" or "sales.*".',
      '6:21: poll_interval = "5 seconds" is not a duration',
      '  Try "5s".',
      "7:25: max_poll_interval must be a duration",
      "9:3: queue is a block",
      "  Write queue { … }, without =.",
      '11:12: type = "azure_blobs" is no type that is known',
      '  Did you mean "azure_blob"? Known are embedded, none, azure_blob, sqlserver, nats.',
      "13:3: there is a second locks block: the first stands in line 10",
      '15:12: on_gap = "resnapshot" is not built yet',
      '  Built are "fail" and "skip".',
      "16:21: max_batch_bytes is more than max_in_flight_bytes",
      "  What is in flight holds at least one batch.",
      '17:14: ordering = "Key" is not one of "table", "key"',
      '  Did you mean "key"?',
      "18:3: ordering is given twice: first in line 17",
      '19:17: destination = "{srver}.x" has a placeholder that nobody fills',
      "  Did you mean {server}? Placeholders are {server}, {database}, {schema} and {table}.",
      '20:11: start = "nw" is no place to start',
      '  Did you mean "now"?',
      '21:12: before = "perhaps" is neither true nor false',
      "24:20: Person has an override, but tables does not list it",
      "  Did you mean Persons?",
      "29:5: table_name is missing in overrides",
      "36:1: unknown block routr",
      "  Did you mean router?",
      '41:12: path has no meaning for type "console"',
      "  Leave it out.",
      '44:12: type "console" cannot be a source',
      built("queue"),
    ]);
  });

  test("intervals that contradict each other, in the defaults and with an override", async () => {
    const text = ingester(`poll_interval_defaults {
    poll_interval = "3m"
  }
  tables_overrides {
    overrides {
      table_name = "Persons"
      max_poll_interval = "1m"
    }
  }`);
    assert.deepEqual(
      (await problems(text)).filter((line) => /^\d/.test(line)),
      ["5:21: poll_interval is longer than max_poll_interval", "10:27: poll_interval is longer than max_poll_interval"],
    );
  });

  test("one table has one override, with columns in or out", async () => {
    const override = (name: string) =>
      `overrides {\n table_name = "${name}"\n columns_include = ["a"]\n columns_exclude = ["b"]\n }\n`;
    const said = await problems(ingester(`tables_overrides {\n${override("Persons")}${override("DBO.persons")}}`));
    assert.match(said.join("\n"), /8:20: columns_include and columns_exclude contradict/);
    assert.match(said.join("\n"), /DBO\.persons has a second override: the first stands in line 6/);
  });

  test("router and publisher are one block", async () => {
    assert.deepEqual(await problems(`${ingester("")}router {\n}\npublisher {\n}\n`), [
      "8:1: router and publisher are one block by two names: the file has both",
      "  Keep router.",
    ]);
  });

  test("a connection string that is wrong is shown where it stands, without its password", async () => {
    const said = await problems(
      'ingester {\n tables = ["a"]\n db_connection_string = "sqlserver://u:hunter2@db?encrypt=maybe"\n}',
    );
    assert.match(said.join("\n"), /^3:25: db_connection_string: it names no database/);
    assert.match(said.join("\n"), /encrypt is strict, true/);
    assert.doesNotMatch(said.join("\n"), /hunter2/);
  });

  test("labels, lists without brackets, a log level that is none", async () => {
    const text = 'ingester "main" {\n tables = "Persons"\n}\n';
    assert.deepEqual(await problems(text, { DSTREAM_DB_CONNECTION_STRING: database, DSTREAM_LOG_LEVEL: "loud" }), [
      "1:1: ingester takes no label",
      "  Write ingester { … }.",
      "1:1: DSTREAM_LOG_LEVEL is no log level",
      "  Levels are trace, debug, info, warn, error, fatal, silent.",
      "2:11: tables must be a list of table names",
      "  Put it in brackets: tables = [ … ].",
    ]);
  });

  test("no value of the environment appears in any error", async () => {
    const secret = "hunter2";
    const keys = ["start", "destination", "on_gap", "max_batch_rows", "max_batch_bytes", "before", "db_type", "values"];
    const body = keys.map((key) => `${key} = env("X")`).join("\n");
    const rest =
      'locks {\n type = env("X")\n}\ntables_overrides {\n overrides {\n table_name = env("X")\n poll_interval = env("X")\n }\n}';
    const said = await problems(
      `ingester {\n tables = [env("X"), "dbo.{{ env "X" }}"]\n db_connection_string = env("X")\n${body}\n${rest}\n}`,
      { X: secret },
    );
    assert.ok(said.length > 10, said.join("\n"));
    assert.doesNotMatch(said.join("\n"), /hunter2/);
  });

  test("what the environment holds counts where a number or a boolean is expected", async () => {
    const { ingester: settings } = await readIngester('max_batch_rows = "{{ env "N" }}"\nbefore = env("B")', {
      N: "7",
      B: "true",
    });
    assert.deepEqual([settings.maxBatchRows, settings.before], [7, true]);
  });
});

describe("from a file", () => {
  test("relative paths start at its folder", async (t) => {
    const dir = await mkdtemp(join(tmpdir(), "dstream-config-"));
    t.after(() => rm(dir, { recursive: true }));
    const file = join(dir, "dstream.hcl");
    await writeFile(file, `\ufeff${ingester("").replaceAll("\n", "\r\n")}`);
    const config = await loadConfig(file, {});
    assert.deepEqual(config.ingester.queue.endpoint, { type: "embedded", path: join(dir, ".dstream/queue.db") });
    assert.equal(config.file, file);
  });

  test("one that is not there", async () => {
    await assert.rejects(loadConfig("/nowhere/dstream.hcl", {}), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, /^\/nowhere\/dstream\.hcl:1:1: there is no such configuration file\n.*--config/);
      return true;
    });
  });
});
