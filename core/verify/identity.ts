import { VerificationError } from '../errors.ts';
import type { Certificate } from '../x509/certificate.ts';
import { type FulcioClaims, fulcioClaims } from '../x509/fulcio.ts';
import { subjectAlternativeNames } from '../x509/names.ts';
import { exactly, isMatch, type Matcher } from './matcher.ts';
import { type ClaimRequirement, unmetClaim } from './policy-claims.ts';

/** An identity that a verifier wants: all parts, from the same certificate. */
export interface ExpectedIdentity {
  readonly issuer: Matcher;
  readonly subjectAlternativeName: Matcher;
  readonly claims?: readonly ClaimRequirement[];
}

/** The signer has to be one of these. */
export interface IdentityPolicy {
  readonly identities: readonly ExpectedIdentity[];
}

export interface Identity {
  readonly issuer: string;
  readonly subjectAlternativeName: string;
}

type MismatchCode = 'IDENTITY_MISMATCH' | 'ISSUER_MISMATCH' | 'CLAIM_MISMATCH';

/** The certificate is genuine but names somebody else. `found` holds every identity that it names. */
export class IdentityMismatchError extends VerificationError {
  declare readonly code: MismatchCode;
  readonly found: readonly Identity[];
  readonly claims: FulcioClaims;
  constructor(code: MismatchCode, message: string, found: readonly Identity[], claims: FulcioClaims) {
    super(code, 'identity', message, { evidence: 'verificationMaterial.certificate' });
    this.found = found;
    this.claims = claims;
  }
}

/** Every identity that the certificate names: none if it has no OIDC issuer. Errors: CERTIFICATE_INVALID. */
export function identitiesOf(certificate: Certificate): { identities: Identity[]; claims: FulcioClaims } {
  const claims = fulcioClaims(certificate);
  const issuer = claims.issuerV2 ?? claims.issuer;
  if (issuer === undefined) return { identities: [], claims };
  const names = subjectAlternativeNames(certificate);
  return { identities: names.map(({ value }) => ({ issuer, subjectAlternativeName: value })), claims };
}

/** Exactly the identities that the certificate names, to verify all but who it is. Errors: as `identitiesOf`. */
export function namedIdentities(certificate: Certificate): ExpectedIdentity[] {
  return identitiesOf(certificate).identities.map(({ issuer, subjectAlternativeName }) => ({
    issuer: exactly(issuer),
    subjectAlternativeName: exactly(subjectAlternativeName),
  }));
}

/**
 * Step 5, client specification §4.7: the certificate's OIDC issuer, one of its subject alternative names and its claims are
 * those of one identity of the policy. Returns that identity as the certificate has it. IDENTITY_MISMATCH, ISSUER_MISMATCH,
 * CLAIM_MISMATCH: of the expected identity that comes closest.
 */
export function requireIdentity(certificate: Certificate, policy: IdentityPolicy): Identity {
  const { identities: found, claims } = identitiesOf(certificate);
  const issuer = claims.issuerV2 ?? claims.issuer;
  if (issuer === undefined) {
    throw new IdentityMismatchError('ISSUER_MISMATCH', 'the certificate does not name an OIDC issuer', [], claims);
  }
  let sameName = false;
  let unmet: string | undefined;
  for (const expected of policy.identities) {
    for (const identity of found) {
      if (!isMatch(expected.subjectAlternativeName, identity.subjectAlternativeName)) continue;
      sameName = true;
      if (!isMatch(expected.issuer, issuer)) continue;
      const problem = unmetClaim(claims, expected.claims ?? []);
      if (problem === undefined) return identity;
      unmet ??= problem;
    }
  }
  const names = found.map((identity) => identity.subjectAlternativeName).join(', ') || 'nobody';
  const [code, message] =
    unmet !== undefined
      ? (['CLAIM_MISMATCH', `signed by ${names}, but ${unmet}`] as const)
      : sameName
        ? (['ISSUER_MISMATCH', `signed by ${names}, vouched for by another issuer, ${issuer}`] as const)
        : (['IDENTITY_MISMATCH', `signed by another identity, ${names} (issuer ${issuer})`] as const);
  throw new IdentityMismatchError(code, message, found, claims);
}
