/** The names of the topics that tables end in. */

import { isIP } from "node:net";
import { hostname } from "node:os";
import { SourceError } from "../../errors.ts";
import { checkpointKey, fullName, type TableName } from "../../ingester/checkpoint.ts";

export interface DestinationParts extends TableName {
  /** As the connection string names it. */
  host: string;
  database: string;
}

/**
 * `<server>.<database>.<table>.events` in lower case, `<schema>.<table>` for a schema other than dbo; or the user's template
 * with {server}, {database}, {schema} and {table}, their values in lower case. Whatever is not a letter, a digit, `.`, `_` or
 * `-` becomes `-`: all messaging systems allow those.
 */
export function destinationName(parts: DestinationParts, template?: string): string {
  const { schema, table } = parts;
  const standard =
    schema.toLowerCase() === "dbo"
      ? "{server}.{database}.{table}.events"
      : "{server}.{database}.{schema}.{table}.events";
  const values: Record<string, string> = { server: serverLabel(parts.host), database: parts.database, schema, table };
  return (template ?? standard).replace(/\{(\w+)\}|[^\w.-]/g, (found, name: string | undefined) => {
    if (name === undefined) return "-";
    const value = values[name.toLowerCase()];
    if (value === undefined)
      throw new SourceError("fatal", `The destination template ${JSON.stringify(template)} holds ${found}.`, {
        advice: "Use {server}, {database}, {schema} and {table}.",
      });
    return value.toLowerCase().replace(/[^\w.-]/g, "-");
  });
}

/** The host's first label; for localhost or an IP address, this machine's host name. */
export function serverLabel(host: string): string {
  const name = isLocal(host) || isIP(bareAddress(host)) !== 0 ? hostname() : host;
  return name.split(".")[0]!.toLowerCase();
}

/**
 * The server in locks and message ids: the host as the connection string names it, so that all machines that share a
 * connection string agree; for localhost, this machine's host name, since everybody has one.
 */
export function serverIdentity(host: string): string {
  return (isLocal(host) ? hostname() : bareAddress(host)).toLowerCase();
}

/** Throws where two tables would end in one destination. */
export function refuseCollisions(destinations: readonly { table: TableName; destination: string }[]): void {
  const owners = new Map<string, TableName>();
  for (const { table, destination } of destinations) {
    const owner = owners.get(destination.toLowerCase());
    if (owner !== undefined)
      throw new SourceError(
        "fatal",
        `The tables ${fullName(owner)} and ${fullName(table)} would both end in the destination ${destination}.`,
        {
          advice:
            'Give the template more: destination = "{server}.{database}.{schema}.{table}.events", or leave one out.',
        },
      );
    owners.set(destination.toLowerCase(), table);
  }
}

/**
 * Throws where two tables would have one checkpoint or one name in locks and logs: a dot in a name can make them alike
 * (`sales.Orders` of dbo, and `Orders` of sales).
 */
export function refuseNamesakes(tables: readonly TableName[]): void {
  const owners = new Map<string, TableName>();
  for (const table of tables) {
    for (const name of new Set([checkpointKey(table), fullName(table)].map((text) => text.toLowerCase()))) {
      const { schema, table: other } = owners.get(name) ?? table;
      if (schema !== table.schema || other !== table.table)
        throw new SourceError(
          "fatal",
          `The tables [${schema}].[${other}] and [${table.schema}].[${table.table}] would share one checkpoint or lock: ${name} names both.`,
          { advice: "Leave one out, and read it with another configuration and another checkpoint table." },
        );
      owners.set(name, table);
    }
  }
}

function isLocal(host: string): boolean {
  const name = bareAddress(host).toLowerCase();
  return name === "localhost" || name === "." || name === "(local)" || name === "::1" || name.startsWith("127.");
}

function bareAddress(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1");
}
