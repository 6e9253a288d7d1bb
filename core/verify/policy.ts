import { equal } from '../bytes/bytes.ts';
import type { Statement } from '../dsse/statement.ts';
import { VerificationError } from '../errors.ts';
import type { Artifact } from './artifact.ts';
import { type Identity, requireIdentity } from './identity.ts';
import { requirePinned } from './policy-pin.ts';
import { requireRule } from './policy-rule.ts';
import { ATTESTATIONS, type KeyPolicy, type Policy, type Signer } from './signer.ts';

/** What a policy says of a signature that it allows. */
interface Allowed {
  /** Of a certificate, always: the name that it was allowed for. */
  readonly identity: Identity | undefined;
  /** The name of the rule, if the policy has rules. */
  readonly rule: string | undefined;
}

/**
 * Step 5, client specification §4.7, of a signature that is verified otherwise: the policy allows its signer, and what it
 * states. IDENTITY_MISMATCH, ISSUER_MISMATCH, CLAIM_MISMATCH, KEY_MISMATCH; POLICY_MISMATCH; PIN_MISSING, SIGNER_CHANGED,
 * PROVENANCE_LOST.
 */
export function requirePolicy(
  { signer, statement, artifact }: { signer: Signer; statement: Statement | undefined; artifact: Artifact },
  policy: Policy,
): Allowed {
  if ('pins' in policy) {
    const identity = requirePinned(signer, statement, policy, artifact);
    return policy.also === undefined
      ? { identity, rule: undefined }
      : requirePolicy({ signer, statement, artifact }, policy.also);
  }
  if ('rules' in policy) return requireRule(signer, statement, policy);
  if ('key' in policy) {
    if (isKeyOf(signer, policy)) return { identity: undefined, rule: undefined };
    throw new VerificationError('KEY_MISMATCH', 'identity', 'not signed with the given key');
  }
  if ('registryKeys' in policy) {
    const forAttestations = policy.registryKeys.filter(({ usage }) => usage === ATTESTATIONS);
    if (forAttestations.some((key) => isKeyOf(signer, key))) return { identity: undefined, rule: undefined };
    throw new VerificationError('KEY_MISMATCH', 'identity', 'not signed with a key of the registry');
  }
  if (signer.kind === 'certificate') return { identity: requireIdentity(signer.certificate, policy), rule: undefined };
  throw new VerificationError('KEY_MISMATCH', 'identity', 'signed with a key, which proves no identity');
}

// With the period that the policy gives the key, or none: the signature was held to that of the signer.
const isKeyOf = (signer: Signer, { key, validFor }: KeyPolicy): boolean =>
  signer.kind === 'key' && equal(signer.key.spki, key.spki) && signer.validFor === validFor;
