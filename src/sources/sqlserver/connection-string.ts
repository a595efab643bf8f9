/**
 * SQL Server connection strings, as they are written for go-mssqldb (URL form) and SqlClient (ADO form), to what tedious is
 * given. The connection is encrypted and the server's certificate verified unless the string says otherwise, whatever those
 * drivers' own defaults were. No error holds a password, nor anything that could be a piece of one.
 *
 * Keywords: https://learn.microsoft.com/sql/connect/golang/connection-options and
 * https://learn.microsoft.com/sql/connect/ado-net/connection-options
 */
import type { ConnectionConfiguration } from "tedious";
import { DStreamError } from "../../errors.ts";
import { closest } from "../../text/closest.ts";
import { readAuthentication, type SqlServerAuth } from "./connection-auth.ts";
import { type Keyword, plainName, type Scan, scanConnectionString } from "./connection-keywords.ts";

export type { SqlServerAuth } from "./connection-auth.ts";

export interface SqlServerHost {
  server: string;
  port: number | undefined;
  /** Looked up by SQL Server Browser where no port is given. */
  instance: string | undefined;
}

export interface SqlServerTarget {
  /** The server, then its failover partner if the string names one. */
  hosts: [SqlServerHost, ...SqlServerHost[]];
  database: string;
  /** Holds secrets. */
  auth: SqlServerAuth;
  /** "strict": TLS before anything else (TDS 8.0). False: nothing is encrypted, not even the login. */
  encrypt: "strict" | boolean;
  trustServerCertificate: boolean;
  hostNameInCertificate: string | undefined;
  applicationName: string;
  applicationIntent: "ReadOnly" | "ReadWrite";
  multiSubnetFailover: boolean;
  connectTimeoutMs: number;
  packetSize: number | undefined;
  workstationId: string | undefined;
  /** Keywords that ask for what another driver does (pooling and such): they change nothing here. */
  ignored: string[];
}

/** What is wrong with a connection string, all of it. */
export class ConnectionStringError extends DStreamError {
  readonly code = "DSTREAM_CONNECTION_STRING";
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`The SQL Server connection string is wrong: ${problems.join("; ")}.`, {
      advice:
        "Write sqlserver://user:password@host:1433?database=name, or server=host,1433;database=name;user id=user;password=…",
    });
    this.problems = problems;
  }
}

/** Canonical name of each keyword, as an error suggests it, and its other names. Blanks and case do not matter. */
const keywords: Readonly<Record<string, readonly string[]>> = {
  server: ["data source", "address", "addr", "network address"],
  port: [],
  database: ["initial catalog"],
  "user id": ["uid", "user", "username"],
  password: ["pwd"],
  domain: [],
  authentication: ["fedauth", "authenticator"],
  "application client id": ["client id"],
  "tenant id": [],
  "integrated security": ["trusted_connection"],
  encrypt: [],
  "trust server certificate": [],
  "host name in certificate": [],
  "app name": ["application name", "app"],
  "application intent": [],
  "multi subnet failover": [],
  "connection timeout": ["connect timeout", "timeout"],
  "dial timeout": [],
  "packet size": [],
  "workstation id": ["wsid"],
  "failover partner": [],
  "failover port": [],
  protocol: [],
};

/** What other drivers do behind a connection and this program does not, or does its own way. */
const ignored = [
  ...[
    "pooling",
    "max pool size",
    "min pool size",
    "connection lifetime",
    "load balance timeout",
    "pool blocking period",
  ],
  ...[
    "connection reset",
    "persist security info",
    "multiple active result sets",
    "connect retry count",
    "enlist",
    "async",
  ],
  ...["connect retry interval", "asynchronous processing", "type system version", "transparent network ip resolution"],
  ...["ip address preference", "current language", "language", "transaction binding", "replication", "user instance"],
  ...[
    "context connection",
    "command timeout",
    "keepalive",
    "log",
    "guid conversion",
    "timezone",
    "server spn",
    "tlsmin",
  ],
  ...["network library", "network", "net", "mars connection", "mars_connection", "driver"],
].map(plainName);

const unsupported: Readonly<Record<string, string>> = {
  certificate: "name the certificate authority's file in the environment variable NODE_EXTRA_CA_CERTS instead",
  servercertificate: "name the server's certificate in the environment variable NODE_EXTRA_CA_CERTS instead",
  attachdbfilename: "attach the database on the server",
  columnencryptionsetting: "Always Encrypted columns are delivered as they are stored",
  clientcertpath: "a service principal signs in with its secret",
  pipe: "connections are made over TCP",
};

