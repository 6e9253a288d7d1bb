import { parseBase64, parseUtf8, serializeHex } from '../../core/bytes/bytes.ts';
import type { Json } from '../../core/bytes/json.ts';
import { DIGEST_ALGORITHMS } from '../../core/crypto/algorithms.ts';
import { sha256 } from '../../core/crypto/hash.ts';
import { parsePem, serializePem } from '../../core/crypto/pem.ts';
import { HallmarkError } from '../../core/errors.ts';
import { type Certificate, parseCertificate } from '../../core/x509/certificate.ts';
import { fulcioClaims } from '../../core/x509/fulcio.ts';
import { type AlternativeName, subjectAlternativeNames } from '../../core/x509/names.ts';

/** A digest that an entry's body holds, in lower-case hexadecimal, and what of. */
export interface EntryDigest {
  readonly of: 'artifact' | 'envelope' | 'payload' | 'timestamp';
  readonly algorithm: string;
  readonly value: string;
}

/** Who signed, as far as the certificate or key in the body says. */
export interface EntrySigner {
  /** SHA-256 of the SubjectPublicKeyInfo, in hexadecimal. */
  readonly key: string;
  /** The certificate or key in PEM, in a log that writes it so. */
  readonly pem: string | undefined;
  /** Of a certificate, in hexadecimal without leading zeros. */
  readonly serial: string | undefined;
  readonly identities: readonly AlternativeName[];
  readonly issuer: string | undefined;
  readonly repository: string | undefined;
  readonly commit: string | undefined;
}

/** What the body of an entry tells, of what the search knows. Nothing in it is verified. */
export interface EntryFacts {
  readonly kind: string;
  readonly version: string;
  readonly digests: readonly EntryDigest[];
  readonly signers: readonly EntrySigner[];
}

/** Where the kinds of entries keep what is searched. */
const KINDS: Readonly<
  Record<string, (spec: Json) => { digests: (EntryDigest | undefined)[]; verifiers: (() => Verifier)[] }>
> = {
  __proto__: null as never,
  'hashedrekord 0.0.1': (spec) => ({
    digests: [hexDigest('artifact', at(spec, 'data', 'hash'))],
    verifiers: [() => pemVerifier(at(spec, 'signature', 'publicKey', 'content'))],
  }),
  'rekord 0.0.1': (spec) => ({
    digests: [hexDigest('artifact', at(spec, 'data', 'hash'))],
    verifiers: [() => pemVerifier(at(spec, 'signature', 'publicKey', 'content'))],
  }),
  'dsse 0.0.1': (spec) => ({
    digests: [hexDigest('payload', at(spec, 'payloadHash')), hexDigest('envelope', at(spec, 'envelopeHash'))],
    verifiers: items(at(spec, 'signatures')).map((item) => () => pemVerifier(at(item, 'verifier'))),
  }),
  'intoto 0.0.1': (spec) => ({
    digests: [
      hexDigest('payload', at(spec, 'content', 'payloadHash')),
      hexDigest('envelope', at(spec, 'content', 'hash')),
    ],
    verifiers: [() => pemVerifier(at(spec, 'publicKey'))],
  }),
  'intoto 0.0.2': (spec) => ({
    // The envelope's hash is the client's word there, so nobody finds an entry by it.
    digests: [hexDigest('payload', at(spec, 'content', 'payloadHash'))],
    verifiers: items(at(spec, 'content', 'envelope', 'signatures')).map(
      (item) => () => pemVerifier(at(item, 'publicKey')),
    ),
  }),
  'rfc3161 0.0.1': (spec) => ({
    digests: [{ of: 'timestamp', algorithm: 'sha256', value: serializeHex(sha256(bytes(at(spec, 'tsr', 'content')))) }],
    verifiers: [],
  }),
  'hashedrekord 0.0.2': (spec) => ({
    digests: [base64Digest('artifact', at(spec, 'hashedRekordV002', 'data'))],
    verifiers: [() => derVerifier(at(spec, 'hashedRekordV002', 'signature', 'verifier'))],
  }),
  'dsse 0.0.2': (spec) => ({
    digests: [base64Digest('payload', at(spec, 'dsseV002', 'payloadHash'))],
    verifiers: items(at(spec, 'dsseV002', 'signatures')).map((item) => () => derVerifier(at(item, 'verifier'))),
  }),
};

