/** An OAuth 2.0 token endpoint for one client: signed tokens for its id and secret, and the key that proves them, over plain loopback. */
import { createSign, generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";

export const CLIENT = { id: "dstream:app", secret: "p@ss:w/rd %" };
export const ISSUER = "https://issuer.test";
export const AUDIENCE = "kafka";

export interface TokenEndpoint {
  /** Where tokens are had (RFC 6749, section 4.4). */
  readonly tokenUrl: string;
  /** A JSON Web Key Set (RFC 7517). */
  readonly keysUrl: string;
  /** Scopes that were asked for, one for each token. */
  readonly asked: (string | null)[];
  close(): Promise<void>;
}

export async function startTokenEndpoint(livesSeconds: number): Promise<TokenEndpoint> {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const asked: (string | null)[] = [];
  const sign = (claims: object) => {
    const encoded = [{ alg: "RS256", kid: "k1", typ: "JWT" }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".");
    return `${encoded}.${createSign("RSA-SHA256").update(encoded).sign(privateKey, "base64url")}`;
  };
  const server = createServer(async (request, response) => {
    const answer = (status: number, body: object) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    if (request.url === "/keys")
      return answer(200, { keys: [{ ...publicKey.export({ format: "jwk" }), kid: "k1", use: "sig", alg: "RS256" }] });
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    const form = new URLSearchParams(body);
    // Section 2.3.1: id and secret are encoded as in a form, each.
    const [id, secret] = Buffer.from(request.headers.authorization?.replace(/^Basic /, "") ?? "", "base64")
      .toString()
      .split(":")
      .map(decodeURIComponent);
    if (id !== CLIENT.id || secret !== CLIENT.secret) return answer(401, { error: "invalid_client" });
    if (form.get("grant_type") !== "client_credentials") return answer(400, { error: "unsupported_grant_type" });
    asked.push(form.get("scope"));
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: ISSUER, aud: AUDIENCE, sub: "dstream", scope: form.get("scope") ?? "", iat: now };
    answer(200, {
      access_token: sign({ ...claims, exp: now + livesSeconds }),
      token_type: "Bearer",
      expires_in: livesSeconds,
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const at = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  return {
    tokenUrl: `${at}/token`,
    keysUrl: `${at}/keys`,
    asked,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
