/** Prints what `dstream check` found: a table, and under each finding its fix. */
import { styleText } from "node:util";
import type { Finding } from "../sources/sqlserver/finding.ts";

export type { Finding };

const LABELS = { error: "ERROR", warning: "WARN", info: "INFO", ok: "OK" } as const;
const COLOURS = { error: "red", warning: "yellow", info: "cyan", ok: "green" } as const;

/** Beneath the label: where fixes stand, so that T-SQL has the room to stay in one piece. */
const INDENT = 7;

export function renderFindings(findings: readonly Finding[], columns: number): string {
  const width = Math.min(32, Math.max(...findings.map((finding) => finding.subject.length)));
  const column = INDENT + width + 2;
  const lines: string[] = [];
  for (const { severity, subject, message, fix } of findings) {
    const label = styleText(COLOURS[severity], LABELS[severity].padEnd(INDENT - 2));
    const texts = wrap(message, Math.max(40, columns - column));
    const head = `${label}  ${subject.padEnd(width)}`;
    // A subject longer than the column has its line to itself.
    if (subject.length > width) lines.push(head);
    else lines.push(`${head}  ${texts.shift()}`);
    lines.push(...texts.map((text) => " ".repeat(column) + text));
    if (fix !== undefined) lines.push(...renderFix(fix, columns));
  }
  const count = (severity: Finding["severity"], what: string): string => {
    const found = findings.filter((finding) => finding.severity === severity).length;
    return `${found} ${what}${found === 1 ? "" : "s"}`;
  };
  lines.push("", `${count("error", "error")}, ${count("warning", "warning")}`);
  return lines.join("\n");
}

function renderFix(fix: string, columns: number): string[] {
  const lines = fix.split("\n").flatMap((line) => wrap(line, Math.max(40, columns - INDENT - 5)));
  return lines.map((line, i) => " ".repeat(INDENT) + (i === 0 ? styleText("bold", "fix: ") : "     ") + line);
}

/** Between words; what is quoted or in brackets is one, so that T-SQL means the same after it. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.match(/(?:N'(?:[^']|'')*'|"[^"]*"|\[[^\]]*\]|\S)+/g) ?? []) {
    if (line && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line ? `${line} ${word}` : word;
  }
  return [...lines, line];
}
