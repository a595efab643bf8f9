/** Providers from a registry: Debian's docker-registry, and small ones of our own for what that does not do. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, globSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { platformOf, pullProvider } from "../../src/providers/oci/pull.ts";
import { pushProvider } from "../../src/providers/oci/push.ts";
import { parseReference } from "../../src/providers/oci/reference.ts";
import { silent } from "../../src/telemetry/logger.ts";
import { Workplace } from "../cli/dstream.ts";
import { missingDockerRegistry, startDockerRegistry, USER } from "../support/docker-registry.ts";
import { missingServer, temporaryFolder } from "../support/server.ts";

const HERE = platformOf(process.platform, process.arch);
const signal = new AbortController().signal;

function folder(t: TestContext): string {
  const path = temporaryFolder("oci");
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function options(t: TestContext, rest: { cacheDir?: string; env?: Record<string, string>; platform?: string } = {}) {
  return { cacheDir: join(folder(t), "cache"), env: { HOME: "/nowhere" }, signal, logger: silent, ...rest };
}

function program(t: TestContext, text: string | Buffer, name = "provider"): string {
  const path = join(folder(t), name);
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
}

describe("references are those of Docker and ORAS", () => {
  test("tags, digests, ports", () => {
    const digest = `sha256:${"a".repeat(64)}`;
    for (const [text, registry, name, target] of [
      ["ghcr.io/acme/in", "ghcr.io", "acme/in", "latest"],
      ["ghcr.io/acme/in:v1", "ghcr.io", "acme/in", "v1"],
      ["localhost:5000/in:v1", "localhost:5000", "in", "v1"],
      [`127.0.0.1:5000/a/b/c@${digest}`, "127.0.0.1:5000", "a/b/c", digest],
      [`ghcr.io/acme/in:v1@${digest}`, "ghcr.io", "acme/in", digest],
    ] as const) {
      const reference = parseReference(text);
      assert.deepEqual([reference.registry, reference.name, reference.target], [registry, name, target]);
    }
  });

  test("what is none is told", () => {
    for (const [text, said] of [
      ["provider", /no registry/],
      ["ghcr.io/Acme/In", /no name/],
      ["ghcr.io/acme/in:", /no tag/],
      ["ghcr.io/acme/in@sha256:12", /digest/],
      ["gh cr/in:v1", /no host/],
    ] as const)
      assert.throws(() => parseReference(text), said);
  });
});

const lack = missingDockerRegistry();
if (lack !== null) missingServer("providers from Debian's registry", lack);
else
  describe("Debian's registry", () => {
    test("what was pushed is pulled, byte for byte, may be executed, and is asked for once", async (t) => {
      const registry = await startDockerRegistry();
      t.after(() => registry.close());
      const bytes = randomBytes(3_000_000);
      const digest = await pushProvider(
        `${registry.url}/acme/in:v1`,
        [
          { path: program(t, bytes, "in"), platform: HERE },
          { path: program(t, "other", "in"), platform: "plan9/mips" },
        ],
        options(t),
      );
      const own = options(t);
      const pulled = await pullProvider(`${registry.url}/acme/in:v1`, own);
      assert.ok(readFileSync(pulled.path).equals(bytes));
      assert.equal(statSync(pulled.path).mode & 0o777, 0o755);
      assert.equal(pulled.fromCache, false);
      const other = await pullProvider(`${registry.url}/acme/in:v1`, { ...own, platform: "plan9/mips" });
      assert.equal(readFileSync(other.path, "utf8"), "other");
      assert.equal((await pullProvider(`${registry.url}/acme/in@${digest}`, own)).path, pulled.path);
      await assert.rejects(
        pullProvider(`${registry.url}/acme/in:v1`, { ...own, platform: "linux/s390x" }),
        /not for linux\/s390x: it is for .*plan9\/mips/,
      );
      await assert.rejects(pullProvider(`${registry.url}/acme/in:v2`, own), /404 .*v2[\s\S]*unknown/);
      const byTag = options(t);
      const { path } = await pullProvider(`${registry.url}/acme/in:v1`, byTag);
      // Without the registry: what is known is used, what is not is told.
      await registry.kill();
      assert.deepEqual(await pullProvider(`${registry.url}/acme/in:v1`, own), { ...pulled, fromCache: true });
      assert.deepEqual((await pullProvider(`${registry.url}/acme/in@${digest}`, own)).fromCache, true);
      const known = { path, digest: pulled.digest, fromCache: true };
      for (const reference of [`acme/in@${digest}`, `acme/in:v7@${digest}`, `acme/in@${pulled.digest}`])
        assert.deepEqual(await pullProvider(`${registry.url}/${reference}`, byTag), known, "as the tag stood for it");
      await assert.rejects(pullProvider(`${registry.url}/acme/new:v1`, own), /cannot be reached/);
    });

    test("a tag that moved gives its new file", async (t) => {
      const registry = await startDockerRegistry();
      t.after(() => registry.close());
      const own = options(t);
      for (const text of ["one", "two"]) {
        await pushProvider(`${registry.url}/in:v1`, [{ path: program(t, text), platform: HERE }], own);
        const { path } = await pullProvider(`${registry.url}/in:v1`, own);
        assert.equal(readFileSync(path, "utf8"), text);
      }
    });

    test("a registry that asks for a password is told one, from the environment or Docker's configuration", async (t) => {
      const registry = await startDockerRegistry({ signIn: true });
      t.after(() => registry.close());
      const ref = `${registry.url}/in:v1`;
      const files = [{ path: program(t, "x"), platform: HERE }];
      await assert.rejects(pushProvider(ref, files, options(t)), { message: /401/, advice: /docker login/ });
      const env = { DSTREAM_REGISTRY_USER: USER.name, DSTREAM_REGISTRY_PASSWORD: USER.password };
      await pushProvider(ref, files, options(t, { env }));
      const docker = folder(t);
      const auth = Buffer.from(`${USER.name}:${USER.password}`).toString("base64");
      writeFileSync(join(docker, "config.json"), JSON.stringify({ auths: { [registry.url]: { auth } } }));
      await pullProvider(ref, options(t, { env: { DOCKER_CONFIG: docker } }));
      const wrong = { DSTREAM_REGISTRY_USER: USER.name, DSTREAM_REGISTRY_PASSWORD: "wrong" };
      await assert.rejects(pullProvider(ref, options(t, { env: wrong })), /401/);
    });

    test("dstream provider push, and a task that names it with provider_ref", async (t) => {
      const registry = await startDockerRegistry();
      t.after(() => registry.close());
      const work = new Workplace(t, null, { DSTREAM_CACHE_DIR: join(folder(t), "cache") });
      const path = program(t, `#!/bin/sh\nread -r e\necho '{"from":"the registry"}'\n`, "in.sh");
      const pushed = await work.run(`provider push ${registry.url}/acme/in:v1 ${path}`);
      assert.match(pushed.stdout, /^127\.0\.0\.1:\d+\/acme\/in:v1 sha256:[0-9a-f]{64}\n$/, pushed.stderr);
      work.configure(
        `task "it" {\n  input { provider_ref = "${registry.url}/acme/in:v1" }\n  output { provider = "console" }\n}\n`,
      );
      const { code, stdout, stderr } = await work.run("run it");
      assert.equal(code, 0, stderr);
      assert.equal(stdout, '{"from":"the registry"}\n');
      assert.match((await work.run(`provider pull ${registry.url}/acme/in:v1`)).stdout, /in\.sh\n$/);
    });
  });

/** A registry of one provider, as it is to be. */
async function fake(
  t: TestContext,
  bytes: Buffer,
  {
    change = (each: Buffer) => each,
    token = "",
    slow = false,
    layer = {} as object,
    others = [] as object[],
    realm = "",
  } = {},
): Promise<{ ref: string; asked: string[]; url: () => string }> {
  const asked: string[] = [];
  const digest = (of: Buffer) => `sha256:${createHash("sha256").update(of).digest("hex")}`;
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      layers: [
        {
          mediaType: "application/vnd.dstream.provider.v1",
          digest: digest(bytes),
          size: bytes.length,
          annotations: { "org.opencontainers.image.title": "../../../in" },
          ...layer,
        },
        ...others,
      ],
    }),
  );
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    asked.push(request.url!);
    if (request.url!.startsWith("/token")) {
      response.end(JSON.stringify({ token }));
    } else if (token && request.headers.authorization !== `Bearer ${token}`) {
      const at = realm || `http://${request.headers.host}/token`;
      response.writeHead(401, { "www-authenticate": `Bearer realm="${at}",service="test"` }).end();
    } else if (request.url!.includes("/manifests/")) {
      response.writeHead(200, { "content-type": "application/vnd.oci.image.manifest.v1+json" }).end(manifest);
    } else if (slow) {
      response.write(bytes.subarray(0, bytes.length / 2));
    } else response.end(change(bytes));
  };
  const server = createServer(answer);
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { ref: `${host}/acme/in:v1`, asked, url: () => `${host}/acme/in@${digest(manifest)}` };
}

