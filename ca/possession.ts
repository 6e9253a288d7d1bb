import { parseUtf8, serializeUtf8 } from '../core/bytes/bytes.ts';
import { parsePem } from '../core/crypto/pem.ts';
import { defaultHash, type PublicKey, parsePublicKey, parsePublicKeyPem } from '../core/crypto/public-key.ts';
import { isValidSignature } from '../core/crypto/verify.ts';
import { HallmarkError, InputError } from '../core/errors.ts';
import { parseCertificateRequest } from '../core/x509/csr.ts';
import { requireGoodKey } from './good-key.ts';
import { orRefuse, Refusal } from './refusal.ts';
import type { CertificateRequest } from './request.ts';

/**
 * The key that the sender of the request has proved to hold (fulcio.proto, proof of possession): by a signature over one of
 * `messages`, or by the self-signature of a certificate signing request, of which nothing but the key is used. A Refusal
 * tells what is wrong.
 */
export function requirePossession(proof: CertificateRequest['proof'], messages: readonly string[]): PublicKey {
  const publicKey =
    proof.kind === 'request'
      ? parseKey('certificateRequest', () => parseRequest(proof.certificateRequest))
      : parseKey('publicKey', () => parseEither(proof.publicKey, parsePublicKeyPem, parsePublicKey));
  orRefuse('weakPublicKey', () => requireGoodKey(publicKey));
  if (proof.kind === 'signature') requireSignature(publicKey, proof.signature, messages);
  return publicKey;
}

/** Keys that are well-formed but of a kind or size that is not accepted are insecure, not malformed. */
function parseKey(reason: 'publicKey' | 'certificateRequest', parse: () => PublicKey): PublicKey {
  try {
    return parse();
  } catch (cause) {
    const unsupported = cause instanceof HallmarkError && cause.code === 'KEY_UNSUPPORTED';
    throw new Refusal(unsupported ? 'weakPublicKey' : reason, cause);
  }
}

function parseRequest(content: Uint8Array): PublicKey {
  return parseEither(
    content,
    (pem) => {
      const [block, ...more] = parsePem(pem);
      if (!block || more.length > 0 || !/^(?:NEW )?CERTIFICATE REQUEST$/.test(block.label))
        throw new InputError('PEM_INVALID', 'expected one CERTIFICATE REQUEST block');
      return parseCertificateRequest(block.der).publicKey;
    },
    (der) => parseCertificateRequest(der).publicKey,
  );
}

/** DER begins with a SEQUENCE, PEM with text (RFC 7468). */
function parseEither<T>(content: Uint8Array, pem: (text: string) => T, der: (der: Uint8Array) => T): T {
  if (content.length === 0) throw new InputError('FIELD_INVALID', 'nothing given');
  return content[0] === 0x30 ? der(content) : pem(parseUtf8(content).trim());
}

/** Each key has one hash: P-256 and RSA SHA-256, P-384 SHA-384, P-521 SHA-512; Ed25519 is pure. RSA is PKCS #1 v1.5. */
function requireSignature(publicKey: PublicKey, signature: Uint8Array, messages: readonly string[]): void {
  const hash = defaultHash(publicKey);
  const valid = messages.some((message) => isValidSignature(publicKey, hash, serializeUtf8(message), signature));
  if (!valid)
    throw new Refusal(
      'proofOfPossession',
      new Error('it has to be made by the key, over the email address or the token subject'),
    );
}
