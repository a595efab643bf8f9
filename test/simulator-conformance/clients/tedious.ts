/** Plays scenarios with tedious: https://tediousjs.github.io/tedious/ */
import { readFileSync } from "node:fs";
import { Connection, ISOLATION_LEVEL, Request, type RequestError, TYPES } from "tedious";
import { baseOf, type Client, DRIVER_ABILITIES, type Target } from "../client.ts";
import type { Parameter, Played, Rows, Scenario, Seen, SeenError, Step } from "../scenario.ts";
import { doubleOf, instantOf, isDoubleExact, parameterValue, textOf } from "./node-values.ts";

type DataType = (typeof TYPES)[keyof typeof TYPES];

const DATA_TYPES: Record<string, DataType> = {
  bit: TYPES.Bit,
  tinyint: TYPES.TinyInt,
  smallint: TYPES.SmallInt,
  int: TYPES.Int,
  bigint: TYPES.BigInt,
  decimal: TYPES.Decimal,
  numeric: TYPES.Numeric,
  money: TYPES.Money,
  smallmoney: TYPES.SmallMoney,
  float: TYPES.Float,
  real: TYPES.Real,
  date: TYPES.Date,
  time: TYPES.Time,
  datetime: TYPES.DateTime,
  smalldatetime: TYPES.SmallDateTime,
  datetime2: TYPES.DateTime2,
  datetimeoffset: TYPES.DateTimeOffset,
  char: TYPES.Char,
  varchar: TYPES.VarChar,
  text: TYPES.Text,
  nchar: TYPES.NChar,
  nvarchar: TYPES.NVarChar,
  ntext: TYPES.NText,
  uniqueidentifier: TYPES.UniqueIdentifier,
  binary: TYPES.Binary,
  varbinary: TYPES.VarBinary,
  image: TYPES.Image,
};

const ISOLATION = {
  "read committed": ISOLATION_LEVEL.READ_COMMITTED,
  "repeatable read": ISOLATION_LEVEL.REPEATABLE_READ,
  serializable: ISOLATION_LEVEL.SERIALIZABLE,
  snapshot: ISOLATION_LEVEL.SNAPSHOT,
};

export const tedious: Client = {
  name: "tedious",
  encryptions: ["none", "all", "strict"],
  abilities: DRIVER_ABILITIES,
  shows: new Map([
    ["decimal", doubleOf],
    ["numeric", doubleOf],
    ["money", doubleOf],
    ["smallmoney", doubleOf],
    ["datetimeoffset", instantOf],
  ]),
  // It reads length and collation in the wrong order, so that letters beyond ASCII come out as UTF-8.
  cannotReadInVariant: ["varchar"],
  sends: (type, text) => !["decimal", "numeric", "money", "smallmoney"].includes(baseOf(type)) || isDoubleExact(text),
  play,
  async close() {},
};

async function play(scenario: Scenario, target: Target): Promise<Played> {
  const connection = new Connection({
    server: target.host,
    authentication: { type: "default", options: { userName: target.user, password: target.password } },
    options: {
      port: target.port,
      database: target.database,
      encrypt: target.encryption === "strict" ? "strict" : target.encryption === "all",
      // TDS 8.0 verifies the certificate whatever it is told.
      trustServerCertificate: target.encryption !== "strict",
      cryptoCredentialsDetails: { ca: readFileSync(target.certificate) },
      serverName: "localhost",
      useUTC: true,
      connectTimeout: 10_000,
      requestTimeout: 60_000,
      cancelTimeout: 60_000,
    },
  });
  const ended = new Promise<void>((resolve) => connection.once("end", () => resolve()));
  const messages: string[] = [];
  const errors: SeenError[] = [];
  connection.on("infoMessage", (info) => messages.push(info.message));
  connection.on("errorMessage", (error) =>
    errors.push({
      number: error.number,
      state: error.state,
      severity: error.class,
      line: error.lineNumber,
      message: error.message,
    }),
  );
  const failed = await new Promise<Error | undefined>((resolve) => connection.connect(resolve));
  if (failed) {
    connection.close();
    return { refused: errors[0] ?? { number: null, message: failed.message }, steps: [] };
  }
  const steps: Seen[] = [];
  const track = { messages, errors };
  try {
    for (const step of scenario.steps) steps.push(...(await playStep(connection, step, track)));
  } finally {
    connection.close();
    await ended;
  }
  return { steps };
}

