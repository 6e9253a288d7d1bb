import { integer, octetString, sequence, time } from '../core/asn1/der.ts';
import { equal, parseUtf8 } from '../core/bytes/bytes.ts';
import { serializeAttributes, serializeSignedData } from '../core/cms/build.ts';
import { findAttribute, parseSignedData, type SignerInfo } from '../core/cms/signed-data.ts';
import { isSigner } from '../core/cms/verify.ts';
import { digest } from '../core/crypto/hash.ts';
import { parsePem, serializePem } from '../core/crypto/pem.ts';
import { defaultHash, type PublicKey } from '../core/crypto/public-key.ts';
import { InputError } from '../core/errors.ts';
import { MAX_CMS_BYTES, MAX_TIMESTAMP_BYTES } from '../core/limits.ts';
import { type Certificate, parseCertificate } from '../core/x509/certificate.ts';
import { OID, serializeOid } from '../core/x509/oids.ts';
import { parseDer } from '../core/x509/parse-der.ts';
import { type EmbeddedEntry, parseEmbeddedEntry, serializeEmbeddedEntry } from './log-entry.ts';

/** A signature as gitsign makes it, read and verified in no way. */
export interface CmsSignature {
  /** The signer's: the one that the signature points to. */
  readonly certificate: Certificate;
  /** DER of what else was sent along, as the first versions of gitsign did. */
  readonly otherCertificates: readonly Uint8Array[];
  readonly signer: SignerInfo;
  /** DER of the signed attributes as a SET: what the signature is over. */
  readonly signedAttributes: Uint8Array;
  readonly signature: Uint8Array;
  readonly messageDigest: Uint8Array;
  /** The signer's own clock, which nobody vouches for. */
  readonly signingTime: Date | undefined;
  readonly entry: EmbeddedEntry | undefined;
  /** RFC 3161 token in DER. */
  readonly timestampToken: Uint8Array | undefined;
}

/** The label of a signature: git chooses the program that verifies it by this. */
export type ArmorLabel = 'SIGNED MESSAGE' | 'PGP SIGNATURE';

const fail = (problem: string): InputError => new InputError('CMS_INVALID', `not a git signature: ${problem}`);

/** Bytes of armor of the largest message: base64 adds a third, line ends a sixty-fourth. */
const MAX_ARMOR_BYTES = MAX_CMS_BYTES;
/** The arc of Sigstore's extensions and attributes, 1.3.6.1.4.1.57264, as it stands in DER. */
const SIGSTORE_ARC = Uint8Array.of(0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30);

/** The message in an armor, and its label. One block and nothing else, so that no two readers take two. PEM_INVALID. */
export function parseArmor(armor: Uint8Array): { label: string; der: Uint8Array } {
  if (armor.length > MAX_ARMOR_BYTES) throw fail(`more than ${MAX_ARMOR_BYTES} bytes`);
  const [block, ...others] = parsePem(parseUtf8(armor));
  if (block === undefined || others.length > 0) throw new InputError('PEM_INVALID', 'more than one signature');
  return block;
}

/** The armor of a message: lines of 64 characters, a final newline. */
export const serializeArmor = (label: ArmorLabel, der: Uint8Array): string => serializePem(label, der);

/**
 * True for an armor of ours: something in the message is named by Sigstore's arc, as the certificate's OIDC issuer always is.
 * Everything else is gpg's or gpgsm's. Told leniently, as theirs are not always DER, and as one of ours that is damaged is
 * to be refused here and not elsewhere.
 */
export function isOurArmor(armor: Uint8Array): boolean {
  const text = Buffer.from(armor).toString('latin1');
  return text.split(/-----BEGIN [A-Z0-9 ]+-----/).some((block) => {
    const [body = ''] = block.split('-----END', 1);
    return Buffer.from(body.replace(/[^A-Za-z0-9+/]/g, ''), 'base64').includes(SIGSTORE_ARC);
  });
}

/**
 * Reads a signature: CMS in the one form that gitsign writes, with one signer whose certificate comes along. Whatever could be
 * written otherwise is refused, so that no byte of it is of no account. CMS_INVALID, CERTIFICATE_INVALID, ENTRY_INVALID.
 */
export function parseCmsSignature(der: Uint8Array): CmsSignature {
  const message = parseSignedData(der);
  if (message.contentType !== OID.data || message.content !== undefined) throw fail('the content is not detached');
  const [signer, ...others] = message.signerInfos;
  if (signer === undefined || others.length > 0) throw fail(`${message.signerInfos.length} signers instead of one`);
  const signed = signer.signedAttributes;
  if (signed === undefined) throw fail('no signed attributes');

  // Not the first certificate, as versions of 2022 put the issuer before it, but the one that is pointed to.
  const certificates = message.certificates.map(parseCertificate);
  const [certificate, ...same] = certificates.filter((each) => isSigner(signer, each));
  if (certificate === undefined || same.length > 0) throw fail('not exactly one certificate of the signer');

  const written = serializeSignedData({
    contentType: OID.data,
    content: undefined,
    certificates: message.certificates,
    signer: certificate,
    key: certificate.publicKey,
    signedAttributes: signed.signedBytes,
    signature: signer.signature,
    unsignedAttributes: signer.unsignedAttributes,
  });
  if (!equal(written, der)) throw fail('not in the form that gitsign writes');

  return {
    certificate,
    otherCertificates: certificates.filter((each) => each !== certificate).map((each) => each.der),
    signer,
    signedAttributes: signed.signedBytes,
    signature: signer.signature,
    messageDigest: signed.messageDigest,
    signingTime: signingTimeOf(signer),
    ...readUnsignedAttributes(signer),
  };
}

