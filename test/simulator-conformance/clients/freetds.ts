/**
 * Plays scenarios with FreeTDS' own programs, tsql and bsqldb (https://www.freetds.org/userguide/): all batches as one script on
 * standard input, with a marker behind each, by which their two outputs are cut into steps again.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client, Target } from "../client.ts";
import type { Played, Scenario, Seen, SeenError, Step } from "../scenario.ts";

const ENCRYPTION: Record<string, string> = { none: "off", login: "request", all: "require" };
const COLUMN = "¦";
const MARKER = "@@step";

export function tsql(version: string): Client {
  return {
    name: `tsql, TDS ${version}`,
    encryptions: ["none", "login", "all"],
    abilities: ["several errors"],
    shows: new Map([...binaries, ...minutes, ...(version === "7.2" ? datesAsText : datesInMinutes)]),
    // It reads sql_variant only as the bytes of its base type.
    cannotRead: ["sql_variant"],
    plays: (scenario) => batchesOnly(scenario) && setsAreTold(scenario),
    sends: () => false,
    play: (scenario, target) => play(scenario, target, version, TSQL),
    async close() {},
  };
}

export function bsqldb(version: string): Client {
  return {
    name: `bsqldb, TDS ${version}`,
    encryptions: ["none", "login", "all"],
    abilities: [],
    shows: new Map([...milliseconds, ...datesAsText, ...trimmed, ...lowerCase]),
    // Its buffers are too small for long numbers, it prints (max) strings as bytes and no bytes as NULL, and ends at a uniqueidentifier.
    cannotRead: [
      "sql_variant",
      "decimal(28,14)",
      "decimal(38,0)",
      "decimal(38,38)",
      "float",
      "uniqueidentifier",
      "varchar(max)",
      "nvarchar(max)",
      "varbinary(max)",
      "varbinary(20)",
      "xml",
    ],
    // It ends at the first error.
    plays: (scenario) => batchesOnly(scenario) && setsAreTold(scenario) && !expectsErrors(scenario),
    sends: () => false,
    play: (scenario, target) => play(scenario, target, version, BSQLDB),
    async close() {},
  };
}

/**
 * freebcp copies texts of a file in, with a column of the table each: https://www.freetds.org/userguide/freebcp.html. The batches
 * before and after are tsql's, each time in a session of its own.
 */
export function freebcp(version: string): Client {
  return {
    ...tsql(version),
    name: `freebcp, TDS ${version}`,
    abilities: ["bulk"],
    plays: ({ steps }) => steps.some((step) => step.do === "bulk") && !steps.some((step) => "parameters" in step),
    play: async (scenario, target) => {
      const steps: Seen[] = [];
      for (const step of scenario.steps) {
        if (step.do === "bulk") steps.push(await copy(step, target, version));
        else steps.push(...(await play({ ...scenario, steps: [step] }, target, version, TSQL)).steps);
      }
      return { steps };
    },
  };
}

/** A field of no characters is NULL. */
function hostText(text: string | null, type: string): string {
  return (type === "datetime" ? text?.replace("T", " ") : text) ?? "";
}

async function copy(step: Extract<Step, { do: "bulk" }>, target: Target, version: string): Promise<Seen> {
  return withConfiguration(target, version, async (folder, env) => {
    const file = join(folder, "rows");
    writeFileSync(
      file,
      step.rows.map((row) => `${row.map((text, i) => hostText(text, step.columns[i]!.type)).join(COLUMN)}\n`).join(""),
    );
    const login = ["-S", "simulator", "-U", target.user, "-P", target.password, "-D", target.database];
    // One batch, so that an error undoes it all.
    const args = [step.table, "in", file, ...login, "-c", "-t", COLUMN, "-r", "\n", "-b", String(step.rows.length + 1)];
    const { out, err } = await filter("freebcp", args, "", env);
    const copied = /^(\d+) rows copied/m.exec(out + err);
    return { sets: [], errors: errorsIn(err, BSQLDB), affected: copied ? Number(copied[1]) : null };
  });
}

