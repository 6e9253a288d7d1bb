import { contextTag, DerReader, TAG } from '../asn1/der.ts';
import { equal } from '../bytes/bytes.ts';
import { parsePem, serializePem } from '../crypto/pem.ts';
import { type PublicKey, parsePublicKey } from '../crypto/public-key.ts';
import { InputError } from '../errors.ts';
import { MAX_CERTIFICATE_BYTES } from '../limits.ts';
import { readAlgorithm } from './algorithms.ts';
import { OID } from './oids.ts';
import { parseDer } from './parse-der.ts';

/** One extension (RFC 5280 §4.1.2.9). `value` is the content of its OCTET STRING. */
export interface Extension {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Uint8Array;
}

/** Bits of the key usage by name (RFC 5280 §4.2.1.3), those that matter here. */
export const KEY_USAGE = { digitalSignature: 0, nonRepudiation: 1, keyCertSign: 5, crlSign: 6 } as const;

/** A parsed certificate, verified in no way. All bytes are views of one private copy of its DER. */
export interface Certificate {
  readonly der: Uint8Array;
  /** The signed part, with its header. */
  readonly tbs: Uint8Array;
  /** Unsigned big-endian, 1 to 20 bytes, no leading zero. */
  readonly serialNumber: Uint8Array;
  /** Names in DER. */
  readonly issuerName: Uint8Array;
  readonly subjectName: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** SubjectPublicKeyInfo in DER. */
  readonly spki: Uint8Array;
  /** Parsed at first use. Errors: KEY_INVALID, KEY_UNSUPPORTED. */
  readonly publicKey: PublicKey;
  /** Object identifier, equal inside and outside the signed part. */
  readonly signatureAlgorithm: string;
  readonly signature: Uint8Array;
  readonly isCa: boolean;
  readonly pathLength: number | undefined;
  /** Bit numbers, see KEY_USAGE. */
  readonly keyUsage: ReadonlySet<number> | undefined;
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly subjectKeyId: Uint8Array | undefined;
  readonly authorityKeyId: Uint8Array | undefined;
  readonly extensions: readonly Extension[];
}

const FORMAT = { code: 'CERTIFICATE_INVALID', what: 'a certificate', maxBytes: MAX_CERTIFICATE_BYTES } as const;

const fail = (problem: string): InputError => new InputError(FORMAT.code, `not a certificate: ${problem}`);

/**
 * Reads one X.509 v3 certificate in DER (RFC 5280 §4.1). Extensions that nobody here knows are kept unread; the chain refuses
 * them where they are critical. Errors: CERTIFICATE_INVALID.
 */
export function parseCertificate(der: Uint8Array): Certificate {
  const copy = der.slice();
  return parseDer(copy, FORMAT, (reader) => readCertificate(reader, copy));
}

/** All certificates of a PEM text, at least one. Errors: PEM_INVALID, CERTIFICATE_INVALID. */
export function parseCertificatesPem(pem: string): Certificate[] {
  return parsePem(pem, 'CERTIFICATE').map(({ der }) => parseCertificate(der));
}

export const serializeCertificatePem = (certificate: Certificate): string =>
  serializePem('CERTIFICATE', certificate.der);

/** The extension with this object identifier, if the certificate has it. */
export function findExtension(certificate: Certificate, oid: string): Extension | undefined {
  return certificate.extensions.find((extension) => extension.oid === oid);
}

function readCertificate(reader: DerReader, der: Uint8Array): Certificate {
  const outer = reader.sequence();
  const tbs = outer.encoding(TAG.sequence);
  const algorithm = outer.encoding(TAG.sequence);
  const signature = outer.bitString();
  outer.end();

  const fields = new DerReader(tbs, 1).sequence();
  const version = fields.optionalConstructed(contextTag(0));
  if (version?.smallInteger() !== 2) throw fail('version is not 3');
  version.end();
  const serialNumber = readSerialNumber(fields);
  // §4.1.1.2: the signed algorithm and the outer one are the same, or the outer one could be swapped.
  const signedAlgorithm = fields.encoding(TAG.sequence);
  if (!equal(signedAlgorithm, algorithm)) throw fail('two different signature algorithms');
  const issuerName = fields.encoding(TAG.sequence);
  const validity = fields.sequence();
  const notBefore = readTime(validity);
  const notAfter = readTime(validity);
  validity.end();
  const subjectName = fields.encoding(TAG.sequence);
  const spki = fields.encoding(TAG.sequence);
  // Unique identifiers, [1] and [2], are not used by conforming issuers (§4.1.2.8); here they are an unexpected element.
  const extensions = readExtensions(fields.optionalConstructed(contextTag(3)));
  fields.end();

  let publicKey: PublicKey | undefined;
  return {
    der,
    tbs,
    serialNumber,
    issuerName,
    subjectName,
    notBefore,
    notAfter,
    spki,
    get publicKey() {
      publicKey ??= parsePublicKey(spki);
      return publicKey;
    },
    signatureAlgorithm: readAlgorithm(new DerReader(algorithm)),
    signature,
    ...readKnownExtensions(extensions),
    extensions,
  };
}

