/**
 * Fulcio's rule for an issuer that vouches for names in a domain: the same host, or both share their last two labels.
 * Answers the problem as a sentence, undefined if there is none. Public suffixes of two labels (co.uk) are not known to
 * it: who configures the issuer vouches for them.
 */
export function requireSameSite(subjectHost: string, issuerHost: string): string | undefined {
  if (subjectHost === issuerHost) return undefined;
  const subject = subjectHost.split('.').slice(-2);
  const issuer = issuerHost.split('.').slice(-2);
  const same = subject.length === 2 && issuer.length === 2 && subject.join('.') === issuer.join('.');
  return same ? undefined : `${subjectHost} and the issuer's host ${issuerHost} differ in their last two labels`;
}
