import { type DerReader, octetString, sequence } from '../asn1/der.ts';
import { DIGEST_BYTES, type HashName } from '../crypto/hash.ts';
import { InputError } from '../errors.ts';
import { hashWithOid, readAlgorithm, serializeHashAlgorithm } from '../x509/algorithms.ts';
import { OID } from '../x509/oids.ts';

/** The digest that a timestamp is over (MessageImprint of RFC 3161 §2.4.1). */
export interface MessageImprint {
  readonly hash: HashName;
  readonly digest: Uint8Array;
}

/** Reads a MessageImprint. A hash other than SHA-256, SHA-384 or SHA-512 is an InputError `code`. */
export function readMessageImprint(
  reader: DerReader,
  code: 'TIMESTAMP_INVALID' | 'TIMESTAMP_REQUEST_INVALID',
): MessageImprint {
  const fields = reader.sequence();
  const algorithm = readAlgorithm(fields);
  const digest = fields.octetString();
  fields.end();
  const hash = hashWithOid(algorithm);
  if (hash === undefined)
    throw new InputError(code, `digest algorithm ${algorithm === OID.sha1 ? 'SHA-1' : algorithm} is not accepted`, {
      hint: 'use SHA-256, SHA-384 or SHA-512',
    });
  if (digest.length !== DIGEST_BYTES[hash])
    throw new InputError(code, `digest has ${digest.length} bytes, ${hash} has ${DIGEST_BYTES[hash]}`);
  return { hash, digest };
}

/** MessageImprint in DER. */
export const serializeMessageImprint = ({ hash, digest }: MessageImprint): Uint8Array =>
  sequence(serializeHashAlgorithm(hash), octetString(digest));
