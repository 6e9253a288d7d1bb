import { type DerReader, octetString } from '../asn1/der.ts';
import { concat, equal, serializeHex } from '../bytes/bytes.ts';
import { sha256 } from '../crypto/hash.ts';
import type { PublicKey } from '../crypto/public-key.ts';
import { isValidSignature } from '../crypto/verify.ts';
import { InputError, VerificationError } from '../errors.ts';
import { MAX_CERTIFICATE_BYTES, MAX_SCTS } from '../limits.ts';
import { tbsWithoutExtension } from './build.ts';
import { type Certificate, findExtension } from './certificate.ts';
import { OID } from './oids.ts';
import { parseDer } from './parse-der.ts';
import { opaque, TlsReader, uint } from './tls.ts';
import { isValidAt, type Validity } from './validity.ts';

/** A signed certificate timestamp, version 1 (RFC 6962 §3.2). */
export interface Sct {
  /** SHA-256 of the log's SubjectPublicKeyInfo. */
  readonly logId: Uint8Array;
  /** Milliseconds since 1970. */
  readonly timestamp: bigint;
  readonly extensions: Uint8Array;
  /** HashAlgorithm and SignatureAlgorithm of RFC 5246 §7.4.1.4.1: 4 is SHA-256; 1 RSA, 3 ECDSA. */
  readonly hashAlgorithm: number;
  readonly signatureAlgorithm: number;
  readonly signature: Uint8Array;
}

/** What a CT log is asked to sign (RFC 6962 §3.2). `tbs` is that of the certificate without poison and SCT list. */
export type CtEntry =
  | { readonly kind: 'certificate'; readonly certificate: Uint8Array }
  | { readonly kind: 'precertificate'; readonly issuerKeyHash: Uint8Array; readonly tbs: Uint8Array };

/** A key that signed SCTs during a span of time. */
export interface CtLogKey {
  readonly logId: Uint8Array;
  readonly publicKey: PublicKey;
  readonly validFor: Validity;
}

/** A CT log as the CA sees it: takes a precertificate in DER, gives the log's promise to include it. */
export type CtLog = (precertificate: Uint8Array, issuer: Certificate) => Promise<Sct>;

const V1 = 0;
const TLS_SHA256 = 4;
const TLS_SIGNATURE: Record<PublicKey['kind'], number | undefined> = {
  p256: 3,
  p384: 3,
  p521: 3,
  rsa: 1,
  ed25519: undefined,
};

const FORMAT = { code: 'CERTIFICATE_INVALID', what: 'a list of SCTs', maxBytes: MAX_CERTIFICATE_BYTES } as const;

const fail = (problem: string): InputError => new InputError(FORMAT.code, `not ${FORMAT.what}: ${problem}`);

/** Reads the value of the SCT list extension: an OCTET STRING with a SignedCertificateTimestampList (RFC 6962 §3.3). Errors: CERTIFICATE_INVALID. */
export function parseSctList(extensionValue: Uint8Array): Sct[] {
  const list = new TlsReader(parseDer(extensionValue, FORMAT, (reader: DerReader) => reader.octetString()));
  const items = new TlsReader(list.opaque(2));
  list.end();
  const scts: Sct[] = [];
  while (!items.done) {
    if (scts.length === MAX_SCTS) throw fail(`more than ${MAX_SCTS}`);
    scts.push(parseSct(items.opaque(2)));
  }
  if (scts.length === 0) throw fail('empty');
  return scts;
}

/** Reads one SignedCertificateTimestamp (RFC 6962 §3.2). Errors: CERTIFICATE_INVALID. */
function parseSct(bytes: Uint8Array): Sct {
  const reader = new TlsReader(bytes);
  if (reader.number(1) !== V1) throw fail('SCT version is not 1');
  const sct = {
    logId: reader.bytes(32),
    timestamp: reader.uint64(),
    extensions: reader.opaque(2),
    hashAlgorithm: reader.number(1),
    signatureAlgorithm: reader.number(1),
    signature: reader.opaque(2),
  };
  reader.end();
  return sct;
}