const canonical = new Map<string, string>();
for (const [name, aliases] of Object.entries(keywords)) {
  for (const alias of [name, ...aliases]) canonical.set(plainName(alias), name);
}

/** Throws ConnectionStringError. */
export function parseConnectionString(text: string): SqlServerTarget {
  const scan = scanConnectionString(text);
  const problems = [...scan.problems];
  const values = recognise(scan, problems);
  const get = (name: string) => {
    const value = values.get(name)?.trim();
    return value === "" ? undefined : value;
  };
  const seconds = (name: string) => readNumber(name, get(name), problems, 0, 86_400);

  const hosts = readHosts(values, problems);
  const database = get("database");
  if (database === undefined && problems.length === 0) {
    problems.push(
      scan.form === "url" ? "it names no database: add ?database=name" : "it names no database: add database=name",
    );
  }
  const encrypt = readEncrypt(get("encrypt"), problems);
  const auth = readAuthentication(values, problems);
  if (encrypt === false && auth?.type.startsWith("entra")) {
    problems.push("Microsoft Entra tokens are only sent over an encrypted connection: leave out encrypt");
  }
  const protocol = get("protocol");
  if (protocol !== undefined && protocol.toLowerCase() !== "tcp") problems.push("protocol can only be tcp");
  const intent = get("application intent")?.toLowerCase();
  if (intent !== undefined && intent !== "readonly" && intent !== "readwrite") {
    problems.push("application intent is ReadOnly or ReadWrite");
  }
  const target = {
    database,
    auth,
    encrypt,
    trustServerCertificate: readBoolean("trust server certificate", get("trust server certificate"), problems) ?? false,
    hostNameInCertificate: get("host name in certificate"),
    applicationName: get("app name") ?? "dstream",
    applicationIntent: intent === "readonly" ? ("ReadOnly" as const) : ("ReadWrite" as const),
    multiSubnetFailover: readBoolean("multi subnet failover", get("multi subnet failover"), problems) ?? false,
    // A login that never ends helps nobody: 0, "no timeout" elsewhere, is the default here.
    connectTimeoutMs: (seconds("connection timeout") || seconds("dial timeout") || 15) * 1000,
    packetSize: readNumber("packet size", get("packet size"), problems, 512, 32_767),
    workstationId: get("workstation id"),
    ignored: scan.keywords.filter(({ name }) => ignored.includes(name)).map(({ name }) => name),
  };
  const [first, ...others] = hosts;
  if (problems.length > 0 || first === undefined || database === undefined || auth === undefined) {
    throw new ConnectionStringError(problems);
  }
  return { ...target, database, auth, hosts: [first, ...others] };
}

/** Values by canonical keyword. Adds a problem for each keyword that is not known. */
function recognise({ form, keywords: found }: Scan, problems: string[]): Map<string, string> {
  const values = new Map<string, string>();
  // After a password, or a keyword that may be a misspelt one, a `;` inside that value makes its rest look like keywords.
  // And where nothing is known, the whole may be a secret that was put into the wrong variable.
  let nameable = found.some(({ name }) => canonical.has(name));
  for (const keyword of found) {
    const name =
      canonical.get(keyword.name) ?? (form === "url" && keyword.name === "instance" ? "instance" : undefined);
    if (name !== undefined) {
      if (form === "url" && values.has(name)) problems.push(`${name} is given twice`);
      values.set(name, keyword.value);
      if (name === "password" && form === "ado") nameable = false;
    } else if (!ignored.includes(keyword.name)) {
      problems.push(unknownKeyword(keyword, nameable));
      nameable = false;
    }
  }
  return values;
}

function unknownKeyword({ name, shown, part }: Keyword, nameable: boolean): string {
  const advice = unsupported[name];
  if (advice !== undefined) return `keyword ${part}, ${name}, is not supported: ${advice}`;
  if (name.startsWith("krb5-")) {
    return `keyword ${part}: Kerberos is not supported: sign in with NTLM (user id=DOMAIN\\user), a SQL login or Microsoft Entra`;
  }
  const meant = closest(name, Object.keys(keywords));
  const hint = meant === undefined ? "" : ` (did you mean ${meant}?)`;
  if (nameable && shown !== undefined && /^[a-z][a-z0-9 _-]{0,39}$/i.test(shown))
    return `unknown keyword ${shown}${hint}`;
  return `keyword ${part} is unknown${hint}; if it is part of a password, put the password in double quotes`;
}

function readHosts(values: Map<string, string>, problems: string[]): SqlServerHost[] {
  const server = values.get("server")?.trim();
  if (server === undefined || server === "") {
    if (problems.length === 0) problems.push("it names no server");
    return [];
  }
  const hosts = [readHost(server, values.get("port"), values.get("instance"), problems)];
  const partner = values.get("failover partner")?.trim();
  if (partner) hosts.push(readHost(partner, values.get("failover port"), undefined, problems));
  return hosts;
}

