/** Runs the workload over TDS, as an application would, at a given pace. */

import { setTimeout as sleep } from "node:timers/promises";
import { Connection, Request } from "tedious";
import type { Workload } from "./workload.ts";

export class Writer {
  readonly #connection: Connection;
  /** Changes committed so far, as the workload counts them. */
  committed = 0;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  static async connect(host: string, port: number, password: string): Promise<Writer> {
    const connection = new Connection({
      server: host,
      authentication: { type: "default", options: { userName: "sa", password } },
      options: { port, encrypt: false, appName: "dstream demo workload", requestTimeout: 0 },
    });
    await new Promise<void>((resolve, reject) => connection.connect((error) => (error ? reject(error) : resolve())));
    return new Writer(connection);
  }

  execute(sql: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#connection.execSqlBatch(new Request(sql, (error) => (error ? reject(error) : resolve())));
    });
  }

  /** Commits transactions until `total` changes are made. `rate` is asked before each: changes a second, as of now. */
  async run(workload: Workload, total: number, rate: () => number, signal: AbortSignal): Promise<void> {
    let ahead = performance.now();
    while (this.committed < total && !signal.aborted) {
      // No large one at the end, which would leave nothing for the last kills.
      const transaction = workload.next(Math.min(Math.ceil((total - this.committed) / 4), 200));
      await this.execute(transaction.sql);
      this.committed += transaction.changes;
      ahead = Math.max(ahead, performance.now() - 100) + (transaction.changes * 1000) / rate();
      const wait = ahead - performance.now();
      if (wait > 1) await sleep(wait, undefined, { signal }).catch(() => {});
    }
  }

  close(): void {
    this.#connection.close();
  }
}
