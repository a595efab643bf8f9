/** tedious as a client of a server under test. */
import { Connection, type ConnectionConfiguration, Request, type TYPES } from "tedious";
import { TdsServer, type TdsServerOptions } from "../../../simulator/tds/server.ts";
import { ScriptedEngine } from "./scripted-engine.ts";

export interface Bench {
  engine: ScriptedEngine;
  server: TdsServer;
  port: number;
  problems: string[];
  connect(options?: ConnectionConfiguration["options"], login?: Partial<Credentials>): Promise<Connection>;
  [Symbol.asyncDispose](): Promise<void>;
}

interface Credentials {
  userName: string;
  password: string;
}

/** A server with a scripted engine; disposing ends its clients too. */
export async function bench(options: TdsServerOptions = {}): Promise<Bench> {
  const engine = new ScriptedEngine();
  const problems: string[] = [];
  const server = new TdsServer(engine, {
    serverName: "SIMULATED",
    onProblem: (p) => problems.push(p.message),
    ...options,
  });
  const { port } = await server.listen();
  const clients: Connection[] = [];
  return {
    engine,
    server,
    port,
    problems,
    connect: async (more, login) => {
      const connection = newConnection(port, more, login);
      clients.push(connection);
      await connected(connection);
      return connection;
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) client.close();
      await server.close();
    },
  };
}

export function newConnection(
  port: number,
  options: ConnectionConfiguration["options"] = {},
  login: Partial<Credentials> = {},
): Connection {
  return new Connection({
    server: "127.0.0.1",
    authentication: { type: "default", options: { userName: "sa", password: "Secret-€1", ...login } },
    options: { port, database: "TestDB", encrypt: false, useColumnNames: false, ...options },
  });
}

export function connected(connection: Connection): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.connect((error) => (error ? reject(error) : resolve()));
    // Errors after the login are the tests' business, by their requests.
    connection.on("error", () => {});
  });
}

export interface Parameter {
  name: string;
  type: (typeof TYPES)[keyof typeof TYPES];
  value: unknown;
  output?: boolean;
  options?: { length?: number; precision?: number; scale?: number };
}

export interface Answer {
  /** Rows of all result sets. */
  rows: unknown[][];
  /** Column names, a list a result set. */
  sets: string[][];
  outputs: Record<string, unknown>;
  /** Row counts of DONE, DONEINPROC and DONEPROC; undefined where there is none. */
  dones: string[];
  status: number | undefined;
  error:
    | (Error & {
        number?: number;
        state?: number;
        class?: number;
        procName?: string;
        lineNumber?: number;
        code?: string;
      })
    | null;
}

export type Send = "batch" | "sql" | "procedure";

/** Sends one request and collects what comes back; an error is part of the answer. */
export function ask(
  connection: Connection,
  text: string,
  how: Send = "batch",
  parameters: Parameter[] = [],
): Promise<Answer> {
  return new Promise((resolve) => {
    const answer: Answer = { rows: [], sets: [], outputs: {}, dones: [], status: undefined, error: null };
    const request = new Request(text, (error) => {
      answer.error = error ?? null;
      resolve(answer);
    });
    for (const { name, type, value, output, options } of parameters) {
      if (output) request.addOutputParameter(name, type, value, options);
      else request.addParameter(name, type, value, options);
    }
    collect(request, answer);
    if (how === "batch") connection.execSqlBatch(request);
    else if (how === "sql") connection.execSql(request);
    else connection.callProcedure(request);
  });
}

export function collect(request: Request, answer: Answer): void {
  request.on("columnMetadata", (columns: { colName: string }[] | Record<string, { colName: string }>) =>
    answer.sets.push(Object.values(columns).map((each) => each.colName)),
  );
  request.on("row", (row: { value: unknown }[]) => answer.rows.push(row.map((cell) => cell.value)));
  request.on("returnValue", (name: string, value: unknown) => {
    answer.outputs[name] = value;
  });
  request.on("done", (count, more) => answer.dones.push(`done ${count}${more ? " more" : ""}`));
  request.on("doneInProc", (count, more) => answer.dones.push(`inProc ${count}${more ? " more" : ""}`));
  request.on("doneProc", (count, more, status) => {
    answer.status = status;
    answer.dones.push(`proc ${count}${more ? " more" : ""}`);
  });
}
