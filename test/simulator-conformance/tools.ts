/**
 * The tools that the clients need, where their downloads are kept, and how to get what is missing. Nothing is downloaded while
 * tests run: `npm run conformance:install` does that, as CI does.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { MissingTool } from "./suite.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Downloads and compiled programs. */
export const cache = join(root, "node_modules", ".cache", "dstream-conformance");
export const clients = fileURLToPath(new URL("./clients", import.meta.url));
export const INSTALL = "npm run conformance:install";

export function isOnPath(command: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((folder) => existsSync(join(folder, command)));
}

export function firstOnPath(...commands: string[]): string | undefined {
  return commands.find(isOnPath);
}

/** Runs a tool to its end. Error with what it said if it fails. */
export function runTool(
  command: string,
  args: string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): void {
  mkdirSync(cache, { recursive: true });
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", ...options });
  if (status !== 0) {
    throw new Error(`${[command, ...args].join(" ")} failed: ${error?.message ?? `${stdout}${stderr}`}`);
  }
}

/** The first thing that is missing, as a client says it, or null. */
export function missing(name: string, ...needs: [there: boolean, what: string, how: string][]): MissingTool | null {
  const lack = needs.find(([there]) => !there);
  return lack ? new MissingTool(`${name}: no ${lack[1]}; ${lack[2]}`) : null;
}

/** A Go program in its own folder of `clients`; modules are in Go's own cache. */
function goProgram(name: string, folder: string) {
  const program = join(cache, folder, process.platform === "win32" ? "conformance.exe" : "conformance");
  /** Without the network. */
  const build = () =>
    runTool("go", ["build", "-o", program, "."], {
      cwd: join(clients, folder),
      env: { ...process.env, GOPROXY: "off", GOFLAGS: "-mod=readonly" },
    });
  return {
    program,
    missing: () =>
      missing(
        name,
        [isOnPath("go"), "Go", "get it from https://go.dev/dl, then run " + INSTALL],
        [existsSync(program), "Go modules", "run " + INSTALL],
      ),
    install: () => {
      runTool("go", ["mod", "download"], { cwd: join(clients, folder) });
      build();
    },
    build,
  };
}

export const go = goProgram("go-mssqldb", "go");
export const gorm = goProgram("GORM", "gorm");

/** What a pom names, from Maven Central. */
function fetchJars(pom: string, libraries: string): void {
  runTool("mvn", ["-q", "-B", "-f", pom, "dependency:copy-dependencies", `-DoutputDirectory=${libraries}`]);
}

function compileJava(source: string, libraries: string, classes: string): void {
  mkdirSync(classes, { recursive: true });
  runTool("javac", ["-encoding", "UTF-8", "-d", classes, "-cp", join(libraries, "*"), source]);
}

/** mssql-jdbc, by Maven. */
export const java = {
  libraries: join(cache, "java", "lib"),
  classes: join(cache, "java", "classes"),
  missing: () =>
    missing(
      "mssql-jdbc",
      [isOnPath("java") && isOnPath("javac"), "Java", "install a JDK of 17 or newer, then run " + INSTALL],
      [existsSync(java.libraries), "mssql-jdbc", `install Maven, then run ${INSTALL}`],
    ),
  install: () => {
    fetchJars(join(clients, "java", "pom.xml"), java.libraries);
    java.build();
  },
  build: () => compileJava(join(clients, "java", "Conformance.java"), java.libraries, java.classes),
};

/** Debezium's SQL Server connector and its embedded engine, by Maven. */
export const debezium = {
  libraries: join(cache, "debezium", "lib"),
  classes: join(cache, "debezium", "classes"),
  missing: () =>
    missing(
      "Debezium",
      [isOnPath("java") && isOnPath("javac"), "Java", "install a JDK of 17 or newer, then run " + INSTALL],
      [existsSync(debezium.libraries), "Debezium", `install Maven, then run ${INSTALL}`],
    ),
  install: () => {
    fetchJars(join(clients, "debezium", "pom.xml"), debezium.libraries);
    debezium.build();
  },
  build: () => compileJava(join(clients, "debezium", "Debezium.java"), debezium.libraries, debezium.classes),
};

/** The brokers that the tests start, by Maven: their jars in a folder each. */
export const brokers = { kafka: brokerJars("kafka"), elasticmq: brokerJars("elasticmq") };

function brokerJars(name: string) {
  const pom = join(root, "test", "support", name, "pom.xml");
  return { install: () => fetchJars(pom, join(cache, name, "lib")) };
}

const venv = join(cache, "python");
const venvPython = process.platform === "win32" ? join(venv, "Scripts", "python.exe") : join(venv, "bin", "python");

/** python-tds, and SQLAlchemy with pymssql, in a virtual environment. */
export const python = {
  interpreter: venvPython,
  missing: () =>
    missing("python-tds", [existsSync(venvPython), "python-tds", `install Python 3 with venv, then run ${INSTALL}`]),
  install: () => {
    const system = firstOnPath("python3", "python");
    if (!system) throw new Error("python-tds: no Python; install Python 3 with venv");
    runTool(system, ["-m", "venv", venv]);
    const requirements = join(clients, "python", "requirements.txt");
    runTool(venvPython, ["-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", requirements]);
  },
};

/** FreeTDS' own programs. */
export const freetds = {
  missing: (program: string) =>
    missing(program, [isOnPath(program), "FreeTDS", "install it (Debian and Ubuntu: apt-get install freetds-bin)"]),
};
