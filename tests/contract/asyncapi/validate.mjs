// Prints what AsyncAPI's own parser finds in the document on standard input: one JSON list.
import { Parser } from "@asyncapi/parser";

const pieces = [];
for await (const piece of process.stdin) pieces.push(piece);
const { document, diagnostics } = await new Parser().parse(Buffer.concat(pieces).toString("utf8"));
const found = diagnostics.map(({ severity, code, message, path }) => ({ severity, code, message, path }));
console.log(JSON.stringify({ isParsed: document !== undefined, found }));
