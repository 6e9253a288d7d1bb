import { parseHex, parseUtf8 } from '../bytes/bytes.ts';
import type { Fields } from '../bytes/fields.ts';
import { DIGEST_ALGORITHMS } from '../crypto/algorithms.ts';
import { DIGEST_BYTES, type HashName } from '../crypto/hash.ts';

/** A digest and what made it. */
export interface NamedDigest {
  readonly hash: HashName;
  readonly digest: Uint8Array;
}

/** Rekor v1's `{"algorithm": "sha256", "value": hex}`. */
export function parseHexDigest(fields: Fields): NamedDigest {
  const hash = fields.string('algorithm');
  if (!isHashName(hash)) throw fields.fail('algorithm', 'expected sha256, sha384 or sha512');
  let digest: Uint8Array;
  try {
    digest = parseHex(fields.string('value'));
  } catch (cause) {
    throw fields.fail('value', 'expected lower-case hexadecimal', cause);
  }
  return { hash, digest: requireLength(fields, 'value', hash, digest) };
}

/** protobuf's HashOutput, `{"algorithm": "SHA2_256", "digest": base64}`. */
export function parseHashOutput(fields: Fields): NamedDigest {
  const algorithm = fields.string('algorithm');
  if (!isDigestAlgorithm(algorithm)) {
    throw fields.fail('algorithm', `expected one of ${Object.keys(DIGEST_ALGORITHMS).join(', ')}`);
  }
  const hash = DIGEST_ALGORITHMS[algorithm];
  return { hash, digest: requireLength(fields, 'digest', hash, fields.bytes('digest')) };
}

/** The name of a hash in HashOutput. */
export function digestAlgorithmOf(hash: HashName): keyof typeof DIGEST_ALGORITHMS {
  const algorithm = ALGORITHM_OF_HASH.get(hash);
  if (!algorithm) throw new Error(`internal: no HashAlgorithm for ${hash}`);
  return algorithm;
}

const ALGORITHM_OF_HASH = new Map(
  Object.entries(DIGEST_ALGORITHMS).map(([algorithm, hash]): [HashName, keyof typeof DIGEST_ALGORITHMS] => [
    hash,
    algorithm as keyof typeof DIGEST_ALGORITHMS,
  ]),
);

const isHashName = (text: string): text is HashName => Object.hasOwn(DIGEST_BYTES, text);
const isDigestAlgorithm = (text: string): text is keyof typeof DIGEST_ALGORITHMS =>
  Object.hasOwn(DIGEST_ALGORITHMS, text);

function requireLength(fields: Fields, key: string, hash: HashName, digest: Uint8Array): Uint8Array {
  if (digest.length !== DIGEST_BYTES[hash]) throw fields.fail(key, `expected ${DIGEST_BYTES[hash]} bytes for ${hash}`);
  return digest;
}

/** Base64 of one byte at least. */
export function someBytes(fields: Fields, key: string): Uint8Array {
  const bytes = fields.bytes(key);
  if (bytes.length === 0) throw fields.fail(key, 'empty');
  return bytes;
}

/** Base64 of UTF-8 text, as Rekor v1 wraps PEM. */
export function base64Text(fields: Fields, key: string): string {
  const bytes = someBytes(fields, key);
  try {
    return parseUtf8(bytes);
  } catch (cause) {
    throw fields.fail(key, 'expected base64 of text', cause);
  }
}
