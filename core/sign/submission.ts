import type { HashName } from '../crypto/hash.ts';
import { type PublicKey, serializePublicKeyPem } from '../crypto/public-key.ts';
import type { Envelope } from '../dsse/envelope.ts';
import { type Certificate, serializeCertificatePem } from '../x509/certificate.ts';

/** What verifies the signature in a log entry: the signing certificate, or the kept key's public half. */
export type Verifier =
  | { readonly kind: 'certificate'; readonly certificate: Certificate }
  | { readonly kind: 'publicKey'; readonly key: PublicKey };

/** What is logged: a signature over a digest, or an envelope. */
export type LoggedContent =
  | {
      readonly kind: 'message';
      readonly hash: HashName;
      readonly digest: Uint8Array;
      readonly signature: Uint8Array;
    }
  | { readonly kind: 'dsse'; readonly envelope: Envelope };

/** A signature on its way to a transparency log. */
export interface Submission {
  readonly content: LoggedContent;
  readonly verifier: Verifier;
}

export function verifierKey(verifier: Verifier): PublicKey {
  return verifier.kind === 'certificate' ? verifier.certificate.publicKey : verifier.key;
}

/** The verifier as Rekor v1 wants it: PEM with its final newline. */
export function verifierPem(verifier: Verifier): string {
  return verifier.kind === 'certificate'
    ? serializeCertificatePem(verifier.certificate)
    : serializePublicKeyPem(verifier.key);
}
