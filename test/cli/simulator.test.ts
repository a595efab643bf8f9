import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Connection, Request } from "tedious";
import { parseConnectionString, toTediousConfig } from "../../src/sources/sqlserver/connection-string.ts";

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

test("`dstream simulator` prints a connection string that works, and ends cleanly on SIGTERM", async () => {
  const child = spawn(process.execPath, [main, "simulator", "--port", "0"], { stdio: ["ignore", "pipe", "ignore"] });
  try {
    let printed = "";
    for await (const line of createInterface({ input: child.stdout! })) {
      printed = /sqlserver:\S+/.exec(line)?.[0] ?? "";
      if (printed) break;
    }
    const connection = new Connection(toTediousConfig(parseConnectionString(printed)));
    await new Promise<void>((resolve, reject) => connection.connect((error) => (error ? reject(error) : resolve())));
    const name = await new Promise<unknown>((resolve, reject) => {
      let value: unknown;
      const request = new Request("SELECT DB_NAME()", (error) => (error ? reject(error) : resolve(value)));
      request.on("row", ([column]) => {
        value = column.value;
      });
      connection.execSql(request);
    });
    assert.equal(name, "TestDB");
    connection.close();
    child.kill("SIGTERM");
    assert.deepEqual(await once(child, "exit"), [0, null]);
  } finally {
    child.kill("SIGKILL");
  }
});
