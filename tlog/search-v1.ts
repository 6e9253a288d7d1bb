import { parseBase64 } from '../core/bytes/bytes.ts';
import { Fields } from '../core/bytes/fields.ts';
import type { Json } from '../core/bytes/json.ts';
import { MAX_INDEX_RESULTS } from '../core/limits.ts';
import { Refusal } from './http.ts';
import type { SearchIndex } from './search-index.ts';
import { digestSearchKey, subjectSearchKey, verifierSearchKey } from './search-keys.ts';
import { parseVerifierPem } from './verifier-key.ts';

const DIGEST_HEX_DIGITS: Readonly<Record<string, number>> = { sha1: 40, sha256: 64, sha512: 128 };

/**
 * Indexes of the entries that a Rekor v1 index query asks for, ascending, at most MAX_INDEX_RESULTS: `hash`, `email`,
 * `subject` and `publicKey`, joined by `operator` ("or" unless it says "and").
 */
export async function searchIndex(index: SearchIndex, query: Json): Promise<bigint[]> {
  const fields = new Fields(query, '', 'FIELD_INVALID');
  const keys: Uint8Array[] = [];
  const hash = fields.optionalString('hash');
  if (hash !== undefined && hash !== '') keys.push(digestKey(hash));
  for (const name of ['email', 'subject'] as const) {
    const subject = fields.optionalString(name);
    if (subject !== undefined && subject !== '') keys.push(subjectSearchKey(subject));
  }
  const publicKey = fields.optionalObject('publicKey');
  if (publicKey) keys.push(publicKeyKey(publicKey));
  if (keys.length === 0) throw new Refusal(400, 'at least one of hash, email, subject and publicKey is required');

  const operator = fields.optionalString('operator') || 'or';
  if (operator !== 'and' && operator !== 'or') throw new Refusal(422, 'operator in body should be one of [and or]');
  const results = await Promise.all(keys.map((key) => index.search(key, MAX_INDEX_RESULTS)));
  const [first = [], ...rest] = results;
  const found =
    operator === 'or'
      ? [...new Set(results.flat())]
      : rest.map((result) => new Set(result)).reduce((kept, set) => kept.filter((entry) => set.has(entry)), first);
  return found.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0)).slice(0, MAX_INDEX_RESULTS);
}

/** `sha256:HEX`, or the digits alone: their number tells the algorithm. */
function digestKey(text: string): Uint8Array {
  const match = /^(?:(sha1|sha256|sha512):)?([0-9a-fA-F]+)$/.exec(text);
  const [, prefix, value = ''] = match ?? [];
  const algorithm = prefix ?? Object.keys(DIGEST_HEX_DIGITS).find((name) => DIGEST_HEX_DIGITS[name] === value.length);
  if (algorithm === undefined || DIGEST_HEX_DIGITS[algorithm] !== value.length) {
    throw new Refusal(422, 'hash in body must be sha256: or sha512: with a digest in hexadecimal');
  }
  return digestSearchKey(algorithm, value);
}

function publicKeyKey(fields: Fields): Uint8Array {
  const format = fields.string('format');
  if (format !== 'x509')
    throw new Refusal(400, 'publicKey.format must be x509: other kinds of key are not logged here');
  return verifierSearchKey(parseVerifierPem(parseBase64(fields.string('content'))));
}
