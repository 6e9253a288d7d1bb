import { parseBase64 } from '../core/bytes/bytes.ts';
import { Fields } from '../core/bytes/fields.ts';
import type { Json } from '../core/bytes/json.ts';
import { MAX_INDEX_RESULTS } from '../core/limits.ts';
import { Refusal } from './http.ts';
import { type SearchableLog, type SearchHit, searchAll } from './search/search.ts';
import { digestSearchKey, subjectSearchKey, verifierSearchKey } from './search-keys.ts';
import { parseVerifierPem } from './verifier-key.ts';

const DIGEST_HEX_DIGITS: Readonly<Record<string, number>> = { sha1: 40, sha256: 64, sha512: 128 };

/** How long a search waits for what was logged before it: who just got an answer may ask at once. */
const WAIT_MS = 2_000;

/**
 * The entries that a Rekor v1 index query asks for, by ascending index, of more than MAX_INDEX_RESULTS the newest: `hash`,
 * `email`, `subject` and `publicKey`, joined by `operator` ("or" unless it says "and"). It is complete or refused.
 */
export async function searchIndex(log: SearchableLog, query: Json): Promise<SearchHit[]> {
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
  if (!(await log.follower.caughtUp('all', WAIT_MS))) {
    const { indexed, treeSize } = log.follower.coverage();
    throw new Refusal(503, `the search index is behind: ${indexed} of ${treeSize} entries`, { 'Retry-After': '2' });
  }
  const groups = operator === 'or' ? [keys] : keys.map((key) => [key]);
  return searchAll(log, { groups, prefix: undefined, since: undefined, until: undefined }, MAX_INDEX_RESULTS);
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
