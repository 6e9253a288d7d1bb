import { verify } from 'node:crypto';
import { isValidEcdsaDigestSignature } from './ecdsa-digest.ts';
import { parseEcdsaSignature } from './ecdsa-signature.ts';
import { isValidEd25519phSignature } from './ed25519.ts';
import { DIGEST_BYTES, type HashName } from './hash.ts';
import { isEcdsaKey, type PublicKey } from './public-key.ts';
import { isValidRsaDigestSignature } from './rsa-digest.ts';

/**
 * True if `signature` is one of `message` under `key`: ECDSA with (r, s) in DER, RSASSA-PKCS1-v1_5, or pure Ed25519, which
 * takes no `hash`. False for every other byte string; nothing is thrown over a signature.
 */
export function isValidSignature(key: PublicKey, hash: HashName, message: Uint8Array, signature: Uint8Array): boolean {
  return isWellFormedSignature(key, signature) && verify(nativeHash(key, hash), message, key.native, signature);
}

/** Whether the signature has a form that `key` can make. The native verification is asked only then, for it is less strict. */
export function isWellFormedSignature(key: PublicKey, signature: Uint8Array): boolean {
  if (isEcdsaKey(key)) return parseEcdsaSignature(key.kind, signature) !== undefined;
  return signature.length === (key.kind === 'rsa' ? Math.ceil(key.bits / 8) : 64);
}

/** What node:crypto is told: pure Ed25519 takes no hash. */
export const nativeHash = (key: PublicKey, hash: HashName): HashName | null => (key.kind === 'ed25519' ? null : hash);

/**
 * The same with the message's digest in place of the message. For Ed25519 this is Ed25519ph over SHA-512 (RFC 8032 §5.1), a
 * different signature. A digest of another length than `hash` has, or another hash for Ed25519, is false.
 */
export function isValidDigestSignature(
  key: PublicKey,
  hash: HashName,
  digest: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (digest.length !== DIGEST_BYTES[hash]) return false;
  if (isEcdsaKey(key)) return isValidEcdsaDigestSignature(key, digest, signature);
  if (key.kind === 'rsa') return isValidRsaDigestSignature(key, hash, digest, signature);
  return hash === 'sha512' && isValidEd25519phSignature(key, digest, signature);
}
