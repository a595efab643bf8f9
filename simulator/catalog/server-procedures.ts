/** Procedures about the server, its sessions and options, as tools and people call them. */
import { toDatetime } from "../cdc/server-time.ts";
import type { Index } from "../engine/database.ts";
import type { Engine, EngineContext } from "../engine/engine.ts";
import { type ResultSink, SqlError } from "../engine/session.ts";
import type { Value } from "../engine/values.ts";
import { configurations, configure } from "./databases.ts";
import { procedure, type RowObject, sendRows } from "./define.ts";
import { objectByName } from "./functions.ts";
import { type CatalogObject, TYPE_NAMES } from "./objects.ts";
import { maxLength, precisionOf, scaleOf, typeName } from "./system-types.ts";

type Args = Map<string, Value>;

const WHO = `spid smallint, ecid smallint, status nchar(30), loginame nvarchar(128), hostname nchar(128), blk char(5),
  dbname nvarchar(128), cmd nchar(26), request_id int`;

function who({ engine }: EngineContext): RowObject[] {
  return [...engine.sessions.values()].map((session) => ({
    spid: session.spid,
    ecid: 0,
    status: "sleeping".padEnd(30),
    loginame: session.login.name,
    hostname: session.host.padEnd(128),
    blk: "0    ",
    dbname: session.currentDatabase.name,
    cmd: "AWAITING COMMAND".padEnd(26),
    request_id: 0,
  }));
}

/** https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/xp-msver-transact-sql */
function versionRows({ engine }: EngineContext): RowObject[] {
  const facts: [string, number | null, string | null][] = [
    ["ProductName", null, "Microsoft SQL Server"],
    ["ProductVersion", 1_048_576, engine.version],
    ["Language", 1033, "English (United States)"],
    ["Platform", null, "NT x64"],
    ["Comments", null, "SQL"],
    ["FileVersion", null, engine.version],
    ["WindowsVersion", null, "6.2 (9200)"],
    ["ProcessorCount", 2, "2"],
    ["PhysicalMemory", 8192, "8192 (8589934592)"],
  ];
  return facts.map(([name, internal, value], i) => ({
    Index: i + 1,
    Name: name,
    Internal_Value: internal,
    Character_Value: value,
  }));
}

/** https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-server-info-transact-sql */
function serverInfo({ engine }: EngineContext): RowObject[] {
  const facts: [number, string, string][] = [
    [1, "DBMS_NAME", "Microsoft SQL Server"],
    [2, "DBMS_VER", `Microsoft SQL Server 2022 - ${engine.version}`],
    [10, "OWNER_TERM", "owner"],
    [11, "TABLE_TERM", "table"],
    [12, "MAX_OWNER_NAME_LENGTH", "128"],
    [13, "TABLE_LENGTH", "128"],
    [14, "MAX_QUAL_LENGTH", "128"],
    [15, "COLUMN_LENGTH", "128"],
    [16, "IDENTIFIER_CASE", "MIXED"],
    [17, "TX_ISOLATION", "2"],
    [18, "COLLATION_SEQ", "charset=iso_1 sort_order=nocase_iso charset_num=1 sort_order_num=52"],
    [19, "SAVEPOINT_SUPPORT", "Y"],
    [20, "MULTI_RESULT_SETS", "Y"],
    [22, "ACCESSIBLE_TABLES", "Y"],
    [100, "USERID_LENGTH", "128"],
    [101, "QUALIFIER_TERM", "database"],
    [102, "NAMED_TRANSACTIONS", "Y"],
    [103, "SPROC_AS_LANGUAGE", "Y"],
    [104, "ACCESSIBLE_SPROC", "Y"],
    [105, "MAX_INDEX_COLS", "16"],
    [106, "RENAME_TABLE", "Y"],
    [107, "RENAME_COLUMN", "Y"],
    [108, "DROP_COLUMN", "Y"],
    [109, "INCREASE_COLUMN_LENGTH", "Y"],
    [110, "DDL_IN_TRANSACTION", "Y"],
    [111, "DESCENDING_INDEXES", "Y"],
    [112, "SP_RENAME", "Y"],
    [113, "REMOTE_SPROC", "Y"],
    [500, "SYS_SPROC_VERSION", engine.version],
  ];
  return facts.map(([id, name, value]) => ({ attribute_id: id, attribute_name: name, attribute_value: value }));
}

async function help(context: EngineContext, args: Args, sink: Parameters<typeof sendRows>[0]): Promise<number> {
  const name = args.get("@objname");
  if (name === null || name === undefined)
    throw new SqlError(40510, "The simulator does not support sp_help without an object's name.");
  const object = namedObject(context, String(name));
  await sendRows(sink, "Name sysname, Owner sysname, Type nvarchar(31), Created_datetime datetime", [
    {
      Name: object.name,
      Owner: "dbo",
      Type: (TYPE_NAMES[object.type] ?? "").toLowerCase().replaceAll("_", " "),
      Created_datetime: toDatetime(context.engine, object.created),
    },
  ]);
  const table = context.database.tables.get(object.objectId);
  if (!table) return 0;
  await sendRows(
    sink,
    `Column_name sysname, Type sysname, Computed varchar(35), Length int, Prec char(5), Scale char(5), Nullable varchar(35),
     TrimTrailingBlanks varchar(35), FixedLenNullInSource varchar(35), Collation sysname`,
    table.columns.map((column) => ({
      Column_name: column.name,
      Type: typeName(column.type, column.declaredType),
      Computed: column.computed ? "yes" : "no",
      Length: maxLength(column.type),
      Prec: String(precisionOf(column.type) || "").padEnd(5),
      Scale: String(precisionOf(column.type) ? scaleOf(column.type) : "").padEnd(5),
      Nullable: column.nullable ? "yes" : "no",
    })),
  );
  return 0;
}

