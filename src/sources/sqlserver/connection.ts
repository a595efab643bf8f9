/**
 * A connection to SQL Server that heals itself.
 *
 *     closed ──query──▶ opening ──▶ idle ──query──▶ busy ──▶ idle
 *       ▲                  │fault     │end            │fault, abort that is not acknowledged, stall
 *       └──────────────────┴──────────┴───────────────┘
 *
 * It is opened when it is first needed, on the target's hosts in turn, and serves one query at a time, in the order asked.
 * After any fault of the connection it is thrown away; the next query opens a fresh one. A query is never repeated by itself.
 */
import { Connection, type ConnectionConfiguration, Request, TYPES } from "tedious";
import { DStreamError, describeError, SourceError } from "../../errors.ts";
import { type SqlServerHost, type SqlServerTarget, toTediousConfig } from "./connection-string.ts";
import { fullError } from "./full-error.ts";
import { sourceError } from "./source-errors.ts";
import { MalformedResponse } from "./wire/malformed.ts";
import { type RowStream, StreamedResponse } from "./wire/streamed-response.ts";
import { bytesReceived, tapResponse } from "./wire/tedious.ts";

export type Parameter = { name: string } & (
  | { type: "binary10"; value: Buffer | null }
  | { type: "varbinary"; value: Buffer | null }
  | { type: "int" | "bigint"; value: number | null }
  | { type: "nvarchar"; value: string | null }
);

export interface ResultSet {
  /** Values as tedious reads them, in column order. */
  rows: unknown[][];
}

export interface QueryOptions {
  /** What is being done, for errors: "reading the changes of dbo.Persons". */
  doing: string;
  /**
   * Takes the rows of one result set as they lie on the wire; they are then empty in the result. When its handler has enough, the
   * rest of the answer is called off.
   */
  stream?: RowStream;
  /** Called when the query's turn has come and the connection is open, just before it is sent. */
  onSend?: () => void;
}

export interface QueryResult {
  sets: ResultSet[];
  /** The handler of the stream had enough: later result sets are missing. */
  stopped: boolean;
}

export interface ConnectionTimes {
  /** Milliseconds until the first byte of an answer. */
  answer: number;
  /** Milliseconds without a further byte of it. */
  stall: number;
  /**
   * Milliseconds that the server has to acknowledge a cancelled query; without a further byte of it, where the query was
   * called off because its reader has enough.
   */
  cancel: number;
}

const defaultTimes: ConnectionTimes = { answer: 60_000, stall: 30_000, cancel: 3_000 };

export class SqlConnection {
  readonly #target: SqlServerTarget;
  readonly #times: ConnectionTimes;
  #connection: Connection | null = null;
  #tail: Promise<unknown> = Promise.resolve();
  readonly #closing = new AbortController();

  constructor(target: SqlServerTarget, times: Partial<ConnectionTimes> = {}) {
    this.#target = target;
    this.#times = { ...defaultTimes, ...times };
  }

  /** Another object after each opening; null while there is none. */
  get session(): object | null {
    return this.#connection;
  }

