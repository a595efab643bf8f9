import { delimiter, join } from "node:path";
import { baseOf, type Client, DRIVER_ABILITIES } from "../client.ts";
import { java } from "../tools.ts";
import { Program } from "./program.ts";

/** https://github.com/microsoft/mssql-jdbc */
export function mssqlJdbc(selectMethod: "direct" | "cursor"): Client {
  const classPath = [java.classes, join(java.libraries, "*")].join(delimiter);
  const program = new Program("java", [
    "-Xshare:auto",
    `-DselectMethod=${selectMethod}`,
    "-cp",
    classPath,
    "Conformance",
  ]);
  return {
    name: `mssql-jdbc, selectMethod=${selectMethod}`,
    encryptions: selectMethod === "direct" ? ["login", "all", "strict"] : ["login"],
    abilities: [...DRIVER_ABILITIES, "describe", "server cursors"],
    // By a cursor a SELECT runs in a scope of its own: of its temporary tables and of SCOPE_IDENTITY(). How the return status of a
    // procedure comes back that is called by a cursor is not documented.
    plays: ({ steps }) =>
      selectMethod === "direct" ||
      !steps.some((step) => step.do === "call" || ("sql" in step && /INTO #|SCOPE_IDENTITY/.test(step.sql))),
    // It counts the days of a datetimeoffset before the Gregorian reform by the Julian calendar, and sends them so.
    shows: new Map([["datetimeoffset", (text) => text.replace(/^0001-01-01/, "0000-12-30")]]),
    sends: (type, text) => baseOf(type) !== "datetimeoffset" || text > "1583",
    play: (scenario, target) => program.play(scenario, target),
    close: () => program.close(),
  };
}
