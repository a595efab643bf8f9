/** docs/configuration.md, from the schema: `npm run docs` writes it, a test holds it against what is written. */
import { z } from "zod";
import { brokerSettings } from "../transports/settings.ts";
import { fileSchema } from "./schema.ts";
import { bare, metaOf, repeated } from "./settings.ts";
import { taskSchema } from "./tasks.ts";
import { lockTypes, transportTypes } from "./types.ts";

/** A complete configuration, which a test parses. */
export const example = `locals {
  state = "/var/lib/dstream"
}

ingester {
  db_type              = "sqlserver"
  db_connection_string = "{{ env "DSTREAM_DB_CONNECTION_STRING" }}"

  # dbo.Persons, one table of another schema, and all tables of a third that CDC captures
  tables = ["Persons", "sales.Orders", "stock.*"]

  poll_interval_defaults {
    poll_interval     = "5s"
    max_poll_interval = "2m"
  }

  tables_overrides {
    overrides {
      table_name        = "Persons"
      poll_interval     = "1s"
      max_poll_interval = "30s"
      columns_exclude   = ["Photo"]
      columns_mask      = ["Phone"]
    }
    overrides {
      table_name = "stock.*"
      start      = "now"
    }
  }

  queue {
    type = "embedded"
    name = "ingest-queue"
    path = "\${local.state}/queue.db"
  }

  locks {
    type = "embedded"
    path = "\${local.state}/locks.db"
  }

  on_gap = "fail"
  before = true
}

router {
  output {
    type = "embedded"
    path = "{{ env "TOPICS_FILE" | default "topics.db" }}"
  }
  on_poison = "dead_letter"
}

log {
  level = "info"
}
`;

const introduction = `# Configuration

<!-- Made from src/config/schema.ts by \`npm run docs\`. -->

dstream reads \`dstream.hcl\`, or the file that \`--config\` names, in [HCL](https://github.com/hashicorp/hcl): blocks, \`key = value\`,
comments with \`#\`, \`//\` or \`/* */\`. Only \`ingester\` with its \`tables\` and its connection string is required. Everything that is wrong
with a file is reported at once, with line and column.

\`\`\`hcl
${example}\`\`\`

## Values

- Text stands in double quotes, or in a heredoc (\`<<EOT\`). Lists are \`[ … ]\`.
- \`"{{ env "NAME" }}"\` is the value of an environment variable, \`"{{ env "NAME" | default "value" }}"\` falls back to a default where it
  is unset or empty. Inside a string its quotes may be bare, escaped (\`{{ env \\"NAME\\" }}\`) or backticks. \`env("NAME")\` and
  \`env("NAME", "value")\` are the same as expressions. Values are put in after the file was parsed, so they may hold any
  characters (but a password that becomes part of a URL has to be percent-encoded). A variable that is not set is an error, except
  in a comment.
- \`locals { name = value }\` names values; \`local.name\`, or \`\${local.name}\` in a string, is such a value.
- Durations are written \`500ms\`, \`5s\`, \`1m30s\`, \`2h\` or \`1d\`; sizes \`262144\`, \`256KB\`, \`1MB\` or \`2GB\`, in steps of 1024.
- Relative paths start at the folder of the configuration file.

## Types

`;

const brokersIntroduction = `## Blocks of the messaging systems

A queue, source or output of one of these types may hold its block. A source without one has that of the ingest queue.

`;

export function configurationReference(): string {
  const sections: string[] = [];
  for (const [name, field] of Object.entries(fileSchema.shape)) describeBlock(name, [], field, sections);
  describeBlock("task", [], taskSchema, sections);
  const brokers: string[] = [];
  for (const [name, field] of Object.entries(brokerSettings)) {
    if (Object.keys(field.shape).length > 0) describeBlock(name, ["queue, source, output"], field, brokers);
  }
  const blocks = `${introduction}${typeTable()}\n## Blocks and keys\n\n${sections.join("\n")}`;
  return brokers.length === 0 ? blocks : `${blocks}\n${brokersIntroduction}${brokers.join("\n")}`;
}

function typeTable(): string {
  const rows = ["| type | other names | may be | built |", "| --- | --- | --- | --- |"];
  const names = (list: readonly string[]) => list.map((name) => `\`${name}\``).join(", ");
  for (const [type, { aliases, roles, built }] of Object.entries(transportTypes)) {
    const ready = built.length === 0 ? "not yet" : built.length === roles.length ? "yes" : `as ${built.join(", ")}`;
    rows.push(`| \`${type}\` | ${names(aliases)} | ${roles.join(", ")} | ${ready} |`);
  }
  for (const [type, { aliases, built }] of Object.entries(lockTypes)) {
    rows.push(`| \`${type}\` | ${names(aliases)} | locks | ${built ? "yes" : "not yet"} |`);
  }
  return `${rows.join("\n")}\n`;
}

function describeBlock(name: string, parents: string[], field: z.ZodType, sections: string[]): void {
  const many = repeated(field);
  const schema = many ?? bare(field);
  if (!(schema instanceof z.ZodObject)) return;
  const description = metaOf(many ?? field).description ?? metaOf(schema).description ?? "";
  const lines = [`### ${[...parents, name].join(" › ")}`, "", description, ""];
  const fields = Object.entries(schema.shape as Record<string, z.ZodType>);
  const keys = fields.filter(([, inner]) => !isBlock(inner));
  if (keys.length > 0) {
    lines.push("| key | value | default | |", "| --- | --- | --- | --- |");
    for (const [key, inner] of keys) lines.push(describeKey(key, inner));
    lines.push("");
  }
  sections.push(lines.join("\n"));
  for (const [key, inner] of fields) {
    // Those of the messaging systems are the same wherever they stand, and described once.
    if (isBlock(inner) && !(key in brokerSettings)) describeBlock(key, [...parents, name], inner, sections);
  }
}

function isBlock(field: z.ZodType): boolean {
  return bare(field) instanceof z.ZodObject || repeated(field) !== undefined;
}

function describeKey(key: string, field: z.ZodType): string {
  const { kind = "", description = "", env, otherwise } = metaOf(field);
  return `| \`${key}\` | ${kind.replaceAll('"', "`")} | ${defaultOf(field, env, otherwise)} | ${description} |`;
}

function defaultOf(field: z.ZodType, env: string | undefined, otherwise: string | undefined): string {
  const parts = env === undefined ? [] : [`\`${env}\``];
  if (field instanceof z.ZodPrefault) {
    const value =
      typeof field.def.defaultValue === "string" ? `"${field.def.defaultValue}"` : String(field.def.defaultValue);
    parts.push(`\`${value}\``);
  } else if (otherwise !== undefined) {
    parts.push(/[ {]/.test(otherwise) ? otherwise : `\`"${otherwise}"\``);
  } else if (!(field instanceof z.ZodOptional)) {
    parts.push(env === undefined ? "required" : "else required");
  }
  return parts.join(", ");
}
