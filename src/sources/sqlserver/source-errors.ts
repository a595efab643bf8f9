/** What SQL Server, tedious and the network say, as SourceErrors with the scope that decides what happens next. */
import { SourceError } from "../../errors.ts";

interface Known {
  scope: SourceError["scope"];
  advice?: string;
}

/**
 * By error number. Retry lists: https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues and
 * https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
 */
const numbers: Readonly<Record<number, Known>> = {
  208: {
    scope: "table",
    advice:
      "Was change data capture switched off for the table or the database? `dstream check` shows what is missing.",
  },
  229: {
    scope: "table",
    advice: "Grant the login SELECT on the table and on schema cdc; `dstream check` prints the GRANTs.",
  },
  230: { scope: "table", advice: "Grant the login SELECT on all captured columns; `dstream check` prints the GRANTs." },
  297: {
    scope: "table",
    advice: "Grant the login what the server says is missing; `dstream check` prints the GRANTs.",
  },
  300: {
    scope: "table",
    advice: "Grant the login what the server says is missing; `dstream check` prints the GRANTs.",
  },
  313: { scope: "table", advice: "The LSN lies outside of what CDC keeps for the table." },
  916: { scope: "fatal", advice: "Create a user for the login in the database, or name another database." },
  911: { scope: "fatal", advice: "Check the database's name in the connection string." },
  3906: { scope: "unavailable", advice: 'A database that stays read-only needs checkpoints { type = "file" }.' },
  4060: {
    scope: "unavailable",
    advice: "Check the database's name in the connection string, and that the login has a user in it.",
  },
  18452: { scope: "fatal", advice: "Use SQL authentication, NTLM with a domain user, or Microsoft Entra." },
  18456: {
    scope: "fatal",
    advice: "Check user and password in the connection string, and that the login may use the database.",
  },
  18470: { scope: "fatal", advice: "The login is disabled: ALTER LOGIN … ENABLE." },
  18486: { scope: "unavailable", advice: "The login is locked out: ALTER LOGIN … WITH PASSWORD = … UNLOCK." },
  18487: { scope: "fatal", advice: "The login's password has expired: set a new one." },
  18488: { scope: "fatal", advice: "The login's password must be changed: set a new one." },
};

/** By tedious' code, or the network's beneath it. */
const codes: Readonly<Record<string, Known>> = {
  EENCRYPT: { scope: "fatal", advice: "Make `encrypt` in the connection string agree with what the server wants." },
  ECONNREFUSED: {
    scope: "unavailable",
    advice:
      "Nobody listens there: look whether SQL Server runs and accepts TCP connections, and at host and port in the connection string.",
  },
  ENOTFOUND: { scope: "unavailable", advice: "No such host is known: look at the host in the connection string." },
  EAI_AGAIN: { scope: "unavailable", advice: "The host's name cannot be resolved now: look at this machine's DNS." },
  EHOSTUNREACH: { scope: "unavailable", advice: "No route leads there: look at network, VPN and firewalls." },
  ENETUNREACH: { scope: "unavailable", advice: "No route leads there: look at network, VPN and firewalls." },
  ETIMEDOUT: { scope: "unavailable", advice: "No answer came: look at the host, its port and the firewalls between." },
  EFEDAUTH: { scope: "fatal", advice: "Check the Microsoft Entra credentials that the connection string names." },
};

/** Errors of OpenSSL and Node about certificates that will not pass the next time either. */
const certificateCodes = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "CERT_HAS_EXPIRED",
  "ERR_TLS_CERT_ALTNAME_INVALID",
]);

const certificateAdvice =
  "Name the certificate authority's file in NODE_EXTRA_CA_CERTS, or the certificate's name as hostNameInCertificate; " +
  "trustServerCertificate=true trusts any certificate.";

/** `doing`: "reading the changes of dbo.Persons". Errors in what was asked (a syntax error) are of scope table. */
export function sourceError(doing: string, cause: unknown): SourceError {
  if (cause instanceof SourceError) return cause;
  const number = firstNumber(cause);
  // What the server says is in the errors of its answer; what the network says is in their causes.
  const told = number === undefined ? [...chain(cause)] : flatten(cause);
  const said = told
    .map((error) => error.message)
    .filter((message, index, all) => message !== "" && all.findIndex((other) => other.includes(message)) === index)
    .join(number === undefined ? ": " : " ");
  const known = knowledgeOf(cause, number);
  const label = number === undefined ? "" : ` (error ${number})`;
  return new SourceError(known.scope, `While ${doing}: ${said || String(cause)}${label}`, {
    advice: known.advice,
    cause,
    number,
  });
}

function knowledgeOf(cause: unknown, number: number | undefined): Known {
  for (const error of chain(cause)) {
    const code = (error as { code?: unknown }).code;
    if (typeof code !== "string") continue;
    if (certificateCodes.has(code)) return { scope: "fatal", advice: certificateAdvice };
    if (codes[code] !== undefined) return codes[code];
  }
  if (number === undefined) return { scope: "unavailable" };
  // Severity 20 and above ends the connection; 17 to 19 is about resources: both pass or need the server's administrator.
  const severity = flatten(cause).reduce((highest, error) => Math.max(highest, error.class ?? 0), 0);
  return numbers[number] ?? { scope: transient.has(number) || severity >= 17 ? "unavailable" : "table" };
}

/** Deadlock victim, lock and query time-outs, throttling, failover and start-up of the server or the database. */
const transient = new Set([
  -2, 601, 615, 617, 823, 824, 921, 922, 926, 952, 976, 978, 979, 981, 982, 983, 985, 987, 988, 1204, 1205, 1222, 3635,
  3908, 3980, 4221, 4891, 6005, 8628, 8645, 8651, 9001, 9002, 10053, 10054, 10060, 10928, 10929, 10936, 11001, 14355,
  17197, 17830, 18401, 20041, 35217, 40020, 40143, 40166, 40197, 40501, 40540, 40544, 40549, 40550, 40551, 40552, 40553,
  40613, 40615, 40627, 40642, 40671, 40675, 40890, 42108, 42109, 45168, 45169, 49510, 49918, 49919, 49920,
]);

type ServerError = Error & { number?: number; class?: number };

function firstNumber(cause: unknown): number | undefined {
  return flatten(cause).find((error) => typeof error.number === "number")?.number;
}

/** The errors of one response: tedious puts several into one AggregateError. */
function flatten(cause: unknown): ServerError[] {
  if (cause instanceof AggregateError) return cause.errors.flatMap(flatten);
  return cause instanceof Error ? [cause] : [];
}

function* chain(cause: unknown): Generator<Error> {
  const seen = new Set<unknown>();
  const waiting: unknown[] = [cause];
  while (waiting.length > 0) {
    const error = waiting.shift();
    if (!(error instanceof Error) || seen.has(error)) continue;
    seen.add(error);
    yield error;
    waiting.push(error.cause, ...(error instanceof AggregateError ? error.errors : []));
  }
}
