/**
 * Another process at the same messaging system, for the contract suite to kill, stop and race with. Its one argument says what
 * it opens and does; it answers in lines on standard output and does what lines on standard input tell it.
 */
import { appendFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Message } from "../../src/change/message.ts";
import type { Entity, Transport } from "../../src/transports/transport.ts";
import { takeWhole } from "./take.ts";

export interface Opener {
  /** A module that exports `open(options)`. */
  module: string;
  options: unknown;
}

export type Task =
  | { do: "send"; messages: { id: string; key: string; body: string }[] }
  | { do: "hold"; messages: number }
  | { do: "consume"; log: string }
  | { do: "ensure" };

const { opener, entity, task } = JSON.parse(process.argv[2]!) as { opener: Opener; entity: Entity; task: Task };
const say = (line: string) => process.stdout.write(`${line}\n`);
const orders = createInterface({ input: process.stdin });

const { open } = (await import(opener.module)) as { open: (options: unknown) => Promise<Transport> };
const transport = await open(opener.options);

switch (task.do) {
  case "send": {
    const sender = await transport.sender(entity);
    const messages = task.messages.map((message): Message => {
      return { ...message, body: Buffer.from(message.body), properties: {} };
    });
    await sender.send(messages);
    say("acknowledged");
    break;
  }
  case "hold": {
    const receiver = await transport.receiver(entity);
    const delivery = await takeWhole(receiver, task.messages);
    say(`holding ${delivery.messages.map(({ id }) => id).join(" ")}`);
    orders.on("line", async (order) => {
      if (order === "close") return void transport.close().then(() => say("closed"));
      const outcome = await delivery.complete().then(
        () => "completed",
        () => "refused",
      );
      say(outcome);
    });
    break;
  }
  case "consume": {
    const receiver = await transport.receiver(entity);
    const stop = new AbortController();
    orders.on("line", () => stop.abort());
    say("consuming");
    for await (const delivery of receiver.deliveries(stop.signal)) {
      appendFileSync(task.log, delivery.messages.map(({ id }) => `${id}\n`).join(""));
      await delivery.complete();
    }
    await transport.close();
    process.exit(0);
    break;
  }
  case "ensure":
    say("ready");
    orders.on("line", async () => {
      await transport.ensure(entity);
      await transport.close();
      say("ensured");
      process.exit(0);
    });
    break;
}
