/** A simulator with a table and tedious connections that end with the test. */
import type { TestContext } from "node:test";
import type { Connection, ConnectionConfiguration } from "tedious";
import { type SimulatorOptions, SqlServerSimulator } from "../../../simulator/index.ts";
import { connected, newConnection } from "../tds/clients.ts";

export interface World {
  simulator: SqlServerSimulator;
  connect(
    options?: ConnectionConfiguration["options"],
    login?: { userName?: string; password?: string },
  ): Promise<Connection>;
}

export async function world(t: TestContext, options: SimulatorOptions = {}): Promise<World> {
  const simulator = await SqlServerSimulator.start({ databases: ["TestDB"], captureInterval: "immediate", ...options });
  const connections: Connection[] = [];
  t.after(async () => {
    for (const connection of connections) connection.close();
    await simulator.close();
  });
  await simulator.query("CREATE TABLE t (id int PRIMARY KEY, name nvarchar(50))");
  return {
    simulator,
    async connect(more, login) {
      const connection = newConnection(
        simulator.port,
        { maxRetriesOnTransientErrors: 0, ...more },
        { password: simulator.password, ...login },
      );
      connections.push(connection);
      await connected(connection);
      return connection;
    },
  };
}
