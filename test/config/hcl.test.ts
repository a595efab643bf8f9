// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how HCL writes insertions
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Body, Environment, Value } from "../../src/config/hcl/document.ts";
import { evaluateHcl } from "../../src/config/hcl/evaluate.ts";
import { parseHcl } from "../../src/config/hcl/parse.ts";

interface Result {
  body: Body | undefined;
  notes: string[];
}

async function evaluate(text: string, env: Environment = {}): Promise<Result> {
  const notes: string[] = [];
  const note = ({ line, column }: { line: number; column: number }, message: string, suggestion?: string) => {
    notes.push(`${line}:${column}: ${message}`, ...(suggestion === undefined ? [] : [`  ${suggestion}`]));
  };
  const syntax = await parseHcl(text, note);
  if (syntax === undefined) return { body: undefined, notes };
  const body = evaluateHcl(syntax, env, note);
  syntax.free();
  return { body, notes };
}

/** The top-level attributes as plain values. */
async function values(text: string, env: Environment = {}): Promise<Record<string, unknown>> {
  const { body, notes } = await evaluate(text, env);
  assert.deepEqual(notes, []);
  return Object.fromEntries(body!.attributes.map(({ name, value }) => [name, plain(value)]));
}

function plain(value: Value): unknown {
  switch (value.kind) {
    case "list":
      return value.items.map(plain);
    case "object":
      return Object.fromEntries([...value.entries].map(([key, entry]) => [key, plain(entry)]));
    case "null":
      return null;
    case "unknown":
      return undefined;
    default:
      return value.value;
  }
}

describe("values", () => {
  test("literals, lists, objects, parentheses", async () => {
    const text =
      'a = "x"\nb = -1.5\nc = true\nd = [1, "two", [false],]\ne = { k = "v", "l": 2\n m = null }\nf = (7)\ng = ""\n';
    assert.deepEqual(await values(text), {
      a: "x",
      b: -1.5,
      c: true,
      d: [1, "two", [false]],
      e: { k: "v", l: 2, m: null },
      f: 7,
      g: "",
    });
  });

  test("escapes, and dollars that insert nothing", async () => {
    const text = 'a = "\\"\\\\ \\u00e9 \\U0001F600 $${x} pa$$w%d %%{y}"\nb = "a\\tb\\n"';
    assert.deepEqual(await values(text), {
      a: '"\\ é 😀 ${x} pa$$w%d %{y}',
      b: "a\tb\n",
    });
  });

  test("heredocs, with and without their indentation, with Windows line ends", async () => {
    const text =
      'a = <<EOT\n  x "y"\n    {{ env "E" }}\nEOT\nb = <<-END\n    one ${local.l} \n      two\n\n    END\nlocals {\n  l = "L"\n}\n';
    const expected = { a: '  x "y"\n    e"\n', b: "one L \n  two\n\n" };
    assert.deepEqual(await values(text, { E: 'e"' }), expected);
    assert.deepEqual(await values(text.replaceAll("\n", "\r\n"), { E: 'e"' }), expected);
  });

  test("locals, whatever their order, and members of theirs", async () => {
    const text =
      'locals {\n  a = "${local.b}!"\n}\nx = local.a\ny = "${local.o.k} and ${local.n}"\nlocals {\n  b = env("B")\n  o = { k = "v" }\n  n = 3\n}\n';
    assert.deepEqual(await values(text, { B: "hi" }), { x: "hi!", y: "v and 3" });
  });

  test("blocks with labels, and blocks on one line", async () => {
    const { body } = await evaluate('task "copy" quick {\n  a = 1\n}\nempty {}\none { b = 2 }\n');
    assert.deepEqual(
      body?.blocks.map(({ type, labels, body: inner }) => [type, labels, inner.attributes.length]),
      [
        ["task", ["copy", "quick"], 1],
        ["empty", [], 0],
        ["one", [], 1],
      ],
    );
  });
});

