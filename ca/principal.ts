import type { Json } from '../core/bytes/json.ts';
import { IdentityError } from '../core/errors.ts';
import type { FulcioClaims } from '../core/x509/fulcio.ts';
import type { AlternativeName } from '../core/x509/names.ts';
import { ciIdentity } from './ci-claims.ts';
import { isEmailAddress } from './email.ts';
import type { IdentityRules } from './issuers.ts';
import type { VerifiedToken } from './token.ts';

/** Whom the CA has authenticated, in the form that a certificate states it. */
export interface Principal {
  readonly subjectAlternativeName: AlternativeName;
  /** The issuer that the certificate names: the token's, or the one behind it. */
  readonly issuer: string;
  readonly tokenSubject: string;
  /** What the certificate says of the CI job, beside the issuer. */
  readonly claims: FulcioClaims;
  /** What the proof of possession may sign, the type's own first. */
  readonly possessionMessages: readonly string[];
}

/** The principal that a verified token stands for, by its issuer's type. IDENTITY_TOKEN_INVALID if the token does not fit it. */
export function requirePrincipal(token: VerifiedToken): Principal {
  const { issuer, tokenSubject, claims } = token;
  const { name, ciClaims = {}, realIssuer = issuer.url } = identify(token);
  if (name.kind === 'uri' && !/^[\x21-\x7e]+$/.test(name.value))
    throw invalid(`${JSON.stringify(name.value).slice(0, 200)} is not a URI`);
  // Clients sign the email address if the token has one and the token subject otherwise, whatever the type says. Either
  // proves the same: that the holder of this token has the key.
  const email = claims['email'];
  if (typeof email === 'string' && !email.isWellFormed()) throw invalid('claim email is not Unicode text');
  const messages = typeof email === 'string' && email !== '' ? [email, tokenSubject] : [tokenSubject];
  return {
    subjectAlternativeName: name,
    issuer: realIssuer,
    tokenSubject,
    claims: ciClaims,
    possessionMessages: issuer.type === 'email' ? messages : messages.toReversed(),
  };
}

interface Identity {
  readonly name: AlternativeName;
  readonly ciClaims?: FulcioClaims;
  readonly realIssuer?: string;
}

function identify({ issuer, tokenSubject, claims }: VerifiedToken): Identity {
  switch (issuer.type) {
    case 'email':
      return {
        name: { kind: 'email', value: requireEmail(claims, issuer.emailVerification) },
        ...(issuer.issuerClaim && { realIssuer: requireIssuerClaim(claims, issuer.issuerClaim) }),
      };
    case 'uri':
      requireUriSubject(tokenSubject, issuer.subjectDomain);
      return { name: { kind: 'uri', value: tokenSubject } };
    case 'username':
      requireUsername(tokenSubject);
      return { name: { kind: 'otherName', value: `${tokenSubject}!${issuer.subjectDomain}` } };
    case 'spiffe':
      requireSpiffeId(tokenSubject, issuer.trustDomain);
      return { name: { kind: 'uri', value: tokenSubject } };
    case 'kubernetes':
      return { name: { kind: 'uri', value: requireServiceAccount(claims) } };
    case 'github-workflow':
    case 'gitlab-pipeline':
    case 'buildkite-job': {
      const { uri, claims: ciClaims } = ciIdentity(issuer.type, issuer.serverUrl, claims);
      return { name: { kind: 'uri', value: uri }, ciClaims };
    }
  }
}

type TokenClaims = VerifiedToken['claims'];

function requireEmail(
  claims: TokenClaims,
  verification: (IdentityRules & { type: 'email' })['emailVerification'],
): string {
  const email = claims['email'];
  if (typeof email !== 'string' || email === '') throw invalid('claim email is missing');
  // Some issuers write the flag as text.
  const verified = [true, 'true', 'True'].includes(claims['email_verified'] as string | boolean);
  if (verification === 'required' && !verified) throw invalid('claim email_verified is not true');
  if (!isEmailAddress(email)) throw invalid('claim email is not an email address');
  return email;
}

/** The issuer behind a federating one, at the configured path. */
function requireIssuerClaim(claims: TokenClaims, path: readonly string[]): string {
  let value: Json | undefined = claims as { [name: string]: Json };
  for (const name of path) {
    const inner: Json | undefined = value;
    value =
      inner !== null && typeof inner === 'object' && !Array.isArray(inner) && Object.hasOwn(inner, name)
        ? inner[name]
        : undefined;
  }
  if (typeof value !== 'string' || value === '') throw invalid(`claim ${path.join('.')} is missing`);
  if (!value.isWellFormed()) throw invalid(`claim ${path.join('.')} is not Unicode text`);
  return value;
}

/** Scheme and host of the token subject are the configured ones. Parsed by hand: URL parsers disagree on odd authorities. */
function requireUriSubject(tokenSubject: string, subjectDomain: string): void {
  const parts = /^(https?:\/\/[a-z0-9.-]+)(?::\d{1,5})?(?:[/?#][\w.~:/?#[\]@!$&'()*+,;=%-]*)?$/.exec(tokenSubject);
  if (!parts) throw invalid('token subject is not an http URI');
  if (parts[1] !== subjectDomain) throw invalid(`token subject is not under ${subjectDomain}`);
}

/** Not to be mistaken for the joined form `name!domain`, nor for an email address. */
function requireUsername(tokenSubject: string): void {
  if (tokenSubject.includes('!')) throw invalid('user name contains "!"');
  if (isEmailAddress(tokenSubject)) throw invalid('user name is an email address');
  if (!tokenSubject.isWellFormed() || /\p{Cc}/u.test(tokenSubject)) throw invalid('user name has control characters');
}

/** SPIFFE-ID §2: scheme, trust domain, path of non-empty segments that are not dots. */
function requireSpiffeId(tokenSubject: string, trustDomain: string): void {
  const parts = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)*)$/.exec(tokenSubject);
  if (!parts || tokenSubject.length > 2048 || /\/\.\.?(?:\/|$)/.test(parts[2] as string))
    throw invalid('token subject is not a SPIFFE ID');
  if (parts[1] !== trustDomain) throw invalid(`SPIFFE ID is not in the trust domain ${trustDomain}`);
}

function requireServiceAccount(claims: TokenClaims): string {
  const label = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
  const kubernetes = objectAt(claims, 'kubernetes.io');
  const namespace = kubernetes?.['namespace'];
  const account = kubernetes && objectAt(kubernetes, 'serviceaccount')?.['name'];
  if (typeof namespace !== 'string' || typeof account !== 'string' || !label.test(namespace) || !label.test(account))
    throw invalid('claim kubernetes.io does not name a service account');
  return `https://kubernetes.io/namespaces/${namespace}/serviceaccounts/${account}`;
}

function objectAt(claims: TokenClaims, name: string): TokenClaims | undefined {
  const value = claims[name];
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? value : undefined;
}

function invalid(problem: string): IdentityError {
  return new IdentityError('IDENTITY_TOKEN_INVALID', problem);
}
