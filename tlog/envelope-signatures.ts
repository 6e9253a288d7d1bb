import type { HashName } from '../core/crypto/hash.ts';
import { defaultHash } from '../core/crypto/public-key.ts';
import { isValidSignature } from '../core/crypto/verify.ts';
import { type Envelope, preAuthEncoding } from '../core/dsse/envelope.ts';
import { InputError } from '../core/errors.ts';
import type { VerifierKey } from './verifier-key.ts';

/**
 * Pairs every signature of an envelope with the verifier that it verifies with (DSSE protocol). Every verifier has to be
 * used: an unused one would be logged as somebody who signed. Errors: ENTRY_INVALID.
 */
export function requireEnvelopeSignatures(
  envelope: Envelope,
  verifiers: readonly VerifierKey[],
): { signature: Uint8Array; verifier: VerifierKey }[] {
  if (verifiers.length === 0) throw new InputError('ENTRY_INVALID', 'verifiers: missing');
  const signed = preAuthEncoding(envelope.payloadType, envelope.payload);
  const pairs = envelope.signatures.map(({ sig }) => {
    const verifier = verifiers.find((candidate) =>
      messageHashes(candidate).some((hash) => isValidSignature(candidate.publicKey, hash, signed, sig)),
    );
    if (!verifier) throw new InputError('ENTRY_INVALID', 'envelope: a signature does not verify');
    return { signature: sig, verifier };
  });
  if (verifiers.some((verifier) => !pairs.some((pair) => pair.verifier === verifier))) {
    throw new InputError('ENTRY_INVALID', 'verifiers: one of them verifies no signature of the envelope');
  }
  return pairs;
}

/** Clients sign with the hash of the key's size; older ones with SHA-256 whatever the curve. */
function messageHashes({ publicKey }: VerifierKey): HashName[] {
  return [...new Set<HashName>([defaultHash(publicKey), 'sha256'])];
}
