/**
 * A registry, as the OCI distribution specification has it (https://github.com/opencontainers/distribution-spec/blob/main/spec.md), with
 * the sign-in of Docker's (https://distribution.github.io/distribution/spec/auth/token/): nothing, basic, or a token. Loopback is
 * spoken to without TLS, as Docker does. Everything here throws RegistryError.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Environment } from "../../config/hcl/document.ts";
import { isLoopback } from "../../loopback.ts";
import { type Reference, RegistryError } from "./reference.ts";

export const MEDIA = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  dockerIndex: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  /** https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidance-for-an-empty-descriptor */
  empty: "application/vnd.oci.empty.v1+json",
  provider: "application/vnd.dstream.provider.v1",
} as const;

export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  platform?: { os: string; architecture: string };
  annotations?: Record<string, string>;
  artifactType?: string;
}

/** A body is asked for anew with each attempt: a stream that was sent once is at its end. */
type Asking = Omit<RequestInit, "body"> & { body?: () => NonNullable<RequestInit["body"]> };

const ANSWER_MS = 30_000;
/** The specification's least limit for manifests, which registries keep. */
const MOST_MANIFEST = 4 * 1024 * 1024;

export class Registry {
  readonly #base: URL;
  readonly #host: string;
  readonly #name: string;
  readonly #credentials: Promise<string | null>;
  readonly #signal: AbortSignal;
  #authorization: string | null = null;

  /** Of one name in it. */
  constructor({ registry, name }: Reference, { env, signal }: { env: Environment; signal: AbortSignal }) {
    const loopback = isLoopback(registry);
    // Docker Hub's own name for it (https://docs.docker.com/docker-hub/).
    const host = registry === "docker.io" ? "registry-1.docker.io" : registry;
    this.#base = new URL(`${loopback ? "http" : "https"}://${host}/v2/${name}/`);
    this.#host = registry;
    this.#name = name;
    this.#signal = signal;
    this.#credentials = credentialsOf(registry, env);
  }

  async manifest(target: string): Promise<{ bytes: Buffer; mediaType: string }> {
    const accept = [MEDIA.index, MEDIA.manifest, MEDIA.dockerIndex, MEDIA.dockerManifest].join(", ");
    const response = await this.#ask(`manifests/${target}`, { headers: { accept } }, `${this.#name} ${target}`);
    const bytes = await this.#manifestOf(response);
    return { bytes, mediaType: response.headers.get("content-type")?.split(";")[0] ?? "" };
  }

