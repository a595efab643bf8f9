import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Connection } from "tedious";
import {
  ConnectionStringError,
  parseConnectionString,
  redactConnectionString,
  toTediousConfig,
} from "../../../src/sources/sqlserver/connection-string.ts";

const ado = (rest: string) => parseConnectionString(`server=db;database=TestDB;${rest}`);

/** What the string is refused for. */
function refusal(text: string): string {
  try {
    parseConnectionString(text);
  } catch (error) {
    assert.ok(error instanceof ConnectionStringError);
    assert.equal(error.cause, undefined, "a cause could hold the string");
    return error.message;
  }
  assert.fail("it was accepted");
}

describe("the two forms", () => {
  test("the seed's URL", () => {
    const target = parseConnectionString("sqlserver://user:pass@localhost:1433?database=TestDB");
    assert.deepEqual(target, {
      hosts: [{ server: "localhost", port: 1433, instance: undefined }],
      database: "TestDB",
      auth: { type: "sql", options: { userName: "user", password: "pass" } },
      encrypt: true,
      trustServerCertificate: false,
      hostNameInCertificate: undefined,
      applicationName: "dstream",
      applicationIntent: "ReadWrite",
      multiSubnetFailover: false,
      connectTimeoutMs: 15_000,
      packetSize: undefined,
      workstationId: undefined,
      ignored: [],
    });
  });

  test("a URL with everything that go-mssqldb documents", () => {
    const target = parseConnectionString(
      "sqlserver://u:p%40%3A%2F@sql01.corp.example/SQLEXPRESS?database=Sales&encrypt=strict&app+name=my%20app&" +
        "connection+timeout=30&dial+timeout=5&ApplicationIntent=ReadOnly&MultiSubnetFailover=true&packet+size=16000&" +
        "Workstation+ID=w1&failoverpartner=sql02&failoverport=1444&hostNameInCertificate=*.corp.example&keepAlive=10&log=3",
    );
    assert.deepEqual(target.hosts, [
      { server: "sql01.corp.example", port: undefined, instance: "SQLEXPRESS" },
      { server: "sql02", port: 1444, instance: undefined },
    ]);
    assert.deepEqual(target.auth.options, { userName: "u", password: "p@:/" });
    assert.equal(target.encrypt, "strict");
    assert.equal(target.applicationName, "my app");
    assert.equal(target.applicationIntent, "ReadOnly");
    assert.equal(target.multiSubnetFailover, true);
    assert.equal(target.connectTimeoutMs, 30_000);
    assert.equal(target.packetSize, 16_000);
    assert.equal(target.workstationId, "w1");
    assert.equal(target.hostNameInCertificate, "*.corp.example");
    assert.deepEqual(target.ignored, ["keepalive", "log"]);
  });

  test("a connection string as the Azure portal gives it for ADO.NET", () => {
    const target = parseConnectionString(
      "Server=tcp:shop.database.windows.net,1433;Initial Catalog=shop;Persist Security Info=False;User ID=reader;" +
        "Password=p;MultipleActiveResultSets=False;Encrypt=True;TrustServerCertificate=False;Connection Timeout=30;",
    );
    assert.deepEqual(target.hosts, [{ server: "shop.database.windows.net", port: 1433, instance: undefined }]);
    assert.equal(target.database, "shop");
    assert.equal(target.connectTimeoutMs, 30_000);
    assert.deepEqual(target.ignored, ["persistsecurityinfo", "multipleactiveresultsets"]);
  });

  test("hosts: dot and (local), named instances, IPv6", () => {
    const host = (server: string) =>
      parseConnectionString(`server=${server};database=d;uid=u;pwd=p`).hosts.map((h) => [h.server, h.port, h.instance]);
    assert.deepEqual(host("."), [["localhost", undefined, undefined]]);
    assert.deepEqual(host("(local)\\SQL"), [["localhost", undefined, "SQL"]]);
    assert.deepEqual(host("tcp:db\\SQL,1500"), [["db", 1500, "SQL"]]);
    assert.deepEqual(host("[::1],1500"), [["::1", 1500, undefined]]);
    const url = parseConnectionString("sqlserver://u:p@[::1]:1500?database=d");
    assert.deepEqual(url.hosts, [{ server: "::1", port: 1500, instance: undefined }]);
  });

  test("the rules of SqlClient: quotes, doubled quotes, empty values, empty parts, the last of equals", () => {
    const parsed = ado(`;;user id='it''s ; me'; password = " a=""b"" ";app name=;database=Other;`);
    assert.deepEqual(parsed.auth.options, { userName: "it's ; me", password: ' a="b" ' });
    assert.equal(parsed.database, "Other");
    assert.equal(parsed.applicationName, "dstream");
    assert.deepEqual(ado("uid=u;pwd={x").auth.options, { userName: "u", password: "{x" });
    assert.deepEqual(ado("uid=u;pwd=c2VjcmV0==").auth.options, { userName: "u", password: "c2VjcmV0==" });
  });

  test("an empty user does not take the password for its name", () => {
    const text = refusal("server=db;database=d;user id=;password=hunter2");
    assert.match(text, /nobody signs in/);
    assert.doesNotMatch(text, /hunter2/);
  });
});

