/** XML as a tree, and as the text that SQL Server gives it: entities resolved, blanks between elements gone, `<a/>` where nothing is in it. */

export interface Name {
  prefix: string;
  local: string;
  uri: string;
}

export interface Attribute extends Name {
  kind: "attribute";
  value: string;
  parent: Element;
}

export interface Element extends Name {
  kind: "element";
  attributes: Attribute[];
  /** xmlns and xmlns:p, as written: prefix ("" for the default one) to URI. */
  namespaces: Map<string, string>;
  children: Child[];
  parent: Parent;
}

export interface TextNode {
  kind: "text" | "comment";
  value: string;
  parent: Parent;
}

export interface Instruction {
  kind: "instruction";
  target: string;
  value: string;
  parent: Parent;
}

/** What an xml value is: any number of elements, also text beside them. */
export interface Document {
  kind: "document";
  children: Child[];
}

export type Child = Element | TextNode | Instruction;
export type Parent = Document | Element;
export type XmlNode = Document | Child | Attribute;

export function escapeText(text: string): string {
  return text.replace(/[&<>\r]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#x0D;" })[c]!);
}

export function escapeAttribute(text: string): string {
  return text.replace(
    /[&<>"\r\n\t]/g,
    (c) =>
      ({
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&quot;",
        "\r": "&#x0D;",
        "\n": "&#x0A;",
        "\t": "&#x09;",
      })[c]!,
  );
}

export function qualified({ prefix, local }: Name): string {
  return prefix === "" ? local : `${prefix}:${local}`;
}

export function serialize(node: XmlNode): string {
  switch (node.kind) {
    case "document":
      return node.children.map(serialize).join("");
    case "text":
      return escapeText(node.value);
    case "comment":
      return `<!--${node.value}-->`;
    case "instruction":
      return `<?${node.target}${node.value === "" ? "" : ` ${node.value}`}?>`;
    case "attribute":
      return `${qualified(node)}="${escapeAttribute(node.value)}"`;
    case "element": {
      const declared = [...node.namespaces].map(
        ([prefix, uri]) => ` ${prefix === "" ? "xmlns" : `xmlns:${prefix}`}="${escapeAttribute(uri)}"`,
      );
      const attributes = node.attributes.map((attribute) => ` ${serialize(attribute)}`);
      const start = `<${qualified(node)}${declared.join("")}${attributes.join("")}`;
      if (node.children.length === 0) return `${start}/>`;
      return `${start}>${node.children.map(serialize).join("")}</${qualified(node)}>`;
    }
  }
}

/** A fragment that leaves its place takes the namespaces with it that it uses. */
export function serializeAlone(node: XmlNode): string {
  if (node.kind !== "element") return serialize(node);
  const needed = new Map<string, string>();
  const collect = (element: Element, own: Set<string>): void => {
    const known = new Set([...own, ...element.namespaces.keys()]);
    for (const name of [element, ...element.attributes])
      if (name.uri !== "" && name.prefix !== "xml" && !known.has(name.prefix)) needed.set(name.prefix, name.uri);
    for (const child of element.children) if (child.kind === "element") collect(child, known);
  };
  collect(node, new Set());
  if (needed.size === 0) return serialize(node);
  return serialize({ ...node, namespaces: new Map([...needed, ...node.namespaces]) });
}

/** What XPath calls the string value. */
export function stringValue(node: XmlNode): string {
  if (node.kind !== "document" && node.kind !== "element") return node.value;
  let result = "";
  for (const child of node.children)
    if (child.kind === "element" || child.kind === "text") result += stringValue(child);
  return result;
}
