/** Server cursors: https://learn.microsoft.com/sql/connect/jdbc/using-cursors */
import type { Scenario } from "../scenario.ts";
import { rows, run } from "./steps.ts";

const table = [
  run("CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY, name nvarchar(20) NULL)"),
  run("INSERT INTO dbo.t VALUES (1, N'one'), (2, N'two'), (3, N'three'), (4, N'four')"),
];

const SELECT = "SELECT id, name FROM dbo.t ORDER BY id";
const [one, two, three, four] = [
  ["1", "one"],
  ["2", "two"],
  ["3", "three"],
  ["4", "four"],
] as const;
const none = [null];

export const cursors: Scenario[] = [
  {
    name: "scrolls through a result that stands still",
    needs: ["server cursors"],
    steps: [
      ...table,
      {
        do: "scroll",
        sql: SELECT,
        cursor: "static",
        moves: ["next", "last", "next", "previous", "first", "previous", "absolute 3", "relative -1", "absolute -1"],
        expect: {
          sets: [
            {
              columns: ["id", "name"],
              rows: [one, four, none, four, one, none, three, two, four].map((row) => [...row]),
            },
          ],
        },
      },
    ],
  },
  {
    name: "changes rows through a keyset cursor, which CDC captures",
    needs: ["server cursors"],
    steps: [
      ...table,
      run("EXEC sys.sp_cdc_enable_db"),
      run("EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N't', @role_name = NULL"),
      {
        do: "scroll",
        sql: SELECT,
        cursor: "keyset",
        moves: ["next", "update name=uno", "absolute 3", "delete", "last", "insert 9,nine"],
        expect: { sets: [{ rows: [[...one], ["1", "uno"], [...three], none, [...four], [...four]] }] },
      },
      rows("SELECT id, name FROM dbo.t ORDER BY id", [
        [1, "uno"],
        [2, "two"],
        [4, "four"],
        [9, "nine"],
      ]),
      rows("SELECT [__$operation], id, name FROM cdc.dbo_t_CT ORDER BY [__$start_lsn], [__$operation]", [
        [3, 1, "one"],
        [4, 1, "uno"],
        [1, 3, "three"],
        [2, 9, "nine"],
      ]),
    ],
  },
  {
    name: "a dynamic cursor sees what it changes",
    needs: ["server cursors"],
    steps: [
      ...table,
      {
        do: "scroll",
        sql: SELECT,
        cursor: "dynamic",
        moves: ["next", "next", "delete", "next", "insert 7,seven", "last", "previous", "first"],
        expect: {
          sets: [{ rows: [[...one], [...two], none, [...three], [...three], ["7", "seven"], [...four], [...one]] }],
        },
      },
    ],
  },
];