describe("signing in", () => {
  test("NTLM by a user with a domain, by keyword, and by trusted_connection with credentials", () => {
    const ntlm = { type: "ntlm", options: { domain: "CORP", userName: "svc", password: "p" } };
    assert.deepEqual(ado("user id=CORP\\svc;password=p").auth, ntlm);
    assert.deepEqual(ado("authentication=ntlm;domain=CORP;user id=svc;password=p").auth, ntlm);
    assert.deepEqual(ado("integrated security=SSPI;user id=CORP\\svc;password=p").auth, ntlm);
    assert.deepEqual(parseConnectionString("sqlserver://CORP%5Csvc:p@db?database=d").auth, ntlm);
  });

  test("trusted_connection without credentials says what to use", () => {
    const text = refusal("server=localhost;database=testdb;trusted_connection=true");
    assert.match(text, /trusted_connection/);
    assert.match(text, /NTLM.*SQL login.*authentication=ActiveDirectoryDefault/);
  });

  test("Microsoft Entra: default chain, managed identity, service principal, password, token", () => {
    assert.deepEqual(ado("Authentication=Active Directory Default").auth, { type: "entra-default", options: {} });
    assert.deepEqual(ado("authentication=ActiveDirectoryManagedIdentity;user id=id-1").auth, {
      type: "entra-managed-identity",
      options: { clientId: "id-1" },
    });
    assert.deepEqual(parseConnectionString("sqlserver://db?database=d&fedauth=ActiveDirectoryMSI").auth, {
      type: "entra-managed-identity",
      options: {},
    });
    assert.deepEqual(
      parseConnectionString("sqlserver://app%40tenant:s3cret@db?database=d&fedauth=ActiveDirectoryServicePrincipal")
        .auth,
      { type: "entra-service-principal", options: { clientId: "app", tenantId: "tenant", clientSecret: "s3cret" } },
    );
    assert.deepEqual(
      ado("authentication=ActiveDirectoryPassword;uid=u@x.example;pwd=p;application client id=app").auth.options,
      { userName: "u@x.example", password: "p", clientId: "app" },
    );
    assert.deepEqual(ado("authentication=ActiveDirectoryAccessToken;pwd=eyJ0").auth.options, { token: "eyJ0" });
  });

  test("a way of signing in that is not there lists those that are", () => {
    assert.match(refusal("server=db;database=d;authentication=ActiveDirectoryInteractive"), /ActiveDirectoryDefault/);
    assert.match(
      refusal("server=db;database=d;authentication=ActiveDirectoryServicePrincipal;uid=x;pwd=y"),
      /tenant id/,
    );
  });
});

describe("encryption", () => {
  test("on and verified unless the string says otherwise", () => {
    const modes: [string, "strict" | boolean][] = [
      ["", true],
      ["encrypt=mandatory", true],
      ["encrypt=yes", true],
      ["encrypt=strict", "strict"],
      ["encrypt=optional", false],
      ["encrypt=disable", false],
      ["encrypt=false", false],
    ];
    for (const [text, expected] of modes) assert.equal(ado(`uid=u;pwd=p;${text}`).encrypt, expected, text);
    assert.equal(ado("uid=u;pwd=p;encrypt=false").trustServerCertificate, false);
    assert.equal(ado("uid=u;pwd=p;Trust Server Certificate=yes").trustServerCertificate, true);
  });

  test("an Entra token is never sent in the clear", () => {
    assert.match(refusal("server=db;database=d;authentication=ActiveDirectoryDefault;encrypt=false"), /encrypted/);
  });
});

