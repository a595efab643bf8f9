/** Gives an engine its catalogue. */
import type { Engine } from "../engine/engine.ts";
import { registerColumnViews } from "./columns.ts";
import { registerConstraintViews } from "./constraints.ts";
import { registerDatabaseViews } from "./databases.ts";
import { registerDriverProcedures } from "./driver-procedures.ts";
import { registerEmptyViews } from "./empty-views.ts";
import { registerExtendedProperties } from "./extended-properties.ts";
import { registerMetadataFunctions } from "./functions.ts";
import { registerInformationSchema } from "./information-schema.ts";
import { registerModules } from "./modules.ts";
import { registerObjectViews } from "./objects.ts";
import { registerPrincipalViews } from "./principals.ts";
import { registerSequenceViews } from "./sequences.ts";
import { registerServerProcedures } from "./server-procedures.ts";
import { registerServerViews } from "./server-views.ts";
import { registerTriggers } from "./triggers.ts";
import { registerUndeclaredParameters } from "./undeclared-parameters.ts";

export function installCatalog(engine: Engine): void {
  registerObjectViews(engine);
  registerSequenceViews(engine);
  registerColumnViews(engine);
  registerConstraintViews(engine);
  registerDatabaseViews(engine);
  registerPrincipalViews(engine);
  registerServerViews(engine);
  registerModules(engine);
  registerTriggers(engine);
  registerInformationSchema(engine);
  registerExtendedProperties(engine);
  registerMetadataFunctions(engine);
  registerEmptyViews(engine);
  registerDriverProcedures(engine);
  registerUndeclaredParameters(engine);
  registerServerProcedures(engine);
}
