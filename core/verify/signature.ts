import { createHash } from 'node:crypto';
import { equal, serializeHex } from '../bytes/bytes.ts';
import { ed25519Verifier } from '../crypto/ed25519.ts';
import { type HashName, digest as hashOf } from '../crypto/hash.ts';
import type { PublicKey } from '../crypto/public-key.ts';
import { isValidDigestSignature, isValidSignature } from '../crypto/verify.ts';
import { parseStatement, type Statement } from '../dsse/statement.ts';
import { VerificationError, withEvidence } from '../errors.ts';
import type { Artifact } from './artifact.ts';
import type { SignedContent } from './content.ts';
import { signatureHashes } from './signature-hash.ts';

const IN_TOTO = 'application/vnd.in-toto+json';

/** The digest of the artifact that the signature is about, and for an attestation what it states. */
export interface SignedArtifact {
  readonly hash: HashName;
  readonly digest: Uint8Array;
  readonly statement: Statement | undefined;
}

/**
 * Step 4, client specification §4.8: the signature is the key's, and about this artifact; an attestation is an in-toto
 * statement with the artifact among its subjects and, if one is asked for, this predicate type. SIGNATURE_INVALID,
 * DIGEST_MISMATCH, SUBJECT_MISMATCH, PAYLOAD_TYPE_UNEXPECTED, PREDICATE_TYPE_UNEXPECTED, STATEMENT_INVALID.
 */
export function verifySignature(
  content: SignedContent,
  key: PublicKey,
  artifact: Artifact,
  predicateType: string | undefined,
): SignedArtifact {
  if (content.kind === 'message') {
    if (predicateType !== undefined) {
      throw new VerificationError('PREDICATE_TYPE_UNEXPECTED', 'signature', 'a plain signature, not an attestation', {
        evidence: 'messageSignature',
        hint: 'leave --type out to accept a plain signature',
      });
    }
    return verifyMessage(content, key, artifact);
  }
  return verifyAttestation(content, key, artifact, predicateType);
}

function verifyMessage(
  content: Extract<SignedContent, { kind: 'message' }>,
  key: PublicKey,
  artifact: Artifact,
): SignedArtifact {
  // The digest in the bundle is a hint that nobody signed; one that contradicts the artifact is an error all the same.
  if (content.digest !== undefined)
    requireDigest(artifact, content.digest.hash, content.digest.digest, 'messageSignature');
  const evidence = 'messageSignature.signature';
  const hashes = signatureHashes(key);
  const given = hashes.flatMap((hash) => {
    const digest = artifact.digests[hash];
    return digest === undefined ? [] : [{ hash, digest }];
  });
  const [first] = given;
  if (first === undefined) throw digestNotGiven(hashes[0] as HashName, evidence);
  const signed =
    given.find(({ hash, digest }) => isValidDigestSignature(key, hash, digest, content.signature)) ??
    (isPureSignature(key, artifact, content.signature) ? first : undefined);
  if (signed !== undefined) return { ...signed, statement: undefined };
  throw new VerificationError('SIGNATURE_INVALID', 'signature', 'the signature does not verify for this artifact', {
    evidence,
    ...(key.kind === 'ed25519' &&
      artifact.chunks === undefined && { hint: 'a pure Ed25519 signature can be verified only from the file itself' }),
  });
}

// Ed25519 in its first form is over the artifact, not over a digest, so that its bytes are needed (RFC 8032 §5.1): the very
// ones that were hashed, as it is the digest that the result names.
function isPureSignature(key: PublicKey, artifact: Artifact, signature: Uint8Array): boolean {
  if (key.kind !== 'ed25519' || artifact.chunks === undefined) return false;
  const verifier = ed25519Verifier(key, signature);
  const digests = (Object.entries(artifact.digests) as [HashName, Uint8Array][]).map(([hash, digest]) => ({
    again: createHash(hash),
    digest,
  }));
  for (const chunk of artifact.chunks()) {
    verifier.update(chunk);
    for (const { again } of digests) again.update(chunk);
  }
  return digests.every(({ again, digest }) => equal(digest, again.digest())) && verifier.isValid();
}

