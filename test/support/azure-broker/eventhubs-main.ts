/** The broker as a process of its own: `node eventhubs-main.ts <AMQP port> <control port> <file> <options as JSON>`. */
import { createServer } from "node:http";
import { AmqpServer } from "./amqp.ts";
import { EventLog } from "./event-log.ts";
import { EventHubs, type EventHubsOptions } from "./eventhubs.ts";

const [port, control, file, options] = process.argv.slice(2) as [string, string, string, string];
const service = new EventHubs(new EventLog(file), JSON.parse(options) as EventHubsOptions);
const amqp = new AmqpServer(service);
await amqp.listen(Number(port));
createServer((request, response) => {
  const what = new URL(request.url!, "http://control").searchParams;
  if (what.has("make")) service.make(what.get("make")!, what.get("group") ?? undefined);
  if (what.has("trim")) service.trim(what.get("trim")!, Number(what.get("before")));
  if (what.has("busy")) service.busy = Number(what.get("busy"));
  if (what.has("drop")) amqp.dropConnections();
  response.end(what.has("credit") ? String(service.credit(what.get("credit")!)) : "");
}).listen(Number(control), "127.0.0.1");
