/** A few connections that many readers share: one each while a read lasts, first come, first served. */
import { type ConnectionTimes, SqlConnection } from "./connection.ts";
import type { SqlServerTarget } from "./connection-string.ts";

export class ConnectionPool {
  readonly #make: () => SqlConnection;
  readonly #size: number;
  readonly #all: SqlConnection[] = [];
  readonly #idle: SqlConnection[] = [];
  readonly #waiting: ((connection: SqlConnection) => void)[] = [];

  constructor(target: SqlServerTarget, size: number, times: Partial<ConnectionTimes> = {}) {
    this.#make = () => new SqlConnection(target, times);
    this.#size = Math.max(1, size);
  }

  /** Lends a connection for as long as `work` lasts. */
  async use<T>(signal: AbortSignal, work: (connection: SqlConnection) => Promise<T>): Promise<T> {
    const connection = await this.#take(signal);
    try {
      return await work(connection);
    } finally {
      const next = this.#waiting.shift();
      if (next) next(connection);
      else this.#idle.push(connection);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((connection) => connection.close()));
  }

  #take(signal: AbortSignal): Promise<SqlConnection> {
    signal.throwIfAborted();
    const idle = this.#idle.pop();
    if (idle) return Promise.resolve(idle);
    if (this.#all.length < this.#size) {
      const connection = this.#make();
      this.#all.push(connection);
      return Promise.resolve(connection);
    }
    const { promise, resolve, reject } = Promise.withResolvers<SqlConnection>();
    const onAbort = () => {
      this.#waiting.splice(this.#waiting.indexOf(take), 1);
      reject(signal.reason);
    };
    const take = (connection: SqlConnection) => {
      signal.removeEventListener("abort", onAbort);
      resolve(connection);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    this.#waiting.push(take);
    return promise;
  }
}
