/** What the demo shows while it runs: changes as they arrive, and a bar with rate and lag. Plain lines where no terminal is. */

export interface Progress {
  committed: number;
  delivered: number;
  total: number;
  /** Milliseconds from commit to arrival, of the newest change. */
  lag: number | null;
}

const SHOWN_PER_SECOND = 6;

export class Display {
  readonly #out: NodeJS.WriteStream;
  readonly #live: boolean;
  #window: { at: number; delivered: number }[] = [];
  #shown = 0;
  #second = 0;
  #lastPlain = 0;
  #bar = false;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
    this.#live = out.isTTY === true;
  }

  line(text: string): void {
    this.#out.write(`${this.#bar ? "\r\u001b[2K" : ""}${text}\n`);
    this.#bar = false;
  }

  /** A change that has arrived: a few of them a second are shown. */
  change(topic: string, body: string): void {
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#shown = 0;
    }
    if (this.#shown >= (this.#live ? SHOWN_PER_SECOND : 1)) return;
    this.#shown++;
    const width = Math.max(60, (this.#out.columns ?? 120) - topic.length - 6);
    this.line(`  ${this.#dim(topic)} ${body.length > width ? `${body.slice(0, width)}…` : body}`);
  }

  progress({ committed, delivered, total, lag }: Progress): void {
    const now = Date.now();
    this.#window.push({ at: now, delivered });
    while (this.#window.length > 2 && this.#window[0]!.at < now - 2000) this.#window.shift();
    const first = this.#window[0]!;
    const rate = now > first.at ? Math.round(((delivered - first.delivered) * 1000) / (now - first.at)) : 0;
    const figures = `${delivered}/${total} delivered, ${rate}/s, ${committed - delivered} behind, lag ${lag === null ? "–" : `${Math.round(lag)} ms`}`;
    if (this.#live) {
      const filled = Math.min(30, Math.floor((delivered / total) * 30));
      this.#out.write(`\r\u001b[2K[${"█".repeat(filled)}${"░".repeat(30 - filled)}] ${figures}`);
      this.#bar = true;
    } else if (now - this.#lastPlain >= 1000 || delivered === total) {
      this.#lastPlain = now;
      this.line(figures);
    }
  }

  #dim(text: string): string {
    return this.#live ? `\u001b[2m${text}\u001b[0m` : text;
  }
}
