import { serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { InputError } from '../core/errors.ts';
import { type AlternativeName, subjectAlternativeNames } from '../core/x509/names.ts';
import type { VerifierKey } from './verifier-key.ts';

// The keys of the search are hashes of "kind value", so that a value of one kind is never found as another.
const searchKey = (kind: 'digest' | 'key' | 'subject', value: string): Uint8Array =>
  sha256(serializeUtf8(`search ${kind} ${value.toLowerCase()}`));

/** The key of a digest: `algorithm` as in `sha256`, `value` in hex. */
export const digestSearchKey = (algorithm: string, value: string): Uint8Array =>
  searchKey('digest', `${algorithm}:${value}`);

/** The key of a public key or certificate: by its one PEM form, so two certificates for one key differ. */
export const verifierSearchKey = (verifier: VerifierKey): Uint8Array =>
  searchKey('key', serializeHex(sha256(serializeUtf8(verifier.pem))));

/** The digest under which the reference finds the key of an envelope: as if it were an artifact's. */
export const verifierDigestSearchKey = (verifier: VerifierKey): Uint8Array =>
  digestSearchKey('sha256', serializeHex(sha256(serializeUtf8(verifier.pem))));

/** The key of an identity: email address or URI of a certificate. */
export const subjectSearchKey = (subject: string): Uint8Array => searchKey('subject', subject);

/** All keys under which an entry of this verifier is found. */
export function verifierSearchKeys(verifier: VerifierKey): Uint8Array[] {
  return [verifierSearchKey(verifier), ...namesOf(verifier).map((name) => subjectSearchKey(name.value))];
}

function namesOf({ certificate }: VerifierKey): AlternativeName[] {
  if (!certificate) return [];
  try {
    return subjectAlternativeNames(certificate);
  } catch (error) {
    // A name that cannot be read cannot be searched; the signature is no less true.
    if (error instanceof InputError) return [];
    throw error;
  }
}
