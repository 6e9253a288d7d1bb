import { contextTag, DerReader, element, TAG } from '../asn1/der.ts';
import { InputError } from '../errors.ts';
import { MAX_CMS_ATTRIBUTES, MAX_CMS_BYTES, MAX_CMS_CERTIFICATES, MAX_CMS_SIGNERS } from '../limits.ts';
import { readAlgorithm } from '../x509/algorithms.ts';
import { readSerialNumber } from '../x509/certificate.ts';
import { OID } from '../x509/oids.ts';
import { parseDer } from '../x509/parse-der.ts';

/** A CMS SignedData (RFC 5652 §5.1), verified in no way. */
export interface SignedData {
  /** Object identifier of the content's type. */
  readonly contentType: string;
  /** Undefined where the content is detached. */
  readonly content: Uint8Array | undefined;
  /** DER of the certificates, in the sender's order. */
  readonly certificates: readonly Uint8Array[];
  readonly signerInfos: readonly SignerInfo[];
}

/** How a signer points to its certificate. */
type SignerId =
  | { readonly kind: 'issuerAndSerialNumber'; readonly issuerName: Uint8Array; readonly serialNumber: Uint8Array }
  | { readonly kind: 'subjectKeyId'; readonly subjectKeyId: Uint8Array };

/** One signature (RFC 5652 §5.3). Algorithms are object identifiers. */
export interface SignerInfo {
  readonly signerId: SignerId;
  readonly digestAlgorithm: string;
  /** Undefined where the content itself is signed. */
  readonly signedAttributes: SignedAttributes | undefined;
  readonly signatureAlgorithm: string;
  readonly signature: Uint8Array;
  readonly unsignedAttributes: readonly Attribute[];
}

interface SignedAttributes {
  /** What the signature is over: the attributes with the tag of a SET (RFC 5652 §5.4). */
  readonly signedBytes: Uint8Array;
  /** Object identifier. */
  readonly contentType: string;
  readonly messageDigest: Uint8Array;
  readonly attributes: readonly Attribute[];
}

/** One attribute: its type, and the DER of its one value. */
export interface Attribute {
  readonly oid: string;
  readonly value: Uint8Array;
}

const FORMAT = { code: 'CMS_INVALID', what: 'a CMS signature', maxBytes: MAX_CMS_BYTES } as const;

const fail = (problem: string): InputError => new InputError(FORMAT.code, `not ${FORMAT.what}: ${problem}`);

/**
 * Reads a ContentInfo with SignedData in DER. BER, other kinds of certificates and revocation lists are refused; the order of sets is
 * taken as it comes, since common writers do not sort them. Errors: CMS_INVALID.
 */
export function parseSignedData(der: Uint8Array): SignedData {
  return parseDer(der, FORMAT, (reader) => {
    const info = reader.sequence();
    if (info.oid() !== OID.signedData) throw fail('content type is not SignedData');
    const wrapper = info.constructed(contextTag(0));
    info.end();
    const signedData = readSignedData(wrapper.sequence());
    wrapper.end();
    return signedData;
  });
}

/** The value of the attribute of this type, undefined without one. */
export function findAttribute(attributes: readonly Attribute[], oid: string): Uint8Array | undefined {
  return attributes.find((attribute) => attribute.oid === oid)?.value;
}

function readSignedData(fields: DerReader): SignedData {
  const version = fields.smallInteger();
  const digestAlgorithms = readDigestAlgorithms(fields.set());
  const encapsulated = fields.sequence();
  const contentType = encapsulated.oid();
  const contentWrapper = encapsulated.optionalConstructed(contextTag(0));
  const content = contentWrapper?.octetString();
  contentWrapper?.end();
  encapsulated.end();
  const certificates = readCertificates(fields.optionalConstructed(contextTag(0)));
  if (fields.tag === contextTag(1)) throw fail('revocation lists are not supported');
  const signers = fields.set();
  fields.end();
  const signerInfos: SignerInfo[] = [];
  while (!signers.done) {
    if (signerInfos.length === MAX_CMS_SIGNERS) throw fail(`more than ${MAX_CMS_SIGNERS} signers`);
    signerInfos.push(readSignerInfo(signers.sequence()));
  }
  // §5.1: both follow from what is inside, so neither is a place to vary a signature without breaking it.
  const isPlain = contentType === OID.data && signerInfos.every(({ signerId }) => signerId.kind !== 'subjectKeyId');
  if (version !== (isPlain ? 1 : 3)) throw fail('version of SignedData wrong');
  if (!signerInfos.every(({ digestAlgorithm }) => digestAlgorithms.includes(digestAlgorithm)))
    throw fail('digest algorithm of a signer is not announced');
  return { contentType, content, certificates, signerInfos };
}

