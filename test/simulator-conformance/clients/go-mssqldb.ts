import { baseOf, type Client, DRIVER_ABILITIES } from "../client.ts";
import { go } from "../tools.ts";
import { Program } from "./program.ts";

/** https://github.com/microsoft/go-mssqldb; built from its source beside this file. */
export function goMssqldb(): Client {
  const program = new Program(go.program, []);
  return {
    name: "go-mssqldb",
    encryptions: ["none", "login", "all", "strict"],
    abilities: DRIVER_ABILITIES,
    // A column's scale is not told for times: fractions come without their trailing zeros.
    shows: new Map(["time", "datetime", "datetime2", "datetimeoffset"].map((type) => [type, withoutTrailingZeros])),
    // The base type of a sql_variant's value is not told: two come as bytes, a date as a time.
    cannotReadInVariant: ["date", "decimal", "uniqueidentifier"],
    // Its bulk copy takes TDS 8.0 for a version before 7.2, whose user types have two bytes.
    plays: ({ steps }, encryption) => encryption !== "strict" || steps.every((step) => step.do !== "bulk"),
    // Its VarChar sends the bytes of UTF-8, whatever the collation.
    sends: (type, text) => !["char", "varchar", "text"].includes(baseOf(type)) || /^[ -~]*$/.test(text),
    play: (scenario, target) => program.play(scenario, target),
    close: () => program.close(),
  };
}

function withoutTrailingZeros(text: string): string {
  return text.replace(/(\.\d*?)0+(?=$|[+-])/, "$1").replace(/\.(?=$|[+-])/, "");
}
