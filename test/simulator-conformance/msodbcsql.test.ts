import { join } from "node:path";
import { baseOf, type Client } from "./client.ts";
import { Program } from "./clients/program.ts";
import { inMicroseconds, withoutTrailingZeros } from "./clients/python-values.ts";
import { conformance } from "./suite.ts";
import { clients, python } from "./tools.ts";

const TIMES = ["time", "datetime", "datetime2", "datetimeoffset"];

/** Microsoft's ODBC Driver 18 for SQL Server, by way of pyodbc. https://learn.microsoft.com/sql/connect/odbc */
function client(driver: string): Client {
  const program = new Program(python.interpreter, [join(clients, "python", "odbc.py"), driver]);
  return {
    name: "msodbcsql",
    encryptions: ["login", "all", "strict"],
    abilities: ["parameters", "cancel", "transactions", "messages"],
    // Python's times end at microseconds.
    shows: new Map(TIMES.map((type) => [type, inMicroseconds])),
    // pyodbc has no form for it.
    cannotRead: ["sql_variant"],
    // pyodbc sends no offsets, and no fractions of a time.
    sends: (type, text) => {
      if (baseOf(type) === "datetimeoffset") return false;
      if (baseOf(type) === "time") return !withoutTrailingZeros(text).includes(".");
      return !TIMES.includes(baseOf(type)) || inMicroseconds(text) === withoutTrailingZeros(text);
    },
    play: (scenario, target) => program.play(scenario, target),
    close: () => program.close(),
  };
}

conformance("msodbcsql", python.missingOdbc() ?? client(python.odbcDriver()!));