describe("the environment", () => {
  test("three spellings and the function, with and without default", async () => {
    const text = `
a = "{{ env "X" }}"
b = "{{ env \\"X\\" }}"
c = "{{env \`X\`}}"
d = env("X")
e = "{{ env "NO" | default "d" }}-{{ env \\"NO\\" | default \\"e\\" }}-{{ env \`NO\` | default \`f"\\\` }}"
f = env("NO", "g")
g = "{{ env "EMPTY" | default "h" }}{{ env "EMPTY" }}"
h = ["{{ env "X" }}/{{ env "X" }}", { k = "\${env("X")}" }]
`;
    assert.deepEqual(await values(text, { X: "v", EMPTY: "" }), {
      a: "v",
      b: "v",
      c: "v",
      d: "v",
      e: 'd-e-f"\\',
      f: "g",
      g: "h",
      h: ["v/v", { k: "v" }],
    });
  });

  test("templates in comments are comments, whatever the comment", async () => {
    const text =
      '# "{{ env "NO" }}\na = 1 // {{ env "NO" }} "\n/* {{ env "NO" }}\n "{{ */\nb = "# no {{ env "X" }} // comment /*"\n';
    assert.deepEqual(await values(text, { X: "v" }), { a: 1, b: "# no v // comment /*" });
  });

  test("a variable that is not set is named with its place, also behind other templates of the line", async () => {
    const { notes } = await evaluate('x = "{{ env "X" }}:{{ env "Y" }}"\ny = env("Z")\n', { X: "v" });
    assert.deepEqual(
      notes.filter((note) => !note.startsWith(" ")),
      ["1:20: the environment variable Y is not set", "2:5: the environment variable Z is not set"],
    );
  });

  test("a template that is not understood says what is", async () => {
    const { notes } = await evaluate(
      'a = "{{ env X }}"\nb = "{{ env "X" | upper }}"\nc = "{{ secret"\nd = {{ env "X" }}\ne = "{{ env `X` }}"\n',
      { X: "v" },
    );
    assert.deepEqual(
      notes.filter((note) => !note.startsWith(" ")),
      [
        "1:6: this template is not understood",
        "2:6: this template is not understood",
        "3:6: this {{ has no }} on its line",
        "4:5: a template stands inside a string",
      ],
    );
  });

  const spellings = [
    '"{{ env "X" }}"',
    '"{{ env \\"X\\" }}"',
    '"{{ env `X` }}"',
    'env("X")',
    '"${env("X")}"',
    "local.x",
    '"${local.x}"',
  ];

  test("whatever a variable holds, it is that value and nothing else", async () => {
    const nasty = fc.array(
      fc.oneof(
        fc.constantFrom(
          '"',
          "\\",
          "${",
          "%{",
          "{{",
          "}}",
          '{{ env "Y" }}',
          "\n",
          "\r\n",
          "#",
          "/*",
          "<<EOT",
          'x"\nadmin = true\n',
          "`",
          "$$",
          "\0",
        ),
        fc.string({ unit: "grapheme", maxLength: 5 }),
      ),
      { maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(nasty, fc.constantFrom(...spellings), async (parts, spelling) => {
        const secret = parts.join("");
        const text = `locals {\n  x = env("X")\n}\na = ${spelling}\nb = <<EOT\n<{{ env "X" }}>\nEOT\nc = 1\n`;
        assert.deepEqual(await values(text, { X: secret, Y: "other" }), { a: secret, b: `<${secret}>\n`, c: 1 });
      }),
      { numRuns: 300 },
    );
  });

  test("values that hold something of the environment are marked", async () => {
    const { body } = await evaluate(
      'locals {\n s = env("X")\n}\na = "p:${local.s}"\nb = "p"\nc = [env("X")]\nd = env("NO", "x")\n',
      { X: "v" },
    );
    const secret = Object.fromEntries(
      body!.attributes.map(({ name, value }) => [name, value.kind === "list" ? value.items[0]?.secret : value.secret]),
    );
    assert.deepEqual(secret, { a: true, b: false, c: true, d: false });
  });
});

describe("what is wrong with the syntax", () => {
  test("is said all at once, where it stands", async () => {
    const text = `a {
  b: 2
  "c" = "x \\q"
}
d == 3
e =
f 4
g = "abc
h = [1, 2
i = 5
`;
    assert.deepEqual((await evaluate(text)).notes, [
      "3:12: this backslash escapes nothing",
      "  A backslash itself is written \\\\.",
      '8:5: this string has no end: " is missing on its line',
      "  Text of several lines is written as a heredoc: <<EOT.",
      "2:3: a value is given with =, not with :",
      "  Write b = …",
      "5:1: a value is given with a single =",
      "  Write d = …",
      "6:1: e has no value",
      "7:1: this is neither name = value, nor name { … }",
      "9:5: this [ is not closed",
    ]);
  });

  test("brackets without partners", async () => {
    assert.deepEqual((await evaluate("a {\n b {\n c = 1\n}\n")).notes, ["1:3: this { is not closed"]);
    assert.deepEqual((await evaluate("a = 1\n}\n")).notes, ["2:1: this } closes nothing"]);
    assert.deepEqual((await evaluate("a {\n b = [1, 2\n}\nc = 1\n")).notes, ["2:6: this [ is not closed"]);
  });

  test("comments and heredocs without end", async () => {
    assert.match((await evaluate("a = 1\n/* b\n")).notes[0]!, /^2:1: this comment has no end/);
    assert.match((await evaluate("a = <<EOT\nx\n")).notes[0]!, /^1:5: this heredoc has no end.*EOT/);
  });

  test("what only the grammar notices", async () => {
    assert.deepEqual((await evaluate("a = 1\nb = 4 5\n")).notes, ["2:7: this is not HCL"]);
  });

  test("what HCL has and a configuration has not, by name", async () => {
    const text =
      'a = foo\nb = upper("x")\nc = 1 + 2\nd = true ? 1 : 2\ne = [for x in [1] : x]\nf = "%{ if true }x%{ endif }"\ng = local.nope\nh = local.z.q\ni = env()\nlocals {\n  x = local.y\n  y = local.x\n  z = 1\n  z = 2\n}\n';
    const { notes } = await evaluate(text);
    assert.deepEqual(
      notes.filter((note) => !note.startsWith(" ")),
      [
        "14:3: local.z is defined twice",
        "11:7: local.x is defined by itself",
        "1:5: a bare word is no value",
        "2:5: a function other than env is not supported in a configuration",
        "3:5: an operator is not supported in a configuration",
        "4:5: a condition is not supported in a configuration",
        "5:5: a for expression is not supported in a configuration",
        "6:6: %{ } is not supported in a configuration",
        "7:5: local.nope is not defined",
        "8:5: local.z.q is not defined",
        "9:5: env takes a name and, if you like, a default",
      ],
    );
  });

  test("no text makes the parser fail otherwise than by saying what is wrong", async () => {
    const piece = fc.constantFrom(
      ...'{}[]()=":#/*\\\n $%<ab1,.',
      '"',
      "\n",
      "a = ",
      "{{ env ",
      "<<EOT\n",
      "${",
      "locals {\n",
      "local.a",
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 40 }), async (pieces) => {
        const { body, notes } = await evaluate(pieces.join(""));
        assert.ok(body !== undefined || notes.length > 0);
      }),
      { numRuns: 500 },
    );
  });
});

test("the grammar is the one of the pinned package", async () => {
  const ours = await readFile(new URL("../../src/config/hcl/tree-sitter-hcl.wasm", import.meta.url));
  const theirs = await readFile(
    new URL("../../node_modules/@tree-sitter-grammars/tree-sitter-hcl/tree-sitter-hcl.wasm", import.meta.url),
  );
  assert.ok(ours.equals(theirs), "copy tree-sitter-hcl.wasm from the package to src/config/hcl");
});
