import { createHash } from 'node:crypto';
import { contextTag, type DerReader, explicit, integerFromBytes, octetString, sequence, TAG } from '../asn1/der.ts';
import { equal } from '../bytes/bytes.ts';
import { type Attribute, findAttribute } from '../cms/signed-data.ts';
import { digest, sha256 } from '../crypto/hash.ts';
import { InputError, VerificationError } from '../errors.ts';
import { MAX_TIMESTAMP_BYTES } from '../limits.ts';
import { hashWithOid, readAlgorithm } from '../x509/algorithms.ts';
import { type Certificate, readSerialNumber } from '../x509/certificate.ts';
import { OID } from '../x509/oids.ts';
import { parseDer } from '../x509/parse-der.ts';

const FORMAT = {
  code: 'TIMESTAMP_INVALID',
  what: 'a signing certificate attribute',
  maxBytes: MAX_TIMESTAMP_BYTES,
} as const;

/** The first ESSCertID of the attribute: that of the signer (RFC 2634 §5.4, RFC 5035 §4). */
interface CertificateId {
  readonly hash: 'sha1' | 'sha256' | 'sha384' | 'sha512';
  readonly certificateHash: Uint8Array;
  readonly issuer: { readonly name: Uint8Array; readonly serialNumber: Uint8Array } | undefined;
}

/**
 * Requires that the signed attributes name `certificate` as the signer's (RFC 3161 §2.4.2, RFC 5816 §2.2.1): without that, another
 * certificate of the same key could stand in its place. Errors: VerificationError TIMESTAMP_SIGNATURE_INVALID, TIMESTAMP_INVALID.
 */
export function requireSigningCertificate(attributes: readonly Attribute[], certificate: Certificate): void {
  const v1 = findAttribute(attributes, OID.signingCertificate);
  const v2 = findAttribute(attributes, OID.signingCertificateV2);
  if (v1 === undefined && v2 === undefined) throw invalid('timestamp does not name the certificate of its signer');
  if (v1 !== undefined)
    requireMatch(
      parseDer(v1, FORMAT, (reader) => readFirst(reader, readIdV1)),
      certificate,
    );
  if (v2 !== undefined)
    requireMatch(
      parseDer(v2, FORMAT, (reader) => readFirst(reader, readIdV2)),
      certificate,
    );
}

/** SigningCertificateV2 with the SHA-256 of the certificate, its issuer and serial number (RFC 5035 §3). */
export function serializeSigningCertificate(certificate: Certificate): Uint8Array {
  const directoryName = explicit(4, certificate.issuerName);
  const issuerSerial = sequence(sequence(directoryName), integerFromBytes(certificate.serialNumber));
  // SHA-256 is the default of hashAlgorithm, so DER leaves it out.
  return sequence(sequence(sequence(octetString(sha256(certificate.der)), issuerSerial)));
}

function requireMatch(id: CertificateId, certificate: Certificate): void {
  // SHA-1 is all that the first version can say. Finding a second certificate for a given digest is still out of reach, and
  // it would have to chain to the authority as well.
  const expected =
    id.hash === 'sha1' ? createHash('sha1').update(certificate.der).digest() : digest(id.hash, certificate.der);
  if (!equal(id.certificateHash, expected))
    throw invalid('timestamp names another certificate than that of its signer');
  if (id.issuer === undefined) return;
  if (!equal(id.issuer.name, certificate.issuerName) || !equal(id.issuer.serialNumber, certificate.serialNumber))
    throw invalid('timestamp names another issuer or serial number than that of its signer');
}

/** SigningCertificate and its successor: `SEQUENCE { certs SEQUENCE OF ESSCertID, policies OPTIONAL }`. */
function readFirst(reader: DerReader, readId: (fields: DerReader) => CertificateId): CertificateId {
  const fields = reader.sequence();
  const ids = fields.sequence();
  fields.optional(TAG.sequence);
  fields.end();
  return readId(ids.sequence());
}

function readIdV1(fields: DerReader): CertificateId {
  const certificateHash = fields.octetString();
  const issuer = readIssuer(fields);
  return { hash: 'sha1', certificateHash, issuer };
}

function readIdV2(fields: DerReader): CertificateId {
  const algorithm = fields.tag === TAG.sequence ? readAlgorithm(fields) : OID.sha256;
  const hash = hashWithOid(algorithm);
  if (hash === undefined) throw new InputError(FORMAT.code, `digest algorithm ${algorithm} is not accepted`);
  const certificateHash = fields.octetString();
  const issuer = readIssuer(fields);
  return { hash, certificateHash, issuer };
}

/** IssuerSerial: one directoryName and the serial number. */
function readIssuer(fields: DerReader): CertificateId['issuer'] {
  const pair = fields.optionalConstructed(TAG.sequence);
  fields.end();
  if (pair === undefined) return undefined;
  const names = pair.sequence();
  const name = names.read(contextTag(4));
  names.end();
  const serialNumber = readSerialNumber(pair);
  pair.end();
  return { name, serialNumber };
}

const invalid = (problem: string): VerificationError =>
  new VerificationError('TIMESTAMP_SIGNATURE_INVALID', 'time', problem);
