/** What the server sent is not a response of MS-TDS: nothing of it is used, and the connection is given up. */
export class MalformedResponse extends Error {
  /** Bytes of the response's tokens before the place. */
  readonly offset: number;

  constructor(offset: number, expected: string) {
    super(`The server's response is broken at byte ${offset} of its tokens: expected ${expected}.`);
    this.name = "MalformedResponse";
    this.offset = offset;
  }
}