/** Whether the signature is by this key, as far as the artifact tells; to explain a rejection, never to accept. */
export function isSignedWith(content: SignedContent, key: PublicKey, artifact: Artifact): boolean {
  try {
    verifySignature(content, key, artifact, undefined);
    return true;
  } catch (error) {
    return !(error instanceof VerificationError && error.code === 'SIGNATURE_INVALID');
  }
}

function digestNotGiven(hash: HashName, evidence: string): VerificationError {
  return new VerificationError(
    'DIGEST_MISMATCH',
    'signature',
    `the bundle is about a ${hash} digest, which was not given`,
    {
      evidence,
      hint: `give the file itself, or ${hash}:HEX`,
    },
  );
}

/** The artifact has this digest. Also used for log entries. DIGEST_MISMATCH */
export function requireDigest(artifact: Artifact, hash: HashName, digest: Uint8Array, evidence: string): void {
  const actual = artifact.digests[hash];
  if (actual === undefined) throw digestNotGiven(hash, evidence);
  if (!equal(actual, digest)) {
    throw new VerificationError(
      'DIGEST_MISMATCH',
      'signature',
      'the bundle is about another artifact: the digests differ',
      {
        evidence,
      },
    );
  }
}

function verifyAttestation(
  content: Extract<SignedContent, { kind: 'dsse' }>,
  key: PublicKey,
  artifact: Artifact,
  predicateType: string | undefined,
): SignedArtifact {
  if (!isEnvelopeSignature(content.encoding, key, content.signature)) {
    throw new VerificationError('SIGNATURE_INVALID', 'signature', 'the signature of the envelope does not verify', {
      evidence: 'dsseEnvelope.signatures[0]',
    });
  }
  if (content.payloadType !== IN_TOTO) {
    throw new VerificationError(
      'PAYLOAD_TYPE_UNEXPECTED',
      'signature',
      `the envelope holds ${JSON.stringify(content.payloadType)}, not an in-toto statement`,
      { evidence: 'dsseEnvelope.payloadType' },
    );
  }
  const statement = withEvidence('dsseEnvelope.payload', 'signature', () => parseStatement(content.payload));
  if (predicateType !== undefined && statement.predicateType !== predicateType) {
    throw new VerificationError(
      'PREDICATE_TYPE_UNEXPECTED',
      'signature',
      `an attestation of type ${statement.predicateType}, not ${predicateType}`,
      { evidence: 'dsseEnvelope.payload', hint: typeHint(statement.predicateType) },
    );
  }
  return { ...requireSubject(statement, artifact), statement };
}

// Only what is one plain word goes into a command: anything can stand in a statement.
const typeHint = (type: string): string =>
  /^[\w@%+=:,./-]+$/.test(type) ? `--type ${type}` : 'see what it is: hallmark inspect BUNDLE';

function isEnvelopeSignature(encoding: Uint8Array, key: PublicKey, signature: Uint8Array): boolean {
  return signatureHashes(key).some(
    (hash) =>
      isValidSignature(key, hash, encoding, signature) ||
      // Ed25519ph is what a log that knows only digests was given.
      (key.kind === 'ed25519' && isValidDigestSignature(key, hash, hashOf(hash, encoding), signature)),
  );
}

/** One subject has the artifact's digest, and contradicts none of the others that are known (in-toto statement v1, digest set). */
function requireSubject(statement: Statement, artifact: Artifact): { hash: HashName; digest: Uint8Array } {
  for (const subject of statement.subjects) {
    const comparable = (Object.entries(artifact.digests) as [HashName, Uint8Array][]).filter(([hash]) =>
      Object.hasOwn(subject.digest, hash),
    );
    const [first] = comparable;
    if (first !== undefined && comparable.every(([hash, digest]) => isHexOf(digest, subject.digest[hash]))) {
      return { hash: first[0], digest: first[1] };
    }
  }
  throw new VerificationError('SUBJECT_MISMATCH', 'signature', 'the attestation is not about this artifact', {
    evidence: 'dsseEnvelope.payload',
  });
}

function isHexOf(digest: Uint8Array, hex: string | undefined): boolean {
  return hex !== undefined && hex === serializeHex(digest);
}
