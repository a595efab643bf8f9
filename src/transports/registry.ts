/** Every transport by its type. To add one: a folder, and a line here (and in config/types.ts, which names it to users). */
import { DStreamError } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Transport } from "./transport.ts";

export interface TransportSettings {
  type: string;
  /** Of the file, for those that keep one. */
  path?: string;
  /** A secret. */
  connectionString?: string;
}

type Open = (settings: TransportSettings, logger: Logger) => Promise<Transport>;

/** Loaded when first named, so that what is not used costs no start-up time. */
const transports: Readonly<Record<string, Open>> = {
  embedded: async ({ path }) =>
    (await import("./embedded/transport.ts")).EmbeddedTransport.open({ path: path ?? ".dstream/queue.db" }),
  console: async () => new (await import("./console/transport.ts")).ConsoleTransport(process.stdout),
};

/** Connects, and makes a file where there is none. Throws TransportError where the system does not let us in. */
export async function openTransport(settings: TransportSettings, logger: Logger): Promise<Transport> {
  const open = transports[settings.type];
  if (open === undefined) throw new UnknownTransport(settings.type);
  return await open(settings, logger);
}

class UnknownTransport extends DStreamError {
  readonly code = "DSTREAM_UNKNOWN_TRANSPORT";
  constructor(type: string) {
    super(`There is no transport of type "${type}".`, { advice: `Use one of ${Object.keys(transports).join(", ")}.` });
  }
}
