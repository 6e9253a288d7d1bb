import {
  contextTag,
  element,
  explicit,
  generalizedTime,
  integer,
  integerFromBytes,
  octetString,
  sequence,
  time as serializeTime,
  setOf,
} from '../asn1/der.ts';
import { concat } from '../bytes/bytes.ts';
import { digest } from '../crypto/hash.ts';
import { type PrivateKey, sign } from '../crypto/private-key.ts';
import { defaultHash } from '../crypto/public-key.ts';
import { serializeHashAlgorithm, serializeSignatureAlgorithm } from '../x509/algorithms.ts';
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

  const attributes = setOf(
    serializeAttribute(OID.contentType, serializeOid(OID.timestampInfo)),
    serializeAttribute(OID.signingTime, serializeTime(template.time)),
    serializeAttribute(OID.messageDigest, octetString(digest(hash, content))),
    serializeAttribute(OID.signingCertificateV2, serializeSigningCertificate(leaf)),
  );
  const signerInfo = sequence(
    integer(1),
    sequence(leaf.issuerName, integerFromBytes(leaf.serialNumber)),
    serializeHashAlgorithm(hash),
    // RFC 5652 §5.4: signed as a SET, sent as `[0] IMPLICIT`.
    retag(contextTag(0), attributes),
    serializeSignatureAlgorithm(key.publicKey),
    octetString(sign(key, attributes)),
  );

  // RFC 3161 §2.4.1: certificates exactly if they were asked for. The root is for the verifier to have.
  const certificates = request.certificateRequested
    ? [element(contextTag(0), leaf.der, ...authorities.slice(0, -1).map(({ der }) => der))]
    : [];
  const signedData = sequence(
    integer(3),
    setOf(serializeHashAlgorithm(hash)),
    sequence(serializeOid(OID.timestampInfo), explicit(0, octetString(content))),
    ...certificates,
    setOf(signerInfo),
  );
  const granted = sequence(integer(0));
  return sequence(granted, sequence(serializeOid(OID.signedData), explicit(0, signedData)));
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

const serializeAttribute = (type: string, value: Uint8Array): Uint8Array => sequence(serializeOid(type), setOf(value));

const retag = (tag: number, encoding: Uint8Array): Uint8Array => concat(Uint8Array.of(tag), encoding.subarray(1));
