/** A client of the engine without a wire: runs batches and keeps what comes back, values in forms that tests can compare. */
import { Engine, type EngineOptions } from "../../../simulator/engine/engine.ts";
import type {
  ResultColumn,
  ResultSink,
  RpcParameter,
  ServerMessage,
  SqlSession,
} from "../../../simulator/engine/session.ts";
import { convertValue } from "../../../simulator/engine/types/conversion.ts";
import { Decimal, type SqlType, Temporal, type Value, Variant } from "../../../simulator/engine/values.ts";

export interface ResultSet {
  columns: readonly ResultColumn[];
  rows: unknown[][];
}

export class Results {
  readonly sets: ResultSet[] = [];
  readonly errors: ServerMessage[] = [];
  readonly infos: ServerMessage[] = [];
  /** Row counts of statements, in order; undefined where none was sent. */
  readonly counts: (number | undefined)[] = [];
  readonly outputs = new Map<string, unknown>();
  status: number | undefined;

  get rows(): unknown[][] {
    return this.sets[0]?.rows ?? [];
  }
}

/** How a value is shown in a test: dates and decimals as text, binary as hex. */
export function shown(value: Value, type: SqlType): unknown {
  if (value instanceof Decimal) return value.toString();
  if (value instanceof Temporal) return convertValue(value, type, { id: "varchar", length: 40 }, { style: 121 });
  if (value instanceof Variant) return shown(value.value, value.type);
  if (Buffer.isBuffer(value)) return `0x${value.toString("hex")}`;
  return value;
}

export class Client {
  readonly session: SqlSession;
  constructor(session: SqlSession) {
    this.session = session;
  }

  /** Fails the test on an error of the server. */
  async run(text: string, signal?: AbortSignal): Promise<Results> {
    const results = await this.attempt(text, signal);
    if (results.errors.length > 0)
      throw new Error(`${results.errors.map((e) => `${e.number}: ${e.message}`).join("; ")}\n${text}`);
    return results;
  }

  async attempt(text: string, signal = new AbortController().signal): Promise<Results> {
    const results = new Results();
    await this.session.batch(text, sinkOf(results), signal);
    return results;
  }

  /** The rows of the first result. */
  async rows(text: string): Promise<unknown[][]> {
    return (await this.run(text)).rows;
  }

  /** The only value of the first result. */
  async value(expression: string): Promise<unknown> {
    return (await this.rows(`SELECT ${expression}`))[0]![0];
  }

  /** The number of the first error. */
  async error(text: string): Promise<number | undefined> {
    return (await this.attempt(text)).errors[0]?.number;
  }

  async rpc(procedure: string | number, parameters: RpcParameter[]): Promise<Results> {
    const results = new Results();
    await this.session.rpc(procedure, parameters, sinkOf(results), new AbortController().signal);
    return results;
  }
}

function sinkOf(results: Results): ResultSink {
  return {
    columns(columns) {
      results.sets.push({ columns, rows: [] });
    },
    row(values) {
      const set = results.sets[results.sets.length - 1]!;
      for (const [i, { name, nullable }] of set.columns.entries())
        if (values[i] === null && !nullable) throw new Error(`a NULL came in ${name}, which was described as NOT NULL`);
      set.rows.push(values.map((value, i) => shown(value, set.columns[i]!.type)));
    },
    statementDone({ rowCount, error }) {
      if (!error) results.counts.push(rowCount);
    },
    message(message) {
      (message.severity > 10 ? results.errors : results.infos).push(message);
    },
    environment() {},
    output(name, type, value) {
      results.outputs.set(name, shown(value, type));
    },
    returnStatus(status) {
      results.status = status;
    },
  };
}

export async function open(engine: Engine, database = "", user = "sa", password = ""): Promise<Client> {
  const login = {
    user,
    password,
    database,
    application: "test",
    host: "here",
    clientInterface: "",
    language: "",
    readOnlyIntent: false,
  };
  return new Client(await engine.login(login));
}

/** An engine with one empty database, and a session in it. */
export async function start(
  options: EngineOptions = {},
): Promise<{ engine: Engine; sql: Client; another: () => Promise<Client> }> {
  const engine = new Engine({ seed: 1, ...options });
  engine.createDatabase("Test");
  return { engine, sql: await open(engine, "Test"), another: () => open(engine, "Test") };
}

export function parameter(name: string, type: SqlType, value: Value, output = false): RpcParameter {
  return { name, type, value, output };
}

/** Until a condition that other sessions bring about holds; gives the event loop its turns. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => setImmediate(resolve));
}
