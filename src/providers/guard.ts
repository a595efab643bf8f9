/**
 * Starts programs that do not outlive this process, however it ends. On Unix a program leads a process group of its own, in which a
 * shell waits for the end of a pipe that only this process holds: whoever kills this process closes it, and then the group is told
 * to end (SIGTERM), and killed a little later. The same group is killed when the program itself has ended: so it leaves nothing behind.
 *
 * On Windows, which has neither, and in an image without a shell, a program is only ended by a process that lives.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { ByteSource } from "./byte-source.ts";

export interface Guarded extends ChildProcess {
  stdin: Writable;
  stderr: Readable;
}

const SHELL = "/bin/sh";
/** Seconds between SIGTERM and SIGKILL where this process is gone. */
const ORPHAN_SECONDS = 8;

/**
 * `$0` seconds, and the program. The watcher is in the group before the program is there; it does not hear SIGTERM itself, and has none of
 * the program's pipes. `$$` is the program, which replaces the shell.
 */
const SCRIPT = `(
  exec </dev/null >/dev/null 2>&1
  trap "" TERM INT HUP
  read -r _ <&3
  kill -s TERM 0
  n=$0
  while [ "$n" -gt 0 ] && kill -s 0 $$; do sleep 1; n=$((n - 1)); done
  kill -s KILL 0
) &
exec 3<&-
exec "$@"`;

/** `printed`: its standard output. */
export async function startGuarded(
  command: string,
  args: readonly string[],
): Promise<{ child: Guarded; printed: ByteSource }> {
  const { source, end } = await ByteSource.open();
  try {
    const child =
      process.platform === "win32" || !existsSync(SHELL)
        ? spawn(command, args, {
            stdio: ["pipe", end, "pipe"],
            windowsHide: true,
            detached: process.platform !== "win32",
          })
        : spawn(SHELL, ["-c", SCRIPT, String(ORPHAN_SECONDS), command, ...args], {
            stdio: ["pipe", end, "pipe", "pipe"],
            detached: true,
          });
    child.once("exit", () => signalGroup(child, "SIGKILL"));
    return { child: child as Guarded, printed: source };
  } finally {
    // The process has it.
    end.destroy();
  }
}

/** The program, and what it has started in its group. */
export function signalGroup({ pid }: ChildProcess, signal: "SIGTERM" | "SIGKILL"): void {
  if (pid === undefined) return;
  try {
    process.kill(process.platform === "win32" ? pid : -pid, signal);
  } catch {
    // It has ended.
  }
}