interface Track {
  messages: string[];
  errors: SeenError[];
}

async function playStep(connection: Connection, step: Step, track: Track): Promise<Seen[]> {
  if (step.do === "batch") {
    return [
      await execute(track, (done) => {
        const request = new Request(step.sql, done);
        add(request, step.parameters ?? []);
        if (step.parameters) connection.execSql(request);
        else connection.execSqlBatch(request);
        return request;
      }),
    ];
  }
  if (step.do === "call") {
    return [
      await execute(track, (done) => {
        const request = new Request(step.procedure, done);
        add(request, step.arguments);
        connection.callProcedure(request);
        return request;
      }),
    ];
  }
  if (step.do === "cancel") {
    return [
      await execute(track, (done) => {
        const request = new Request(step.sql, done);
        connection.execSqlBatch(request);
        const cancel = (): void => {
          connection.off("infoMessage", cancel);
          connection.cancel();
        };
        connection.once("infoMessage", cancel);
        request.once("row", cancel);
        return request;
      }),
    ];
  }
  if (step.do === "prepared") return playPrepared(connection, step, track);
  if (step.do === "bulk") return [await bulk(connection, step, track)];
  const ended = await new Promise<Error | null | undefined>((resolve) => {
    if (step.do === "begin") connection.beginTransaction(resolve, "", step.isolation && ISOLATION[step.isolation]);
    else if (step.do === "commit") connection.commitTransaction(resolve);
    else connection.rollbackTransaction(resolve);
  });
  return [{ sets: [], errors: ended ? [{ number: null, message: ended.message }] : [] }];
}

async function bulk(connection: Connection, step: Extract<Step, { do: "bulk" }>, track: Track): Promise<Seen> {
  track.errors.length = 0;
  const asked = new Set(step.options);
  const options = {
    checkConstraints: asked.has("CHECK_CONSTRAINTS"),
    keepNulls: asked.has("KEEP_NULLS"),
    lockTable: asked.has("TABLOCK"),
  };
  return new Promise((resolve) => {
    const load = connection.newBulkLoad(step.table, options, (failed, count) => {
      const seen: Seen = { sets: [], errors: track.errors.slice(), affected: count ?? null };
      if (failed && seen.errors.length === 0) seen.errors.push({ number: null, message: failed.message });
      resolve(seen);
    });
    for (const { name, type } of step.columns)
      load.addColumn(name, dataTypeOf(type), { nullable: true, ...limits(type) });
    connection.execBulkLoad(load, valuesOf(step));
  });
}

/** Rows of texts as the client takes them. */
export function valuesOf({ columns, rows }: Rows): unknown[][] {
  return rows.map((row) => row.map((text, i) => parameterValue(text, columns[i]!.type)));
}

function dataTypeOf(type: string): DataType {
  return DATA_TYPES[baseOf(type)] ?? TYPES.NVarChar;
}

function limits(type: string): { length?: number; precision?: number; scale?: number } | undefined {
  const [, first, second] = /\((\d+|max)(?:,\s*(\d+))?\)/.exec(type) ?? [];
  if (["decimal", "numeric"].includes(baseOf(type))) return { precision: Number(first), scale: Number(second) };
  if (["time", "datetime2", "datetimeoffset"].includes(baseOf(type))) return { scale: Number(first) };
  return first && first !== "max" ? { length: Number(first) } : undefined;
}

