import { tedious } from "./clients/tedious.ts";
import { conformance } from "./suite.ts";

conformance("tedious", tedious);