test("a registry that wants a token is given one, of the service and for the name that it says", async (t) => {
  const { ref, asked } = await fake(t, Buffer.from("x"), { token: "t0ken" });
  const { path } = await pullProvider(ref, options(t));
  assert.equal(readFileSync(path, "utf8"), "x");
  assert.ok(asked.includes("/token?service=test&scope=repository%3Aacme%2Fin%3Apull"), asked.join(" "));
});

test("a title that is a path names the file alone", async (t) => {
  const { ref } = await fake(t, Buffer.from("x"));
  const own = options(t);
  const { path } = await pullProvider(ref, own);
  assert.ok(path.startsWith(join(own.cacheDir, "files")) && path.endsWith("/in"), path);
});

test("bytes that are not those of the digest are refused, and leave nothing behind", async (t) => {
  for (const change of [
    (each: Buffer) => Buffer.concat([each, Buffer.from("!")]),
    (each: Buffer) => each.subarray(1),
    (each: Buffer) => Buffer.from(each.toString().replace("a", "b")),
  ]) {
    const { ref } = await fake(t, Buffer.from("a program"), { change });
    const own = options(t);
    await assert.rejects(pullProvider(ref, own), { message: /digest/, advice: /nothing of it is used/ });
    assert.deepEqual(
      globSync("**/*", { cwd: own.cacheDir }).filter((each) => statSync(join(own.cacheDir, each)).isFile()),
      [],
    );
  }
});