/** The value of the SCT list extension. */
export function serializeSctList(scts: readonly Sct[]): Uint8Array {
  return octetString(opaque(2, concat(...scts.map((sct) => opaque(2, serializeSct(sct))))));
}

/** SignedCertificateTimestamp (RFC 6962 §3.2). */
function serializeSct(sct: Sct): Uint8Array {
  return concat(
    Uint8Array.of(V1),
    sct.logId,
    uint(8, sct.timestamp),
    opaque(2, sct.extensions),
    Uint8Array.of(sct.hashAlgorithm, sct.signatureAlgorithm),
    opaque(2, sct.signature),
  );
}

/** The bytes that the log signs for an entry (`digitally-signed struct` of RFC 6962 §3.2). */
export function sctSignedData(sct: Pick<Sct, 'timestamp' | 'extensions'>, entry: CtEntry): Uint8Array {
  const signatureType = 0; // certificate_timestamp
  return concat(
    Uint8Array.of(V1, signatureType),
    uint(8, sct.timestamp),
    ...(entry.kind === 'precertificate'
      ? [uint(2, 1n), entry.issuerKeyHash, opaque(3, entry.tbs)]
      : [uint(2, 0n), opaque(3, entry.certificate)]),
    opaque(2, sct.extensions),
  );
}

/**
 * The embedded SCTs of `leaf` that verify, from at least `threshold` distinct logs (RFC 6962 §3.2, §3.3). `issuer` must have
 * been verified as the leaf's. Errors: VerificationError SCT_MISSING, SCT_INVALID.
 */
export function verifyEmbeddedScts(
  leaf: Certificate,
  issuer: Certificate,
  logs: readonly CtLogKey[],
  threshold = 1,
): Sct[] {
  const extension = findExtension(leaf, OID.sctList);
  if (extension === undefined)
    throw rejected('SCT_MISSING', 'certificate carries no SCT of a certificate transparency log');
  const scts = parseList(extension.value);
  const entry: CtEntry = {
    kind: 'precertificate',
    issuerKeyHash: sha256(issuer.spki),
    tbs: tbsWithoutExtension(leaf.tbs, OID.sctList),
  };
  const valid: Sct[] = [];
  let problem: string | undefined;
  for (const sct of scts) {
    const keys = logs.filter((log) => equal(log.logId, sct.logId));
    if (keys.length === 0) problem ??= 'SCT is of a certificate transparency log that is not trusted';
    else if (!keys.some((key) => isSctSignature(sct, entry, key.publicKey))) problem = 'SCT signature is wrong';
    else if (!keys.some((key) => isValidAt(key.validFor, sctTime(sct))))
      problem = 'SCT is from a time at which its log was not trusted';
    else valid.push(sct);
  }
  // A log that says the same twice has still said it once.
  const distinct = new Set(valid.map((sct) => serializeHex(sct.logId))).size;
  if (distinct < threshold)
    throw rejected('SCT_INVALID', problem ?? `certificate carries SCTs of ${distinct} logs, ${threshold} are required`);
  return valid;
}

function parseList(value: Uint8Array): Sct[] {
  try {
    return parseSctList(value);
  } catch (cause) {
    if (!(cause instanceof InputError)) throw cause;
    throw rejected('SCT_INVALID', 'certificate carries a malformed list of SCTs', cause);
  }
}

/** RFC 6962 §2.1.4: SHA-256 with ECDSA or RSA. */
function isSctSignature(sct: Sct, entry: CtEntry, key: PublicKey): boolean {
  if (sct.hashAlgorithm !== TLS_SHA256 || sct.signatureAlgorithm !== TLS_SIGNATURE[key.kind]) return false;
  return isValidSignature(key, 'sha256', sctSignedData(sct, entry), sct.signature);
}

/** Beyond what a Date holds, the furthest that it holds: outside of every bounded validity, as it should be. */
function sctTime(sct: Sct): Date {
  const maxDate = 8_640_000_000_000_000n;
  return new Date(Number(sct.timestamp < maxDate ? sct.timestamp : maxDate));
}

const rejected = (code: 'SCT_MISSING' | 'SCT_INVALID', problem: string, cause?: unknown): VerificationError =>
  new VerificationError(code, 'certificate', problem, cause === undefined ? {} : { cause });
