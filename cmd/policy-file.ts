import { dirname, isAbsolute, join } from 'node:path';
import { parseUtf8 } from '../core/bytes/bytes.ts';
import { type Json, parseJson } from '../core/bytes/json.ts';
import { type PublicKey, parsePublicKeyPem } from '../core/crypto/public-key.ts';
import { InputError, parseNamed } from '../core/errors.ts';
import { readFileBounded } from '../core/files.ts';
import { MAX_KEY_FILE_BYTES, MAX_POLICY_BYTES } from '../core/limits.ts';
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
  // Loaded only for a policy in YAML.
  const { parseDocument: parse } = require('yaml') as typeof import('yaml');
  try {
    const document = parse(text, {
      version: '1.2',
      schema: 'core',
      strict: true,
      uniqueKeys: true,
      stringKeys: true,
      resolveKnownTags: false,
    });
    const [problem] = [...document.errors, ...document.warnings];
    if (problem !== undefined) throw problem;
    return document.toJS({ maxAliasCount: 0 }) as Json;
  } catch (cause) {
    const [first = ''] = (cause as Error).message.split('\n');
    throw new InputError('POLICY_INVALID', `not usable YAML: ${first.replace(/:$/, '')}`, { cause });
  }
}

function readKey(folder: string, reference: string): PublicKey {
  if (reference.startsWith('-----BEGIN')) return parsePublicKeyPem(reference);
  const path = isAbsolute(reference) ? reference : join(folder, reference);
  return parseNamed(`public key ${reference}`, 'name a public key in PEM', () =>
    parsePublicKeyPem(parseUtf8(readFileBounded(path, MAX_KEY_FILE_BYTES, 'public key'))),
  );
}
