import type { Bundle } from '../bundle/bundle.ts';
import { equal, serializeBase64 } from '../bytes/bytes.ts';
import { keyFingerprint, type PublicKey } from '../crypto/public-key.ts';
import { VerificationError, withEvidence } from '../errors.ts';
import { type RegistryKey, requireRegistryKey } from '../trust/registry-keys.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import type { Validity } from '../x509/validity.ts';
import type { Artifact } from './artifact.ts';
import type { IdentityPolicy } from './identity.ts';
import { leafCertificate } from './leaf.ts';
import { type PinPolicy, requirePinnedKey } from './policy-pin.ts';
import { keysOf, type RulePolicy } from './policy-rule.ts';

/** What npm's key list calls keys that sign attestations. */
export const ATTESTATIONS = 'npm:attestations';

/** The signature has to be by this key. `validFor`: when it was in use, for keys that are published with a period. */
export interface KeyPolicy {
  readonly key: PublicKey;
  readonly validFor?: Validity;
}

/** The signature has to be by the one of a registry's keys for attestations that the bundle's hint names. */
export interface RegistryPolicy {
  readonly registryKeys: readonly RegistryKey[];
}

/** Whose signature is wanted, and what else is required of it. */
export type Policy = IdentityPolicy | KeyPolicy | RegistryPolicy | RulePolicy | PinPolicy;

/** Whose signature it has to be: one of the policy's keys, or the holder of the bundle's certificate, unverified as yet. */
export type Signer =
  | { readonly kind: 'key'; readonly key: PublicKey; readonly validFor?: Validity }
  | { readonly kind: 'certificate'; readonly key: PublicKey; readonly certificate: Certificate };

/**
 * The signers that both the policy and the bundle's verification material speak of, at least one: several if the bundle may be
 * signed with any of several keys. KEY_MISMATCH, SIGNER_CHANGED, PIN_MISSING, CERTIFICATE_*.
 */
export function possibleSigners(bundle: Bundle, policy: Policy, artifact: Artifact): Signer[] {
  const { material } = bundle;
  if (material.kind === 'publicKey') return keySigners(material.hint, policy, artifact);
  if ('key' in policy || 'registryKeys' in policy) {
    throw new VerificationError('KEY_MISMATCH', 'parse', 'signed with a certificate, not with the given key', {
      evidence: 'verificationMaterial',
      hint: 'verify with --certificate-identity and --certificate-oidc-issuer instead of a key',
    });
  }
  const leaf = leafCertificate(bundle);
  if (leaf === undefined) throw new Error('internal: a bundle without a certificate passed the parser');
  const above = material.certificates
    .slice(1)
    .map((der, i) =>
      withEvidence(`verificationMaterial.x509CertificateChain.certificates[${i + 1}]`, 'certificate', () =>
        parseCertificate(der),
      ),
    );
  requireIssuingOrder(bundle, [leaf, ...above]);
  return [{ kind: 'certificate', key: leaf.publicKey, certificate: leaf }];
}

function keySigners(hint: string, policy: Policy, artifact: Artifact): Signer[] {
  if ('key' in policy) return [{ kind: 'key', ...policy }];
  if ('registryKeys' in policy) {
    const { key, validFor } = requireRegistryKey(policy.registryKeys, hint, ATTESTATIONS);
    return [{ kind: 'key', key, validFor }];
  }
  if ('pins' in policy) return pinnedSigners(hint, policy, artifact);
  const keys = 'rules' in policy ? keysOf(policy) : [];
  if (keys.length === 0) {
    throw new VerificationError('KEY_MISMATCH', 'parse', 'signed with a key, which proves no identity', {
      evidence: 'verificationMaterial.publicKey',
      hint: 'verify with --key FILE instead of an identity',
    });
  }
  // Nobody signed the hint, but a wrong one can only leave out the key that it would verify with.
  const hinted = keys.filter((key) => serializeBase64(keyFingerprint(key)) === hint);
  return (hinted.length > 0 ? hinted : keys).map((key) => ({ kind: 'key', key }));
}

// The other policy knows more of a key than that it is the pinned one: when it was in use, and for what.
function pinnedSigners(hint: string, policy: PinPolicy, artifact: Artifact): Signer[] {
  const key = requirePinnedKey(policy, artifact);
  if (policy.also === undefined) return [{ kind: 'key', key }];
  const agreed = keySigners(hint, policy.also, artifact).filter((signer) => equal(signer.key.spki, key.spki));
  if (agreed.length > 0) return agreed;
  throw new VerificationError('KEY_MISMATCH', 'parse', 'the key in signers.lock is not the one that is asked for', {
    evidence: 'verificationMaterial.publicKey',
    hint: 'if its publishers have changed their key: hallmark pin --accept-change ...',
  });
}

// The bundle's chain is not used (trust comes from the trusted root alone), but a wrong one is a malformed bundle: each
// certificate has issued the one before it (RFC 8446 §4.4.2), and no root is among them. Version 0.1 is let off the second,
// as the first clients added the root.
function requireIssuingOrder(bundle: Bundle, chain: readonly Certificate[]): void {
  chain.forEach((certificate, i) => {
    const subject = chain[i - 1];
    const misplaced = subject !== undefined && !equal(subject.issuerName, certificate.subjectName);
    const selfIssued = i > 0 && equal(certificate.issuerName, certificate.subjectName);
    if (!misplaced && !(selfIssued && bundle.version !== '0.1')) return;
    throw new VerificationError(
      'CERTIFICATE_UNTRUSTED',
      'certificate',
      misplaced
        ? `certificate ${i} of the chain did not issue certificate ${i - 1}`
        : 'the chain contains a root certificate',
      { evidence: `verificationMaterial.x509CertificateChain.certificates[${i}]` },
    );
  });
}
