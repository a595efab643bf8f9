import { delimiter, join } from "node:path";
import { baseOf, type Client } from "./client.ts";
import { Program } from "./clients/program.ts";
import { conformance } from "./suite.ts";
import { java } from "./tools.ts";

/** https://github.com/microsoft/mssql-jdbc */
function client(): Client {
  java.build();
  const classPath = [java.classes, join(java.libraries, "*")].join(delimiter);
  const program = new Program("java", ["-Xshare:auto", "-cp", classPath, "Conformance"]);
  return {
    name: "mssql-jdbc",
    encryptions: ["login", "all", "strict"],
    abilities: [
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
    ],
    // It counts the days of a datetimeoffset before the Gregorian reform by the Julian calendar, and sends them so.
    shows: new Map([["datetimeoffset", (text) => text.replace(/^0001-01-01/, "0000-12-30")]]),
    sends: (type, text) => baseOf(type) !== "datetimeoffset" || text > "1583",
    play: (scenario, target) => program.play(scenario, target),
    close: () => program.close(),
  };
}

conformance("mssql-jdbc", java.missing() ?? client());