describe("what is wrong is said, all at once, without a secret", () => {
  test("an unknown keyword, a missing database and a wrong number together", () => {
    const text = refusal("servr=db;timeout=soon;user id=u;password=hunter2;encrypt=maybe");
    assert.match(text, /unknown keyword servr \(did you mean server\?\)/);
    assert.match(text, /connection timeout is a whole number/);
    assert.match(text, /encrypt is strict, true/);
    assert.doesNotMatch(text, /hunter2/);
  });

  test("a missing database", () => {
    assert.match(refusal("sqlserver://u:p@db"), /names no database: add \?database=name/);
    assert.match(refusal("server=db;uid=u;pwd=p"), /names no database: add database=name/);
  });

  test("a password with a semicolon and no quotes is not printed as a keyword", () => {
    const text = refusal("server=db;database=d;user id=u;password=ab;hunter2=cd;x");
    assert.match(text, /put the password in double quotes/);
    assert.doesNotMatch(text, /hunter2|cd/);
  });

  test("a bare secret in the place of a connection string is not printed", () => {
    for (const text of ["hunter2", "hunter2=x", "sqlserver://hunter2", "x;hunter2=;y"]) {
      assert.doesNotMatch(refusal(text), /hunter2/);
    }
  });

  test("a password with characters that end a URL's authority is not taken for an instance or a fragment", () => {
    for (const password of ["12/hunter2", "12?hunter2", "12#hunter2", "hunter2 x", "hunter2%"]) {
      const text = refusal(`sqlserver://user:${password}@db?database=d`);
      assert.match(text, /%/);
      assert.doesNotMatch(text, /hunter2/, password);
    }
  });

  test("ports after a colon, named pipes, LocalDB, Kerberos, certificates", () => {
    assert.match(refusal("server=db:1433;database=d;uid=u;pwd=p"), /server=host,1433/);
    assert.match(refusal("server=np:db;database=d;uid=u;pwd=p"), /TCP/);
    assert.match(refusal("server=(localdb)\\v11;database=d;uid=u;pwd=p"), /LocalDB/);
    assert.match(refusal("server=db;database=d;uid=u;pwd=p;krb5-realm=x"), /Kerberos/);
    assert.match(refusal("server=db;database=d;uid=u;pwd=p;certificate=ca.pem"), /NODE_EXTRA_CA_CERTS/);
    assert.match(refusal("mysql://u:hunter2@db/d"), /sqlserver:\/\//);
  });

  const password = fc.oneof(
    fc.string({ minLength: 1, maxLength: 30, unit: "binary" }),
    fc
      .array(fc.constantFrom(..."\"';={}@/?#%\\ \n\t:&+,[]aZ9é€"), { minLength: 1, maxLength: 20 })
      .map((c) => c.join("")),
  );

  test("any password comes back from both forms", () => {
    fc.assert(
      fc.property(password, (secret) => {
        const quoted = `"${secret.replaceAll('"', '""')}"`;
        const single = `'${secret.replaceAll("'", "''")}'`;
        for (const text of [
          `server=db;password=${quoted};database=d;user id=u`,
          `server=db;database=d;user id=u;password=${single}`,
          `sqlserver://u:${encodeURIComponent(secret)}@db?database=d`,
        ]) {
          assert.deepEqual(parseConnectionString(text).auth.options, { userName: "u", password: secret });
          if (secret.trim().length > 7) assert.ok(!redactConnectionString(text).includes(secret));
        }
      }),
      { numRuns: 300 },
    );
  });

  test("no error shows a long password, however badly it is quoted", () => {
    fc.assert(
      fc.property(fc.constantFrom(..."\"';={}@/?#%\\ \n:&+,["), fc.boolean(), (character, url) => {
        const text = url
          ? `sqlserver://u:QQfirst${character}QQsecond@db?datbase=d&encrypt=QQ`
          : `servr=db;user id=u;password=QQfirst${character}QQsecond;encrypt=perhaps`;
        const said = refusal(text) + redactConnectionString(text);
        assert.doesNotMatch(said, /QQfirst|QQsecond/i, `${character} ${said}`);
      }),
      { numRuns: 200 },
    );
  });
});

describe("for tedious", () => {
  test("every way of signing in is a configuration that tedious takes", () => {
    const ways = [
      "uid=u;pwd=p",
      "uid=D\\u;pwd=p",
      "authentication=ActiveDirectoryDefault",
      "authentication=ActiveDirectoryMSI",
      "authentication=ActiveDirectoryServicePrincipal;uid=a@t;pwd=p",
      "authentication=ActiveDirectoryPassword;uid=u;pwd=p;applicationclientid=a",
      "authentication=ActiveDirectoryAccessToken;pwd=t",
    ];
    for (const way of ways) {
      const config = toTediousConfig(ado(`${way};server=db\\SQL,1500;packet size=8000;workstation id=w`));
      assert.doesNotThrow(() => new Connection(config), way);
      assert.equal(config.options?.port, 1500);
      assert.equal(config.options?.instanceName, undefined, "tedious takes a port or an instance");
    }
  });

  test("an instance without port is looked up; else the port is 1433", () => {
    assert.equal(toTediousConfig(ado("uid=u;pwd=p;server=db\\SQL")).options?.instanceName, "SQL");
    assert.equal(toTediousConfig(ado("uid=u;pwd=p")).options?.port, 1433);
  });

  test("encryption, intent and names arrive", () => {
    const { options } = toTediousConfig(
      ado("uid=u;pwd=p;encrypt=strict;applicationintent=readonly;multisubnetfailover=yes"),
    );
    assert.equal(options?.encrypt, "strict");
    assert.equal(options?.readOnlyIntent, true);
    assert.equal(options?.multiSubnetFailover, true);
    assert.equal(options?.appName, "dstream");
    assert.equal(options?.database, "TestDB");
  });
});

test("a redacted string keeps what tells one server from another", () => {
  assert.equal(
    redactConnectionString("sqlserver://u:p@db:1433/SQL?database=d&app+name=x"),
    "server=db;port=1433;instance=SQL;user id=u;password=***;database=d;app name=x",
  );
  assert.equal(redactConnectionString("server=db;password='x"), "(a connection string that cannot be read)");
});
