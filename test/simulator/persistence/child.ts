/** A simulator in a process of its own, to be killed: its file, then its port if it is to have a certain one. */
import { SqlServerSimulator } from "../../../simulator/index.ts";

const [file, port] = process.argv.slice(2);
const simulator = await SqlServerSimulator.start({
  file: file!,
  port: Number(port ?? 0),
  databases: ["TestDB"],
  captureInterval: 20,
});
process.send!(simulator.port);