/** `tcp:host\instance,port`, and what the URL form keeps apart. */
function readHost(
  text: string,
  port: string | undefined,
  instance: string | undefined,
  problems: string[],
): SqlServerHost {
  const [, protocol, rest = ""] = /^(?:(tcp|np|lpc|admin):)?(.*)$/is.exec(text) ?? [];
  if (protocol !== undefined && protocol.toLowerCase() !== "tcp") {
    problems.push(`connections are made over TCP: leave out ${protocol.toLowerCase()}:`);
  }
  const [address = "", commaPort] = rest.split(",", 2);
  const [host = "", namedInstance] = address.trim().split("\\", 2);
  if (/^[^:]+:\d+$/.test(host)) problems.push("in this form the port follows a comma: server=host,1433");
  if (/^\(localdb\)$/i.test(host)) problems.push("LocalDB takes no TCP connections: use a SQL Server instance");
  return {
    server: host === "." || /^\(local\)$/i.test(host) ? "localhost" : host.replace(/^\[(.*)\]$/, "$1"),
    port: readNumber("port", (port ?? commaPort)?.trim(), problems, 1, 65_535),
    instance: instance ?? (namedInstance || undefined),
  };
}

function readEncrypt(text: string | undefined, problems: string[]): "strict" | boolean {
  switch (text?.toLowerCase()) {
    case "strict":
      return "strict";
    case undefined:
    case "true":
    case "mandatory":
    case "yes":
    case "1":
    case "t":
      return true;
    case "false":
    case "optional":
    case "disable":
    case "no":
    case "0":
    case "f":
      return false;
    default:
      problems.push("encrypt is strict, true (mandatory) or false (optional, disable)");
      return true;
  }
}

function readBoolean(name: string, text: string | undefined, problems: string[]): boolean | undefined {
  if (text === undefined) return undefined;
  if (/^(true|yes|1|t)$/i.test(text)) return true;
  if (!/^(false|no|0|f)$/i.test(text)) problems.push(`${name} is true or false`);
  return false;
}

function readNumber(name: string, text: string | undefined, problems: string[], min: number, max: number) {
  if (text === undefined) return undefined;
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return number;
  problems.push(`${name} is a whole number from ${min} to ${max}`);
  return undefined;
}

/** What tedious is given to connect to one of the target's hosts. Holds secrets. */
export function toTediousConfig(
  target: SqlServerTarget,
  host: SqlServerHost = target.hosts[0],
): ConnectionConfiguration {
  const { auth } = target;
  return {
    server: host.server,
    authentication: { type: tediousType[auth.type], options: auth.options },
    options: {
      database: target.database,
      // tedious takes one of the two; a port needs no looking up.
      ...(host.port === undefined && host.instance !== undefined
        ? { instanceName: host.instance }
        : { port: host.port ?? 1433 }),
      encrypt: target.encrypt,
      trustServerCertificate: target.trustServerCertificate,
      serverName: target.hostNameInCertificate,
      appName: target.applicationName,
      readOnlyIntent: target.applicationIntent === "ReadOnly",
      multiSubnetFailover: target.multiSubnetFailover,
      connectTimeout: target.connectTimeoutMs,
      ...(target.packetSize === undefined ? {} : { packetSize: target.packetSize }),
      workstationId: target.workstationId,
    },
  };
}

const tediousType = {
  sql: "default",
  ntlm: "ntlm",
  "entra-default": "azure-active-directory-default",
  "entra-managed-identity": "azure-active-directory-msi-vm",
  "entra-service-principal": "azure-active-directory-service-principal-secret",
  "entra-password": "azure-active-directory-password",
  "entra-access-token": "azure-active-directory-access-token",
} as const satisfies Record<SqlServerAuth["type"], string>;

const showable = new Set([
  "server",
  "port",
  "instance",
  "database",
  "user id",
  "authentication",
  "encrypt",
  "app name",
]);

/** The string for logs: server, database and user; every other value hidden. */
export function redactConnectionString(text: string): string {
  const { keywords: found, problems } = scanConnectionString(text);
  if (problems.length > 0) return "(a connection string that cannot be read)";
  return found
    .flatMap((keyword) => {
      const name = keyword.name === "instance" ? "instance" : canonical.get(keyword.name);
      return name === undefined ? [] : [`${name}=${showable.has(name) ? keyword.value : "***"}`];
    })
    .join(";");
}
