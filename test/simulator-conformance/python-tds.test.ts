import { join } from "node:path";
import { baseOf, type Client } from "./client.ts";
import { Program } from "./clients/program.ts";
import { inMicroseconds, withoutTrailingZeros } from "./clients/python-values.ts";
import { conformance } from "./suite.ts";
import { clients, python } from "./tools.ts";

const TIMES = ["time", "datetime", "datetime2", "datetimeoffset"];

/** https://python-tds.readthedocs.io */
function client(): Client {
  const program = new Program(python.interpreter, [join(clients, "python", "conformance.py")]);
  return {
    name: "python-tds",
    encryptions: ["none", "login", "all"],
    abilities: ["parameters", "calls", "cancel rows", "transactions", "bulk", "bulk options", "tables"],
    // Python's times end at microseconds. A column's scale is not told for times, and dropped for decimals.
    shows: new Map([
      ...TIMES.map((type) => [type, inMicroseconds] as const),
      ...["decimal", "numeric", "money", "smallmoney"].map((type) => [type, withoutTrailingZeros] as const),
    ]),
    sends: (type, text) => !TIMES.includes(baseOf(type)) || inMicroseconds(text) === withoutTrailingZeros(text),
    play: (scenario, target) => program.play(scenario, target),
    close: () => program.close(),
  };
}

conformance("python-tds", python.missing() ?? client());