/**
 * Reads a canonicalized body that this log accepted and stored, so its shape was examined before. What cannot be read, as in
 * a certificate that no Fulcio issued, is left out: it cannot be searched.
 */
export function entryFacts(body: Uint8Array): EntryFacts {
  const json = JSON.parse(parseUtf8(body)) as Json;
  const kind = `${at(json, 'kind')}`;
  const version = `${at(json, 'apiVersion')}`;
  const read = readable(() => KINDS[`${kind} ${version}`]?.(at(json, 'spec')));
  return {
    kind,
    version,
    digests: (read?.digests ?? []).filter((digest) => digest !== undefined),
    signers: (read?.verifiers ?? [])
      .map((verifier) => readable(() => signerOf(verifier())))
      .filter((signer) => signer !== undefined),
  };
}

interface Verifier {
  readonly label: 'CERTIFICATE' | 'PUBLIC KEY';
  readonly der: Uint8Array;
  readonly isPem: boolean;
}

function signerOf({ label, der, isPem }: Verifier): EntrySigner {
  const pem = isPem ? serializePem(label, der) : undefined;
  if (label === 'PUBLIC KEY') {
    const key = serializeHex(sha256(der));
    return { key, pem, serial: undefined, identities: [], issuer: undefined, repository: undefined, commit: undefined };
  }
  const certificate = parseCertificate(der);
  const claims = readable(() => fulcioClaims(certificate)) ?? {};
  return {
    key: serializeHex(sha256(certificate.spki)),
    pem,
    serial: serialOf(certificate),
    identities: readable(() => subjectAlternativeNames(certificate)) ?? [],
    issuer: claims.issuerV2 ?? claims.issuer,
    repository: claims.sourceRepositoryUri ?? claims.githubWorkflowRepository,
    commit: claims.sourceRepositoryDigest ?? claims.githubWorkflowSha,
  };
}

const serialOf = ({ serialNumber }: Certificate): string => serializeHex(serialNumber).replace(/^0+(?=.)/, '');

/** What `read` answers; undefined where it finds something that cannot be read. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof HallmarkError) return undefined;
    throw error;
  }
}

function at(json: Json | undefined, ...path: string[]): Json {
  let value = json ?? null;
  for (const name of path) {
    if (value === null || typeof value !== 'object' || Array.isArray(value) || !Object.hasOwn(value, name)) return null;
    value = value[name] ?? null;
  }
  return value;
}

const items = (json: Json): Json[] => (Array.isArray(json) ? json : []);
const bytes = (json: Json): Uint8Array => parseBase64(typeof json === 'string' ? json : '');

function hexDigest(of: EntryDigest['of'], json: Json): EntryDigest | undefined {
  const algorithm = at(json, 'algorithm');
  const value = at(json, 'value');
  return typeof algorithm === 'string' && typeof value === 'string' ? { of, algorithm, value } : undefined;
}

function base64Digest(of: EntryDigest['of'], json: Json): EntryDigest | undefined {
  const name = at(json, 'algorithm');
  const algorithm = Object.entries(DIGEST_ALGORITHMS).find(([known]) => known === name)?.[1];
  return algorithm === undefined ? undefined : { of, algorithm, value: serializeHex(bytes(at(json, 'digest'))) };
}

function pemVerifier(json: Json): Verifier {
  const text = parseUtf8(bytes(json));
  // That it is one block, and a key, was seen when it was accepted.
  const label = text.includes('BEGIN CERTIFICATE') ? 'CERTIFICATE' : 'PUBLIC KEY';
  return { label, der: parsePem(text, label)[0]?.der ?? new Uint8Array(), isPem: true };
}

function derVerifier(json: Json): Verifier {
  const certificate = at(json, 'x509Certificate', 'rawBytes');
  if (certificate !== null) return { label: 'CERTIFICATE', der: bytes(certificate), isPem: false };
  return { label: 'PUBLIC KEY', der: bytes(at(json, 'publicKey', 'rawBytes')), isPem: false };
}
