import { constants, publicDecrypt } from 'node:crypto';
import { concat, equal, parseHex } from '../bytes/bytes.ts';
import type { HashName } from './hash.ts';
import type { PublicKey } from './public-key.ts';

/** DER of DigestInfo up to the digest (RFC 8017 §9.2 note 1). */
const DIGEST_INFO_PREFIX: Record<HashName, Uint8Array> = {
  sha256: parseHex('3031300d060960864801650304020105000420'),
  sha384: parseHex('3041300d060960864801650304020205000430'),
  sha512: parseHex('3051300d060960864801650304020305000440'),
};

/** True if `signature` is the RSASSA-PKCS1-v1_5 signature of `digest` under `key` (RFC 8017 §8.2.2). */
export function isValidRsaDigestSignature(
  key: PublicKey,
  hash: HashName,
  digest: Uint8Array,
  signature: Uint8Array,
): boolean {
  // Step 1: the signature is as long as the modulus.
  const length = Math.ceil(key.bits / 8);
  if (signature.length !== length) return false;
  // Step 2: RSAVP1, the bare power; OpenSSL refuses a number that is not below the modulus.
  let encoded: Uint8Array;
  try {
    encoded = publicDecrypt({ key: key.native, padding: constants.RSA_NO_PADDING }, signature);
  } catch {
    return false;
  }
  // Steps 3 and 4: the block is built and compared, not parsed; parsers of it have been fooled (CVE-2006-4339).
  const info = concat(DIGEST_INFO_PREFIX[hash], digest);
  const padding = new Uint8Array(length - info.length - 3).fill(0xff);
  return equal(encoded, concat(Uint8Array.of(0, 1), padding, Uint8Array.of(0), info));
}
