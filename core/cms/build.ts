import { contextTag, element, explicit, integer, integerFromBytes, octetString, sequence, setOf } from '../asn1/der.ts';
import { concat } from '../bytes/bytes.ts';
import type { PublicKey } from '../crypto/public-key.ts';
import { defaultHash } from '../crypto/public-key.ts';
import { serializeHashAlgorithm, serializeSignatureAlgorithm } from '../x509/algorithms.ts';
import { OID, serializeOid } from '../x509/oids.ts';
import type { Attribute } from './signed-data.ts';

/** What a message with one signer consists of. */
interface SignedDataParts {
  /** Object identifier. */
  readonly contentType: string;
  /** Undefined leaves it detached. */
  readonly content: Uint8Array | undefined;
  /** DER of the certificates that go along. */
  readonly certificates: readonly Uint8Array[];
  /** The signer's certificate, by which the signature points to it. */
  readonly signer: { readonly issuerName: Uint8Array; readonly serialNumber: Uint8Array };
  readonly key: PublicKey;
  /** As `serializeAttributes` made them, and over them the signature. */
  readonly signedAttributes: Uint8Array;
  readonly signature: Uint8Array;
  /** In this order. */
  readonly unsignedAttributes?: readonly Attribute[];
}

/** ContentInfo with SignedData in DER (RFC 5652 §5), of a signature that was made with the key's default hash. */
export function serializeSignedData(parts: SignedDataParts): Uint8Array {
  const { contentType, content, certificates, signer, key, unsignedAttributes = [] } = parts;
  const hash = serializeHashAlgorithm(defaultHash(key));
  const signerInfo = sequence(
    integer(1),
    sequence(signer.issuerName, integerFromBytes(signer.serialNumber)),
    hash,
    // §5.4: signed as a SET, sent as `[0] IMPLICIT`.
    retag(contextTag(0), parts.signedAttributes),
    serializeSignatureAlgorithm(key),
    octetString(parts.signature),
    ...(unsignedAttributes.length === 0 ? [] : [element(contextTag(1), ...unsignedAttributes.map(serializeAttribute))]),
  );
  const signedData = sequence(
    // §5.1: 3 for any other content than plain data.
    integer(contentType === OID.data ? 1 : 3),
    setOf(hash),
    sequence(serializeOid(contentType), ...(content === undefined ? [] : [explicit(0, octetString(content))])),
    ...(certificates.length === 0 ? [] : [element(contextTag(0), ...certificates)]),
    setOf(signerInfo),
  );
  return sequence(serializeOid(OID.signedData), explicit(0, signedData));
}

/** SET OF Attribute in DER: what a signature is over (RFC 5652 §5.4). */
export const serializeAttributes = (attributes: readonly Attribute[]): Uint8Array =>
  setOf(...attributes.map(serializeAttribute));

const serializeAttribute = ({ oid, value }: Attribute): Uint8Array => sequence(serializeOid(oid), setOf(value));

const retag = (tag: number, encoding: Uint8Array): Uint8Array => concat(Uint8Array.of(tag), encoding.subarray(1));
