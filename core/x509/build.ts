import {
  bitString,
  boolean,
  contextTag,
  DerReader,
  element,
  explicit,
  integer,
  integerFromBytes,
  octetString,
  sequence,
  setOf,
  TAG,
  time,
  utf8String,
} from '../asn1/der.ts';
import { type PrivateKey, sign } from '../crypto/private-key.ts';
import type { PublicKey } from '../crypto/public-key.ts';
import { InputError } from '../errors.ts';
import { serializeSignatureAlgorithm } from './algorithms.ts';
import type { Extension } from './certificate.ts';
import { OID, serializeOid } from './oids.ts';

/** What a certificate says (RFC 5280 §4.1.2). Names and `spki` are DER, `serialNumber` unsigned big-endian. */
export interface CertificateTemplate {
  readonly serialNumber: Uint8Array;
  /** Key of the issuer: it decides the signature algorithm. */
  readonly issuerKey: PublicKey;
  readonly issuerName: Uint8Array;
  readonly subjectName: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly spki: Uint8Array;
  readonly extensions: readonly Extension[];
}

/** TBSCertificate of version 3, for `signCertificate`. Times are cut to the second. */
export function serializeTbsCertificate(template: CertificateTemplate): Uint8Array {
  return sequence(
    explicit(0, integer(2)),
    integerFromBytes(template.serialNumber),
    serializeSignatureAlgorithm(template.issuerKey),
    template.issuerName,
    sequence(time(template.notBefore), time(template.notAfter)),
    template.subjectName,
    template.spki,
    explicit(3, sequence(...template.extensions.map(serializeExtension))),
  );
}

/** The certificate in DER. `key` is the one whose public half the template named as the issuer's. */
export function signCertificate(tbs: Uint8Array, key: PrivateKey): Uint8Array {
  return sequence(tbs, serializeSignatureAlgorithm(key.publicKey), bitString(sign(key, tbs)));
}

function serializeExtension({ oid: dotted, critical, value }: Extension): Uint8Array {
  return critical
    ? sequence(serializeOid(dotted), boolean(true), octetString(value))
    : sequence(serializeOid(dotted), octetString(value));
}

/** A distinguished name in DER (RFC 5280 §4.1.2.4), organization before common name; empty without either. */
export function distinguishedName(parts: { readonly organization?: string; readonly commonName?: string }): Uint8Array {
  const relativeNames: Uint8Array[] = [];
  const add = (type: string, text: string | undefined): void => {
    if (text !== undefined) relativeNames.push(setOf(sequence(serializeOid(type), utf8String(text))));
  };
  add(OID.organization, parts.organization);
  add(OID.commonName, parts.commonName);
  return sequence(...relativeNames);
}

/**
 * The TBSCertificate without one extension, every other byte kept: what a CT log signs is the certificate without SCT list or
 * poison (RFC 6962 §3.1, §3.2). Errors: DER_INVALID, CERTIFICATE_INVALID if it has no such extension.
 */
export function tbsWithoutExtension(tbs: Uint8Array, extensionOid: string): Uint8Array {
  const outer = new DerReader(tbs);
  const fields = outer.sequence();
  outer.end();
  const start = fields.position;
  while (!fields.done && fields.tag !== contextTag(3)) fields.encoding(fields.tag as number);
  const before = tbs.subarray(start, fields.position);
  const wrapper = fields.optionalConstructed(contextTag(3));
  const list = wrapper?.sequence();
  wrapper?.end();
  fields.end();
  if (list !== undefined) {
    const first = list.position;
    while (!list.done) {
      const at = list.position;
      if (list.sequence().oid() !== extensionOid) continue;
      const others = [tbs.subarray(first, at), tbs.subarray(list.position)];
      const isEmpty = others.every(({ length }) => length === 0);
      return isEmpty ? sequence(before) : sequence(before, explicit(3, element(TAG.sequence, ...others)));
    }
  }
  throw new InputError('CERTIFICATE_INVALID', `certificate has no extension ${extensionOid}`);
}
