/**
 * Row messages read back by the template that wrote them: where one ends, and what its metadata says, without parsing JSON. A
 * batch of a thousand rows repeats all of the template's text but for a few digits.
 */
import type { Position } from "../position.ts";
import { endOfValue } from "./json-scan.ts";
import type { ChangeField, RowTemplate } from "./row-template.ts";

export interface RowReading {
  position: Position;
  operationType: string;
  /** Where its values end, from its beginning. */
  dataEnd: number;
  /** Behind the message. */
  end: number;
}

type Step =
  | { kind: "text"; text: Uint8Array }
  | { kind: "before"; text: Uint8Array }
  | { kind: "data" | ChangeField; text?: undefined };

export class RowReader {
  readonly #steps: readonly Step[];

  constructor(template: RowTemplate) {
    this.#steps = template.map((part): Step => {
      if (!("part" in part)) return { kind: "text", text: Buffer.from(part.text) };
      return part.part === "before" ? { kind: "before", text: Buffer.from(part.text) } : { kind: part.part };
    });
  }

  /** Null: what begins here was not written by this template. Throws where its values do not end. */
  read(json: Buffer, start: number): RowReading | null {
    const position = { startLsn: "", commandId: 0, seqval: "", operation: 0 };
    let dataEnd = 0;
    let operationType = "";
    let at = start;
    for (const { kind, text } of this.#steps) {
      const from = at;
      switch (kind) {
        case "text":
          at += text.length;
          if (!holds(json, from, text)) return null;
          break;
        case "data":
          at = endOfValue(json, from);
          dataEnd = at - start;
          break;
        case "before":
          if (holds(json, from, text)) at = endOfValue(json, from + text.length);
          break;
        case "lsn":
        case "seqval":
          at += 20;
          if (!isHexadecimal(json, from, at)) return null;
          position[kind === "lsn" ? "startLsn" : "seqval"] = json.toString("latin1", from, at);
          break;
        case "operation":
          position.operation = json[at++]! - 0x30;
          if (!(position.operation >= 0 && position.operation <= 9)) return null;
          break;
        case "command": {
          while (isDigit(json[at])) at++;
          if (at === from || at - from > 9 || (json[from] === 0x30 && at - from > 1)) return null;
          let command = 0;
          for (let digit = from; digit < at; digit++) command = command * 10 + json[digit]! - 0x30;
          position.commandId = command;
          break;
        }
        case "operationType":
          while (isLetter(json[at])) at++;
          operationType = json.toString("latin1", from, at);
          break;
        case "commitTime":
          at = endOfTime(json, from);
          if (at < 0) return null;
          break;
        default:
          return null;
      }
    }
    return { position, operationType, dataEnd, end: at };
  }
}

function holds(json: Uint8Array, at: number, text: Uint8Array): boolean {
  for (let i = 0; i < text.length; i++) if (json[at + i] !== text[i]) return false;
  return true;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function isLetter(byte: number | undefined): boolean {
  return byte !== undefined && (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;
}

/** Lower case, as positions are written. */
function isHexadecimal(json: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = json[at]!;
    if (!isDigit(byte) && !(byte >= 0x61 && byte <= 0x66)) return false;
  }
  return true;
}

const NULL = Buffer.from("null");
const QUOTE = 0x22;

/** Behind null, or a string of digits and what stands between them in a time; below zero: neither. */
function endOfTime(json: Uint8Array, start: number): number {
  if (json[start] !== QUOTE) return holds(json, start, NULL) ? start + NULL.length : -1;
  let at = start + 1;
  // Digits, -, :, ., T and Z.
  for (let byte = json[at]; isDigit(byte) || isLetter(byte) || byte === 0x2d || byte === 0x3a || byte === 0x2e; )
    byte = json[++at];
  return json[at] === QUOTE ? at + 1 : -1;
}
