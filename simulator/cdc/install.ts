/** Gives an engine change data capture. */
import type { Engine } from "../engine/engine.ts";
import { registerAgentProcedures } from "./agent-procedures.ts";
import { registerAgentViews } from "./agent-views.ts";
import { type CdcOptions, setCdcOptions } from "./cdc-database.ts";
import { registerCdcFunctions } from "./functions.ts";
import { registerCdcJobs } from "./job-procedures.ts";
import { registerCdcProcedures } from "./procedures.ts";
import { registerCdcViews } from "./views.ts";

export function installCdc(engine: Engine, options: CdcOptions = {}): void {
  setCdcOptions(engine, options);
  registerCdcFunctions(engine);
  registerCdcProcedures(engine);
  registerCdcJobs(engine);
  registerCdcViews(engine);
  registerAgentViews(engine);
  registerAgentProcedures(engine);
}
