import { KEY_DETAILS } from '../crypto/algorithms.ts';
import type { HashName } from '../crypto/hash.ts';
import { defaultHash, type PublicKey } from '../crypto/public-key.ts';
import type { LogInstance } from '../trust/trusted-root.ts';

/** The hash that a log signs with. */
export function logHash(log: LogInstance): HashName {
  return KEY_DETAILS[log.keyDetails].hash ?? defaultHash(log.publicKey);
}

/** The hashes that signatures by this key may be made with, the usual one first. */
export function signatureHashes(key: PublicKey): HashName[] {
  const hashes = Object.values(KEY_DETAILS).flatMap((row) =>
    row.kind === key.kind && row.prehashed ? [row.hash] : [],
  );
  return [...new Set(hashes)];
}
