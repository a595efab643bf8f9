/** Prints what `dstream check` found: a table, and under each finding its fix. */
import { styleText } from "node:util";
import type { Finding } from "../sources/sqlserver/finding.ts";

export type { Finding };

const LABELS = { error: "ERROR", warning: "WARN", info: "INFO", ok: "OK" } as const;
const COLOURS = { error: "red", warning: "yellow", info: "cyan", ok: "green" } as const;

export function renderFindings(findings: readonly Finding[], columns: number): string {
  const width = Math.min(48, Math.max(...findings.map((f) => f.subject.length), 7));
  const indent = " ".repeat(7 + width + 2);
  const lines: string[] = [];
  for (const { severity, subject, message, fix } of findings) {
    const label = styleText(COLOURS[severity], LABELS[severity].padEnd(5));
    const [first = "", ...rest] = wrap(message, Math.max(40, columns - indent.length));
    lines.push(`${label}  ${subject.padEnd(width)}  ${first}`, ...rest.map((line) => indent + line));
    if (fix)
      lines.push(
        ...fix.split("\n").map((line, i) => `${indent}${i === 0 ? styleText("bold", "fix: ") : "     "}${line}`),
      );
  }
  const count = (severity: Finding["severity"]): number => findings.filter((f) => f.severity === severity).length;
  lines.push("", `${count("error")} errors, ${count("warning")} warnings`);
  return lines.join("\n");
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line && line.length + word.length >= width) {
      lines.push(line);
      line = word;
    } else line = line ? `${line} ${word}` : word;
  }
  return [...lines, line];
}
