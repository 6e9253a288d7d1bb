import { createHash, hash } from 'node:crypto';
import { concat } from '../bytes/bytes.ts';

export type HashName = 'sha256' | 'sha384' | 'sha512';

/** Bytes of each digest (FIPS 180-4). */
export const DIGEST_BYTES: Record<HashName, number> = { sha256: 32, sha384: 48, sha512: 64 };

/** Up to here it is sooner to join the parts than to make an object that takes them one by one. */
const JOINED_BYTES = 8192;

/** The digest of the parts, joined. */
export function digest(name: HashName, ...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  if (length > JOINED_BYTES) return digestOfMuch(name, parts);
  const [only = new Uint8Array(), ...others] = parts;
  return new Uint8Array(hash(name, others.length === 0 ? only : concat(...parts), 'buffer'));
}

function digestOfMuch(name: HashName, parts: readonly Uint8Array[]): Uint8Array {
  const running = createHash(name);
  for (const part of parts) running.update(part);
  return new Uint8Array(running.digest());
}

/** The SHA-256 digest of the parts, joined. */
export const sha256 = (...parts: readonly Uint8Array[]): Uint8Array => digest('sha256', ...parts);
