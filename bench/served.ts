/** The process that server.ts starts: a simulator with the tables that its argument names. */
import { SqlServerSimulator } from "../simulator/index.ts";
import { type BenchTable, DATABASE, type Message } from "./server.ts";
import { createTable, insertRows, shapeOf } from "./shapes.ts";

/** How many rows a filled table repeats. */
const PATTERNS = 500;

/** Until the parent lets go of it. */
async function serve(tables: readonly BenchTable[]): Promise<void> {
  const simulator = await SqlServerSimulator.start({ databases: [DATABASE], captureInterval: "immediate" });
  await simulator.query("EXEC sys.sp_cdc_enable_db");
  for (const { name, shape: shapeName, filled, captured } of tables) {
    const shape = shapeOf(shapeName);
    await simulator.query(createTable(shape, name));
    if (filled) await simulator.query(insertRows(shape, name, PATTERNS));
    await simulator.query(`EXEC sys.sp_cdc_enable_table N'dbo', N'${name}', @role_name = NULL;`);
    if (filled) await simulator.fillChangeTable(DATABASE, `dbo_${name}`, filled);
    if (captured) await simulator.query(insertRows(shape, name, captured));
  }
  process.on("message", () => {
    const { user, system } = process.cpuUsage();
    const peakMemory = process.resourceUsage().maxRSS * 1024;
    send({ kind: "usage", usage: { cpu: user + system, peakMemory } });
  });
  process.on("disconnect", () => void simulator.close().then(() => process.exit(0)));
  const { connectionString, port, password } = simulator;
  send({ kind: "ready", connectionString, port, password });
}

function send(message: Message): void {
  process.send!(message);
}

await serve(JSON.parse(process.argv[2]!) as BenchTable[]);