  /**
   * Runs one batch of statements with typed parameters. Throws SourceError, and the signal's reason where that aborts first:
   * then the query was called off on the server, or the connection with it.
   */
  query(
    sql: string,
    parameters: readonly Parameter[],
    signal: AbortSignal,
    options: QueryOptions,
  ): Promise<QueryResult> {
    const turn = this.#tail.then(() => this.#run(sql, parameters, signal, options));
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  /** Ends what runs, with an error for its caller. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#discard();
    await this.#tail;
    this.#discard();
  }

  async #run(
    sql: string,
    parameters: readonly Parameter[],
    signal: AbortSignal,
    options: QueryOptions,
  ): Promise<QueryResult> {
    signal.throwIfAborted();
    const connection = await this.#open(signal);
    options.onSend?.();
    try {
      return await execute(connection, sql, parameters, signal, options, this.#times);
    } catch (error) {
      if (!isStatementError(error)) this.#discard(connection);
      signal.throwIfAborted();
      throw this.#explain(options.doing, error);
    }
  }

  async #open(signal: AbortSignal): Promise<Connection> {
    if (this.#connection !== null) return this.#connection;
    let failure: unknown;
    for (const host of this.#target.hosts) {
      if (this.#closing.signal.aborted) break;
      try {
        const either = AbortSignal.any([signal, this.#closing.signal]);
        const connection = await connect(toTediousConfig(this.#target, host), either, (ended) => this.#forget(ended));
        this.#connection = connection;
        return connection;
      } catch (error) {
        signal.throwIfAborted();
        failure ??= this.#explain(`connecting to ${describeHost(host)}`, error);
      }
    }
    throw this.#explain("connecting", failure);
  }

  #explain(doing: string, error: unknown): SourceError {
    if (this.#closing.signal.aborted)
      return new SourceError("unavailable", "The connection to SQL Server was closed.", { cause: error });
    return sourceError(doing, error);
  }

  #discard(connection: Connection | null = this.#connection): void {
    if (connection === null) return;
    this.#forget(connection);
    connection.close();
  }

  #forget(connection: Connection): void {
    if (connection === this.#connection) this.#connection = null;
  }
}

export function describeHost(host: SqlServerHost): string {
  if (host.port !== undefined) return `${host.server}:${host.port}`;
  return host.instance === undefined ? host.server : `${host.server}\\${host.instance}`;
}

function connect(
  config: ConnectionConfiguration,
  signal: AbortSignal,
  onEnd: (connection: Connection) => void,
): Promise<Connection> {
  signal.throwIfAborted();
  const connection = new Connection({
    ...config,
    options: {
      ...config.options,
      // The values of date and time columns are taken apart as if they were UTC.
      useUTC: true,
      // Both are timed by execute(), which also sees an answer that stalls half-way.
      requestTimeout: 0,
      cancelTimeout: 0,
      maxRetriesOnTransientErrors: 0,
      abortTransactionOnError: true,
    },
  });
  const said: { number: number; message: string; class: number }[] = [];
  connection.on("errorMessage", (token: { number: number; message: string; class: number }) => said.push(token));
  const { promise, resolve, reject } = Promise.withResolvers<Connection>();
  const onAbort = () => {
    connection.close();
    reject(signal.reason);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  // tedious closes it by itself in both cases.
  connection.on("error", () => onEnd(connection));
  connection.on("end", () => onEnd(connection));
  connection.connect((error) => {
    signal.removeEventListener("abort", onAbort);
    if (error) {
      connection.close();
      reject(fullError(error, said));
    } else resolve(connection);
  });
  return promise;
}

/** What the last streamed response of a connection was kept in while it was read. */
const inputs = new WeakMap<Connection, Buffer>();

/** One request: resolves when its answer was read to the end, or called off and acknowledged. */
function execute(
  connection: Connection,
  sql: string,
  parameters: readonly Parameter[],
  signal: AbortSignal,
  options: QueryOptions,
  times: ConnectionTimes,
): Promise<QueryResult> {
  const { promise, resolve, reject } = Promise.withResolvers<QueryResult>();
  const result: QueryResult = { sets: [], stopped: false };
  let failure: unknown;
  let timer: NodeJS.Timeout | undefined;
  let cancelled: NodeJS.Timeout | undefined;

  const finish = (error: unknown) => {
    clearInterval(timer);
    clearTimeout(cancelled);
    signal.removeEventListener("abort", onAbort);
    const reason = failure ?? (result.stopped && isCancelled(error) ? undefined : error);
    if (reason) reject(reason);
    else resolve(result);
  };
  const awaitAcknowledgement = () => {
    const before = bytesReceived(connection);
    cancelled = setTimeout(() => {
      // It comes behind what was on its way already, which over a slow line takes longer.
      if (failure === undefined && bytesReceived(connection) !== before) return awaitAcknowledgement();
      failure ??= stalled("The server did not acknowledge a cancelled query", times.cancel);
      connection.close();
      finish(failure);
    }, times.cancel);
  };
  const cancel = () => {
    connection.cancel();
    if (cancelled === undefined) awaitAcknowledgement();
  };
  const onAbort = () => {
    failure ??= signal.reason;
    cancel();
  };

  let release = () => {};
  const tap = (stream: RowStream) => {
    const onEnough = () => {
      result.stopped = true;
      cancel();
    };
    const response = new StreamedResponse(stream, onEnough, inputs.get(connection));
    inputs.delete(connection);
    result.sets = response.sets;
    const end = tapResponse(connection, response, (error) => {
      failure ??=
        error instanceof DStreamError || error instanceof MalformedResponse
          ? error
          : new SourceError("table", `While ${options.doing}: ${describeError(error)}`, { cause: error });
      connection.close();
      finish(failure);
    });
    release = () => {
      end();
      if (response.input !== undefined) inputs.set(connection, response.input);
    };
  };

  const request = new Request(sql, (error) => {
    release();
    finish(error);
  });
  for (const parameter of parameters) addParameter(request, parameter);
  request.on("columnMetadata", () => result.sets.push({ rows: [] }));
  request.on("row", (columns: { value: unknown }[]) => {
    if (failure === undefined) result.sets.at(-1)!.rows.push(columns.map((column) => column.value));
  });

  signal.addEventListener("abort", onAbort, { once: true });
  const progress = watchProgress(connection);
  timer = setInterval(
    () => {
      const { quiet, answered } = progress();
      const allowed = answered ? times.stall : times.answer;
      if (quiet <= allowed || cancelled !== undefined) return;
      failure ??= stalled(answered ? "The server's answer stalled" : "The server did not answer", allowed);
      connection.close();
      finish(failure);
    },
    Math.min(1_000, times.stall, times.answer),
  );
  connection.execSql(request);
  if (options.stream !== undefined) tap(options.stream);
  return promise;
}

/**
 * Milliseconds without a byte from the server, and whether the answer has begun. tedious ends its own request timer at the
 * first packet, and tells of rows only when they are whole, so this looks at the socket; where tedious does not tell, the
 * time counts from the start.
 */
function watchProgress(connection: Connection): () => { quiet: number; answered: boolean } {
  const before = bytesReceived(connection);
  let bytes = before;
  let since = performance.now();
  return () => {
    const now = performance.now();
    const received = bytesReceived(connection);
    if (received !== bytes) {
      bytes = received;
      since = now;
    }
    return { quiet: now - since, answered: bytes !== before };
  };
}

function stalled(what: string, milliseconds: number): SourceError {
  return new SourceError("unavailable", `${what} within ${milliseconds / 1000} s: the connection was given up.`);
}

function addParameter(request: Request, parameter: Parameter): void {
  switch (parameter.type) {
    case "binary10":
      request.addParameter(parameter.name, TYPES.Binary, parameter.value, { length: 10 });
      break;
    case "varbinary":
      request.addParameter(parameter.name, TYPES.VarBinary, parameter.value, { length: 8000 });
      break;
    case "int":
      request.addParameter(parameter.name, TYPES.Int, parameter.value);
      break;
    case "bigint":
      request.addParameter(parameter.name, TYPES.BigInt, parameter.value);
      break;
    case "nvarchar":
      request.addParameter(parameter.name, TYPES.NVarChar, parameter.value, { length: 4000 });
      break;
  }
}

function isCancelled(error: unknown): boolean {
  return (error as { code?: string } | undefined)?.code === "ECANCEL";
}

/** The server refused the statement, and the connection is as good as before. Severity 20 ends it. */
function isStatementError(error: unknown): boolean {
  const errors = (error instanceof AggregateError ? error.errors : [error]) as { code?: string; class?: number }[];
  return errors.every((one) => one?.code === "EREQUEST" && (one.class ?? 20) < 20) || errors.every(isCancelled);
}
