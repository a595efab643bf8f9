import { mssql } from "./clients/mssql.ts";
import { conformance } from "./suite.ts";

conformance("mssql", mssql);
