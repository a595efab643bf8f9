import { NatsLockStore } from "../../../src/locks/nats.ts";
import { NatsLink } from "../../../src/nats/link.ts";
import { silent } from "../../../src/telemetry/logger.ts";

export interface NatsLockPlace {
  connectionString: string;
  bucket: string;
  leaseMs: number;
}

export const open = ({ connectionString, bucket, leaseMs }: NatsLockPlace) =>
  NatsLockStore.open({ link: new NatsLink({ connectionString }), ownsLink: true, logger: silent, bucket, leaseMs });
