import { mssqlJdbc } from "./clients/mssql-jdbc.ts";
import { conformance } from "./suite.ts";
import { java } from "./tools.ts";

const missing = java.missing();
if (missing) conformance("mssql-jdbc", missing);
else {
  java.build();
  // With "cursor" every result of a single SELECT is that of a server cursor.
  for (const selectMethod of ["direct", "cursor"] as const) conformance("mssql-jdbc", mssqlJdbc(selectMethod));
}
