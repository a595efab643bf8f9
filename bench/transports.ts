/**
 * How fast each messaging system takes what the ingester sends, by dstream's transport and by the bare client library, in turn in one
 * run: the same bytes, as row and as batch messages, several tables at once.
 *
 *     npm run bench -- transports [--runs 5] [--changes 20000] [--only kafka]
 *
 * The systems are those that the tests start; one that is missing is left out. Last line: `transports: <type> row <x>% batch <y>%, …` of
 * the bare client.
 */

import type { Message } from "../src/change/message.ts";
import { ListedRun } from "../src/change/message-run.ts";
import { silent } from "../src/telemetry/logger.ts";
import { openTransport } from "../src/transports/registry.ts";
import { type BrokerType, brokerSettings, type Endpoint } from "../src/transports/settings.ts";
import { queueOf as sqsQueueOf } from "../src/transports/sqs/names.ts";
import { brokers } from "../test/support/brokers.ts";
import type { TestServer } from "../test/support/server.ts";
import { type BareSender, bareSenders } from "./bare.ts";
import { interleaved, median, numbersOf, onlyOf, whole } from "./measure.ts";

const KEYS = ["dbo.Persons", "dbo.Cars", "sales.Orders", "dbo.Items"];
/** As large as a row message of the 19-column shape. */
const BODY_BYTES = 700;
/** What a table sends at once. */
const AT_ONCE = 1_000;

export async function run(args: string[]): Promise<void> {
  const measuring = onlyOf(args, Object.keys(brokers) as BrokerType[]);
  const { runs, changes } = numbersOf(args, { runs: 5, changes: 20_000 });
  const told: string[] = [];
  for (const type of measuring) {
    const broker = brokers[type]!;
    const lack = broker.missing();
    if (lack !== null) {
      console.log(`${type}: left out: ${lack}`);
      continue;
    }
    const server = await broker.start();
    try {
      const shares = await compared(type, server, bareSenders[type], runs, changes);
      told.push(`${type} row ${shares.row}% batch ${shares.batch}%`);
    } finally {
      await server.close();
    }
  }
  console.log(`transports: ${told.join(", ")} of the bare client`);
  // Clients may leave timers behind.
  process.exit(0);
}

async function compared(
  type: BrokerType,
  server: TestServer,
  open: (url: string, name: string) => Promise<BareSender>,
  runs: number,
  changes: number,
): Promise<{ row: number; batch: number }> {
  const settings = brokerSettings[type].parse(blockOf(server));
  const transport = await openTransport({ type, connectionString: server.url, settings } as Endpoint, silent);
  const shares: number[] = [];
  for (const form of ["row", "batch"] as const) {
    const entity = { kind: "queue", name: `bench-${form}` } as const;
    await transport.ensure(entity);
    const bare = await open(server.url, type === "sqs" ? sqsQueueOf(entity.name) : entity.name);
    const sender = await transport.sender(entity);
    const limit = transport.limits.batchBytes ?? transport.limits.maxMessageBytes;
    let round = 0;
    const measured = async (send: (messages: readonly Message[]) => Promise<void>): Promise<number> => {
      const own = ++round;
      const work = KEYS.map((key) => sends(key, changes / KEYS.length, own, form, limit));
      const began = performance.now();
      await Promise.all(
        work.map(async (ofKey) => {
          for (const messages of ofKey) await send(messages);
        }),
      );
      return (changes * 1000) / (performance.now() - began);
    };
    const [ours, theirs] = await interleaved(
      [() => measured((messages) => sender.send(messages)), () => measured((messages) => bare.send(messages))],
      runs,
    );
    const [a, b] = [median(ours!), median(theirs!)];
    const line = (what: string, rate: number) =>
      console.log(
        `${type.padEnd(10)} ${form.padEnd(5)} ${what.padEnd(14)} ${whole(rate).padStart(9)} changes/s ${((rate * BODY_BYTES) / 1e6).toFixed(1).padStart(7)} MB/s`,
      );
    line("dstream", a);
    line("bare client", b);
    if (form === "row") console.log(`${" ".repeat(17)}dstream: ${shown(settings)}; bare: ${bare.describe}`);
    shares.push(Math.round((a / b) * 100));
    await sender.close();
    await bare.close();
  }
  await transport.close();
  return { row: shares[0]!, batch: shares[1]! };
}

/** Without what nobody else is to read. */
function shown(settings: object): string {
  return JSON.stringify(settings, (name, value) =>
    /connection_string|secret|password/.test(name) ? undefined : value,
  );
}

/** What one table sends, send by send. */
function sends(
  key: string,
  changes: number,
  round: number,
  form: "row" | "batch",
  limit: number,
): (readonly Message[])[] {
  const all: (readonly Message[])[] = [];
  for (let from = 0; from < changes; from += AT_ONCE) {
    const rows = Array.from(
      { length: Math.min(AT_ONCE, changes - from) },
      (_, i): Message => ({
        id: `${round}-${key}-${from + i}`,
        key,
        body: Buffer.from(`{"data":"${"x".repeat(BODY_BYTES - 11)}"}`),
        properties: {
          Destination: `server.db.${key}.events`,
          TableName: key,
          OperationType: "Insert",
          LSN: "00000025000001480001",
        },
      }),
    );
    all.push(form === "row" ? rows : new ListedRun(rows).batches(limit));
  }
  return all;
}

/** The lines of a server's block as values. */
function blockOf({ block = "" }: TestServer): Record<string, string> {
  return Object.fromEntries([...block.matchAll(/(\w+)\s*=\s*"([^"]*)"/g)].map(([, name, value]) => [name!, value!]));
}
