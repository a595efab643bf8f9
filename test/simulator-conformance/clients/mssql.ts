/** Plays scenarios with mssql over tedious, which adds pools, its own transactions and prepared statements: https://www.npmjs.com/package/mssql */
import sql from "mssql";
import { baseOf, type Client, type Target } from "../client.ts";
import type { Parameter, Played, Rows, Scenario, Seen, SeenError, Step } from "../scenario.ts";
import { parameterValue, textOf } from "./node-values.ts";
import { tedious, valuesOf } from "./tedious.ts";

const ISOLATION = {
  "read committed": sql.ISOLATION_LEVEL.READ_COMMITTED,
  "repeatable read": sql.ISOLATION_LEVEL.REPEATABLE_READ,
  serializable: sql.ISOLATION_LEVEL.SERIALIZABLE,
  snapshot: sql.ISOLATION_LEVEL.SNAPSHOT,
};

export const mssql: Client = {
  ...tedious,
  name: "mssql",
  encryptions: ["none", "all"],
  // The base type of a sql_variant's value is not told.
  cannotReadInVariant: ["varchar", "date", "datetime2"],
  play,
};

async function play(scenario: Scenario, target: Target): Promise<Played> {
  const pool = new sql.ConnectionPool({
    server: target.host,
    port: target.port,
    user: target.user,
    password: target.password,
    database: target.database,
    // One connection: a session's state lasts from step to step.
    pool: { min: 1, max: 1 },
    arrayRowMode: true,
    connectionTimeout: 10_000,
    requestTimeout: 60_000,
    options: { encrypt: target.encryption === "all", trustServerCertificate: true },
  });
  pool.on("error", () => {});
  try {
    await pool.connect();
  } catch (failed) {
    await pool.close();
    return { refused: told(failed as Error), steps: [] };
  }
  const session = new Session(pool);
  const steps: Seen[] = [];
  try {
    for (const step of scenario.steps) steps.push(...(await session.play(step)));
  } finally {
    await session.end();
    await pool.close();
  }
  return { steps };
}

function told(failed: Error): SeenError {
  const { originalError, message } = failed as sql.RequestError;
  const info = (originalError as { info?: { number: number; state: number; class: number; lineNumber: number } } | null)
    ?.info;
  if (info) return { number: info.number, state: info.state, severity: info.class, line: info.lineNumber, message };
  // A refused login has no number of its own, but the driver's code.
  const refused = (failed as { code?: string }).code === "ELOGIN";
  return { number: refused ? 18456 : null, message };
}

class Session {
  readonly #pool: sql.ConnectionPool;
  #transaction: sql.Transaction | null = null;

  constructor(pool: sql.ConnectionPool) {
    this.#pool = pool;
  }

  async play(step: Step): Promise<Seen[]> {
    if (step.do === "prepared") return this.#prepared(step);
    if (step.do === "batch") {
      const request = this.#request(step.parameters ?? []);
      return [await observe(request, () => (step.parameters ? request.query(step.sql) : request.batch(step.sql)))];
    }
    if (step.do === "call") {
      const request = this.#request(step.arguments);
      return [await observe(request, () => request.execute(step.procedure))];
    }
    if (step.do === "cancel") {
      const request = this.#request([]);
      for (const begun of ["row", "info"]) request.once(begun, () => request.cancel());
      return [await observe(request, () => request.batch(step.sql))];
    }
    const seen: Seen = { sets: [], errors: [] };
    if (step.do === "bulk") {
      const asked = new Set(step.options);
      const options = {
        checkConstraints: asked.has("CHECK_CONSTRAINTS"),
        keepNulls: asked.has("KEEP_NULLS"),
        tableLock: asked.has("TABLOCK"),
      };
      try {
        seen.affected = (await this.#request([]).bulk(tableOf(step.table, step), options)).rowsAffected;
      } catch (failed) {
        seen.errors.push(told(failed as Error));
      }
      return [seen];
    }
    try {
      if (step.do === "begin") {
        this.#transaction = new sql.Transaction(this.#pool);
        // The server may have rolled it back already, which this event tells.
        this.#transaction.on("rollback", () => {});
        await this.#transaction.begin(step.isolation && ISOLATION[step.isolation]);
      } else {
        if (step.do === "commit") await this.#transaction!.commit();
        else await this.#transaction!.rollback();
        this.#transaction = null;
      }
    } catch (failed) {
      seen.errors.push(told(failed as Error));
    }
    return [seen];
  }

  async end(): Promise<void> {
    await this.#transaction?.rollback();
  }

  #request(parameters: (Parameter & { output?: boolean })[]): sql.Request {
    const request = this.#transaction ? new sql.Request(this.#transaction) : new sql.Request(this.#pool);
    for (const { name, type, text, output, table } of parameters) {
      if (table) {
        request.input(name, sql.TVP(), tableOf(table.name, table));
        continue;
      }
      const value = parameterValue(text, type);
      if (output) request.output(name, typeOf(type), value);
      else request.input(name, typeOf(type), value);
    }
    return request;
  }

