/**
 * Errors that SQL Server and Azure SQL Database raise when something beyond the client's control is wrong: numbers, severities and
 * texts of "Error messages for SQL Database client programs"
 * (https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues) and of
 * https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
 */
import { SqlError } from "../engine/session.ts";

/** What the placeholders of the texts stand for. */
export interface ErrorPlace {
  spid: number;
  database: string;
  server: string;
  /** Azure's session tracing and incident ids. */
  tracingId: string;
}

interface ServerError {
  severity: number;
  state: number;
  text: (place: ErrorPlace) => string;
  /** The connection ends with it though its severity is below 20. */
  closes?: true;
}

const MORE = "For more information, see http://go.microsoft.com/fwlink/?LinkId=267637.";
const BUSY_SUBSCRIPTION =
  "Requests are currently blocked for resource optimization. Query sys.dm_operation_stats for operation stats. Wait until pending requests are complete or delete one of your pending requests and retry your request later.";

export const SERVER_ERRORS = {
  /** The transaction is rolled back, the batch ends. */
  1205: {
    severity: 13,
    state: 51,
    text: ({ spid }) =>
      `Transaction (Process ID ${spid}) was deadlocked on lock resources with another process and has been chosen as the deadlock victim. Rerun the transaction.`,
  },
  1222: { severity: 16, state: 45, text: () => "Lock request time out period exceeded." },
  /** Out of memory. */
  701: {
    severity: 17,
    state: 123,
    text: () => "There is insufficient system memory in resource pool 'default' to run this query.",
  },
  8645: {
    severity: 17,
    state: 1,
    text: () =>
      "A timeout occurred while waiting for memory resources to execute the query in resource pool 'default' (2). Rerun the query.",
  },
  9002: {
    severity: 17,
    state: 4,
    text: ({ database }) => `The transaction log for database '${database}' is full due to 'LOG_BACKUP'.`,
  },
  596: {
    severity: 21,
    state: 1,
    text: () => "Cannot continue the execution because the session is in the kill state.",
  },
  4060: {
    severity: 11,
    state: 1,
    text: ({ database }) => `Cannot open database "${database}" requested by the login. The login failed.`,
    closes: true,
  },
  /** An availability group's database on a secondary that lets nobody in. */
  976: {
    severity: 14,
    state: 1,
    text: ({ database }) =>
      `The target database, '${database}', is participating in an availability group and is currently not accessible for queries. Either data movement is suspended or the availability replica is not enabled for read access. To allow read-only access to this and other databases in the availability group, enable read access to one or more secondary availability replicas in the group.  For more information, see the ALTER AVAILABILITY GROUP statement in SQL Server Books Online.`,
    closes: true,
  },
  983: {
    severity: 14,
    state: 1,
    text: ({ database }) =>
      `Unable to access availability database '${database}' because the database replica is not in the PRIMARY or SECONDARY role. Connections to an availability database is permitted only when the database replica is in the PRIMARY or SECONDARY role. Try the operation again later.`,
    closes: true,
  },
  10928: {
    severity: 20,
    state: 1,
    text: () => `Resource ID: 1. The request limit for the database is 90 and has been reached. ${MORE}`,
  },
  10929: {
    severity: 20,
    state: 1,
    text: () =>
      `Resource ID: 1. The request minimum guarantee is 0, maximum limit is 90 and the current usage for the database is 90. However, the server is currently too busy to support requests greater than 0 for this database. ${MORE} Otherwise, please try again later.`,
  },
  /** "Reconnecting … will automatically connect you to a healthy copy of your database." */
  40197: {
    severity: 17,
    state: 1,
    text: () => "The service has encountered an error processing your request. Please try again. Error code 40166.",
    closes: true,
  },
  40501: {
    severity: 20,
    state: 1,
    text: ({ tracingId }) =>
      `The service is currently busy. Retry the request after 10 seconds. Incident ID: ${tracingId}. Code: 131075.`,
  },
  40540: {
    severity: 16,
    state: 1,
    text: () => "The service has encountered an error processing your request. Please try again.",
  },
  40613: {
    severity: 17,
    state: 1,
    text: ({ database, server, tracingId }) =>
      `Database '${database}' on server '${server}' is not currently available. Please retry the connection later. If the problem persists, contact customer support, and provide them the session tracing ID of '${tracingId}'.`,
    closes: true,
  },
  49918: {
    severity: 16,
    state: 1,
    text: () =>
      "Cannot process request. Not enough resources to process request. The service is currently busy. Please retry the request later.",
  },
  49919: {
    severity: 16,
    state: 1,
    text: () =>
      `Cannot process create or update request. Too many create or update operations in progress for subscription "1". The service is busy processing multiple create or update requests for your subscription or server. ${BUSY_SUBSCRIPTION}`,
  },
  49920: {
    severity: 16,
    state: 1,
    text: () =>
      `Cannot process request. Too many operations in progress for subscription "1". The service is busy processing multiple requests for this subscription. ${BUSY_SUBSCRIPTION}`,
  },
} as const satisfies Record<number, ServerError>;

export type ServerErrorNumber = keyof typeof SERVER_ERRORS;

export function isServerError(number: number): number is ServerErrorNumber {
  return Object.hasOwn(SERVER_ERRORS, number);
}

export function serverError(number: ServerErrorNumber, place: ErrorPlace): SqlError {
  const { severity, state, text, closes }: ServerError = SERVER_ERRORS[number];
  const error = new SqlError(number, text(place), severity, state);
  error.closes = closes === true;
  return error;
}