function add(request: Request, parameters: (Parameter & { output?: boolean })[]): void {
  for (const { name, type, text, output, table } of parameters) {
    if (table) {
      const [schema, typeName] = table.name.split(".");
      const columns = table.columns.map((column) => ({
        name: column.name,
        type: dataTypeOf(column.type),
        ...limits(column.type),
      }));
      request.addParameter(name, TYPES.TVP, { schema, name: typeName, columns, rows: valuesOf(table) });
      continue;
    }
    const dataType = dataTypeOf(type);
    const options = limits(type);
    const value = parameterValue(text, type);
    if (output) request.addOutputParameter(name, dataType, value, options);
    else request.addParameter(name, dataType, value, options);
  }
}

/** `start` makes the request and sets it going. */
async function execute(
  track: Track,
  start: (done: (error: Error | null | undefined) => void) => Request,
): Promise<Seen> {
  track.messages.length = 0;
  track.errors.length = 0;
  const seen: Seen = { sets: [], errors: [], affected: null, returned: null };
  const failed = await new Promise<Error | null | undefined>((resolve) => {
    const request = start(resolve);
    watch(request, seen);
  });
  seen.messages = track.messages.slice();
  if (failed && (failed as RequestError).code === "ECANCEL") {
    seen.cancelled = { rows: seen.sets[0]?.rows.length ?? 0 };
  } else {
    seen.errors = track.errors.slice();
    if (failed && seen.errors.length === 0) seen.errors.push({ number: null, message: failed.message });
  }
  return seen;
}

function watch(request: Request, seen: Seen): void {
  request.on("columnMetadata", (columns) => {
    const list = Array.isArray(columns) ? columns : Object.values(columns);
    seen.sets.push({ columns: list.map(({ colName }) => colName), rows: [] });
  });
  request.on("row", (cells: { value: unknown; metadata: Metadata }[]) => {
    seen.sets
      .at(-1)!
      .rows.push(cells.map(({ value, metadata }) => textOf(value, typeName(metadata, value), metadata.scale ?? 0)));
  });
  const count = (rows: number | undefined): void => {
    if (rows !== undefined) seen.affected = rows;
  };
  request.on("done", count);
  request.on("doneInProc", count);
  request.on("doneProc", (_rows, _more, status: number | undefined) => {
    if (status !== undefined) seen.returned = status;
  });
  request.on("returnValue", (name: string, value: unknown) => {
    seen.outputs = { ...seen.outputs, [name]: textOf(value, "", 0) };
  });
}

interface Metadata {
  type: { name: string };
  scale?: number;
  dataLength?: number;
}

/** "DateTime2" and "DateTimeN" are the names of wire types; a DateTimeN of four bytes is a smalldatetime. */
function typeName({ type: { name }, dataLength }: Metadata, value: unknown): string {
  if (name === "DateTimeN" && dataLength === 4) return "smalldatetime";
  if (name === "Variant" && value instanceof Date) {
    const iso = value.toISOString();
    return iso.endsWith("T00:00:00.000Z") ? "date" : "datetime";
  }
  return name.toLowerCase().replace(/n$/, "");
}

async function playPrepared(
  connection: Connection,
  step: Extract<Step, { do: "prepared" }>,
  track: Track,
): Promise<Seen[]> {
  let finish: (error: Error | null | undefined) => void = () => {};
  const request = new Request(step.sql, (error) => finish(error));
  for (const { name, type } of step.runs[0]!.parameters) {
    const length = /\((\d+)\)/.exec(type)?.[1];
    request.addParameter(name, DATA_TYPES[baseOf(type)]!, undefined, length ? { length: Number(length) } : {});
  }
  const prepared = new Promise<void>((resolve) => request.once("prepared", resolve));
  connection.prepare(request);
  await prepared;
  const seen: Seen[] = [];
  for (const run of step.runs) {
    request.removeAllListeners("columnMetadata");
    for (const event of ["row", "done", "doneInProc", "doneProc", "returnValue"]) request.removeAllListeners(event);
    const values = Object.fromEntries(run.parameters.map(({ name, type, text }) => [name, parameterValue(text, type)]));
    seen.push(
      await execute(track, (done) => {
        finish = done;
        connection.execute(request, values);
        return request;
      }),
    );
  }
  await new Promise<void>((resolve) => {
    finish = () => resolve();
    connection.unprepare(request);
  });
  return seen;
}
