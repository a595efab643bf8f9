/** One seed and one clock: everything that the simulator draws or dates is the same again, byte for byte on the wire. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, connect as dial, type Socket } from "node:net";
import { test } from "node:test";
import { SqlServerSimulator } from "../../simulator/index.ts";
import { ask, connected, newConnection } from "./tds/clients.ts";

const SCRIPT = [
  "SELECT NEWID(), RAND(), RAND(), CHECKSUM(NEWID()), @@SERVERNAME, @@VERSION",
  "SELECT GETDATE(), SYSDATETIME(), SYSDATETIMEOFFSET(), SYSUTCDATETIME(), CURRENT_TIMESTAMP, CURRENT_TIMEZONE_ID()",
  "CREATE TABLE t (id int IDENTITY PRIMARY KEY, g uniqueidentifier DEFAULT NEWID(), at datetime2 DEFAULT SYSDATETIME(), v rowversion, CHECK (id > 0))",
  "EXEC sys.sp_cdc_enable_db",
  "EXEC sys.sp_cdc_enable_table N'dbo', N't', @role_name = NULL, @supports_net_changes = 1",
  "INSERT t DEFAULT VALUES; INSERT t DEFAULT VALUES; UPDATE t SET at = DATEADD(day, 1, at); DELETE t WHERE id = 1",
  "ALTER TABLE t ADD c int; INSERT t (c) VALUES (5)",
  "BEGIN TRAN; INSERT t DEFAULT VALUES; ROLLBACK",
  "SELECT * FROM t; SELECT * FROM cdc.dbo_t_CT; SELECT * FROM cdc.lsn_time_mapping; SELECT * FROM cdc.change_tables",
  "SELECT * FROM cdc.ddl_history; SELECT * FROM cdc.captured_columns; SELECT * FROM sys.dm_cdc_log_scan_sessions",
  "EXEC sys.sp_cdc_help_jobs; EXEC sys.sp_cdc_help_change_data_capture; SELECT * FROM msdb.dbo.sysjobs",
  "SELECT sys.fn_cdc_get_max_lsn(), sys.fn_cdc_map_time_to_lsn('largest less than or equal', GETDATE())",
  "SELECT * FROM sys.databases; SELECT * FROM sys.objects; SELECT * FROM sys.indexes; SELECT * FROM sys.key_constraints",
  "SELECT * FROM sys.default_constraints; SELECT * FROM sys.check_constraints; SELECT * FROM sys.database_principals",
  "SELECT * FROM sys.database_recovery_status; SELECT * FROM sys.server_principals; SELECT * FROM sys.configurations",
  "SELECT session_id, login_time, status, login_name FROM sys.dm_exec_sessions; SELECT @@SPID, @@DBTS",
  "SELECT sqlserver_start_time FROM sys.dm_os_sys_info; SELECT * FROM sys.dm_server_services",
  "SELECT * FROM nowhere; THROW 50001, N'mine', 1",
  "EXEC simulator.fail_statements @number = 40501",
  "SELECT 1",
];

/** Between a client and the server: keeps what the server sent. */
async function tap(port: number): Promise<{ port: number; bytes(): Buffer; close(): void }> {
  const kept: Buffer[] = [];
  const sockets: Socket[] = [];
  const server = createServer((client) => {
    const upstream = dial(port, "127.0.0.1");
    sockets.push(client, upstream);
    upstream.on("data", (chunk: Buffer) => kept.push(chunk));
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) socket.on("error", () => {});
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    bytes: () => Buffer.concat(kept),
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Plays the script, and gives every byte that the server sent, and its answers as text to find a difference by. */
async function play(seed: number): Promise<{ bytes: Buffer; answers: string[] }> {
  let now = Date.parse("2026-11-21T10:11:12.123Z");
  const simulator = await SqlServerSimulator.start({
    databases: ["TestDB"],
    captureInterval: "immediate",
    seed,
    clock: () => new Date((now += 7)),
  });
  const wire = await tap(simulator.port);
  const connection = newConnection(wire.port, {}, { password: simulator.password });
  try {
    await connected(connection);
    const answers: string[] = [];
    for (const text of SCRIPT) {
      const { rows, error } = await ask(connection, text);
      if (error && !/nowhere|mine|busy/.test(error.message)) throw new Error(`${text}: ${error.message}`);
      answers.push(JSON.stringify([text, rows, error?.message]));
    }
    return { bytes: wire.bytes(), answers };
  } finally {
    connection.close();
    wire.close();
    await simulator.close();
  }
}

test("two simulators with one seed and one clock answer a script byte for byte alike; another seed does not", async () => {
  const first = await play(42);
  const second = await play(42);
  assert.deepEqual(second.answers, first.answers);
  assert.ok(first.bytes.equals(second.bytes));
  const other = await play(43);
  assert.notDeepEqual(other.answers[0], first.answers[0]);
});