function namedObject(context: EngineContext, name: string): CatalogObject {
  const object = objectByName(context, name);
  if (object) return object;
  throw new SqlError(
    15009,
    `The object '${name}' does not exist in database '${context.database.name}' or is invalid for this operation.`,
    16,
    1,
  );
}

/** https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-helpindex-transact-sql */
async function helpIndex(context: EngineContext, args: Args, sink: ResultSink): Promise<number> {
  const name = String(args.get("@objname"));
  const table = context.database.tables.get(namedObject(context, name).objectId);
  const indexes = [...(table?.indexes ?? [])].sort((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1));
  if (indexes.length === 0) {
    const message = `The object '${name}' does not have any indexes, or you do not have permissions.`;
    sink.message({ number: 15472, severity: 0, state: 1, message, line: 0 });
    return 0;
  }
  const description = (index: Index) => [
    index.clustered ? "clustered" : "nonclustered",
    ...(index.unique ? ["unique"] : []),
    ...(index.primaryKey ? ["primary key"] : index.uniqueConstraint ? ["unique key"] : []),
  ];
  await sendRows(
    sink,
    "index_name sysname!, index_description varchar(210), index_keys nvarchar(2126)",
    indexes.map((index) => ({
      index_name: index.name,
      index_description: `${description(index).join(", ")} located on PRIMARY`,
      index_keys: index.columns
        .map(({ column, descending }) => `${table!.columns[column]!.name}${descending ? "(-)" : ""}`)
        .join(", "),
    })),
  );
  return 0;
}

async function spConfigure(context: EngineContext, args: Args, sink: Parameters<typeof sendRows>[0]): Promise<number> {
  const { engine, session } = context;
  const name = args.get("@configname");
  const value = args.get("@configvalue");
  if (typeof value === "number") {
    if (!session.login.sysadmin)
      throw new SqlError(15247, "User does not have permission to perform this action.", 16, 1);
    const chosen = configure(engine, String(name), value);
    if (!chosen) throw badOption(String(name));
    sink.message({
      number: 15457,
      state: 1,
      severity: 0,
      message: `Configuration option '${chosen.name}' changed from ${chosen.before} to ${value}. Run the RECONFIGURE statement to install.`,
      line: 1,
    });
    return 0;
  }
  const found = configurations(engine).filter((one) => name == null || one.name.startsWith(String(name).toLowerCase()));
  if (found.length === 0) throw badOption(String(name));
  await sendRows(
    sink,
    "name nvarchar(35), minimum int, maximum int, config_value int, run_value int",
    found.map((one) => ({
      name: one.name,
      minimum: one.least,
      maximum: one.most,
      config_value: one.value,
      run_value: one.inUse,
    })),
  );
  return 0;
}

function badOption(name: string): SqlError {
  return new SqlError(
    15123,
    `The configuration option '${name}' does not exist, or it may be an advanced option.`,
    16,
    1,
  );
}

export function registerServerProcedures(engine: Engine): void {
  const procedures = [
    procedure("sys", "sp_who", "@loginame sysname = NULL", async (context, _, sink) => {
      await sendRows(sink, WHO, who(context));
      return 0;
    }),
    procedure("sys", "xp_msver", "@optname sysname = NULL", async (context, args, sink) => {
      const wanted = args.get("@optname");
      const rows = versionRows(context).filter((row) => wanted == null || row["Name"] === wanted);
      await sendRows(
        sink,
        "Index smallint, Name nvarchar(32), Internal_Value int, Character_Value nvarchar(256)",
        rows,
      );
      return 0;
    }),
    procedure("sys", "sp_server_info", "@attribute_id int = NULL", async (context, args, sink) => {
      const wanted = args.get("@attribute_id");
      const rows = serverInfo(context).filter((row) => wanted == null || row["attribute_id"] === wanted);
      await sendRows(sink, "attribute_id int!, attribute_name varchar(60)!, attribute_value varchar(255)", rows);
      return 0;
    }),
    procedure("sys", "sp_databases", "", async (context, _, sink) => {
      const rows = [...context.engine.databases.values()].map(({ name }) => ({
        DATABASE_NAME: name,
        DATABASE_SIZE: 16_384,
      }));
      await sendRows(sink, "DATABASE_NAME sysname!, DATABASE_SIZE int, REMARKS varchar(254)", rows);
      return 0;
    }),
    procedure("sys", "sp_help", "@objname nvarchar(776) = NULL", help),
    procedure("sys", "sp_helpindex", "@objname nvarchar(776)", helpIndex),
    procedure("sys", "sp_configure", "@configname varchar(35) = NULL, @configvalue int = NULL", spConfigure),
  ];
  for (const definition of procedures) engine.registerProcedure(definition);
}
