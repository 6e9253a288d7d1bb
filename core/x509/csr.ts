import { contextTag, DerReader, TAG } from '../asn1/der.ts';
import { type PublicKey, parsePublicKey } from '../crypto/public-key.ts';
import { InputError } from '../errors.ts';
import { MAX_CERTIFICATE_BYTES } from '../limits.ts';
import { isSignedWith, readAlgorithm } from './algorithms.ts';
import { parseDer } from './parse-der.ts';

/** A certificate signing request whose own signature has been verified: who sent it holds the key. */
export interface CertificateRequest {
  /** Name in DER, as the sender wishes it; nothing vouches for it. */
  readonly subjectName: Uint8Array;
  readonly publicKey: PublicKey;
}

const FORMAT = {
  code: 'CERTIFICATE_INVALID',
  what: 'a certificate signing request',
  maxBytes: MAX_CERTIFICATE_BYTES,
} as const;

/**
 * Reads a PKCS#10 request in DER and verifies its signature (RFC 2986 §4). Attributes are not read: nothing that a sender wishes
 * enters a certificate. Errors: CERTIFICATE_INVALID, KEY_INVALID, KEY_UNSUPPORTED.
 */
export function parseCertificateRequest(der: Uint8Array): CertificateRequest {
  return parseDer(der.slice(), FORMAT, (reader) => {
    const outer = reader.sequence();
    const info = outer.element();
    const algorithm = readAlgorithm(outer);
    const signature = outer.bitString();
    outer.end();
    if (info.tag !== TAG.sequence) throw fail('no request info');

    const fields = new DerReader(info.content, 2);
    if (fields.integer() !== 0n) throw fail('version is not 1');
    const subjectName = fields.element();
    if (subjectName.tag !== TAG.sequence) throw fail('no subject name');
    const publicKey = parsePublicKey(fields.element().encoding);
    fields.read(contextTag(0));
    fields.end();

    if (!isSignedWith(publicKey, algorithm, info.encoding, signature)) throw fail('its signature is wrong');
    return { subjectName: subjectName.encoding, publicKey };
  });
}

const fail = (problem: string): InputError => new InputError(FORMAT.code, `not ${FORMAT.what}: ${problem}`);