/** tsql prints bytes in lower case without 0x. */
const binaries = ["binary", "varbinary", "image"].map(
  (type) => [type, (text: string) => text.slice(2).toLowerCase()] as const,
);

const lowerCase = ["binary", "image"].map((type) => [type, (text: string) => text.toLowerCase()] as const);

/** libtds prints times to the minute. */
const minutes = ["datetime", "smalldatetime"].map((type) => [type, inMinutes] as const);
const datesInMinutes = ["date", "time", "datetime2", "datetimeoffset"].map((type) => [type, inMinutes] as const);

/** db-lib prints them to the millisecond, and drops the blanks at the end of strings. */
const milliseconds = ["datetime", "smalldatetime"].map((type) => [type, inMilliseconds] as const);
const trimmed = ["char", "varchar", "nchar", "nvarchar"].map(
  (type) => [type, (text: string) => text.trimEnd()] as const,
);

/** To a client of TDS 7.2, which has no such types, the server sends the text of CONVERT's style 121. */
const datesAsText = ["datetime2", "datetimeoffset"].map(
  (type) => [type, (text: string) => text.replace("T", " ").replace(/([+-]\d\d:\d\d)$/, " $1")] as const,
);

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function inMinutes(text: string): string {
  const [, year = "1900", month = "01", day = "01"] = /^(\d{4})-(\d\d)-(\d\d)/.exec(text) ?? [];
  const [, hour = "00", minute = "00"] = /(?:^|T)(\d\d):(\d\d)/.exec(text) ?? [];
  const twelve = String(Number(hour) % 12 || 12).padStart(2, "0");
  const half = Number(hour) < 12 ? "AM" : "PM";
  return `${MONTHS[Number(month) - 1]} ${String(Number(day)).padStart(2)} ${Number(year)} ${twelve}:${minute}${half}`;
}

function inMilliseconds(text: string): string {
  const [, second = "00", fraction = "000"] = /T\d\d:\d\d:(\d\d)(?:\.(\d{3}))?/.exec(text) ?? [];
  return inMinutes(text).replace(/(?=[AP]M$)/, `:${second}:${fraction}`);
}

function batchesOnly({ steps }: Scenario): boolean {
  return steps.every((step) => step.do === "batch" && !step.parameters);
}

/** An empty result's end is not told apart from the next one's head. */
function setsAreTold({ steps }: Scenario): boolean {
  return steps.every((step) => {
    const sets = (step.do === "batch" && step.expect?.sets) || [];
    return sets.length < 2 || sets.every(({ rows }) => rows.length > 0);
  });
}

function expectsErrors({ steps }: Scenario): boolean {
  return steps.some((step) => step.do === "batch" && (step.expect?.error || step.expect?.errors));
}

interface Dialect {
  program: string;
  args: string[];
  /** The results in the lines between two markers. */
  sets(lines: string[]): Seen["sets"];
  error: RegExp;
}

const TSQL: Dialect = {
  program: "tsql",
  args: ["-t", COLUMN],
  sets: (lines) => {
    const sets: Seen["sets"] = [];
    let set: Seen["sets"][number] | null = null;
    for (const line of lines.map((line) => line.replace(/^(\d+> )+/, ""))) {
      if (/^\((\d+ rows? affected|return status = -?\d+)\)$/.test(line)) set = null;
      else if (!set) sets.push((set = { columns: line.split(COLUMN), rows: [] }));
      else set.rows.push(cells(line));
    }
    return sets;
  },
  error: /Msg (\d+) \(severity (\d+), state (\d+)\) from \S+(?:, Procedure \S+)? Line (\d+):\n\t"(.*)"/g,
};

