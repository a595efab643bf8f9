import { AzureBlobLockStore } from "../../../src/locks/azure-blob.ts";
import { silent } from "../../../src/telemetry/logger.ts";

export interface AzureBlobLockPlace {
  connectionString: string;
  containerName: string;
}

export const open = (place: AzureBlobLockPlace) => AzureBlobLockStore.open({ ...place, logger: silent });
