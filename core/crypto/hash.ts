import { createHash } from 'node:crypto';

export type HashName = 'sha256' | 'sha384' | 'sha512';

/** Bytes of each digest (FIPS 180-4). */
export const DIGEST_BYTES: Record<HashName, number> = { sha256: 32, sha384: 48, sha512: 64 };

/** The digest of the parts, joined. */
export function digest(name: HashName, ...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash(name);
  for (const part of parts) hash.update(part);
  const bytes = hash.digest();
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** The SHA-256 digest of the parts, joined. */
export const sha256 = (...parts: readonly Uint8Array[]): Uint8Array => digest('sha256', ...parts);
