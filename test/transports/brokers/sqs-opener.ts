import { silent } from "../../../src/telemetry/logger.ts";
import { sqsSettings } from "../../../src/transports/sqs/settings.ts";
import { SqsTransport } from "../../../src/transports/sqs/transport.ts";
import { prefixed } from "../prefixed.ts";

export interface SqsPlace {
  connectionString: string;
  prefix: string;
  settings: object;
}

export const open = async ({ connectionString, prefix, settings }: SqsPlace) => {
  const endpoint = { type: "sqs", connectionString, settings: sqsSettings.parse(settings) } as const;
  return prefixed(new SqsTransport(endpoint, silent), prefix);
};
