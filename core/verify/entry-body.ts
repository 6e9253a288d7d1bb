import type { EntryBody } from '../bundle/entry.ts';
import type { NamedDigest } from '../bundle/entry-fields.ts';
import type { LogVerifier, SignatureVerifier } from '../bundle/entry-v2.ts';
import { equal, serializeBase64, serializeUtf8 } from '../bytes/bytes.ts';
import { KEY_DETAILS, type KeyDetails } from '../crypto/algorithms.ts';
import { digest } from '../crypto/hash.ts';
import { parsePem } from '../crypto/pem.ts';
import type { PublicKey } from '../crypto/public-key.ts';
import { VerificationError } from '../errors.ts';
import type { Artifact } from './artifact.ts';
import type { SignedContent } from './content.ts';
import { requireDigest } from './signature.ts';
import type { Signer } from './signer.ts';

/** What an entry has to be about. */
export interface SignedThing {
  readonly content: SignedContent;
  readonly signer: Signer;
  readonly artifact: Artifact;
}

/**
 * The entry repeats the bundle's signature, key or certificate, and digest: all of them, or it is some other signature's
 * (client specification §4.5.3). LOG_ENTRY_MISMATCH, DIGEST_MISMATCH, PEM_INVALID.
 */
export function requireMatchingBody(body: EntryBody, signed: SignedThing, evidence: string): void {
  const { content, signer, artifact } = signed;
  const require = (part: string, same: boolean): void => {
    if (same) return;
    throw new VerificationError('LOG_ENTRY_MISMATCH', 'log', `the log entry is about another ${part}`, { evidence });
  };
  const requireSignature = (signature: Uint8Array): void => require('signature', equal(signature, content.signature));
  const requirePem = (pem: string): void => require(SIGNER[signer.kind], isPemOf(pem, signer));
  const requireVerifier = (verifier: SignatureVerifier): void => {
    require(SIGNER[signer.kind], isVerifierOf(verifier.verifier, signer));
    require('algorithm', isKeyDetailsOf(verifier.keyDetails, signer.key));
  };

  if (content.kind === 'message') {
    require('kind of content', body.kind === 'hashedrekord');
    if (body.kind !== 'hashedrekord') return;
    requireSignature(body.signature);
    if (body.version === '0.0.1') requirePem(body.publicKeyPem);
    else requireVerifier(body);
    requireDigest(artifact, body.hash, body.digest, evidence);
    return;
  }

  const { payload, payloadType, encoding } = content;
  const requirePayload = (logged: NamedDigest): void => require('payload', isDigestOf(logged, payload));
  if (body.kind === 'hashedrekord') {
    // Rekor v2 knows an envelope as a signature over its pre-authentication encoding; v1 has a kind of its own for it.
    require('kind of content', body.version === '0.0.2');
    if (body.version !== '0.0.2') return;
    requireSignature(body.signature);
    requireVerifier(body);
    require('payload', isDigestOf(body, encoding));
    return;
  }
  if (body.kind === 'intoto' && body.version === '0.0.1') {
    // The signature is not in it, only the hash of the whole envelope.
    requirePem(body.publicKeyPem);
    require('envelope', envelopeTexts(content).some((text) => isDigestOf(body.envelopeHash, serializeUtf8(text))));
    if (body.payloadHash !== undefined) requirePayload(body.payloadHash);
    return;
  }
  requirePayload(body.payloadHash);
  const [logged, ...others] = body.signatures;
  require('signature', logged !== undefined && others.length === 0);
  if (logged === undefined) return;
  requireSignature(logged.signature);
  if ('verifier' in logged) requireVerifier(logged);
  else requirePem('verifierPem' in logged ? logged.verifierPem : logged.publicKeyPem);
  if (body.kind === 'intoto') require('payload type', body.payloadType === payloadType);
}

const SIGNER: Record<Signer['kind'], string> = { certificate: 'certificate', key: 'key' };

const isDigestOf = (logged: NamedDigest, bytes: Uint8Array): boolean =>
  equal(logged.digest, digest(logged.hash, bytes));

function isPemOf(pem: string, signer: Signer): boolean {
  const [block, ...others] = parsePem(pem);
  if (block === undefined || others.length > 0) return false;
  return signer.kind === 'certificate'
    ? block.label === 'CERTIFICATE' && equal(block.der, signer.certificate.der)
    : block.label === 'PUBLIC KEY' && equal(block.der, signer.key.spki);
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
