import { type DerReader, nullValue, sequence, TAG } from '../asn1/der.ts';
import type { KeyKind } from '../crypto/algorithms.ts';
import type { HashName } from '../crypto/hash.ts';
import { defaultHash, type PublicKey } from '../crypto/public-key.ts';
import { isValidSignature } from '../crypto/verify.ts';
import { OID, serializeOid } from './oids.ts';

/** A way to sign as certificates name it: the keys that it takes, its hash, and the parameters that it is written with. */
interface SignatureRow {
  readonly oid: string;
  readonly kinds: readonly KeyKind[];
  readonly hash: HashName;
  readonly parameters: 'absent' | 'null';
}

const EC: readonly KeyKind[] = ['p256', 'p384', 'p521'];

/** The signature algorithms that are accepted. Ed25519 hashes by itself; the hash named here goes unused. */
const SIGNATURE_ALGORITHMS: readonly SignatureRow[] = [
  { oid: OID.ecdsaWithSha256, kinds: EC, hash: 'sha256', parameters: 'absent' },
  { oid: OID.ecdsaWithSha384, kinds: EC, hash: 'sha384', parameters: 'absent' },
  { oid: OID.ecdsaWithSha512, kinds: EC, hash: 'sha512', parameters: 'absent' },
  { oid: OID.sha256WithRsa, kinds: ['rsa'], hash: 'sha256', parameters: 'null' },
  { oid: OID.sha384WithRsa, kinds: ['rsa'], hash: 'sha384', parameters: 'null' },
  { oid: OID.sha512WithRsa, kinds: ['rsa'], hash: 'sha512', parameters: 'null' },
  { oid: OID.ed25519, kinds: ['ed25519'], hash: 'sha512', parameters: 'absent' },
];

/** The hashes that are accepted, by object identifier. */
const HASH_OIDS: Record<HashName, string> = { sha256: OID.sha256, sha384: OID.sha384, sha512: OID.sha512 };

/** The hash with this object identifier, undefined if it is not accepted. */
export function hashWithOid(dotted: string): HashName | undefined {
  return (Object.keys(HASH_OIDS) as HashName[]).find((name) => HASH_OIDS[name] === dotted);
}

const ACCEPTED: ReadonlySet<string> = new Set([
  ...SIGNATURE_ALGORITHMS.map((row) => row.oid),
  ...Object.values(HASH_OIDS),
  OID.rsaEncryption,
]);

/**
 * The object identifier of an AlgorithmIdentifier (RFC 5280 §4.1.1.2). Accepted algorithms have no parameters or NULL; those of
 * others have no meaning here. Errors: DER_INVALID.
 */
export function readAlgorithm(reader: DerReader): string {
  const inner = reader.sequence();
  const dotted = inner.oid();
  // RFC 4055 §5 wants NULL and has readers accept its absence, RFC 5758 and RFC 8410 want absence, RFC 5754 §2 takes both.
  if (inner.tag === TAG.null) inner.null();
  else if (!inner.done && !ACCEPTED.has(dotted)) inner.element();
  inner.end();
  return dotted;
}

/** AlgorithmIdentifier of a hash, without parameters (RFC 5754 §2). */
export const serializeHashAlgorithm = (hash: HashName): Uint8Array => sequence(serializeOid(HASH_OIDS[hash]));

/** AlgorithmIdentifier of the signatures that `sign` makes with this key and its default hash. */
export function serializeSignatureAlgorithm(key: PublicKey): Uint8Array {
  const row = SIGNATURE_ALGORITHMS.find(({ kinds, hash }) => kinds.includes(key.kind) && hash === defaultHash(key));
  if (row === undefined) throw new Error(`internal: no signature algorithm for a key of kind ${key.kind}`);
  return row.parameters === 'null' ? sequence(serializeOid(row.oid), nullValue()) : sequence(serializeOid(row.oid));
}

/** The hash of a signature algorithm that is accepted for `key`, else undefined. */
export function hashForSignature(key: PublicKey, algorithm: string): HashName | undefined {
  return SIGNATURE_ALGORITHMS.find((row) => row.oid === algorithm && row.kinds.includes(key.kind))?.hash;
}

/** True if `signature` is one of `message` by `key` under the named algorithm. An algorithm that is not accepted is false. */
export function isSignedWith(key: PublicKey, algorithm: string, message: Uint8Array, signature: Uint8Array): boolean {
  const hash = hashForSignature(key, algorithm);
  return hash !== undefined && isValidSignature(key, hash, message, signature);
}
