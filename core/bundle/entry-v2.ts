import { serializeBase64 } from '../bytes/bytes.ts';
import type { Fields } from '../bytes/fields.ts';
import type { Json } from '../bytes/json.ts';
import { KEY_DETAILS, type KeyDetails } from '../crypto/algorithms.ts';
import { MAX_LOGGED_SIGNATURES } from '../limits.ts';
import { digestAlgorithmOf, type NamedDigest, parseHashOutput, someBytes } from './entry-fields.ts';

/** What verifies a logged signature: DER of a certificate or of a SubjectPublicKeyInfo. */
export type LogVerifier = { readonly x509Certificate: Uint8Array } | { readonly publicKey: Uint8Array };

/** rekor.v2.Verifier: the key, and how it was used. */
export interface SignatureVerifier {
  readonly verifier: LogVerifier;
  readonly keyDetails: KeyDetails;
}

/** A signature over a digest: of an artifact, or of an envelope's PAE. */
export interface HashedRekordV002 extends NamedDigest, SignatureVerifier {
  readonly kind: 'hashedrekord';
  readonly version: '0.0.2';
  readonly signature: Uint8Array;
}

/** A DSSE envelope by its payload's hash and its signatures. Logs no longer make it. */
export interface DsseV002 {
  readonly kind: 'dsse';
  readonly version: '0.0.2';
  readonly payloadHash: NamedDigest;
  readonly signatures: readonly (SignatureVerifier & { readonly signature: Uint8Array })[];
}

const hashJson = ({ hash, digest }: NamedDigest): Json => ({
  algorithm: digestAlgorithmOf(hash),
  digest: serializeBase64(digest),
});

export function parseHashedRekordV002(spec: Fields): HashedRekordV002 {
  const record = spec.object('hashedRekordV002');
  const signature = record.object('signature');
  return {
    kind: 'hashedrekord',
    version: '0.0.2',
    ...parseHashOutput(record.object('data')),
    signature: someBytes(signature, 'content'),
    ...parseSignatureVerifier(signature.object('verifier')),
  };
}

export const hashedRekordV002Json = (body: Omit<HashedRekordV002, 'kind' | 'version'>): Json => ({
  hashedRekordV002: {
    data: hashJson(body),
    signature: { content: serializeBase64(body.signature), verifier: verifierJson(body) },
  },
});

export function parseDsseV002(spec: Fields): DsseV002 {
  const record = spec.object('dsseV002');
  const signatures = record.objects('signatures', MAX_LOGGED_SIGNATURES).map((item) => ({
    signature: someBytes(item, 'content'),
    ...parseSignatureVerifier(item.object('verifier')),
  }));
  if (signatures.length === 0) throw record.fail('signatures', 'missing');
  return { kind: 'dsse', version: '0.0.2', payloadHash: parseHashOutput(record.object('payloadHash')), signatures };
}

export const dsseV002Json = ({ payloadHash, signatures }: DsseV002): Json => ({
  dsseV002: {
    payloadHash: hashJson(payloadHash),
    signatures: signatures.map((item) => ({
      content: serializeBase64(item.signature),
      verifier: verifierJson(item),
    })),
  },
});

/** Parses rekor.v2.Verifier: exactly one of certificate and public key, a known algorithm, and nothing else. */
export function parseSignatureVerifier(fields: Fields): SignatureVerifier {
  const keyDetails = fields.string('keyDetails');
  if (!isKeyDetails(keyDetails)) throw fields.fail('keyDetails', 'not an algorithm that is known');
  const certificate = fields.optionalObject('x509Certificate');
  const publicKey = fields.optionalObject('publicKey');
  if ((certificate === undefined) === (publicKey === undefined)) {
    throw fields.fail('x509Certificate', 'expected either a certificate or a public key');
  }
  fields.end();
  if (certificate !== undefined) return { verifier: { x509Certificate: parseRawBytes(certificate) }, keyDetails };
  return { verifier: { publicKey: parseRawBytes(fields.object('publicKey')) }, keyDetails };
}

function parseRawBytes(fields: Fields): Uint8Array {
  const bytes = someBytes(fields, 'rawBytes');
  fields.end();
  return bytes;
}

const isKeyDetails = (text: string): text is KeyDetails => Object.hasOwn(KEY_DETAILS, text);

function verifierJson({ verifier, keyDetails }: SignatureVerifier): Json {
  return 'publicKey' in verifier
    ? { keyDetails, publicKey: { rawBytes: serializeBase64(verifier.publicKey) } }
    : { keyDetails, x509Certificate: { rawBytes: serializeBase64(verifier.x509Certificate) } };
}
