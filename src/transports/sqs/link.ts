/** How SQS is reached, and what its errors mean. */
import { SQSClient, type SQSClientConfig } from "@aws-sdk/client-sqs";
import { TransportError } from "../../errors.ts";

export interface SqsLink {
  client: SQSClient;
  /** Region or address, for errors. */
  where: string;
  /** Whether SQS has ever answered: then there are credentials, even where they cannot be had anew just now. */
  hasAnswered: boolean;
}

const CONNECT_WITHIN_MS = 10_000;
/** Longer than SQS waits for messages to hand out, which is 20 s at most. A connection that was silently cut says nothing, for minutes. */
const ANSWER_WITHIN_MS = 40_000;

/**
 * A region, `eu-west-1`; or an address, `https://sqs.eu-west-1.amazonaws.com`, with another `?region=` and with
 * `accessKey:secret@` before the host where they are not to be found in the environment, the profile or the machine's role.
 */
export function openLink(connectionString: string): SqsLink {
  const text = connectionString.trim();
  if (/^[a-z]{2}(-[a-z]+)+-\d$/.test(text)) return link({ region: text }, text);
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new TransportError("rejected", "The connection string is none of SQS.", {
      advice:
        "Write a region, as eu-west-1, or an address, as https://sqs.eu-west-1.amazonaws.com; access keys are found as the AWS command line " +
        "finds them, or stand in the address, https://key:secret@host (percent-encoded).",
    });
  }
  const region = url.searchParams.get("region") ?? /^sqs\.([^.]+)\./.exec(url.hostname)?.[1];
  const credentials =
    url.username === ""
      ? {}
      : {
          credentials: {
            accessKeyId: decodeURIComponent(url.username),
            secretAccessKey: decodeURIComponent(url.password),
          },
        };
  const endpoint = `${url.protocol}//${url.host}`;
  return link({ endpoint, ...(region && { region }), ...credentials }, url.host);
}

function link(options: SQSClientConfig, where: string): SqsLink {
  const client = new SQSClient({
    ...options,
    // Who calls tries again, and is told meanwhile.
    maxAttempts: 2,
    requestHandler: {
      connectionTimeout: CONNECT_WITHIN_MS,
      requestTimeout: ANSWER_WITHIN_MS,
      throwOnRequestTimeout: true,
    },
  });
  const made: SqsLink = { client, where, hasAnswered: false };
  client.middlewareStack.add(
    (next) => async (args) => {
      const answer = await next(args);
      made.hasAnswered = true;
      return answer;
    },
    { step: "deserialize", name: "dstreamAnswered" },
  );
  return made;
}

/** `doing`: as in "While <doing>". */
export function sqsError(doing: string, { where, hasAnswered }: SqsLink, error: unknown): TransportError {
  if (error instanceof TransportError) return error;
  const { name, message } = error as Error;
  const said = `While ${doing} at SQS ${where}: ${message || name}`;
  const advice = name === "CredentialsProviderError" && hasAnswered ? undefined : ADVICE[name];
  if (advice !== undefined) return new TransportError("rejected", said, { cause: error, advice });
  return new TransportError("unavailable", said, { cause: error, advice: "It is waited for." });
}

export function isMissing(error: unknown): boolean {
  return /NonExistentQueue|QueueDoesNotExist/.test((error as Error).name);
}

const KEYS = "Look at the access key and its secret, and at this machine's clock.";
const POLICY =
  "Allow sqs:CreateQueue, GetQueueUrl, GetQueueAttributes, SendMessage, ReceiveMessage, DeleteMessage and ChangeMessageVisibility.";

/** https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html: those that waiting does not heal. */
const ADVICE: Readonly<Record<string, string>> = {
  QueueDoesNotExist:
    "It is made when an ingester or a router that names it starts; look at its name, the region and the account.",
  AccessDenied: POLICY,
  AccessDeniedException: POLICY,
  InvalidClientTokenId: KEYS,
  UnrecognizedClientException: KEYS,
  SignatureDoesNotMatch: KEYS,
  InvalidSignatureException: KEYS,
  CredentialsProviderError: "Give access keys, as the AWS command line takes them: environment, profile, role.",
};
