import type { AsyncVerifier } from '../core/crypto/async-verifier.ts';
import type { HashName } from '../core/crypto/hash.ts';
import { defaultHash } from '../core/crypto/public-key.ts';
import { type Envelope, preAuthEncoding } from '../core/dsse/envelope.ts';
import { InputError } from '../core/errors.ts';
import type { VerifierKey } from './verifier-key.ts';

/**
 * Pairs every signature of an envelope with the verifier that it verifies with (DSSE protocol). Every verifier has to be
 * used: an unused one would be logged as somebody who signed. Errors: ENTRY_INVALID.
 */
export async function requireEnvelopeSignatures(
  envelope: Envelope,
  verifiers: readonly VerifierKey[],
  asyncVerifier: AsyncVerifier,
): Promise<{ signature: Uint8Array; verifier: VerifierKey }[]> {
  if (verifiers.length === 0) throw new InputError('ENTRY_INVALID', 'verifiers: missing');
  const signed = preAuthEncoding(envelope.payloadType, envelope.payload);
  const pairs: { signature: Uint8Array; verifier: VerifierKey }[] = [];
  for (const { sig } of envelope.signatures) {
    const verifier = await verifierOf(sig, signed, verifiers, asyncVerifier);
    if (!verifier) throw new InputError('ENTRY_INVALID', 'envelope: a signature does not verify');
    pairs.push({ signature: sig, verifier });
  }
  if (verifiers.some((verifier) => !pairs.some((pair) => pair.verifier === verifier))) {
    throw new InputError('ENTRY_INVALID', 'verifiers: one of them verifies no signature of the envelope');
  }
  return pairs;
}

async function verifierOf(
  signature: Uint8Array,
  signed: Uint8Array,
  verifiers: readonly VerifierKey[],
  asyncVerifier: AsyncVerifier,
): Promise<VerifierKey | undefined> {
  for (const candidate of verifiers) {
    for (const hash of messageHashes(candidate)) {
      if (await asyncVerifier.isValidSignature(candidate.publicKey, hash, signed, signature)) return candidate;
    }
  }
  return undefined;
}

/** Clients sign with the hash of the key's size; older ones with SHA-256 whatever the curve. */
function messageHashes({ publicKey }: VerifierKey): HashName[] {
  return [...new Set<HashName>([defaultHash(publicKey), 'sha256'])];
}
