/**
 * tedious says "Login failed." and no more where a login is refused; the server's own words and number come in an event.
 * The server's first error is the reason; a trailing "Login failed for user" follows every other one.
 */
export function fullError(error: Error, said: readonly { number: number; message: string; class: number }[]): Error {
  const reason = said[0];
  if (reason === undefined) return error;
  const full = new Error(reason.message, { cause: error });
  return Object.assign(full, { number: reason.number, class: reason.class });
}