const BSQLDB: Dialect = {
  program: "bsqldb",
  args: ["-h", "-t", COLUMN],
  sets: (lines) => {
    const sets: Seen["sets"] = [];
    lines.forEach((line, at) => {
      // A head and the rule under it, both empty for columns whose width it does not know.
      if (at === 0 || isRule(lines[at + 1])) sets.push({ columns: null, rows: [] });
      else if (at !== 1 && !isRule(line)) sets.at(-1)!.rows.push(cells(line));
    });
    return sets;
  },
  error: /Msg (\d+), Level (\d+), State (\d+)\nServer '\S+'(?:, Procedure '\S+')?, Line (\d+)\n\t(.*)/g,
};

function isRule(line: string | undefined): boolean {
  return line !== undefined && /^-+(¦-*)*$/.test(line);
}

function cells(line: string): (string | null)[] {
  return line.split(COLUMN).map((cell) => (cell === "NULL" ? null : cell));
}

async function play(scenario: Scenario, target: Target, version: string, dialect: Dialect): Promise<Played> {
  return withConfiguration(target, version, async (_folder, env) => {
    const script = scenario.steps
      .map((step) => (step.do === "batch" ? step.sql : ""))
      .map((sql) => `${sql}\ngo\nSELECT '${MARKER}' AS marker PRINT '${MARKER}'\ngo\n`)
      .join("");
    const args = ["-S", "simulator", "-U", target.user, "-P", target.password, "-D", target.database, ...dialect.args];
    const { out, err } = await filter(dialect.program, args, script, env);
    return cut(scenario, out, err, dialect);
  });
}

async function withConfiguration<T>(
  target: Target,
  version: string,
  work: (folder: string, env: NodeJS.ProcessEnv) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "dstream-freetds-"));
  try {
    const configuration = join(folder, "freetds.conf");
    writeFileSync(configuration, configurationFor(target, version));
    return await work(folder, { ...process.env, FREETDSCONF: configuration });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function configurationFor({ host, port, encryption }: Target, version: string): string {
  return `[global]
  tds version = ${version}
  client charset = UTF-8
  text size = 2147483647
[simulator]
  host = ${host}
  port = ${port}
  encryption = ${ENCRYPTION[encryption]}
`;
}

function filter(
  program: string,
  args: string[],
  input: string,
  env: NodeJS.ProcessEnv,
): Promise<{ out: string; err: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: { ...env, LC_ALL: "C.UTF-8" }, timeout: 60_000 });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
    child.stdin.on("error", () => {});
    child.on("error", reject);
    child.on("close", () => resolve({ out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }));
    child.stdin.end(input);
  });
}

function cut(scenario: Scenario, out: string, err: string, dialect: Dialect): Played {
  const complaints = err.split(new RegExp(`^.*${MARKER}.*\\n?`, "m"));
  if (complaints.length === 1) {
    const [refused] = errorsIn(err, dialect);
    return { refused: refused ?? { number: null, message: err }, steps: [] };
  }
  const marked = out.split("\n");
  const steps: Seen[] = [];
  let from = marked.findIndex((line) => /^(\d+> )/.test(line));
  if (from < 0) from = 0;
  for (const [at] of scenario.steps.entries()) {
    // The marker's own head stands before it.
    const end = marked.findIndex((line, i) => i >= from && line.replace(/^(\d+> )+/, "").trim() === MARKER);
    if (end < 0) break;
    const head = marked.slice(from, end).findLastIndex((line) => /^(\d+> )*marker\s*$/.test(line)) + from;
    steps.push({ sets: dialect.sets(marked.slice(from, head)), errors: errorsIn(complaints[at] ?? "", dialect) });
    from = end + 1;
    if (/^\(1 row affected\)$/.test(marked[from] ?? "")) from++;
  }
  return { steps };
}

function errorsIn(text: string, { error }: Dialect): SeenError[] {
  return [...text.matchAll(error)]
    .map(([, number, severity, state, line, message]) => ({
      number: Number(number),
      severity: Number(severity),
      state: Number(state),
      line: Number(line),
      message: message!,
    }))
    .filter(({ severity }) => severity > 10);
}
