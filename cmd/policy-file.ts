import { dirname, isAbsolute, join } from 'node:path';
import { parseUtf8 } from '../core/bytes/bytes.ts';
import { type Json, parseJson } from '../core/bytes/json.ts';
import { type PublicKey, parsePublicKeyPem } from '../core/crypto/public-key.ts';
import { InputError, parseNamed } from '../core/errors.ts';
import { readFileBounded } from '../core/files.ts';
import { MAX_KEY_FILE_BYTES, MAX_POLICY_BYTES, MAX_YAML_BYTES } from '../core/limits.ts';
import { parsePolicy } from '../core/verify/policy-file.ts';
import type { RulePolicy } from '../core/verify/policy-rule.ts';

/** Reads a policy file, JSON or YAML; key files that it names are beside it. INPUT_*, JSON_*, POLICY_INVALID. */
export function readPolicy(path: string): RulePolicy {
  const text = readFileBounded(path, MAX_POLICY_BYTES, 'policy', 'docs/policy.md shows how to write one');
  return parseNamed(`policy ${path}`, 'docs/policy.md describes every member, with examples', () =>
    parsePolicy(parseDocument(path, parseUtf8(text)), (reference) => readKey(dirname(path), reference)),
  );
}

/** The document in a policy file: JSON, or YAML by its name or its first character. INPUT_*, POLICY_INVALID. */
export function parseDocument(path: string, text: string): Json {
  const isYaml = /\.ya?ml$/i.test(path) || !/^\s*\{/.test(text);
  return isYaml ? parseYaml(text) : parseJson(text);
}

// YAML 1.2 without what makes two readers see different documents: duplicate keys, tags, anchors, merge keys, several documents.
function parseYaml(text: string): Json {
  // In characters, which are no more than bytes.
  if (text.length > MAX_YAML_BYTES) {
    throw new InputError('INPUT_TOO_LARGE', `more than ${MAX_YAML_BYTES} bytes of YAML`, {
      hint: 'larger policies are written in JSON',
    });
  }
  // Loaded only for a policy in YAML.
  const yaml = require('yaml') as typeof import('yaml');
  const lines = new yaml.LineCounter();
  try {
    const document = yaml.parseDocument(text, {
      version: '1.2',
      schema: 'core',
      strict: true,
      // Compared by `jsonOf`: the parser's own comparison takes time by the square of the keys, its messages that of the errors.
      uniqueKeys: false,
      prettyErrors: false,
      lineCounter: lines,
      stringKeys: true,
      resolveKnownTags: false,
    });
    const at = (offset: number): string => {
      const { line, col } = lines.linePos(offset);
      return ` at line ${line}, column ${col}`;
    };
    const [problem] = [...document.errors, ...document.warnings];
    if (problem !== undefined) throw new Error(`${problem.message}${at(problem.pos[0])}`);
    return jsonOf(document.contents, yaml, at);
  } catch (cause) {
    if (cause instanceof InputError) throw cause;
    const [first = ''] = (cause as Error).message.split('\n');
    throw new InputError('POLICY_INVALID', `not usable YAML: ${first}`, { cause });
  }
}

/** `at` says where a node is. */
function jsonOf(node: unknown, yaml: typeof import('yaml'), at: (offset: number) => string): Json {
  if (node === null) return null;
  if (yaml.isScalar(node)) return node.value as Json;
  if (yaml.isSeq(node)) return node.items.map((item) => jsonOf(item, yaml, at));
  if (!yaml.isMap(node)) throw new Error('Aliases are not accepted');
  const members = new Map<string, Json>();
  for (const { key, value } of node.items) {
    if (!yaml.isScalar(key) || typeof key.value !== 'string') throw new Error('a key that is no text');
    if (members.has(key.value)) throw new Error(`Map keys must be unique${at(key.range?.[0] ?? 0)}`);
    members.set(key.value, jsonOf(value, yaml, at));
  }
  return Object.fromEntries(members);
}

function readKey(folder: string, reference: string): PublicKey {
  if (reference.startsWith('-----BEGIN')) return parsePublicKeyPem(reference);
  const path = isAbsolute(reference) ? reference : join(folder, reference);
  return parseNamed(`public key ${reference}`, 'name a public key in PEM', () =>
    parsePublicKeyPem(parseUtf8(readFileBounded(path, MAX_KEY_FILE_BYTES, 'public key'))),
  );
}
