/** Azure Blob Storage, for what keeps small things there: how an account is reached, and what its errors mean. */
import { DefaultAzureCredential } from "@azure/identity";
import {
  BlobServiceClient,
  type ContainerClient,
  newPipeline,
  type RequestPolicyFactory,
  RestError,
  type StoragePipelineOptions,
} from "@azure/storage-blob";
import { TransportError } from "../errors.ts";

export interface BlobPlace {
  /** Of a storage account; or its address, `https://<account>.blob.core.windows.net`: then a managed identity signs in. */
  connectionString: string;
  containerName: string;
  /** For errors, as in "the connection string of <whose>". */
  whose: string;
}

/** Of one try. Retries are the callers': they have to hear of it in time. */
const ANSWER_WITHIN_MS = 4_000;
const PIPELINE: StoragePipelineOptions = {
  retryOptions: { maxTries: 2, tryTimeoutInMs: ANSWER_WITHIN_MS, retryDelayInMs: 200 },
};
/** `tryTimeoutInMs` is told to the service alone: where the network says nothing any more, the client would wait for ever. */
const timeLimit: RequestPolicyFactory = {
  create: (next) => ({
    sendRequest: async (request) => {
      request.timeout = ANSWER_WITHIN_MS;
      return await next.sendRequest(request);
    },
  }),
};

/** Makes the container where it is missing. */
export async function openContainer({ connectionString, containerName, whose }: BlobPlace): Promise<ContainerClient> {
  const container = clientOf(connectionString, whose).getContainerClient(containerName);
  await askingBlobs(container, `making the container ${containerName}`, async () => {
    try {
      await container.createIfNotExists();
    } catch (error) {
      // One that may write blobs need not be one that may make containers.
      if (statusOf(error) !== 403 || !(await container.exists().catch(() => false))) throw error;
    }
  });
  return container;
}

export function statusOf(error: unknown): number | undefined {
  return error instanceof RestError ? error.statusCode : undefined;
}

export function isContainerMissing(error: unknown): boolean {
  return error instanceof RestError && error.code === "ContainerNotFound";
}

/** `doing`: as in "While <doing>". */
export async function askingBlobs<T>(container: ContainerClient, doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof TransportError) throw error;
    const { code, message } = error as { code?: string; message: string };
    const said = `While ${doing} at ${container.accountName || container.url}: ${code ?? message.split("\n")[0]}`;
    // An answer to HEAD has no code.
    const advice = ADVICE[code ?? ""] ?? (statusOf(error) === 403 ? ADVICE["AuthorizationFailure"] : undefined);
    if (advice !== undefined) throw new TransportError("rejected", said, { cause: error, advice });
    throw new TransportError("unavailable", said, { cause: error, advice: "It is waited for." });
  }
}

function clientOf(connectionString: string, whose: string): BlobServiceClient {
  const text = connectionString.trim();
  try {
    if (/^https?:\/\//i.test(text)) {
      // An address with a shared access signature signs in by itself.
      const credential = text.includes("sig=") ? undefined : new DefaultAzureCredential();
      return limited(new BlobServiceClient(text, credential));
    }
    return limited(BlobServiceClient.fromConnectionString(text));
  } catch (error) {
    throw new TransportError(
      "rejected",
      `The connection string of ${whose} is none of a storage account: ${(error as Error).message}`,
      {
        cause: error,
        advice:
          "Copy it from the storage account (Access keys), or write its address, https://<account>.blob.core.windows.net, to sign in with a " +
          "managed identity.",
      },
    );
  }
}

function limited({ url, credential }: BlobServiceClient): BlobServiceClient {
  const pipeline = newPipeline(credential, PIPELINE);
  pipeline.factories.unshift(timeLimit);
  return new BlobServiceClient(url, pipeline);
}

/** https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes */
const ADVICE: Readonly<Record<string, string>> = {
  AuthenticationFailed: "Look at the account's name and key in the connection string, and at this machine's clock.",
  AuthorizationFailure:
    "Look at the account's name and key in the connection string, its firewall, and whether who signs in may read and write blobs.",
  AuthorizationPermissionMismatch: "Give who signs in the role Storage Blob Data Contributor on the container.",
  InvalidResourceName: "Container names have 3 to 63 lower-case letters, digits and single hyphens.",
  ContainerNotFound:
    "The container was deleted while dstream ran. Start dstream again, which makes it anew; what stood in it is gone.",
  AccountIsDisabled: "The storage account is disabled.",
};
