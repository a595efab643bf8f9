/** The broker as a process of its own: `node main.ts <AMQP port> <administration port> <file> <max bytes>`. */
import { serveAdministration } from "./admin.ts";
import { AmqpServer } from "./amqp.ts";
import { Namespace } from "./namespace.ts";
import { ServiceBus } from "./servicebus.ts";

const [amqpPort, adminPort, file, maxBytes] = process.argv.slice(2) as [string, string, string, string];
const namespace = new Namespace(file);
const service = new ServiceBus(namespace, Number(maxBytes));
const amqp = new AmqpServer(service);
await amqp.listen(Number(amqpPort));
serveAdministration(namespace, (what) => {
  if (what.has("busy")) service.busy = Number(what.get("busy"));
  if (what.has("drop")) amqp.dropConnections();
}).listen(Number(adminPort), "127.0.0.1");
