import { parseUtf8 } from '../core/bytes/bytes.ts';
import { type PublicKey, parsePublicKeyPem, serializePublicKeyPem } from '../core/crypto/public-key.ts';
import { InputError } from '../core/errors.ts';
import { MAX_KEY_FILE_BYTES } from '../core/limits.ts';
import { type Certificate, parseCertificatesPem, serializeCertificatePem } from '../core/x509/certificate.ts';

/** What a submitter says a signature verifies with: a bare key, or a certificate with one. */
export interface VerifierKey {
  readonly publicKey: PublicKey;
  readonly certificate: Certificate | undefined;
  /** The one PEM form in which it is logged and searched. */
  readonly pem: string;
}

/** Reads a PEM text with one public key or one certificate. Errors: PEM_INVALID, KEY_*, CERTIFICATE_INVALID. */
export function parseVerifierPem(bytes: Uint8Array): VerifierKey {
  if (bytes.length > MAX_KEY_FILE_BYTES) {
    throw new InputError('KEY_INVALID', `the public key is larger than ${MAX_KEY_FILE_BYTES} bytes`);
  }
  const text = parseUtf8(bytes);
  if (!text.includes('BEGIN CERTIFICATE')) {
    const publicKey = parsePublicKeyPem(text);
    return { publicKey, certificate: undefined, pem: serializePublicKeyPem(publicKey) };
  }
  const [certificate, ...more] = parseCertificatesPem(text);
  if (!certificate || more.length > 0) {
    throw new InputError('CERTIFICATE_INVALID', 'exactly one certificate is expected');
  }
  return { publicKey: certificate.publicKey, certificate, pem: serializeCertificatePem(certificate) };
}