  async blob(digest: string): Promise<AsyncIterable<Uint8Array>> {
    const response = await this.#ask(
      `blobs/${digest}`,
      {},
      `the blob ${digest} of ${this.#name}`,
      Number.POSITIVE_INFINITY,
    );
    return response.body!;
  }

  /** Whatever is there already is not sent again. */
  async push(what: { path: string } | { bytes: Buffer }): Promise<{ digest: string; size: number }> {
    const digest = "path" in what ? await digestOf(what.path) : sha256(what.bytes);
    const size = "path" in what ? (await stat(what.path)).size : what.bytes.length;
    const about = `the blob ${digest} of ${this.#name}`;
    const there = await this.#send(`blobs/${digest}`, { method: "HEAD" }, "push,pull");
    if (there.ok) return { digest, size };
    const begun = await this.#ask("blobs/uploads/", { method: "POST" }, about, ANSWER_MS, "push,pull");
    const location = begun.headers.get("location");
    if (location === null) throw new RegistryError(`The registry ${this.#host} does not say where ${about} goes.`);
    const url = new URL(location, begun.url);
    url.searchParams.set("digest", digest);
    const body = () => ("path" in what ? createReadStream(what.path) : what.bytes) as never;
    const headers = { "content-type": "application/octet-stream", "content-length": String(size) };
    const request = { method: "PUT", headers, body, duplex: "half" } as Asking;
    await this.#ask(url, request, about, Number.POSITIVE_INFINITY, "push,pull");
    return { digest, size };
  }

  async pushManifest(target: string | null, mediaType: string, json: object): Promise<Descriptor> {
    const bytes = Buffer.from(JSON.stringify(json));
    const digest = sha256(bytes);
    const request = { method: "PUT", headers: { "content-type": mediaType }, body: () => bytes };
    await this.#ask(
      `manifests/${target ?? digest}`,
      request,
      `${this.#name} ${target ?? digest}`,
      ANSWER_MS,
      "push,pull",
    );
    return { mediaType, digest, size: bytes.length };
  }

  async #ask(
    path: string | URL,
    init: Asking,
    about: string,
    withinMs = ANSWER_MS,
    actions = "pull",
  ): Promise<Response> {
    const response = await this.#send(path, init, actions, withinMs);
    if (response.ok) return response;
    const said = (await response.text().catch(() => "")).slice(0, 300).trim();
    const answer = `The registry ${this.#host} answered ${response.status} for ${about}${said && `: ${said}`}`;
    if (response.status === 401 || response.status === 403)
      throw new RegistryError(`${answer}.`, {
        advice: `Sign in: docker login ${this.#host}, or set DSTREAM_REGISTRY_USER and DSTREAM_REGISTRY_PASSWORD.`,
      });
    if (response.status === 404)
      throw new RegistryError(`${answer}.`, {
        advice: "Look at the name and the tag, and whether this user may see them.",
      });
    throw new RegistryError(`${answer}.`, { unreachable: response.status >= 500 || response.status === 429 });
  }

  async #send(path: string | URL, init: Asking, actions: string, withinMs = ANSWER_MS): Promise<Response> {
    const first = await this.#fetch(path, init, withinMs);
    if (first.status !== 401) return first;
    const challenge = first.headers.get("www-authenticate") ?? "";
    const before = this.#authorization;
    this.#authorization = await this.#authorizationFor(challenge, actions);
    if (this.#authorization === null || (this.#authorization === before && init.body !== undefined)) return first;
    await first.body?.cancel();
    return await this.#fetch(path, init, withinMs);
  }

  async #fetch(path: string | URL, init: Asking, withinMs: number): Promise<Response> {
    const answer = new AbortController();
    // Until it answers: what it answers with may take as long as it takes.
    const timer = setTimeout(
      () => answer.abort(new Error(`it did not answer within ${ANSWER_MS / 1000} s`)),
      Math.min(withinMs, 2 ** 31 - 1),
    );
    let url = new URL(path, this.#base);
    try {
      for (let redirects = 0; ; redirects++) {
        // What signs in here is not for other hosts: registries send blobs' readers to storage with addresses that are signed.
        const authorization =
          url.origin === this.#base.origin && this.#authorization ? { authorization: this.#authorization } : {};
        const { body, ...rest } = init;
        const response = await fetch(url, {
          ...rest,
          ...(body !== undefined && { body: body() }),
          redirect: "manual",
          headers: { ...(init.headers as Record<string, string>), ...authorization },
          signal: AbortSignal.any([this.#signal, answer.signal]),
        });
        const location = response.headers.get("location");
        if (response.status < 300 || response.status >= 400 || location === null || redirects >= 5) return response;
        await response.body?.cancel();
        url = new URL(location, url);
      }
    } catch (error) {
      this.#signal.throwIfAborted();
      const cause = (error as Error).cause ?? error;
      throw new RegistryError(`The registry ${this.#host} cannot be reached: ${(cause as Error).message}.`, {
        cause: error,
        unreachable: true,
        advice: "Look at its name, and whether it can be reached from here.",
      });
    } finally {
      clearTimeout(timer);
    }
  }

  async #authorizationFor(challenge: string, actions: string): Promise<string | null> {
    const credentials = await this.#credentials;
    if (/^basic\b/i.test(challenge)) return credentials === null ? null : `Basic ${credentials}`;
    if (!/^bearer\b/i.test(challenge)) return null;
    const fields = new Map([...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name!, value!]));
    const realm = fields.get("realm");
    if (realm === undefined) return null;
    const url = new URL(realm);
    const service = fields.get("service");
    if (service !== undefined) url.searchParams.set("service", service);
    url.searchParams.set("scope", fields.get("scope") ?? `repository:${this.#name}:${actions}`);
    // Never in the clear over a network, whatever the registry says.
    const safe = url.protocol === "https:" || isLoopback(url.host);
    if (!safe)
      throw new RegistryError(`The registry ${this.#host} has its tokens at ${url.origin}, which is not https.`);
    const headers = credentials === null ? {} : { authorization: `Basic ${credentials}` };
    const response = await fetch(url, {
      headers,
      signal: AbortSignal.any([this.#signal, AbortSignal.timeout(ANSWER_MS)]),
    }).catch((error: unknown) => {
      throw new RegistryError(`${url.host}, where the registry ${this.#host} has its tokens, cannot be reached.`, {
        cause: error,
        unreachable: true,
      });
    });
    if (response.status >= 500 || response.status === 429)
      throw new RegistryError(
        `${url.host}, where the registry ${this.#host} has its tokens, answered ${response.status}.`,
        {
          unreachable: true,
        },
      );
    if (!response.ok) return null;
    const { token, access_token } = (await response.json()) as { token?: string; access_token?: string };
    return `Bearer ${token ?? access_token}`;
  }

  async #manifestOf(response: Response): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of response.body!) {
      size += chunk.length;
      if (size > MOST_MANIFEST)
        throw new RegistryError(
          `The registry ${this.#host} answered with more than ${MOST_MANIFEST} bytes of manifest.`,
        );
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }
}

/** `user:password` in base64. */
async function credentialsOf(registry: string, env: Environment): Promise<string | null> {
  const [user, password] = [env["DSTREAM_REGISTRY_USER"], env["DSTREAM_REGISTRY_PASSWORD"]];
  if (user && password) return Buffer.from(`${user}:${password}`).toString("base64");
  const folder = env["DOCKER_CONFIG"] ?? join(env["HOME"] ?? homedir(), ".docker");
  try {
    const { auths = {} } = JSON.parse(await readFile(join(folder, "config.json"), "utf8")) as {
      auths?: Record<string, { auth?: string }>;
    };
    const name = registry === "docker.io" ? "https://index.docker.io/v1/" : registry;
    return (auths[name] ?? auths[`https://${registry}`])?.auth ?? null;
  } catch {
    return null;
  }
}

export function sha256(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return `sha256:${hash.digest("hex")}`;
}