test("a manifest that is not the one of its digest is refused", async (t) => {
  const { ref } = await fake(t, Buffer.from("x"));
  const wrong = ref.replace(/:v1$/, `@sha256:${"0".repeat(64)}`);
  await assert.rejects(pullProvider(wrong, options(t)), /has the digest sha256:/);
});

test("an image for containers is told apart", async (t) => {
  const { ref } = await fake(t, Buffer.from("x"), {
    layer: { mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", annotations: {} },
  });
  await assert.rejects(pullProvider(ref, options(t)), { message: /is no provider/, advice: /provider push/ });
});

test("a file that ORAS has pushed, of those for several platforms", async (t) => {
  const mediaType = "application/vnd.oci.image.layer.v1.tar";
  const title = (name: string) => ({ "org.opencontainers.image.title": name });
  const other = { mediaType, digest: `sha256:${"0".repeat(64)}`, size: 1, annotations: title("plugin.plan9_mips") };
  const layer = { mediaType, annotations: title(`plugin.${HERE.replace("/", "_")}`) };
  const { ref } = await fake(t, Buffer.from("mine"), { layer, others: [other] });
  const own = options(t);
  assert.equal(readFileSync((await pullProvider(ref, own)).path, "utf8"), "mine");
  await assert.rejects(pullProvider(ref, { ...own, platform: "linux/s390x" }), /no provider for linux\/s390x/);
});

test("a password goes to no token server that is spoken to in the clear", async (t) => {
  const { ref } = await fake(t, Buffer.from("x"), { token: "t0ken", realm: "http://tokens.example.com/token" });
  const env = { DSTREAM_REGISTRY_USER: "ada", DSTREAM_REGISTRY_PASSWORD: "secret" };
  await assert.rejects(pullProvider(ref, options(t, { env })), /http:\/\/tokens.example.com, which is not https/);
});

test("whoever is killed in the middle of a pull leaves nothing that is used", async (t) => {
  const bytes = randomBytes(1_000_000);
  const slow = await fake(t, bytes, { slow: true });
  const own = options(t);
  const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", main, "provider", "pull", slow.ref], {
    env: { ...process.env, DSTREAM_CACHE_DIR: own.cacheDir },
    stdio: "ignore",
  });
  const parts = () => globSync("**/.*.part", { cwd: own.cacheDir });
  while (parts().length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  child.kill("SIGKILL");
  await once(child, "exit");
  const whole = await fake(t, bytes);
  const { path, fromCache } = await pullProvider(whole.ref, own);
  assert.equal(fromCache, false);
  assert.ok(readFileSync(path).equals(bytes));
});

test("a token that ends in the middle of a push is renewed, and the file is sent from its beginning", async (t) => {
  const text = randomBytes(300_000);
  let tokens = 0;
  const refused = new Set<string>();
  const blobs: Buffer[] = [];
  const server = createServer(async (request, response) => {
    const url = new URL(request.url!, `http://${request.headers.host}`);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const refuse = () =>
      response.writeHead(401, { "www-authenticate": `Bearer realm="${url.origin}/token",service="test"` }).end();
    if (url.pathname === "/token") return response.end(JSON.stringify({ token: `t-${++tokens}` }));
    if (request.headers.authorization !== `Bearer t-${tokens}`) return refuse();
    if (request.method === "HEAD") return response.writeHead(404).end();
    if (request.method === "POST") return response.writeHead(202, { location: `${url.origin}/upload` }).end();
    if (!url.pathname.startsWith("/upload")) return response.writeHead(201).end();
    const wanted = url.searchParams.get("digest")!;
    if (!refused.has(wanted)) {
      refused.add(wanted);
      return refuse();
    }
    assert.equal(`sha256:${createHash("sha256").update(body).digest("hex")}`, wanted);
    blobs.push(body);
    return response.writeHead(201).end();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => server.close());
  const ref = `127.0.0.1:${(server.address() as AddressInfo).port}/acme/in:v1`;
  const env = { HOME: "/nowhere" };
  await pushProvider(ref, [{ path: program(t, text), platform: "linux/amd64" }], { env, signal });
  assert.deepEqual(blobs.at(-1), text);
});
