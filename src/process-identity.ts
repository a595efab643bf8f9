/**
 * Names a process so that another one on the same machine can tell whether it still lives, and is not taken in by a later
 * process with the same number. Where that cannot be told (another machine, boot or container, or no /proc), nothing is
 * claimed: the caller falls back on leases.
 */
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

export interface ProcessIdentity {
  host: string;
  pid: number;
  /** Boot and pid namespace: process numbers mean the same only where both are the same. Empty: unknown. */
  realm: string;
  /** Clock ticks from boot to the start of the process; 0: unknown. */
  started: number;
}

export function thisProcess(): ProcessIdentity {
  return { host: hostname(), pid: process.pid, realm: realm(), started: stat(process.pid)?.started ?? 0 };
}

/** True only when it is certain that the process has ended. */
export function hasEnded(identity: ProcessIdentity): boolean {
  if (identity.realm === "" || identity.started === 0 || identity.realm !== realm()) return false;
  try {
    process.kill(identity.pid, 0);
  } catch (error) {
    // ESRCH: no such process. EPERM: it lives and is somebody else's, which /proc may hide from us (hidepid).
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
  const seen = stat(identity.pid);
  // A zombie has ended; only its parent has not noticed.
  return seen !== null && (seen.started !== identity.started || seen.state === "Z" || seen.state === "X");
}

/** `hasEnded` for one question about many, each of whom is looked at once: of a thousand locks most are one process's. */
export function onceEach(): typeof hasEnded {
  const known = new Map<string, boolean>();
  return (identity) => {
    const name = `${identity.realm} ${identity.pid} ${identity.started}`;
    let ended = known.get(name);
    if (ended === undefined) known.set(name, (ended = hasEnded(identity)));
    return ended;
  };
}

let knownRealm: string | undefined;

function realm(): string {
  return (knownRealm ??= readRealm());
}

function readRealm(): string {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return `${boot} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return "";
  }
}

/** Fields 3 and 22 of /proc/PID/stat (proc_pid_stat(5)); the second, the command, may hold blanks and parentheses. */
function stat(pid: number): { state: string; started: number } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0] ?? "", started: Number(fields[19]) };
  } catch {
    return null;
  }
}
