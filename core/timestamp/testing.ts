import { contextTag, element, explicit, generalizedTime, integer, octetString, oid, sequence } from '../asn1/der.ts';
import { attribute, buildSignedData, type SignedDataOptions } from '../cms/testing.ts';
import { sha256 } from '../crypto/hash.ts';
import { OID } from '../x509/oids.ts';
import { type Holder, NOON } from '../x509/testing.ts';
import { serializeSigningCertificate } from './signing-certificate.ts';

// Test only.

export interface TokenOptions extends Partial<Omit<SignedDataOptions, 'signer' | 'contentType'>> {
  readonly signer: Holder;
  readonly signed: Uint8Array;
  readonly time?: Date;
  /** Changes to the elements of TSTInfo: version, policy, imprint, serial number, time. */
  readonly info?: (elements: Uint8Array[]) => Uint8Array[];
  /** What stands in place of the attribute that names the signer's certificate. */
  readonly signingCertificate?: readonly Uint8Array[];
  readonly contentType?: string;
}

/** A TimeStampToken, right unless an option makes it wrong. */
export function buildToken(options: TokenOptions): Uint8Array {
  const { signer, signed, time = NOON, info = (elements) => elements, contentType = OID.timestampInfo } = options;
  const content = sequence(
    ...info([
      integer(1),
      oid('1.2.3'),
      sequence(sequence(oid(OID.sha256)), octetString(sha256(signed))),
      integer(7),
      generalizedTime(time),
    ]),
  );
  const named = options.signingCertificate ?? [
    attribute(OID.signingCertificateV2, serializeSigningCertificate(signer.certificate)),
  ];
  return buildSignedData({
    content,
    attributes: (attributes) => [...attributes, ...named],
    ...options,
    contentType,
  });
}

/** A granted TimeStampResp around a token. */
export const granted = (token: Uint8Array): Uint8Array => sequence(sequence(integer(0)), token);

/** ESSCertID (RFC 2634 §5.4) or ESSCertIDv2 with the algorithm written out. */
export function certificateId(
  hash: Uint8Array,
  options: { algorithm?: string; issuer?: Uint8Array; serial?: Uint8Array } = {},
) {
  const algorithm = options.algorithm === undefined ? [] : [sequence(oid(options.algorithm))];
  const issuer =
    options.issuer === undefined
      ? []
      : [sequence(sequence(explicit(4, options.issuer)), element(0x02, options.serial as Uint8Array))];
  return sequence(sequence(sequence(...algorithm, octetString(hash), ...issuer)));
}

/** The extensions of a TSTInfo: one of this type, critical. */
export const critical = (type: string): Uint8Array =>
  element(contextTag(1), sequence(oid(type), Uint8Array.of(1, 1, 0xff), octetString(sequence())));
