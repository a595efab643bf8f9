/** The messaging system that the demo runs over, where it is not the embedded queue: one that is there, or one of its own. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { canonicalType, transportTypes } from "../config/types.ts";
import { DStreamError } from "../errors.ts";
import { closest } from "../text/closest.ts";
import { type BrokerType, brokerSettings } from "../transports/settings.ts";

export interface Broker {
  description: string;
  /** What every process needs in its environment. */
  env: Readonly<Record<string, string>>;
  /** The lines of a queue or output block; the connection string comes from that environment variable. */
  settings(variable: string): string;
  close(): Promise<void>;
}

class NoBroker extends DStreamError {
  readonly code = "DSTREAM_DEMO";
}

/** What test/support starts, in a checkout. */
interface Server {
  url: string;
  env?: Readonly<Record<string, string>>;
  block?: string;
  close(): Promise<void>;
}

/** In a checkout the tests' servers are the demo's as well; the published package has none. */
const SERVERS = new URL("../../test/support/brokers.ts", import.meta.url);

/** `server`: what else is known of one that is there. */
export async function brokerOf(
  name: string,
  connectionString: string | undefined,
  server: Partial<Server> = {},
): Promise<Broker | undefined> {
  const type = canonicalType(transportTypes, name);
  if (type === "embedded") return undefined;
  if (type === undefined || type === "console") {
    const names = ["embedded", ...Object.keys(brokerSettings)];
    const meant = closest(name, names);
    throw new NoBroker(`--queue ${name}: there is no such queue.`, {
      advice: meant === undefined ? `Use one of ${names.join(", ")}.` : `Did you mean ${meant}?`,
    });
  }
  if (connectionString !== undefined) {
    return brokerAt(type, `${type}, as --connection-string says`, {
      ...server,
      url: connectionString,
      close: () => Promise.resolve(),
    });
  }
  if (!existsSync(fileURLToPath(SERVERS))) {
    throw new NoBroker(`--queue ${type}: this installation cannot start a server of its own.`, {
      advice: `Name one with --connection-string.`,
    });
  }
  const { brokers } = (await import(SERVERS.href)) as {
    brokers: Record<BrokerType, { missing(): string | null; start(): Promise<Server> }>;
  };
  const lack = brokers[type].missing();
  if (lack !== null)
    throw new NoBroker(`--queue ${type}: ${lack}`, { advice: "Or name one with --connection-string." });
  const started = await brokers[type].start();
  return brokerAt(type, `${type} at ${withoutSecret(started.url)}`, started);
}

function brokerAt(type: BrokerType, description: string, server: Server): Broker {
  return {
    description,
    env: {
      DSTREAM_INGEST_CONNECTION_STRING: server.url,
      DSTREAM_PUBLISHER_CONNECTION_STRING: server.url,
      ...server.env,
    },
    settings: (variable) => {
      const block = server.block === undefined ? "" : `        ${type} {\n${indented(server.block, 12)}        }\n`;
      return `        type = "${type}"\n        connection_string = "{{ env "${variable}" }}"\n${block}`;
    },
    close: () => server.close(),
  };
}

function indented(lines: string, columns: number): string {
  return lines
    .trim()
    .split("\n")
    .map((line) => `${" ".repeat(columns)}${line.trim()}\n`)
    .join("");
}

function withoutSecret(url: string): string {
  return url.replace(/\/\/[^/@]*@/, "//").replace(/(SharedAccessKey|AccountKey)=[^;]*/g, "$1=…");
}
