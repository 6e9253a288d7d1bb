import { isEmailAddress } from '../email.ts';
import {
  AUTHORIZATION_PARAMETERS,
  type AuthorizationRequest,
  OUT_OF_BAND,
  parseAuthorizationRequest,
  redirectTo,
  requireRedirect,
} from './authorization.ts';
import type { ExpiringMap } from './expiring-map.ts';
import { OAuthError, type Parameters, requireVerifier } from './oauth.ts';
import { codePage, loginPage, messagePage } from './pages.ts';

/** How long a code waits to be redeemed, ms: a person may have to copy it. */
export const CODE_LIFETIME_MS = 5 * 60_000;

/** Who logged in, waiting for the client to come with the code. */
export interface PendingCode extends AuthorizationRequest {
  readonly email: string;
}

export interface CodeFlow {
  /** Path of the authorization endpoint, where the login form goes. */
  readonly action: string;
  readonly codes: ExpiringMap<PendingCode>;
  readonly newCode: () => string;
}

/** The authorization endpoint (RFC 6749 §4.1.1, §4.1.2): first it shows the login form, `submitted` is that form filled in. */
export function authorize(flow: CodeFlow, parameters: Parameters, submitted: boolean): Response {
  // Errors go to the redirect only once it is known to be the client's.
  const redirectUri = orShow(() => requireRedirect(parameters));
  if (redirectUri instanceof Response) return redirectUri;
  const outOfBand = redirectUri === OUT_OF_BAND;

  let authorization: AuthorizationRequest;
  try {
    authorization = parseAuthorizationRequest(parameters);
  } catch (problem) {
    if (!(problem instanceof OAuthError)) throw problem;
    if (outOfBand) return cannotBegin(problem);
    const { error, message: error_description } = problem;
    return redirectTo(redirectUri, { error, error_description, state: parameters.get('state') });
  }

  const email = (parameters.get(submitted ? 'email' : 'login_hint') ?? '').trim();
  const carried = AUTHORIZATION_PARAMETERS.flatMap((name) => {
    const value = parameters.get(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  const formTarget = outOfBand ? undefined : new URL(redirectUri).origin;
  const form = { action: flow.action, carried, formTarget, email };
  if (!submitted) return loginPage(form);
  if (!isEmailAddress(email)) return loginPage({ ...form, problem: 'This is not an email address.' });

  const code = flow.newCode();
  flow.codes.set(code, { ...authorization, email });
  return outOfBand ? codePage(code) : redirectTo(redirectUri, { code, state: authorization.state });
}

/** RFC 6749 §4.1.3, RFC 7636 §4.6: who logged in with this code, and the nonce to echo. */
export function redeemCode(flow: CodeFlow, form: Parameters): { email: string; nonce: string | undefined } {
  // Taken at the first try, also a failing one: a code is used once (RFC 6749 §4.1.2).
  const pending = flow.codes.take(form.get('code') ?? '');
  if (!pending) throw new OAuthError('invalid_grant', 'code is unknown, used or expired');
  if (form.get('redirect_uri') !== pending.redirectUri)
    throw new OAuthError('invalid_grant', 'redirect_uri is not the one of the authorization request');
  requireVerifier(pending.codeChallenge, form.get('code_verifier'));
  return { email: pending.email, nonce: pending.nonce };
}

function orShow(parse: () => string): string | Response {
  try {
    return parse();
  } catch (problem) {
    if (problem instanceof OAuthError) return cannotBegin(problem);
    throw problem;
  }
}

const cannotBegin = (problem: OAuthError): Response => messagePage(400, 'This login cannot begin', problem.message);
