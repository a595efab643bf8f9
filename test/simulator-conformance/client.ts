/** What a program around one client promises to the suite. */
import type { Ability, Played, Scenario } from "./scenario.ts";

/** How the connection is protected; each client has those that it offers. */
export type Encryption = "none" | "login" | "all" | "strict";

export interface Target {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  encryption: Encryption;
  /** File of the server's own certificate, in PEM: for clients that must be told whom to trust. */
  certificate: string;
}

/** What a driver that has everything common can do. */
export const DRIVER_ABILITIES: readonly Ability[] = [
  "parameters",
  "prepared",
  "calls",
  "cancel",
  "cancel rows",
  "transactions",
  "messages",
  "several errors",
  "bulk",
  "bulk options",
  "tables",
];

export interface Client {
  readonly name: string;
  readonly encryptions: readonly Encryption[];
  readonly abilities: readonly Ability[];
  /**
   * Where the client itself cannot show a value exactly: what it makes of the exact text of a type. Every entry is a limit
   * of the client, stated beside it.
   */
  readonly shows: ReadonlyMap<string, (text: string, type: string) => string>;
  /** Types that the client cannot read: "decimal" for all of them, "decimal(38,0)" for this one. */
  readonly cannotRead?: readonly string[];
  /** Base types that it cannot read, or not tell apart, in a sql_variant. */
  readonly cannotReadInVariant?: readonly string[];
  /** Whether it can play a scenario at all, for clients with limits that abilities do not name. */
  plays?(scenario: Scenario, encryption: Encryption): boolean;
  /** Whether a value can be a parameter of the client; a limit of the client where it is false. */
  sends(type: string, text: string): boolean;
  /** Connects, plays all steps, disconnects. Rejects only where the program itself failed. */
  play(scenario: Scenario, target: Target): Promise<Played>;
  close(): Promise<void>;
}

/** "decimal(38,10)" is "decimal". */
export function baseOf(type: string): string {
  return /^\w+/.exec(type)![0];
}

export function reads(client: Client, type: string): boolean {
  return !client.cannotRead?.some((lack) => lack === baseOf(type) || lack === type);
}