/**
 * Serial number of a certificate (§4.1.2.2): positive, at most 20 octets; issuers that fill all 160 bits need a 21st for the
 * sign. Unsigned, without leading zero. Errors: DER_INVALID, for the format that contains it to tell as its own.
 */
export function readSerialNumber(reader: DerReader): Uint8Array {
  const refuse = (problem: string): InputError => new InputError('DER_INVALID', `serial number ${problem}`);
  const content = reader.integerBytes(21);
  const first = content[0] as number;
  if (first >= 0x80) throw refuse('negative');
  const digits = first === 0 ? content.subarray(1) : content;
  if (digits.length === 0) throw refuse('zero');
  if (digits.length > 20) throw refuse('longer than 20 bytes');
  return digits;
}

/** §4.1.2.5: UTCTime or GeneralizedTime, to the second. */
function readTime(reader: DerReader): Date {
  const time = reader.time();
  if (time.getTime() % 1000 !== 0) throw fail('time with a fraction of a second');
  return time;
}

function readExtensions(wrapper: DerReader | undefined): Extension[] {
  if (wrapper === undefined) return [];
  const list = wrapper.sequence();
  wrapper.end();
  if (list.done) throw fail('empty list of extensions');
  const extensions: Extension[] = [];
  const seen = new Set<string>();
  while (!list.done) {
    const extension = list.sequence();
    const oid = extension.oid();
    // §4.2: which of two would count is a matter of the parser.
    if (seen.has(oid)) throw fail(`extension ${oid} twice`);
    seen.add(oid);
    extensions.push({ oid, critical: extension.optionalTrue(), value: extension.octetString() });
    extension.end();
  }
  return extensions;
}

type KnownExtensions = Pick<
  Certificate,
  'isCa' | 'pathLength' | 'keyUsage' | 'extendedKeyUsage' | 'subjectKeyId' | 'authorityKeyId'
>;

function readKnownExtensions(extensions: readonly Extension[]): KnownExtensions {
  const read = <T>(oid: string, parse: (reader: DerReader) => T): T | undefined => {
    const extension = extensions.find((candidate) => candidate.oid === oid);
    if (extension === undefined) return undefined;
    const reader = new DerReader(extension.value);
    const value = parse(reader);
    reader.end();
    return value;
  };
  const constraints = read(OID.basicConstraints, readBasicConstraints);
  return {
    isCa: constraints?.isCa ?? false,
    pathLength: constraints?.pathLength,
    keyUsage: read(OID.keyUsage, readKeyUsage),
    extendedKeyUsage: read(OID.extendedKeyUsage, readExtendedKeyUsage),
    subjectKeyId: read(OID.subjectKeyIdentifier, (reader) => reader.octetString()),
    authorityKeyId: read(OID.authorityKeyIdentifier, readAuthorityKeyId),
  };
}

/** §4.2.1.9. */
function readBasicConstraints(reader: DerReader): { isCa: boolean; pathLength: number | undefined } {
  const fields = reader.sequence();
  const isCa = fields.optionalTrue();
  const pathLength = fields.tag === TAG.integer ? fields.smallInteger() : undefined;
  fields.end();
  if (pathLength !== undefined && !isCa) throw fail('path length on a certificate that is no authority');
  return { isCa, pathLength };
}

/** §4.2.1.3. */
function readKeyUsage(reader: DerReader): Set<number> {
  const bits = reader.namedBits();
  if (bits.size === 0) throw fail('key usage without a bit');
  return bits;
}

/** §4.2.1.12. */
function readExtendedKeyUsage(reader: DerReader): string[] {
  const fields = reader.sequence();
  const usages: string[] = [];
  while (!fields.done) usages.push(fields.oid());
  if (usages.length === 0) throw fail('extended key usage without a purpose');
  return usages;
}

/** §4.2.1.1: the key identifier; issuer and serial number, [1] and [2], only hint at what names and signatures decide. */
function readAuthorityKeyId(reader: DerReader): Uint8Array | undefined {
  const fields = reader.sequence();
  const keyId = fields.optional(contextTag(0, false));
  while (!fields.done) fields.element();
  return keyId;
}
