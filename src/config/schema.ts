/**
 * Every block and key of dstream.hcl, with its default and its text: errors, types and docs/configuration.md come from here.
 * An object is a block, an array of objects a block that may stand several times, everything else `key = value`.
 */
import { z } from "zod";
import { brokerSettings } from "../transports/settings.ts";
import {
  count,
  destination,
  duration,
  flag,
  listOf,
  lockType,
  oneOf,
  onGap,
  secret,
  size,
  start,
  tableName,
  text,
  transportType,
} from "./fields.ts";

const path = (what: string) => text("a path").optional().describe(what);

/** A block for each messaging system of a network, by its type. */
const brokers = Object.fromEntries(
  Object.entries(brokerSettings).map(([type, settings]) => [type, settings.optional()]),
) as { [T in keyof typeof brokerSettings]: z.ZodOptional<(typeof brokerSettings)[T]> };

const pollIntervals = z
  .strictObject({
    poll_interval: duration()
      .prefault("5s")
      .describe(
        "How soon after a read a table that changes is read again, and how often a quiet one is asked for at first.",
      ),
    max_poll_interval: duration()
      .prefault("2m")
      .describe("Where the interval of a quiet table, which doubles while nothing comes, stops growing."),
  })
  .describe(
    "How often tables are polled. Backing off spares questions; it never delays a change that is already known.",
  );

const queue = z
  .strictObject({
    type: transportType().prefault("embedded").describe("The messaging system of the ingest queue."),
    name: text("a name").prefault("ingest-queue").describe("The queue's name."),
    connection_string: secret("DSTREAM_INGEST_CONNECTION_STRING")
      .optional()
      .describe("How the messaging system is reached; every type but `embedded` needs it."),
    path: path("`embedded`: the queue's file. Relative paths start at the configuration file's folder.").meta({
      otherwise: ".dstream/queue.db",
    }),
    messages: oneOf("row", "batch")
      .prefault("row")
      .describe("`row`: one message a change. `batch`: many changes to a message, which the router unpacks again."),
    ...brokers,
  })
  .describe("The queue between ingester and router. Without this block: the embedded queue.");

const locks = z
  .strictObject({
    type: lockType()
      .optional()
      .describe("Where ownership of tables is kept. `none` is for a single ingester that nobody else can start.")
      .meta({ otherwise: "`embedded` with the embedded queue or checkpoints in a file, else `sqlserver`" }),
    connection_string: secret("DSTREAM_BLOB_CONNECTION_STRING")
      .optional()
      .describe("How the lock store is reached. `sqlserver` without it: the source database."),
    container_name: text("a name").optional().describe("`azure_blob`: the container.").meta({ otherwise: "locks" }),
    path: path("`embedded`: the locks' file.").meta({ otherwise: ".dstream/locks.db" }),
  })
  .describe(
    "Exclusive ownership of tables, so that several ingesters may run. Without this block: a file beside the embedded queue, a table " +
      "of the source database with any other.",
  );

const checkpoints = z
  .strictObject({
    type: oneOf("sqlserver", "file", "kafka")
      .prefault("sqlserver")
      .describe(
        "`sqlserver`: a table in the source database. `file`: a file here, for databases that may only be read. `kafka`: a compacted " +
          "topic of the ingest queue's Kafka, written in one transaction with the messages.",
      ),
    table: text("a name").optional().describe("`sqlserver`: the table.").meta({ otherwise: "cdc_offsets" }),
    path: path("`file`: the file.").meta({ otherwise: ".dstream/checkpoints.json" }),
    topic: text("a name")
      .optional()
      .describe("`kafka`: the topic.")
      .meta({ otherwise: "the queue's name, and `.checkpoints`" }),
  })
  .describe("Where the position of each table is kept.");

const override = z
  .strictObject({
    table_name: tableName().describe("One of `tables`, or a pattern; where several apply, an exact name wins."),
    poll_interval: duration().optional().describe("As in `poll_interval_defaults`, for this table."),
    max_poll_interval: duration().optional().describe("As in `poll_interval_defaults`, for this table."),
    start: start().optional().describe("As in `ingester`, for this table."),
    on_gap: onGap().optional().describe("As in `ingester`, for this table."),
    before: flag().optional().describe("As in `ingester`, for this table."),
    columns_include: listOf(text("a name"), "a list of names").optional().describe("Deliver these columns only."),
    columns_exclude: listOf(text("a name"), "a list of names").optional().describe("Deliver all columns but these."),
    columns_mask: listOf(text("a name"), "a list of names")
      .optional()
      .describe('Deliver these columns with `"****"` in place of every value; NULL stays null.'),
  })
  .describe("One table's, or one pattern's, own settings. May stand several times.");