function readDigestAlgorithms(set: DerReader): string[] {
  const algorithms: string[] = [];
  while (!set.done) {
    if (algorithms.length === MAX_CMS_SIGNERS) throw fail(`more than ${MAX_CMS_SIGNERS} digest algorithms`);
    algorithms.push(readAlgorithm(set));
  }
  return algorithms;
}

function readCertificates(set: DerReader | undefined): Uint8Array[] {
  const certificates: Uint8Array[] = [];
  while (set !== undefined && !set.done) {
    if (set.tag !== TAG.sequence) throw fail('certificate of an obsolete kind');
    if (certificates.length === MAX_CMS_CERTIFICATES) throw fail(`more than ${MAX_CMS_CERTIFICATES} certificates`);
    certificates.push(set.element().encoding);
  }
  return certificates;
}

function readSignerInfo(fields: DerReader): SignerInfo {
  const version = fields.smallInteger();
  const signerId = readSignerId(fields);
  // §5.3: the version tells how the certificate is named.
  if (version !== (signerId.kind === 'issuerAndSerialNumber' ? 1 : 3)) throw fail('version of SignerInfo wrong');
  const digestAlgorithm = readAlgorithm(fields);
  const signedContent = fields.optional(contextTag(0));
  const signedAttributes = signedContent === undefined ? undefined : readSignedAttributes(signedContent);
  const signatureAlgorithm = readAlgorithm(fields);
  const signature = fields.octetString();
  const unsignedContent = fields.optional(contextTag(1));
  const unsignedAttributes = unsignedContent === undefined ? [] : readAttributes(unsignedContent);
  fields.end();
  return { signerId, digestAlgorithm, signedAttributes, signatureAlgorithm, signature, unsignedAttributes };
}

function readSignerId(fields: DerReader): SignerId {
  const subjectKeyId = fields.optional(contextTag(0, false));
  if (subjectKeyId !== undefined) return { kind: 'subjectKeyId', subjectKeyId };
  const pair = fields.sequence();
  if (pair.tag !== TAG.sequence) throw fail('signer without the name of its issuer');
  const issuerName = pair.element().encoding;
  const serialNumber = readSerialNumber(pair);
  pair.end();
  return { kind: 'issuerAndSerialNumber', issuerName, serialNumber };
}

/** §5.4: sent as `[0] IMPLICIT`, signed as the SET that they are. */
function readSignedAttributes(content: Uint8Array): SignedAttributes {
  const attributes = readAttributes(content);
  return {
    signedBytes: element(TAG.set, content),
    contentType: requireAttribute(attributes, OID.contentType, (reader) => reader.oid()),
    messageDigest: requireAttribute(attributes, OID.messageDigest, (reader) => reader.octetString()),
    attributes,
  };
}

/** §5.3: the content's type and digest must be among the signed attributes. */
function requireAttribute<T>(attributes: readonly Attribute[], oid: string, read: (reader: DerReader) => T): T {
  const value = findAttribute(attributes, oid);
  if (value === undefined) throw fail(`no signed attribute ${oid}`);
  const reader = new DerReader(value);
  const parsed = read(reader);
  reader.end();
  return parsed;
}

function readAttributes(content: Uint8Array): Attribute[] {
  const depthOfAttributes = 6;
  const set = new DerReader(content, depthOfAttributes);
  const attributes: Attribute[] = [];
  while (!set.done) {
    if (attributes.length === MAX_CMS_ATTRIBUTES) throw fail(`more than ${MAX_CMS_ATTRIBUTES} attributes`);
    const attribute = set.sequence();
    const oid = attribute.oid();
    const values = attribute.set();
    attribute.end();
    // §11: the attributes that matter have one value and occur once; which of two would count is a matter of the parser.
    if (attributes.some((other) => other.oid === oid)) throw fail(`attribute ${oid} twice`);
    const value = values.element().encoding;
    values.end();
    attributes.push({ oid, value });
  }
  return attributes;
}
