import { InputError } from '../errors.ts';
import type { HashName } from './hash.ts';

/** What a key is, without the hash that it is used with. */
export type KeyKind = 'p256' | 'p384' | 'p521' | 'rsa' | 'ed25519';

/**
 * One way of signing, as `PublicKeyDetails` of sigstore_common.proto names it. `hash` is undefined where the message is
 * signed unhashed (pure Ed25519); `prehashed` tells that the signature can be verified from a digest alone.
 */
interface KeyDetailsRow {
  readonly number: number;
  readonly kind: KeyKind;
  readonly hash: HashName | undefined;
  readonly prehashed: boolean;
  readonly rsaBits?: number;
}

/**
 * The rows of `PublicKeyDetails` (sigstore_common.proto) that are accepted, by name; `number` is the enum's value. The first
 * prehashed row of a kind holds its default hash.
 */
export const KEY_DETAILS = {
  PKIX_ECDSA_P256_SHA_256: { number: 5, kind: 'p256', hash: 'sha256', prehashed: true },
  PKIX_ED25519: { number: 7, kind: 'ed25519', hash: undefined, prehashed: false },
  PKIX_ED25519_PH: { number: 8, kind: 'ed25519', hash: 'sha512', prehashed: true },
  PKIX_RSA_PKCS1V15_2048_SHA256: { number: 9, kind: 'rsa', hash: 'sha256', prehashed: true, rsaBits: 2048 },
  PKIX_RSA_PKCS1V15_3072_SHA256: { number: 10, kind: 'rsa', hash: 'sha256', prehashed: true, rsaBits: 3072 },
  PKIX_RSA_PKCS1V15_4096_SHA256: { number: 11, kind: 'rsa', hash: 'sha256', prehashed: true, rsaBits: 4096 },
  PKIX_ECDSA_P384_SHA_384: { number: 12, kind: 'p384', hash: 'sha384', prehashed: true },
  PKIX_ECDSA_P521_SHA_512: { number: 13, kind: 'p521', hash: 'sha512', prehashed: true },
  // Deprecated by the enum, still on old signatures.
  PKIX_ECDSA_P384_SHA_256: { number: 19, kind: 'p384', hash: 'sha256', prehashed: true },
  PKIX_ECDSA_P521_SHA_256: { number: 20, kind: 'p521', hash: 'sha256', prehashed: true },
} as const satisfies Record<string, KeyDetailsRow>;

export type KeyDetails = keyof typeof KEY_DETAILS;

/** `HashAlgorithm` of sigstore_common.proto, by name. */
export const DIGEST_ALGORITHMS = {
  SHA2_256: 'sha256',
  SHA2_384: 'sha384',
  SHA2_512: 'sha512',
} as const satisfies Record<string, HashName>;

/**
 * The name for signatures that `key` makes with its default hash: over the message, or over its digest (for Ed25519 these
 * differ). An RSA key of a size that the enum lacks is an InputError KEY_UNSUPPORTED.
 */
export function keyDetailsFor(
  key: { readonly kind: KeyKind; readonly bits: number },
  purpose: 'message' | 'digest',
): KeyDetails {
  const pure = key.kind === 'ed25519' && purpose === 'message';
  for (const [name, row] of Object.entries<KeyDetailsRow>(KEY_DETAILS)) {
    if (row.kind === key.kind && row.prehashed !== pure && (row.rsaBits ?? key.bits) === key.bits)
      return name as KeyDetails;
  }
  throw new InputError('KEY_UNSUPPORTED', `no Sigstore algorithm for an RSA key of ${key.bits} bits`, {
    hint: 'use an ECDSA P-256 key, or RSA with 2048, 3072 or 4096 bits',
  });
}
