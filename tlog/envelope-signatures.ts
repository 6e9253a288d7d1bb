import type { AsyncVerifier } from '../core/crypto/async-verifier.ts';
import { digest, type HashName } from '../core/crypto/hash.ts';
import { defaultHash } from '../core/crypto/public-key.ts';
import { type Envelope, preAuthEncoding } from '../core/dsse/envelope.ts';
import { InputError } from '../core/errors.ts';
import type { VerifierKey } from './verifier-key.ts';

/** Messages from this size on are hashed once, however many signatures and keys there are to try. */
const HASHED_ONCE_BYTES = 16 * 1024;

/** Tells whether a signature over one message verifies. Errors: OVERLOADED. */
type MessageVerifier = (verifier: VerifierKey, signature: Uint8Array) => Promise<boolean>;

/** Clients sign with the hash of the key's size; older ones with SHA-256 whatever the curve. Either will do. */
export function createMessageVerifier(message: Uint8Array, asyncVerifier: AsyncVerifier): MessageVerifier {
  const digests = new Map<HashName, Uint8Array>();
  const digestWith = (hash: HashName): Uint8Array => {
    const known = digests.get(hash) ?? digest(hash, message);
    digests.set(hash, known);
    return known;
  };
  return async ({ publicKey }, signature) => {
    for (const hash of new Set<HashName>([defaultHash(publicKey), 'sha256'])) {
      const isValid =
        message.length < HASHED_ONCE_BYTES || publicKey.kind === 'ed25519'
          ? asyncVerifier.isValidSignature(publicKey, hash, message, signature)
          : asyncVerifier.isValidDigestSignature(publicKey, hash, digestWith(hash), signature);
      if (await isValid) return true;
    }
    return false;
  };
}

/**
 * Pairs every signature of an envelope with the verifier that it verifies with (DSSE protocol). Every verifier has to be
 * used: an unused one would be logged as somebody who signed. Errors: ENTRY_INVALID, OVERLOADED.
 */
export async function requireEnvelopeSignatures(
  envelope: Envelope,
  verifiers: readonly VerifierKey[],
  asyncVerifier: AsyncVerifier,
): Promise<{ signature: Uint8Array; verifier: VerifierKey }[]> {
  if (verifiers.length === 0) throw new InputError('ENTRY_INVALID', 'verifiers: missing');
  const isSigned = createMessageVerifier(preAuthEncoding(envelope.payloadType, envelope.payload), asyncVerifier);
  const pairs: { signature: Uint8Array; verifier: VerifierKey }[] = [];
  for (const { sig } of envelope.signatures) {
    const verifier = await findVerifier(verifiers, (candidate) => isSigned(candidate, sig));
    if (!verifier) throw new InputError('ENTRY_INVALID', 'envelope: a signature does not verify');
    pairs.push({ signature: sig, verifier });
  }
  if (verifiers.some((verifier) => !pairs.some((pair) => pair.verifier === verifier))) {
    throw new InputError('ENTRY_INVALID', 'verifiers: one of them verifies no signature of the envelope');
  }
  return pairs;
}

async function findVerifier(
  verifiers: readonly VerifierKey[],
  isRight: (verifier: VerifierKey) => Promise<boolean>,
): Promise<VerifierKey | undefined> {
  for (const verifier of verifiers) if (await isRight(verifier)) return verifier;
  return undefined;
}
