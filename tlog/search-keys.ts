import { serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { termKey } from './search/terms.ts';
import type { VerifierKey } from './verifier-key.ts';

/** The key of a digest: `algorithm` as in `sha256`, `value` in hex. */
export const digestSearchKey = (algorithm: string, value: string): Uint8Array =>
  termKey('digest', `${algorithm}:${value}`);

/** The key of a public key or certificate: by its one PEM form, so two certificates for one key differ. */
export const verifierSearchKey = (verifier: VerifierKey): Uint8Array =>
  termKey('key', serializeHex(sha256(serializeUtf8(verifier.pem))));

/** The key of an identity: email address or URI of a certificate. */
export const subjectSearchKey = (subject: string): Uint8Array => termKey('subject', subject);
