import { VerificationError } from '../errors.ts';
import type { Certificate } from '../x509/certificate.ts';
import { oidcIssuer } from '../x509/fulcio.ts';
import { subjectAlternativeNames } from '../x509/names.ts';
import type { Pattern } from './pattern.ts';

/** What a value has to be: equal to a text, or matched as a whole by a pattern. */
export type Matcher =
  | { readonly kind: 'exact'; readonly value: string }
  | { readonly kind: 'pattern'; readonly pattern: Pattern };

/** An identity that a verifier wants: both parts, from the same certificate. */
interface ExpectedIdentity {
  readonly issuer: Matcher;
  readonly subjectAlternativeName: Matcher;
}

/** The signer has to be one of these. */
export interface IdentityPolicy {
  readonly identities: readonly ExpectedIdentity[];
}

export interface Identity {
  readonly issuer: string;
  readonly subjectAlternativeName: string;
}

/** The certificate is genuine but names somebody else. `found` holds every identity that it names. */
export class IdentityMismatchError extends VerificationError {
  declare readonly code: 'IDENTITY_MISMATCH' | 'ISSUER_MISMATCH';
  readonly found: readonly Identity[];
  constructor(code: 'IDENTITY_MISMATCH' | 'ISSUER_MISMATCH', message: string, found: readonly Identity[]) {
    super(code, 'identity', message, { evidence: 'verificationMaterial.certificate' });
    this.found = found;
  }
}

/**
 * Step 5, client specification §4.7: the certificate's OIDC issuer and one of its subject alternative names are those of one
 * identity of the policy. Returns that identity as the certificate has it. IDENTITY_MISMATCH, ISSUER_MISMATCH.
 */
export function requireIdentity(certificate: Certificate, policy: IdentityPolicy): Identity {
  const issuer = oidcIssuer(certificate);
  if (issuer === undefined) {
    throw new IdentityMismatchError('ISSUER_MISMATCH', 'the certificate does not name an OIDC issuer', []);
  }
  const found = subjectAlternativeNames(certificate).map((name) => ({ issuer, subjectAlternativeName: name.value }));
  let sameName = false;
  for (const expected of policy.identities) {
    for (const identity of found) {
      if (!isMatch(expected.subjectAlternativeName, identity.subjectAlternativeName)) continue;
      if (isMatch(expected.issuer, issuer)) return identity;
      sameName = true;
    }
  }
  const names = found.map((identity) => identity.subjectAlternativeName).join(', ') || 'nobody';
  throw sameName
    ? new IdentityMismatchError(
        'ISSUER_MISMATCH',
        `signed by ${names}, vouched for by another issuer, ${issuer}`,
        found,
      )
    : new IdentityMismatchError('IDENTITY_MISMATCH', `signed by another identity, ${names} (issuer ${issuer})`, found);
}

function isMatch(matcher: Matcher, text: string): boolean {
  return matcher.kind === 'exact' ? matcher.value === text : matcher.pattern.matches(text);
}
