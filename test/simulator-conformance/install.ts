/** Fetches what the foreign clients need, and the brokers that no package manager has, from the Go module proxy, Maven Central and PyPI: `npm run conformance:install`. */
import { brokers, debezium, firstOnPath, go, gorm, isOnPath, java, python } from "./tools.ts";

const JAVA = "a JDK and Maven (Debian: default-jdk-headless, maven)";

const steps: [name: string, tool: boolean, how: string, fetch: () => void][] = [
  ["go-mssqldb", isOnPath("go"), "Go (https://go.dev/dl)", go.install],
  ["GORM", isOnPath("go"), "Go (https://go.dev/dl)", gorm.install],
  ["mssql-jdbc", isOnPath("mvn") && isOnPath("javac"), JAVA, java.install],
  ["Debezium", isOnPath("mvn") && isOnPath("javac"), JAVA, debezium.install],
  ["Kafka", isOnPath("mvn") && isOnPath("java"), JAVA, brokers.kafka.install],
  ["ElasticMQ", isOnPath("mvn") && isOnPath("java"), JAVA, brokers.elasticmq.install],
  [
    "python-tds",
    firstOnPath("python3", "python") !== undefined,
    "Python (Debian: python3, python3-venv)",
    python.install,
  ],
];

for (const [name, tool, how, fetch] of steps) {
  if (!tool) {
    console.error(`${name}: not installed, it needs ${how}`);
    process.exitCode = 1;
    continue;
  }
  try {
    fetch();
    console.log(`${name}: ready`);
  } catch (error) {
    console.error(`${name}: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
if (!isOnPath("tsql") || !isOnPath("bsqldb")) {
  console.error("FreeTDS: tsql and bsqldb are missing (Debian and Ubuntu: apt-get install freetds-bin)");
  process.exitCode = 1;
}
