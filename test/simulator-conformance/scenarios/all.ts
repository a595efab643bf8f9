import { type Client, type Encryption, reads } from "../client.ts";
import type { Scenario } from "../scenario.ts";
import { bulk } from "./bulk.ts";
import { cdc } from "./cdc.ts";
import { changes } from "./changes.ts";
import { control } from "./control.ts";
import { cursors } from "./cursors.ts";
import { definitions } from "./definitions.ts";
import { documents } from "./documents.ts";
import { errors } from "./errors.ts";
import { functions } from "./functions.ts";
import { modules } from "./modules.ts";
import { queries } from "./queries.ts";
import { requests } from "./requests.ts";
import { tables } from "./tables.ts";
import { transactions } from "./transactions.ts";
import { typeScenarios } from "./types.ts";

/** All that a client can play. */
export function allScenarios(client: Client, encryption: Encryption): Scenario[] {
  const statements = [
    queries,
    documents,
    modules,
    functions,
    changes,
    definitions,
    control,
    transactions,
    requests,
    bulk,
    tables,
    cursors,
    errors,
    cdc,
  ].flat();
  return [...statements, ...typeScenarios(client)].filter(
    (scenario) =>
      !scenario.needs?.some((ability) => !client.abilities.includes(ability)) &&
      typesOf(scenario).every((type) => reads(client, type)) &&
      (client.plays?.(scenario, encryption) ?? true),
  );
}

function typesOf({ steps }: Scenario): string[] {
  return steps.flatMap((step) => ("expect" in step && step.expect?.sets) || []).flatMap(({ types }) => types ?? []);
}