const ingester = z
  .strictObject({
    db_type: oneOf("sqlserver").prefault("sqlserver").describe("The kind of source database."),
    db_connection_string: secret("DSTREAM_DB_CONNECTION_STRING").describe(
      "The source database: `sqlserver://user:password@host:1433?database=name` or `server=host,1433;database=name;…`. " +
        "Encrypted, and the certificate verified, unless it says otherwise.",
    ),
    tables: listOf(tableName(), "a list of table names").describe(
      "What to read: `Persons` means `dbo.Persons`; `sales.*` every table of a schema that CDC captures; `[my.schema].[my table]` " +
        "where names hold dots.",
    ),
    poll_interval_defaults: pollIntervals.prefault({}),
    queue: queue.prefault({}),
    locks: locks.prefault({}),
    checkpoints: checkpoints.prefault({}),
    tables_overrides: z
      .strictObject({ overrides: z.array(override).prefault([]) })
      .describe("Settings of single tables.")
      .prefault({}),
    start: start()
      .prefault("low_watermark")
      .describe(
        "Where a table without a checkpoint begins: `low_watermark` (all that CDC still has), `now`, an LSN (`0x` and 20 " +
          "hexadecimal digits) or a time (RFC 3339).",
      ),
    on_gap: onGap()
      .prefault("fail")
      .describe(
        "When CDC's cleanup has removed changes that were not read yet: `fail` stops the table and says what is missing, `skip` " +
          "logs it and goes on with what is left. `resnapshot` is not built yet.",
      ),
    on_oversize: oneOf("stop", "dead_letter")
      .prefault("stop")
      .describe(
        "When a change is larger than the queue's largest message: stop the table, or put the change to the dead letters.",
      ),
    ordering: oneOf("table", "key")
      .prefault("table")
      .describe(
        "Which changes keep their order: all of a table, or those of one primary key, which lets lanes run in parallel.",
      ),
    destination: destination()
      .optional()
      .describe("The topic that a table's changes end in, from {server}, {database}, {schema} and {table}.")
      .meta({ otherwise: "{server}.{database}.{table}.events, with {schema}.{table} for a schema other than dbo" }),
    values: oneOf("native", "string")
      .prefault("native")
      .describe(
        "`native`: JSON numbers and booleans where a value is one. `string`: every value in `data` is a string.",
      ),
    before: flag().prefault(false).describe("Deliver the row as it was before an update, too."),
    bigints: oneOf("number", "string")
      .prefault("number")
      .describe("bigint values as JSON numbers with all digits, or as strings for readers that keep only 53 bits."),
    decimals: oneOf("string", "number")
      .prefault("string")
      .describe("decimal, numeric and money values as strings, or as JSON numbers with all digits."),
    binary: oneOf("base64", "hex").prefault("base64").describe("How binary values are written."),
    max_concurrent_tables: count(1).prefault(4).describe("How many tables are read at once."),
    max_batch_rows: count(1).prefault(10_000).describe("The most rows that one read asks for."),
    max_batch_bytes: size()
      .prefault("4MB")
      .describe("The most that one batch holds, in bytes of messages. A single larger row goes alone."),
    max_in_flight_bytes: size()
      .prefault("64MB")
      .describe("The most that all tables together hold in memory, read and not yet acknowledged."),
  })
  .describe("Reads the changes of the source database into the ingest queue.");

const source = z
  .strictObject({
    type: transportType().optional().describe("The messaging system.").meta({ otherwise: "that of the ingest queue" }),
    name: text("a name").optional().describe("The queue's name.").meta({ otherwise: "that of the ingest queue" }),
    connection_string: secret("DSTREAM_PUBLISHER_CONNECTION_STRING")
      .optional()
      .describe("How the messaging system is reached; every type but `embedded` needs it."),
    path: path("`embedded`: the queue's file.").meta({ otherwise: "that of the ingest queue, or .dstream/queue.db" }),
    ...brokers,
  })
  .describe("Where the router takes messages from. Without this block: the ingest queue.");

const output = z
  .strictObject({
    type: transportType()
      .prefault("embedded")
      .describe("The messaging system of the destinations. `console` shows the changes instead."),
    connection_string: secret("DSTREAM_PUBLISHER_CONNECTION_STRING")
      .optional()
      .describe("How the messaging system is reached; every type but `embedded` and `console` needs it."),
    path: path("`embedded`: the topics' file.").meta({ otherwise: ".dstream/queue.db" }),
    ...brokers,
  })
  .describe("Where the destinations are. Without this block: topics in the embedded queue's file.");

const router = z
  .strictObject({
    source: source.optional(),
    output: output.prefault({}),
    on_poison: oneOf("stop", "dead_letter")
      .prefault("stop")
      .describe(
        "When a destination refuses a message for good: stop its lane, or put the message to the ingest queue's dead letters. An " +
          "unavailable destination is waited for.",
      ),
  })
  .describe("Takes messages from the ingest queue to their destinations. `publisher` is its older name.");

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

export const logSchema = z
  .strictObject({
    level: oneOf(...logLevels)
      .optional()
      .describe("What is logged. The flag `--log-level` goes before it.")
      .meta({ env: "DSTREAM_LOG_LEVEL", otherwise: "info" }),
    format: oneOf("auto", "pretty", "json")
      .prefault("auto")
      .describe("`auto`: readable on a terminal, JSON lines elsewhere."),
  })
  .describe("Logs go to standard error.");

const deadLetters = z
  .strictObject({
    path: path("The folder.").meta({ otherwise: ".dstream/dead-letters" }),
  })
  .describe("Where the ingester puts what it cannot send for good.");

export const fileSchema = z.strictObject({
  ingester,
  router: router.prefault({}),
  dead_letters: deadLetters.prefault({}),
  log: logSchema.prefault({}),
});

/** A file's settings, by the file's own names, defaults filled in. */
export type FileSettings = z.output<typeof fileSchema>;
