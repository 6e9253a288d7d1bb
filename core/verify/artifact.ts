import type { Bundle } from '../bundle/bundle.ts';
import { DIGEST_BYTES, type HashName } from '../crypto/hash.ts';
import type { PublicKey } from '../crypto/public-key.ts';
import { parseStatement } from '../dsse/statement.ts';
import { withEvidence } from '../errors.ts';
import { leafCertificate } from './leaf.ts';
import { signatureHashes } from './signature-hash.ts';

/** What a signature should be about, by its digests: those of `requiredHashes`, or as many of them as are known. */
export interface Artifact {
  readonly digests: Partial<Record<HashName, Uint8Array>>;
  /** The name of the file, without its folder, where it is one: what signers.lock finds it by. */
  readonly name?: string;
  /** The artifact once more, from its beginning. Called only for pure Ed25519, which is not over a digest. */
  readonly chunks?: () => Iterable<Uint8Array>;
}

/**
 * The hashes by which the bundle may refer to its artifact, so that one pass over a file computes them all. `key` is the
 * policy's, for a bundle without a certificate; where that is not known beforehand, all. STATEMENT_INVALID, CERTIFICATE_INVALID.
 */
export function requiredHashes(bundle: Bundle, key?: PublicKey): HashName[] {
  const { content } = bundle;
  if (content.kind === 'dsse') {
    const { payload } = content.envelope;
    const { subjects } = withEvidence('dsseEnvelope.payload', 'signature', () => parseStatement(payload));
    const named = (Object.keys(DIGEST_BYTES) as HashName[]).filter((hash) =>
      subjects.some(({ digest }) => Object.hasOwn(digest, hash)),
    );
    return named.length > 0 ? named : ['sha256'];
  }
  const signer = leafCertificate(bundle)?.publicKey ?? key;
  const hashes = new Set(signer === undefined ? (Object.keys(DIGEST_BYTES) as HashName[]) : signatureHashes(signer));
  if (content.digest !== undefined) hashes.add(content.digest.hash);
  return [...hashes];
}