  async #prepared(step: Extract<Step, { do: "prepared" }>): Promise<Seen[]> {
    const statement = new sql.PreparedStatement(this.#transaction ?? (this.#pool as unknown as sql.Transaction));
    Object.assign(statement, { stream: true, arrayRowMode: true });
    for (const { name, type } of step.runs[0]!.parameters) statement.input(name, typeOf(type) as sql.ISqlType);
    await statement.prepare(step.sql);
    const seen: Seen[] = [];
    for (const { parameters } of step.runs) {
      const values = Object.fromEntries(parameters.map(({ name, type, text }) => [name, parameterValue(text, type)]));
      const request = statement.execute(values) as unknown as sql.Request;
      seen.push(await observe(request, () => {}));
    }
    await statement.unprepare();
    return seen;
  }
}

/** Streams, so that what came before an error is seen too. */
async function observe(request: sql.Request, start: () => unknown): Promise<Seen> {
  const seen: Seen = { sets: [], errors: [], messages: [], affected: null, returned: null };
  request.stream = true;
  let columns: Column[] = [];
  request.on("info", ({ message }: { message: string }) => seen.messages!.push(message));
  request.on("recordset", (described: Column[]) => {
    columns = described;
    seen.sets.push({ columns: described.map(({ name }) => name), rows: [] });
  });
  // The text of FOR JSON and FOR XML comes as the member of an object.
  request.on("row", (row: unknown[] | Record<string, unknown>) => {
    const cells = Array.isArray(row) ? row : Object.values(row);
    seen.sets.at(-1)!.rows.push(cells.map((cell, i) => shown(cell, columns[i]!)));
  });
  request.on("rowsaffected", (rows: number) => {
    seen.affected = rows;
  });
  request.on("error", (failed: Error) => {
    if ((failed as { code?: string }).code === "ECANCEL") seen.cancelled = { rows: seen.sets[0]?.rows.length ?? 0 };
    else seen.errors.push(told(failed));
  });
  const done = new Promise<Partial<sql.IProcedureResult<unknown>>>((resolve) => request.once("done", resolve));
  start();
  // Of what was not even sent there are none.
  const { output = {}, returnValue } = await done;
  seen.outputs = Object.fromEntries(Object.entries(output).map(([name, value]) => [name, textOf(value, "", 0)]));
  if (returnValue !== undefined) seen.returned = returnValue;
  return seen;
}

function tableOf(name: string, rows: Rows): sql.Table {
  const table = new sql.Table(name);
  for (const column of rows.columns)
    table.columns.add(column.name, typeOf(column.type) as sql.ISqlType, { nullable: true });
  for (const values of valuesOf(rows)) table.rows.add(...(values as (string | null)[]));
  return table;
}

/** As arrayRowMode describes it. */
interface Column {
  name: string;
  type?: { declaration?: string };
  scale?: number;
}

function shown(cell: unknown, { type, scale }: Column): string | null {
  return textOf(cell, type?.declaration ?? "", scale ?? 0);
}

function typeOf(type: string): sql.ISqlType | (() => sql.ISqlType) {
  const [first, second] = [...type.replace(/^\w+/, "").matchAll(/\d+|max/g)].map(([text]) =>
    text === "max" ? sql.MAX : Number(text),
  );
  switch (baseOf(type)) {
    case "bit":
      return sql.Bit;
    case "tinyint":
      return sql.TinyInt;
    case "smallint":
      return sql.SmallInt;
    case "int":
      return sql.Int;
    case "bigint":
      return sql.BigInt;
    case "decimal":
    case "numeric":
      return sql.Decimal(first, second);
    case "money":
      return sql.Money;
    case "smallmoney":
      return sql.SmallMoney;
    case "float":
      return sql.Float;
    case "real":
      return sql.Real;
    case "date":
      return sql.Date;
    case "time":
      return sql.Time(first);
    case "datetime":
      return sql.DateTime;
    case "smalldatetime":
      return sql.SmallDateTime;
    case "datetime2":
      return sql.DateTime2(first);
    case "datetimeoffset":
      return sql.DateTimeOffset(first);
    case "char":
      return sql.Char(first);
    case "varchar":
      return sql.VarChar(first);
    case "text":
      return sql.Text;
    case "nchar":
      return sql.NChar(first);
    case "ntext":
      return sql.NText;
    case "xml":
      return sql.Xml;
    case "uniqueidentifier":
      return sql.UniqueIdentifier;
    case "binary":
      return sql.Binary;
    case "varbinary":
      return sql.VarBinary(first);
    case "image":
      return sql.Image;
    default:
      return sql.NVarChar(first);
  }
}
