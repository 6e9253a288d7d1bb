import { type AsyncVerifier, verificationCost } from '../core/crypto/async-verifier.ts';
import { digest, type HashName } from '../core/crypto/hash.ts';
import { defaultHash } from '../core/crypto/public-key.ts';
import { isWellFormedSignature } from '../core/crypto/verify.ts';
import { type Envelope, preAuthEncoding } from '../core/dsse/envelope.ts';
import { InputError } from '../core/errors.ts';
import { MAX_REQUEST_VERIFICATION_MICROSECONDS } from '../core/limits.ts';
import type { VerifierKey } from './verifier-key.ts';

/** Messages from this size on are hashed once, however many signatures and keys there are to try. */
const HASHED_ONCE_BYTES = 16 * 1024;

/** Tells whether a signature over one message verifies. */
type MessageVerifier = (verifier: VerifierKey, signature: Uint8Array) => Promise<boolean>;

/** Clients sign with the hash of the key's size; older ones with SHA-256 whatever the curve. Either will do. */
const hashesOf = ({ publicKey }: VerifierKey): Set<HashName> => new Set([defaultHash(publicKey), 'sha256']);

/**
 * Has `work` check signatures over one message. What all of `pairs` could cost, the pairs of verifier and signature that it may
 * ask for, counts at once. Errors: OVERLOADED, ENTRY_INVALID if that is more than a request may cost, those of `work`.
 */
export function withMessageVerifier<T>(
  message: Uint8Array,
  pairs: readonly (readonly [VerifierKey, Uint8Array])[],
  asyncVerifier: AsyncVerifier,
  work: (isSigned: MessageVerifier) => Promise<T>,
): Promise<T> {
  const digests = new Map<HashName, Uint8Array>();
  const digestWith = (hash: HashName): Uint8Array => {
    const known = digests.get(hash) ?? digest(hash, message);
    digests.set(hash, known);
    return known;
  };
  let cost = 0;
  for (const [verifier, signature] of pairs) {
    if (isWellFormedSignature(verifier.publicKey, signature)) {
      cost += hashesOf(verifier).size * verificationCost(verifier.publicKey);
    }
  }
  return asyncVerifier.together(cost, (checks) =>
    work(async (verifier, signature) => {
      const { publicKey } = verifier;
      for (const hash of hashesOf(verifier)) {
        const isValid =
          message.length < HASHED_ONCE_BYTES || publicKey.kind === 'ed25519'
            ? checks.isValidSignature(publicKey, hash, message, signature)
            : checks.isValidDigestSignature(publicKey, hash, digestWith(hash), signature);
        if (await isValid) return true;
      }
      return false;
    }),
  );
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
  const { signatures } = envelope;
  const possible = signatures.flatMap(({ sig }) => verifiers.map((verifier) => [verifier, sig] as const));
  const message = preAuthEncoding(envelope.payloadType, envelope.payload);
  return withMessageVerifier(message, possible, asyncVerifier, async (isSigned) => {
    const pairs: { signature: Uint8Array; verifier: VerifierKey }[] = [];
    for (const [i, { sig }] of signatures.entries()) {
      // Clients name them in the same order, so the one at the same place is most likely right.
      const order = [...verifiers.slice(i), ...verifiers.slice(0, i)];
      const verifier = await findVerifier(order, (candidate) => isSigned(candidate, sig));
      if (!verifier) throw new InputError('ENTRY_INVALID', 'envelope: a signature does not verify');
      pairs.push({ signature: sig, verifier });
    }
    if (verifiers.some((verifier) => !pairs.some((pair) => pair.verifier === verifier))) {
      throw new InputError('ENTRY_INVALID', 'verifiers: one of them verifies no signature of the envelope');
    }
    return pairs;
  });
}

/** A verifier for one request: what its checks cost together is bounded. Beyond it `together` rejects with ENTRY_INVALID. */
export function boundRequest(asyncVerifier: AsyncVerifier): AsyncVerifier {
  let spent = 0;
  return {
    isValidSignature: (...asked) => asyncVerifier.isValidSignature(...asked),
    isValidDigestSignature: (...asked) => asyncVerifier.isValidDigestSignature(...asked),
    async together(microseconds, work) {
      spent += microseconds;
      if (spent > MAX_REQUEST_VERIFICATION_MICROSECONDS) {
        throw new InputError(
          'ENTRY_INVALID',
          `too many pairs of signature and key: verifying them could take ${spent} µs, a request may take ${MAX_REQUEST_VERIFICATION_MICROSECONDS}`,
        );
      }
      return asyncVerifier.together(microseconds, work);
    },
  };
}

async function findVerifier(
  verifiers: readonly VerifierKey[],
  isRight: (verifier: VerifierKey) => Promise<boolean>,
): Promise<VerifierKey | undefined> {
  for (const verifier of verifiers) if (await isRight(verifier)) return verifier;
  return undefined;
}
