import { bsqldb, freebcp, tsql } from "./clients/freetds.ts";
import { conformance } from "./suite.ts";
import { freetds } from "./tools.ts";

const missing = freetds.missing("tsql");
if (missing) conformance("tsql", missing);
// Both as the newest protocol that FreeTDS has, and as one that knows no date, time, datetime2 and datetimeoffset.
else for (const version of ["7.4", "7.2"]) conformance(`tsql, TDS ${version}`, tsql(version));
conformance("bsqldb", freetds.missing("bsqldb") ?? bsqldb("7.2"));
conformance("freebcp", freetds.missing("freebcp") ?? freebcp("7.4"));
