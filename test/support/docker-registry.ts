/** The registry as Debian packages it (docker-registry): on loopback, with its files in a temporary folder. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, isOnPath, listening, ServerProcess, type TestServer, temporaryFolder } from "./server.ts";

export function missingDockerRegistry(): string | null {
  return isOnPath("docker-registry") ? null : "there is no registry: apt-get install docker-registry";
}

/** The one user, where there is to be one. */
export const USER = { name: "ada", password: "s3cret" };
/** bcrypt, the only one that the registry takes. */
const HTPASSWD = "ada:$2y$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n";

/** `url`: host and port, as references begin. */
export async function startDockerRegistry({ signIn = false } = {}): Promise<TestServer> {
  const folder = temporaryFolder("registry");
  const port = await freePort();
  const config = join(folder, "config.yml");
  const users = join(folder, "htpasswd");
  writeFileSync(users, HTPASSWD);
  writeFileSync(
    config,
    `version: 0.1
storage: { filesystem: { rootdirectory: "${folder}/data" } }
http: { addr: "127.0.0.1:${port}" }
${signIn ? `auth: { htpasswd: { realm: test, path: "${users}" } }` : ""}
`,
  );
  const server = new ServerProcess({
    name: "The registry",
    folder,
    command: "docker-registry",
    args: ["serve", config],
    ready: (signal) => listening(port, signal),
  });
  await server.start();
  return {
    url: `127.0.0.1:${port}`,
    kill: () => server.kill(),
    start: () => server.start(),
    close: () => server.close(),
  };
}
