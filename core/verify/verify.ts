import type { Bundle } from '../bundle/bundle.ts';
import type { HashName } from '../crypto/hash.ts';
import { keyFingerprint, type PublicKey } from '../crypto/public-key.ts';
import type { Statement } from '../dsse/statement.ts';
import { type ErrorCode, VerificationError, withEvidence } from '../errors.ts';
import type { TrustedRoot } from '../trust/trusted-root.ts';
import type { Certificate } from '../x509/certificate.ts';
import { type FulcioClaims, fulcioClaims } from '../x509/fulcio.ts';
import { isValidAt, type Validity } from '../x509/validity.ts';
import type { Artifact } from './artifact.ts';
import { verifyCertificate } from './certificate.ts';
import { requireOneSignature } from './content.ts';
import type { Identity } from './identity.ts';
import { type VerifiedLogEntry, verifyLogEntries } from './log-entry.ts';
import { requirePolicy } from './policy.ts';
import { verifySignature } from './signature.ts';
import { type Policy, possibleSigners, type Signer } from './signer.ts';
import { requiredThresholds, type Thresholds } from './thresholds.ts';
import { type VerifiedTime, verifyTimes } from './times.ts';

export interface VerifyOptions {
  readonly trustedRoot: TrustedRoot;
  readonly policy: Policy;
  readonly artifact: Artifact;
  /** The predicate type URI that an attestation has to have; with it a plain signature is refused. */
  readonly predicateType?: string;
  /** The latest instant at which the signature can have been made; counts only where the bundle proves none. */
  readonly now: Date;
  /** More than what the trusted root calls for (thresholds.ts). */
  readonly thresholds?: Partial<Thresholds>;
}

type VerifiedSigner =
  | ({ readonly kind: 'certificate'; readonly claims: FulcioClaims; readonly certificate: Certificate } & Identity)
  /** `fingerprint`: SHA-256 of the key's SPKI. */
  | { readonly kind: 'key'; readonly key: PublicKey; readonly fingerprint: Uint8Array };

declare const verified: unique symbol;

/** Everything in it was verified, and only `verifyBundle` makes one. */
export interface VerifiedBundle {
  readonly [verified]: true;
  readonly signer: VerifiedSigner;
  readonly times: readonly VerifiedTime[];
  readonly logEntries: readonly VerifiedLogEntry[];
  readonly artifact: { readonly hash: HashName; readonly digest: Uint8Array };
  /** Of an attestation; undefined for a plain signature. */
  readonly statement: Statement | undefined;
  /** The name of the rule that allowed it; undefined for a policy without rules. */
  readonly rule: string | undefined;
}

/**
 * Verifies a parsed bundle, in the order of the Sigstore client specification §4, with nothing but its arguments: no network,
 * no clock. Throws VerificationError, or InputError for a part that is malformed, each with its step and where the evidence is;
 * returns what is proven.
 */
export function verifyBundle(bundle: Bundle, options: VerifyOptions): VerifiedBundle {
  // What names no part of its own is about who signed.
  return withEvidence('verificationMaterial', 'identity', () => verifyAsAnybody(bundle, options));
}

function verifyAsAnybody(bundle: Bundle, options: VerifyOptions): VerifiedBundle {
  const signers = possibleSigners(bundle, options.policy, options.artifact);
  const [only, ...others] = signers;
  if (only === undefined) throw new Error('internal: nobody can have signed');
  if (others.length === 0) return verifyAs(only, bundle, options);
  const errors: VerificationError[] = [];
  for (const signer of signers) {
    try {
      return verifyAs(signer, bundle, options);
    } catch (error) {
      // What the policy refuses is signed by this key.
      if (!(error instanceof VerificationError) || error.step === 'policy') throw error;
      errors.push(error);
    }
  }
  throw noKeyVerifies(errors);
}

/** The codes of a signature that is tried with another key than it was made with; that of the right key says more. */
const OTHER_KEY: readonly ErrorCode[] = ['SIGNATURE_INVALID', 'LOG_ENTRY_MISMATCH', 'KEY_MISMATCH', 'DIGEST_MISMATCH'];

function noKeyVerifies(errors: readonly VerificationError[]): VerificationError {
  const [first] = errors;
  const telling = errors.find(({ code }) => !OTHER_KEY.includes(code));
  if (telling !== undefined) return telling;
  if (first?.code === 'DIGEST_MISMATCH' && errors.every(({ code }) => code === first.code)) return first;
  return new VerificationError(
    'KEY_MISMATCH',
    'signature',
    `verifies with none of the policy's ${errors.length} keys`,
    { evidence: 'verificationMaterial.publicKey' },
  );
}

function verifyAs(signer: Signer, bundle: Bundle, options: VerifyOptions): VerifiedBundle {
  const { trustedRoot, policy, artifact } = options;
  const required = requiredThresholds(trustedRoot, signer.kind, options.thresholds);
  const content = requireOneSignature(bundle);

  // 1. Times: when the signature existed. A certificate's key is short-lived, so it needs one (§4.2).
  const times = verifyTimes(bundle, content.signature, trustedRoot, {
    any: signer.kind === 'certificate',
    timestampAuthorities: required.timestampAuthorities,
  });
  const instants = times.length > 0 ? times.map(({ time }) => time) : [options.now];

  // 2. Certificate, at each of these times, and its SCTs (§4.3, §4.4); or the period of the key.
  if (signer.kind === 'certificate') verifyCertificate(signer.certificate, instants, trustedRoot, required);
  else requireKeyInUse(signer.validFor, instants);

  // 3. Log entries, each compared with signature, key and digest (§4.5, §4.6).
  const logEntries = verifyLogEntries(bundle, { content, signer, artifact }, trustedRoot.tlogs, instants, required);

  // 4. Signature, artifact, and statement (§4.8).
  const { statement, ...signed } = verifySignature(content, signer.key, artifact, options.predicateType);

  // 5. Identity (§4.7) and policy, last, so that what they report is known to be genuine.
  const { identity, rule } = requirePolicy({ signer, statement, artifact }, policy);

  return {
    signer: verifiedSigner(signer, identity),
    times,
    logEntries,
    artifact: signed,
    statement,
    rule,
  } as unknown as VerifiedBundle;
}

function verifiedSigner(signer: Signer, identity: Identity | undefined): VerifiedSigner {
  if (signer.kind === 'key') return { kind: 'key', key: signer.key, fingerprint: keyFingerprint(signer.key) };
  if (identity === undefined) throw new Error('internal: a certificate was allowed without an identity');
  const { certificate } = signer;
  return { kind: 'certificate', ...identity, claims: fulcioClaims(certificate), certificate };
}

function requireKeyInUse(validFor: Validity | undefined, instants: readonly Date[]): void {
  const outside = validFor && instants.find((at) => !isValidAt(validFor, at));
  if (outside === undefined) return;
  throw new VerificationError('KEY_EXPIRED', 'certificate', `the key was not in use at ${outside.toISOString()}`, {
    evidence: 'verificationMaterial.publicKey',
  });
}
