/** The answer to a login that succeeded, in the order in which SQL Server sends it. */
import type { ByteWriter } from "./bytes.ts";
import type { Dialect } from "./dialect.ts";
import { FEATURE } from "./login.ts";
import { FIRST_PACKET_SIZE } from "./packets.ts";
import type { ServerVersion } from "./prelogin.ts";
import {
  DONE,
  ENV,
  TOKEN,
  writeDone,
  writeEnvBytes,
  writeEnvText,
  writeFeatureAck,
  writeLoginAck,
  writeMessage,
  writeRouting,
} from "./tokens.ts";

export interface Welcome {
  database: string;
  collation: Buffer;
  language: string;
  packetSize: number;
  serverName: string;
  version: ServerVersion;
  routing: { host: string; port: number } | undefined;
}

/** With its two characters of NUL, as SQL Server names itself in LOGINACK. */
const PROGRAM = "Microsoft SQL Server\0\0";

export function writeWelcome(to: ByteWriter, dialect: Dialect, welcome: Welcome): void {
  const { database, collation, language, packetSize, serverName, version, routing } = welcome;
  writeEnvText(to, ENV.database, database, "master");
  writeDatabaseChanged(to, dialect, database, serverName);
  writeEnvBytes(to, ENV.collation, collation, Buffer.alloc(0));
  writeEnvText(to, ENV.language, language, "");
  const changed = `Changed language setting to ${language}.`;
  writeMessage(to, dialect, { number: 5703, state: 1, severity: 0, message: changed, line: 1 }, serverName);
  writeLoginAck(to, dialect, PROGRAM, version);
  writeEnvText(to, ENV.packetSize, String(packetSize), String(FIRST_PACKET_SIZE));
  if (routing) writeRouting(to, routing);
  // UTF-8 in char columns is the only feature that is acknowledged; the others count as declined.
  if (dialect.utf8) writeFeatureAck(to, [[FEATURE.utf8, Buffer.of(1)]]);
  writeDone(to, dialect, TOKEN.done, DONE.final, 0, 0);
}

export function writeDatabaseChanged(to: ByteWriter, dialect: Dialect, database: string, serverName: string): void {
  const message = `Changed database context to '${database}'.`;
  writeMessage(to, dialect, { number: 5701, state: 2, severity: 0, message, line: 1 }, serverName);
}
