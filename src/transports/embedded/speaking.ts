import { TransportError } from "../../errors.ts";
import { FileError } from "../../sqlite/file.ts";

/** Turns what the file said into the words of the contract. */
export async function speaking<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    const reason = error.kind === "unusable" ? "rejected" : "unavailable";
    throw new TransportError(reason, error.message, { advice: error.advice, cause: error.cause });
  }
}
