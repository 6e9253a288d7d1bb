import type { EntryBody } from '../bundle/entry.ts';
import type { NamedDigest } from '../bundle/entry-fields.ts';
import type { LogVerifier, SignatureVerifier } from '../bundle/entry-v2.ts';
import { equal, serializeBase64, serializeUtf8 } from '../bytes/bytes.ts';
import { KEY_DETAILS, type KeyDetails } from '../crypto/algorithms.ts';
import { digest } from '../crypto/hash.ts';
import { parsePem, serializePem } from '../crypto/pem.ts';
import type { PublicKey } from '../crypto/public-key.ts';
import { VerificationError } from '../errors.ts';
import type { Artifact } from './artifact.ts';
import type { SignedContent } from './content.ts';
import { isSignedWith, requireDigest } from './signature.ts';
import type { Signer } from './signer.ts';

/** What an entry has to be about. */
export interface SignedThing {
  readonly content: SignedContent;
  readonly signer: Signer;
  readonly artifact: Artifact;
}

/**
 * The entry repeats the bundle's signature, key or certificate, and digest: all of them, or it is some other signature's
 * (client specification §4.5). LOG_ENTRY_MISMATCH, KEY_MISMATCH, DIGEST_MISMATCH, PEM_INVALID.
 */
export function requireMatchingBody(body: EntryBody, signed: SignedThing, evidence: string): void {
  const different = compare(body, signed).flatMap(([part, same]) => (same ? [] : [part]));
  const [first] = different;
  if (first !== undefined) {
    if (isOfAnotherKey(different, signed)) throw otherKey(evidence);
    throw new VerificationError('LOG_ENTRY_MISMATCH', 'log', `the log entry is about another ${first}`, { evidence });
  }
  if (signed.content.kind === 'message' && body.kind === 'hashedrekord') {
    requireDigest(signed.artifact, body.hash, body.digest, evidence);
  }
}

// The entry is this signature's, and so is the key in it: it is the key that was named for verification that is another.
function isOfAnotherKey(different: readonly string[], { content, signer, artifact }: SignedThing): boolean {
  const onlyKey = different.includes('key') && different.every((part) => part === 'key' || part === 'algorithm');
  return onlyKey && !isSignedWith(content, signer.key, artifact);
}

const otherKey = (evidence: string): VerificationError =>
  new VerificationError('KEY_MISMATCH', 'log', 'signed with another key than the given one', {
    evidence,
    hint: 'ask the signer for the public key; what the bundle says of it: hallmark inspect BUNDLE',
  });

type Comparison = readonly [part: string, same: boolean];

const OTHER_KIND: Comparison = ['kind of content', false];

function compare(body: EntryBody, { content, signer }: SignedThing): Comparison[] {
  // Kinds of Rekor v1 that no bundle carries (sigstore_rekor.proto, KindVersion).
  if (body.kind === 'rekord' || body.kind === 'rfc3161') return [OTHER_KIND];
  if (content.kind === 'message') {
    return body.kind === 'hashedrekord' ? compareSignature(body, content.signature, signer) : [OTHER_KIND];
  }
  if (body.kind === 'hashedrekord') {
    // Rekor v2 knows an envelope as a signature over its pre-authentication encoding; v1 has kinds of its own for it.
    if (body.version === '0.0.1') return [OTHER_KIND];
    return [...compareSignature(body, content.signature, signer), ['payload', isDigestOf(body, content.encoding)]];
  }
  if (body.kind === 'intoto' && body.version === '0.0.1') {
    // The signature itself is not in it, only the hash of the whole envelope.
    const texts = envelopeTexts(content).map(serializeUtf8);
    return [
      [signer.kind, isPemOf(body.publicKeyPem, signer)],
      ['envelope', texts.some((text) => isDigestOf(body.envelopeHash, text))],
      ['payload', body.payloadHash === undefined || isDigestOf(body.payloadHash, content.payload)],
    ];
  }
  const [logged, ...others] = body.signatures;
  if (logged === undefined || others.length > 0) return [['envelope', false]];
  return [
    ...compareSignature(logged, content.signature, signer),
    ['payload', isDigestOf(body.payloadHash, content.payload)],
    ['payload type', body.kind !== 'intoto' || body.payloadType === content.payloadType],
  ];
}

type LoggedSignature = { readonly signature: Uint8Array } & (
  | { readonly publicKeyPem: string }
  | { readonly verifierPem: string }
  | SignatureVerifier
);

function compareSignature(logged: LoggedSignature, signature: Uint8Array, signer: Signer): Comparison[] {
  const sameSignature: Comparison = ['signature', equal(logged.signature, signature)];
  if (!('verifier' in logged)) {
    const pem = 'verifierPem' in logged ? logged.verifierPem : logged.publicKeyPem;
    return [sameSignature, [signer.kind, isPemOf(pem, signer)]];
  }
  return [
    sameSignature,
    [signer.kind, isVerifierOf(logged.verifier, signer)],
    ['algorithm', isKeyDetailsOf(logged.keyDetails, signer.key)],
  ];
}

const isDigestOf = (logged: NamedDigest, bytes: Uint8Array): boolean =>
  equal(logged.digest, digest(logged.hash, bytes));

function isPemOf(pem: string, signer: Signer): boolean {
  const [label, der] =
    signer.kind === 'certificate' ? ['CERTIFICATE', signer.certificate.der] : ['PUBLIC KEY', signer.key.spki];
  // As nearly everybody writes it. To write takes a third of the time of reading.
  if (pem === serializePem(label, der)) return true;
  const [block, ...others] = parsePem(pem);
  return block?.label === label && others.length === 0 && equal(block.der, der);
}

function isVerifierOf(verifier: LogVerifier, signer: Signer): boolean {
  return 'publicKey' in verifier
    ? signer.kind === 'key' && equal(verifier.publicKey, signer.key.spki)
    : signer.kind === 'certificate' && equal(verifier.x509Certificate, signer.certificate.der);
}

function isKeyDetailsOf(keyDetails: KeyDetails, key: PublicKey): boolean {
  const row = KEY_DETAILS[keyDetails];
  return row.kind === key.kind && (!('rsaBits' in row) || row.rsaBits === key.bits);
}

// The spellings in which clients sent envelopes to be logged: of Go's structure, and of protojson.
function envelopeTexts({ payloadType, payload, signature, keyid }: Extract<SignedContent, { kind: 'dsse' }>): string[] {
  const [payloadText, sig] = [serializeBase64(payload), serializeBase64(signature)];
  return [
    JSON.stringify({ payloadType, payload: payloadText, signatures: [{ keyid, sig }] }),
    JSON.stringify({ payload: payloadText, payloadType, signatures: [{ sig, keyid }] }),
  ];
}
