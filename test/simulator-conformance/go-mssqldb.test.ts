import { goMssqldb } from "./clients/go-mssqldb.ts";
import { conformance } from "./suite.ts";
import { go } from "./tools.ts";

const missing = go.missing();
if (!missing) go.build();
conformance("go-mssqldb", missing ?? goMssqldb());
