/**
 * Loaded into a process with --import: ends it, as SIGKILL does, at the nth commit of a Kafka transaction. DIE_AT_COMMIT="before 3":
 * when everything was sent and the commit was not asked for; "during 3": the request is on its way; "after 3": it was answered, and
 * nobody here has heard of it.
 */
import { Producer } from "@platformatic/kafka";

const [moment, number] = (process.env["DIE_AT_COMMIT"] ?? "never 0").split(" ");
const begin = Producer.prototype.beginTransaction as (options?: object) => ReturnType<Producer["beginTransaction"]>;
let commits = 0;

Object.assign(Producer.prototype, {
  async beginTransaction(options?: object) {
    const transaction = await begin.call(this, options);
    const commit = transaction.commit.bind(transaction) as () => Promise<void>;
    return Object.assign(transaction, {
      async commit() {
        const isIt = ++commits === Number(number);
        if (isIt && moment === "before") die();
        const committing = commit();
        if (isIt && moment === "during") setImmediate(die);
        await committing;
        if (isIt) die();
      },
    });
  },
});

function die(): void {
  process.kill(process.pid, "SIGKILL");
}
