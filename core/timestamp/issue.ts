import {
  explicit,
  generalizedTime,
  integer,
  integerFromBytes,
  octetString,
  sequence,
  time as serializeTime,
} from '../asn1/der.ts';
import { serializeAttributes, serializeSignedData } from '../cms/build.ts';
import { digest } from '../crypto/hash.ts';
import { type PrivateKey, sign } from '../crypto/private-key.ts';
import { defaultHash } from '../crypto/public-key.ts';
import type { Certificate } from '../x509/certificate.ts';
import { OID, serializeOid } from '../x509/oids.ts';
import { serializeMessageImprint } from './imprint.ts';
import type { TimestampRequest } from './request.ts';
import { serializeSignedInteger } from './signed-integer.ts';
import { serializeSigningCertificate } from './signing-certificate.ts';

/** What a timestamp authority says to a request, with the key that it signs with. */
export interface TimestampTemplate {
  readonly request: TimestampRequest;
  /** Unsigned big-endian, unique for the authority, at most 20 bytes. */
  readonly serialNumber: Uint8Array;
  /** Cut to the second. */
  readonly time: Date;
  /** Object identifier. */
  readonly policy: string;
  readonly accuracySeconds: number;
  /** From the authority's certificate to its root. */
  readonly chain: readonly Certificate[];
  /** Key of the chain's first certificate. */
  readonly key: PrivateKey;
}

/** The granted TimeStampResp (RFC 3161 §2.4.2) with a CMS signature (RFC 5652 §5) and an ESSCertIDv2 of SHA-256 (RFC 5816). */
export function serializeTimestampResponse(template: TimestampTemplate): Uint8Array {
  const { request, chain, key } = template;
  const [leaf, ...authorities] = chain;
  if (leaf === undefined) throw new Error('internal: timestamp authority without a certificate');
  const hash = defaultHash(key.publicKey);
  const content = serializeInfo(template, leaf);

  const signedAttributes = serializeAttributes([
    { oid: OID.contentType, value: serializeOid(OID.timestampInfo) },
    { oid: OID.signingTime, value: serializeTime(template.time) },
    { oid: OID.messageDigest, value: octetString(digest(hash, content)) },
    { oid: OID.signingCertificateV2, value: serializeSigningCertificate(leaf) },
  ]);
  const token = serializeSignedData({
    contentType: OID.timestampInfo,
    content,
    // RFC 3161 §2.4.1: certificates exactly if they were asked for. The root is for the verifier to have.
    certificates: request.certificateRequested ? [leaf, ...authorities.slice(0, -1)].map(({ der }) => der) : [],
    signer: leaf,
    key: key.publicKey,
    signedAttributes,
    signature: sign(key, signedAttributes),
  });
  const granted = sequence(integer(0));
  return sequence(granted, token);
}

/** TSTInfo; `ordering` is left at its default FALSE. */
function serializeInfo({ request, serialNumber, time, policy, accuracySeconds }: TimestampTemplate, leaf: Certificate) {
  const directoryName = explicit(4, leaf.subjectName);
  return sequence(
    integer(1),
    serializeOid(policy),
    serializeMessageImprint(request.imprint),
    integerFromBytes(serialNumber),
    generalizedTime(time),
    sequence(integer(accuracySeconds)),
    ...(request.nonce === undefined ? [] : [serializeSignedInteger(request.nonce)]),
    explicit(0, directoryName),
  );
}