function signingTimeOf({ signedAttributes }: SignerInfo): Date | undefined {
  const value = findAttribute(signedAttributes?.attributes ?? [], OID.signingTime);
  return value && parseDer(value, TIME, (reader) => reader.time());
}

const TIME = { code: 'CMS_INVALID', what: 'a signing time', maxBytes: 32 } as const;
const ENTRY = { code: 'ENTRY_INVALID', what: 'an embedded log entry', maxBytes: MAX_CMS_BYTES } as const;

/** Where a version of gitsign that was never released put the parts of an entry. They are passed over: it counts as missing. */
const OLD_ENTRY_ARC = '1.3.6.1.4.1.57264.3.';

// Nobody signs these, so only what is verified by itself may stand there.
function readUnsignedAttributes({ unsignedAttributes }: SignerInfo): Pick<CmsSignature, 'entry' | 'timestampToken'> {
  let entry: EmbeddedEntry | undefined;
  let timestampToken: Uint8Array | undefined;
  for (const { oid, value } of unsignedAttributes) {
    if (oid === OID.timestampToken) {
      if (value.length > MAX_TIMESTAMP_BYTES) throw fail('the timestamp is too large');
      timestampToken = value;
    } else if (oid === OID.rekorEntry || oid === OID.rekorV2Entry) {
      if (entry !== undefined) throw fail('two log entries');
      entry = readEntry(oid, value);
    } else if (!oid.startsWith(OLD_ENTRY_ARC)) {
      throw fail(`an unsigned attribute ${oid}, which nothing vouches for`);
    }
  }
  return { entry, timestampToken };
}

function readEntry(oid: string, value: Uint8Array): EmbeddedEntry {
  const entry = parseEmbeddedEntry(parseDer(value, ENTRY, (reader) => reader.octetString()));
  const { kind, version } = entry.kindVersion;
  const wanted = oid === OID.rekorEntry ? '0.0.1' : '0.0.2';
  if (kind !== 'hashedrekord' || version !== wanted)
    throw fail(`an entry of kind ${kind} ${version} where ${wanted} goes`);
  return entry;
}

/** The signed attributes of a signature over `payload`, in DER as a SET: what the key signs and the log is given. */
export function serializeSignedAttributes(payload: Uint8Array, key: PublicKey, signingTime: Date): Uint8Array {
  return serializeAttributes([
    { oid: OID.contentType, value: serializeOid(OID.data) },
    { oid: OID.signingTime, value: time(signingTime) },
    { oid: OID.messageDigest, value: octetString(digest(defaultHash(key), payload)) },
  ]);
}

/** What a signature is put together of. */
export interface SignatureParts {
  readonly certificate: Certificate;
  readonly signedAttributes: Uint8Array;
  readonly signature: Uint8Array;
  readonly entry?: EmbeddedEntry | undefined;
  /** RFC 3161 response in DER that grants a timestamp over the signature. */
  readonly timestampResponse?: Uint8Array | undefined;
}

/** The signature in DER, as gitsign writes it: the signer's certificate alone, then timestamp and log entry if there are any. */
export function serializeCmsSignature(parts: SignatureParts): Uint8Array {
  const { certificate, entry, timestampResponse } = parts;
  return serializeSignedData({
    contentType: OID.data,
    content: undefined,
    certificates: [certificate.der],
    signer: certificate,
    key: certificate.publicKey,
    signedAttributes: parts.signedAttributes,
    signature: parts.signature,
    unsignedAttributes: [
      ...(timestampResponse === undefined
        ? []
        : [{ oid: OID.timestampToken, value: timestampTokenOf(timestampResponse) }]),
      ...(entry === undefined ? [] : [entryAttribute(entry)]),
    ],
  });
}

function entryAttribute(entry: EmbeddedEntry): { oid: string; value: Uint8Array } {
  const oid = entry.kindVersion.version === '0.0.1' ? OID.rekorEntry : OID.rekorV2Entry;
  return { oid, value: octetString(serializeEmbeddedEntry(entry)) };
}

const RESPONSE = { code: 'TIMESTAMP_INVALID', what: 'a timestamp response', maxBytes: MAX_TIMESTAMP_BYTES } as const;

/** The token of a response (RFC 3161 §2.4.2), and the response that a token was granted in. */
function timestampTokenOf(response: Uint8Array): Uint8Array {
  return parseDer(response, RESPONSE, (reader) => {
    const fields = reader.sequence();
    fields.element();
    return fields.element().encoding;
  });
}

/** The response that would have brought this token. */
export const timestampResponseOf = (token: Uint8Array): Uint8Array => sequence(sequence(integer(0)), token);
