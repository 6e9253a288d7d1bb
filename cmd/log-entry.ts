import { serializeTransparencyLogEntry } from '../core/bundle/bundle.ts';
import { type EntryBody, parseEntryBody } from '../core/bundle/entry.ts';
import { serializeBase64, serializeHex } from '../core/bytes/bytes.ts';
import { type Json, parseJson } from '../core/bytes/json.ts';
import { keyFingerprint, parsePublicKey, parsePublicKeyPem } from '../core/crypto/public-key.ts';
import { HallmarkError, UsageError } from '../core/errors.ts';
import { MAX_LOG_SIZE } from '../core/limits.ts';
import { isEntryId } from '../core/log/rekor-v1.ts';
import { leafHash } from '../core/merkle/tree.ts';
import type { ReadEntry } from '../core/verify/read-entry.ts';
import { type Certificate, parseCertificate, parseCertificatesPem } from '../core/x509/certificate.ts';
import { oidcIssuer } from '../core/x509/fulcio.ts';
import { subjectAlternativeNames } from '../core/x509/names.ts';
import { instantText, type ReportLine } from './report.ts';

/** An index or an entry ID as a user writes it; undefined for anything else. UsageError for an index beyond all logs. */
export function parseEntryReference(text: string): bigint | string | undefined {
  if (/^(?:[0-9a-fA-F]{64}|[0-9a-fA-F]{80})$/.test(text)) {
    const id = text.toLowerCase();
    return isEntryId(id) ? id : undefined;
  }
  if (!/^(?:0|[1-9][0-9]*)$/.test(text)) return undefined;
  const index = BigInt(text);
  if (index < MAX_LOG_SIZE) return index;
  throw new UsageError(`no log has an entry at index ${text.slice(0, 40)}`, {
    hint: 'see how many it has: hallmark log info',
  });
}

/** A verified entry for machines. */
export function entryJson({ log, entry, integratedTime }: ReadEntry): Json {
  const { kind, version } = entry.kindVersion;
  return {
    url: log.baseUrl,
    logIndex: String(entry.logIndex),
    logId: serializeHex(entry.logId),
    leafHash: serializeHex(leafHash(entry.canonicalizedBody)),
    integratedTime: integratedTime?.toISOString() ?? null,
    kind,
    version,
    body: parseJson(entry.canonicalizedBody),
    tlogEntry: serializeTransparencyLogEntry(entry),
  };
}

/** The same for people. */
export function entryLines({ entry, integratedTime }: ReadEntry): ReportLine[] {
  const { kind, version } = entry.kindVersion;
  const { inclusionProof: proof } = entry;
  return [
    ['index', String(entry.logIndex)],
    ['kind', `${kind} ${version}`],
    ...bodyLines(entry.canonicalizedBody),
    ['logged', integratedTime && instantText(integratedTime)],
    ['leaf hash', serializeHex(leafHash(entry.canonicalizedBody))],
    ['proven in', proof && `the tree of ${proof.treeSize} entries, root ${serializeHex(proof.rootHash)}`],
  ];
}

/** Proofs as machines take them. */
export function proofJson({ log, entry }: ReadEntry): Record<string, Json> {
  const proof = entry.inclusionProof;
  return {
    url: log.baseUrl,
    logIndex: String(entry.logIndex),
    leafHash: serializeHex(leafHash(entry.canonicalizedBody)),
    treeIndex: String(proof?.logIndex ?? entry.logIndex),
    treeSize: String(proof?.treeSize ?? 0n),
    rootHash: serializeHex(proof?.rootHash ?? new Uint8Array()),
    hashes: (proof?.hashes ?? []).map(serializeBase64),
    checkpoint: proof?.checkpoint ?? null,
  };
}

function bodyLines(bytes: Uint8Array): ReportLine[] {
  try {
    const body = parseEntryBody(bytes);
    return [
      ['digest', ...digestsOf(body)],
      ['signer', ...signersOf(body)],
    ];
  } catch (error) {
    // Logs hold kinds that are not understood here; the proof is about the bytes.
    if (error instanceof HallmarkError) return [['body', `not understood here: ${error.message}`]];
    throw error;
  }
}

function digestsOf(body: EntryBody): string[] {
  if ('digest' in body) return [`${body.hash}:${serializeHex(body.digest)}`];
  if ('payloadHash' in body && body.payloadHash) {
    return [`payload ${body.payloadHash.hash}:${serializeHex(body.payloadHash.digest)}`];
  }
  return [];
}

function signersOf(body: EntryBody): string[] {
  switch (body.kind) {
    case 'hashedrekord':
    case 'rekord':
      return 'publicKeyPem' in body ? [pemSigner(body.publicKeyPem)] : [derSigner(body.verifier)];
    case 'intoto':
      return body.version === '0.0.1'
        ? [pemSigner(body.publicKeyPem)]
        : body.signatures.map(({ publicKeyPem }) => pemSigner(publicKeyPem));
    case 'dsse':
      return body.version === '0.0.1'
        ? body.signatures.map(({ verifierPem }) => pemSigner(verifierPem))
        : body.signatures.map(({ verifier }) => derSigner(verifier));
    case 'rfc3161':
      return [];
  }
}

const keySigner = (fingerprint: Uint8Array): string => `key sha256:${serializeHex(fingerprint)}`;

function pemSigner(pem: string): string {
  if (!pem.includes('BEGIN CERTIFICATE')) return keySigner(keyFingerprint(parsePublicKeyPem(pem)));
  const [certificate] = parseCertificatesPem(pem);
  return certificate ? certificateSigner(certificate) : 'nobody';
}

const derSigner = (verifier: { publicKey: Uint8Array } | { x509Certificate: Uint8Array }): string =>
  'publicKey' in verifier
    ? keySigner(keyFingerprint(parsePublicKey(verifier.publicKey)))
    : certificateSigner(parseCertificate(verifier.x509Certificate));

// That a certificate says so is not verified: a log takes any.
function certificateSigner(certificate: Certificate): string {
  const names = subjectAlternativeNames(certificate).map(({ value }) => value);
  const issuer = oidcIssuer(certificate);
  return `certificate for ${names.join(', ') || '(no name)'}${issuer === undefined ? '' : `, vouched for by ${issuer}`}`;
}
