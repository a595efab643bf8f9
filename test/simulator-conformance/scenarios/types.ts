/** Every type read from a table and sent as a parameter, with its edges and NULL. */
import { baseOf, type Client, reads } from "../client.ts";
import type { Scenario, Step } from "../scenario.ts";
import { type EdgeType, edgeTypes, variants } from "./edges.ts";

export function typeScenarios(client: Client): Scenario[] {
  return [
    ...edgeTypes.map(fromTable),
    ...edgeTypes
      .filter(({ columnOnly }) => !columnOnly)
      .map((edge) => asParameter(edge, client))
      .filter((scenario) => scenario.steps.length > 0),
    ...(reads(client, "sql_variant") ? [fromVariant(client)] : []),
    rowversion,
  ];
}

function fromTable({ type, column = type, values }: EdgeType): Scenario {
  const [first] = values;
  return {
    name: `reads ${column} from a table`,
    steps: [
      {
        do: "batch",
        sql: `CREATE TABLE dbo.v (i int NOT NULL PRIMARY KEY, nullable ${column} NULL, fixed ${column} NOT NULL)`,
      },
      ...values.map(
        ([literal], i): Step => ({ do: "batch", sql: `INSERT INTO dbo.v VALUES (${i}, ${literal}, ${literal})` }),
      ),
      { do: "batch", sql: `INSERT INTO dbo.v VALUES (${values.length}, NULL, ${first![0]})` },
      {
        do: "batch",
        sql: "SELECT nullable, fixed, NULL AS nothing FROM dbo.v ORDER BY i",
        expect: {
          sets: [
            {
              columns: ["nullable", "fixed", "nothing"],
              types: [type, type, "int"],
              rows: [...values.map(([, text]) => [text, text, null]), [null, first![1], null]],
            },
          ],
        },
      },
    ],
  };
}

/**
 * The server compares what it received with what T-SQL makes of the literal. The CAST is for clients that have no such parameter
 * type and send text.
 */
function asParameter({ type, values, incomparable }: EdgeType, client: Client): Scenario {
  const steps = values
    .filter(([, text]) => client.sends(type, text))
    .map(([literal, text]): Step => {
      const same = incomparable ? "1" : `CASE WHEN x.v = CAST(${literal} AS ${type}) THEN 1 ELSE 0 END`;
      return {
        do: "batch",
        sql: `SELECT x.v, ${same} AS same FROM (SELECT CAST(@p1 AS ${type}) AS v) AS x`,
        parameters: [{ name: "p1", type, text }],
        expect: { sets: [{ columns: ["v", "same"], types: [type, "int"], rows: [[text, "1"]] }] },
      };
    });
  if (steps.length > 0) {
    steps.push({
      do: "batch",
      sql: `SELECT CAST(@p1 AS ${type}) AS v`,
      parameters: [{ name: "p1", type, text: null }],
      expect: { sets: [{ types: [type], rows: [[null]] }] },
    });
  }
  return { name: `sends ${type} as a parameter`, needs: ["parameters"], steps };
}

function fromVariant(client: Client): Scenario {
  const read = variants.filter(([, type]) => !client.cannotReadInVariant?.includes(baseOf(type)));
  return {
    name: "reads sql_variant as its base types",
    steps: read.map(([literal, type, text]) => ({
      do: "batch",
      sql: `SELECT CAST(${literal} AS sql_variant) AS v, CAST(NULL AS sql_variant) AS n`,
      expect: { sets: [{ types: [type, type], rows: [[text, null]] }] },
    })),
  };
}

/** Eight bytes that grow with every change of the database. */
const rowversion: Scenario = {
  name: "reads rowversion, which grows",
  steps: [
    { do: "batch", sql: "CREATE TABLE dbo.v (i int NOT NULL PRIMARY KEY, r rowversion)" },
    { do: "batch", sql: "INSERT INTO dbo.v (i) VALUES (1)" },
    { do: "batch", sql: "INSERT INTO dbo.v (i) VALUES (2)" },
    { do: "batch", sql: "UPDATE dbo.v SET i = 3 WHERE i = 1" },
    {
      do: "batch",
      sql: "SELECT i, r, DATALENGTH(r) AS size, ROW_NUMBER() OVER (ORDER BY r) AS place FROM dbo.v ORDER BY i",
      expect: {
        sets: [
          {
            types: ["int", "binary(8)", "int", "int"],
            rows: [
              ["2", eightBytes, "8", "1"],
              ["3", eightBytes, "8", "2"],
            ],
          },
        ],
      },
    },
  ],
};

function eightBytes(seen: string | null): boolean {
  return seen !== null && /^(0x)?[0-9A-F]{16}$/i.test(seen);
}
