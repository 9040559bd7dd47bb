// Checks our renderings against Atlassian's own schema (ADF) and parser (wiki markup).
//
//   node parse.mjs FILE     FILE is written by `cargo test -p ticketing-jira --test rendered`
//
// An ADF document must satisfy the schema. Wiki markup must parse to the very text of the ADF document, with no node
// that the ADF document has not: no mention, no media, no macro, no link but the one to the incident.

import { createReadStream, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import Ajv from 'ajv-draft-04';

const require = createRequire(import.meta.url);
const { WikiMarkupTransformer } = require('@atlaskit/editor-wikimarkup-transformer');
const schema = JSON.parse(readFileSync(require.resolve('@atlaskit/adf-schema/json-schema/v1/full.json'), 'utf8'));

const MAX_PRINTED_VIOLATIONS = 40;
const NODES = new Set([
  'doc', 'paragraph', 'heading', 'bulletList', 'listItem', 'table', 'tableRow', 'tableHeader', 'tableCell',
  'codeBlock', 'hardBreak', 'text',
]);
const MARKS = new Set(['strong', 'textColor', 'link']);

const isValid = new Ajv({ strict: false, allErrors: false }).compile(schema);
const parser = new WikiMarkupTransformer();

function* walk(node) {
  yield node;
  for (const child of node.content ?? []) {
    yield* walk(child);
  }
}

function textOf(document) {
  let text = '';
  for (const node of walk(document)) {
    text += node.type === 'text' ? node.text : node.type === 'status' ? node.attrs.text : '';
  }
  // What wiki markup cannot carry: white space as it was, and text that could end every verbatim macro without a joiner.
  return text.replace(/[\s\u2060]+/gu, '');
}

function linksOf(document) {
  const links = new Set();
  for (const node of walk(document)) {
    for (const mark of node.marks ?? []) {
      if (mark.type === 'link') {
        links.add(decodeURI(mark.attrs.href).replace(/%7C/gu, '|').replace(/%5B/gu, '[').replace(/%5D/gu, ']'));
      }
    }
  }
  return [...links].sort().join(' ');
}

function difference(expected, found) {
  let at = 0;
  while (at < expected.length && expected[at] === found[at]) {
    at += 1;
  }
  const around = (text) => JSON.stringify(text.slice(Math.max(0, at - 30), at + 50));
  return `expected ${around(expected)}, found ${around(found)}`;
}

function* violations({ adf, wiki, whole }) {
  if (!isValid(adf)) {
    yield `ADF: ${JSON.stringify(isValid.errors.slice(0, 3))}`;
  }
  let parsed;
  try {
    parsed = parser.parse(wiki).toJSON();
  } catch (error) {
    yield `wiki: the parser failed: ${error.message}`;
    return;
  }
  for (const node of walk(parsed)) {
    if (!NODES.has(node.type)) {
      yield `wiki: a ${node.type} node: ${JSON.stringify(node).slice(0, 200)}`;
    }
    for (const mark of node.marks ?? []) {
      if (!MARKS.has(mark.type)) {
        yield `wiki: text marked as ${mark.type}: ${JSON.stringify(node.text)}`;
      }
    }
  }
  if (linksOf(parsed) !== linksOf(adf)) {
    yield `wiki: links ${linksOf(parsed)} instead of ${linksOf(adf)}`;
  }
  const [expected, found] = [textOf(adf), textOf(parsed)];
  if (whole && expected !== found) {
    yield `wiki: other text: ${difference(expected, found)}`;
  }
}

let renderings = 0;
let violated = 0;
for await (const line of createInterface({ input: createReadStream(process.argv[2]) })) {
  const rendering = JSON.parse(line);
  renderings += 1;
  for (const violation of violations(rendering)) {
    violated += 1;
    if (violated <= MAX_PRINTED_VIOLATIONS) {
      console.error(`${rendering.name}\n  ${violation}`);
    }
  }
}
console.log(`${renderings} renderings checked, ${violated} violations`);
process.exitCode = violated === 0 && renderings > 0 ? 0 : 1;
