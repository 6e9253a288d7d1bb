import { isLoopbackHost } from './access.ts';
import { CLIENT_ID, OAuthError, type Parameters, requireChallenge } from './oauth.ts';

/** The redirect that shows the code instead of sending it somewhere, for clients that have no listener. */
export const OUT_OF_BAND = 'urn:ietf:wg:oauth:2.0:oob';

/** Characters of `state` and `nonce`: clients send up to 171. */
const MAX_ECHO_CHARS = 1024;

/** An authorization request that may be answered (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1, RFC 7636 §4.3). */
export interface AuthorizationRequest {
  readonly redirectUri: string;
  readonly state: string | undefined;
  readonly nonce: string | undefined;
  readonly codeChallenge: string;
}

/** What the login form carries from the request to its own submission. */
export const AUTHORIZATION_PARAMETERS = [
  ...['response_type', 'client_id', 'redirect_uri', 'scope', 'state', 'nonce'],
  ...['code_challenge', 'code_challenge_method'],
] as const;

/** The redirect of a request whose client is known. Until it is accepted, errors are shown and not sent to it. */
export function requireRedirect(parameters: Parameters): string {
  if (parameters.get('client_id') !== CLIENT_ID)
    throw new OAuthError('unauthorized_client', `client_id must be ${CLIENT_ID}`);
  const redirectUri = parameters.get('redirect_uri') ?? '';
  if (redirectUri !== OUT_OF_BAND && !isLoopbackRedirect(redirectUri))
    throw new OAuthError('invalid_request', `redirect_uri must be http on loopback, or ${OUT_OF_BAND}`);
  return redirectUri;
}

/** RFC 8252 §7.3: http to this computer, any port, any path. */
function isLoopbackRedirect(text: string): boolean {
  if (text.length > 2048 || !/^http:\/\/[\x21-\x7e]+$/.test(text) || text.includes('\\') || !URL.canParse(text))
    return false;
  const url = new URL(text);
  return isLoopbackHost(url.host) && url.username === '' && url.password === '' && !text.includes('#');
}

/** OAuthError if the request, whose redirect was accepted, cannot be answered with a code. */
export function parseAuthorizationRequest(parameters: Parameters): AuthorizationRequest {
  const redirectUri = requireRedirect(parameters);
  if (parameters.get('response_type') !== 'code')
    throw new OAuthError('unsupported_response_type', 'response_type must be code');
  if ((parameters.get('response_mode') ?? 'query') !== 'query')
    throw new OAuthError('invalid_request', 'response_mode must be query');
  if (!(parameters.get('scope') ?? '').split(' ').includes('openid'))
    throw new OAuthError('invalid_scope', 'scope must contain openid');
  const codeChallenge = requireChallenge(parameters);
  return { redirectUri, state: echo(parameters, 'state'), nonce: echo(parameters, 'nonce'), codeChallenge };
}

function echo(parameters: Parameters, name: string): string | undefined {
  const value = parameters.get(name);
  if (value !== undefined && value.length > MAX_ECHO_CHARS)
    throw new OAuthError('invalid_request', `${name} is longer than ${MAX_ECHO_CHARS} characters`);
  return value;
}

/** The redirect with the answer's parameters added to its query (RFC 6749 §4.1.2). */
export function redirectTo(redirectUri: string, answer: Record<string, string | undefined>): Response {
  const url = new URL(redirectUri);
  for (const [name, value] of Object.entries(answer)) if (value !== undefined) url.searchParams.append(name, value);
  return new Response(null, {
    status: 303,
    headers: { location: url.href, 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' },
  });
}
