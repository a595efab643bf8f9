/**
 * Loaded into a dstream process before its own code: its wall clock is as many milliseconds off as the file says that CHAOS_CLOCK names,
 * as soon as that is looked at; 0 while there is none. Monotonic clocks and timers go on as they do.
 */
import { readFileSync } from "node:fs";

const LOOK_MS = 100;
const file = process.env["CHAOS_CLOCK"]!;
const { Date: RealDate } = globalThis;
let offset = 0;

function look(): void {
  try {
    offset = Number(readFileSync(file, "utf8"));
  } catch {
    offset = 0;
  }
}

const now = () => RealDate.now() + offset;

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, made) => Reflect.construct(target, args.length === 0 ? [now()] : args, made) as Date,
  apply: () => new Date().toString(),
  get: (target, name) => (name === "now" ? now : Reflect.get(target, name)),
});
look();
setInterval(look, LOOK_MS).unref();
