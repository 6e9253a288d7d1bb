import { UsageError } from '../core/errors.ts';

/** A fingerprint as people type it, in lower case: `sha256:` and 64 hexadecimal digits. UsageError for anything else. */
export function requireFingerprint(given: string): string {
  const fingerprint = given.toLowerCase();
  if (/^sha256:[0-9a-f]{64}$/.test(fingerprint)) return fingerprint;
  throw new UsageError(`not a fingerprint: ${given.slice(0, 100)}`, { hint: 'sha256: and 64 hexadecimal digits' });
}
