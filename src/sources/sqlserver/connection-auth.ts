/**
 * How a connection string signs in: https://learn.microsoft.com/sql/connect/ado-net/sql/azure-active-directory-authentication
 * and, for the URL form's `fedauth`, https://learn.microsoft.com/sql/connect/golang/authentication.
 */

/** `options` as tedious takes them. */
export type SqlServerAuth =
  | { type: "sql"; options: { userName: string; password: string } }
  | { type: "ntlm"; options: { domain: string; userName: string; password: string } }
  | { type: "entra-default" | "entra-managed-identity"; options: { clientId?: string } }
  | { type: "entra-service-principal"; options: { tenantId: string; clientId: string; clientSecret: string } }
  | { type: "entra-password"; options: { userName: string; password: string; clientId: string; tenantId?: string } }
  | { type: "entra-access-token"; options: { token: string } };

const methods: Readonly<Record<string, SqlServerAuth["type"]>> = {
  sqlpassword: "sql",
  ntlm: "ntlm",
  activedirectorydefault: "entra-default",
  activedirectorymanagedidentity: "entra-managed-identity",
  activedirectorymsi: "entra-managed-identity",
  activedirectoryserviceprincipal: "entra-service-principal",
  activedirectoryapplication: "entra-service-principal",
  activedirectorypassword: "entra-password",
  activedirectoryserviceprincipalaccesstoken: "entra-access-token",
  activedirectoryaccesstoken: "entra-access-token",
};

const otherwise =
  "use user id=DOMAIN\\user with its password (NTLM), a SQL login (user id and password) or Microsoft Entra " +
  "(authentication=ActiveDirectoryDefault)";

/** Undefined after it has added a problem. Problems hold no value of the string. */
export function readAuthentication(values: ReadonlyMap<string, string>, problems: string[]): SqlServerAuth | undefined {
  const fail = (problem: string) => {
    problems.push(problem);
    return undefined;
  };
  const user = values.get("user id")?.trim() ?? "";
  const password = values.get("password") ?? "";
  const windows = splitDomain(user, values.get("domain"));

  let method: SqlServerAuth["type"] | undefined;
  const asked = values.get("authentication")?.trim();
  if (asked !== undefined && asked !== "") {
    method = methods[asked.toLowerCase().replace(/\s/g, "")];
    if (method === undefined) {
      return fail(
        "authentication is one of SqlPassword, NTLM, ActiveDirectoryDefault (which includes az login and workload identity), " +
          "ActiveDirectoryManagedIdentity, ActiveDirectoryServicePrincipal, ActiveDirectoryPassword, ActiveDirectoryAccessToken",
      );
    }
  } else if (/^(true|yes|1|t|sspi)$/i.test(values.get("integrated security")?.trim() ?? "")) {
    if (windows === undefined || password === "") {
      return fail(`trusted_connection (integrated security) has no Windows session to sign in with here: ${otherwise}`);
    }
    method = "ntlm";
  } else {
    method = windows === undefined ? "sql" : "ntlm";
  }

  const tenant = values.get("tenant id")?.trim() || undefined;
  const client = values.get("application client id")?.trim() || undefined;
  switch (method) {
    case "sql":
      if (user === "") return fail(`it says nobody signs in: ${otherwise}`);
      if (password === "") return fail("it gives no password for the SQL login");
      return { type: method, options: { userName: user, password } };
    case "ntlm":
      if (windows === undefined) return fail("NTLM signs in with user id=DOMAIN\\user (or domain=DOMAIN)");
      if (password === "") return fail("NTLM signs in with a password: it gives none");
      return { type: method, options: { ...windows, password } };
    case "entra-default":
    case "entra-managed-identity": {
      const clientId = client ?? (user === "" ? undefined : user);
      return { type: method, options: clientId === undefined ? {} : { clientId } };
    }
    case "entra-service-principal": {
      const [userClient, userTenant] = user.split("@", 2);
      const clientId = client ?? (userClient || undefined);
      const tenantId = tenant ?? userTenant;
      if (clientId === undefined || !tenantId || password === "") {
        return fail("a service principal signs in with user id=<client id>@<tenant id> and password=<client secret>");
      }
      return { type: method, options: { clientId, tenantId, clientSecret: password } };
    }
    case "entra-password":
      if (user === "" || password === "" || client === undefined) {
        return fail("ActiveDirectoryPassword needs user id, password and application client id");
      }
      return {
        type: method,
        options: { userName: user, password, clientId: client, ...(tenant === undefined ? {} : { tenantId: tenant }) },
      };
    case "entra-access-token":
      if (password === "") return fail("ActiveDirectoryAccessToken takes the token as password");
      return { type: method, options: { token: password } };
  }
}

function splitDomain(user: string, domain: string | undefined): { domain: string; userName: string } | undefined {
  const [, before, after] = /^([^\\]+)\\([^\\]+)$/.exec(user) ?? [];
  if (before !== undefined && after !== undefined) return { domain: before, userName: after };
  return domain !== undefined && domain.trim() !== "" && user !== ""
    ? { domain: domain.trim(), userName: user }
    : undefined;
}
