import { serializeBase64Url, serializeUtf8 } from '../core/bytes/bytes.ts';
import { Fields } from '../core/bytes/fields.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { IdentityError, ServiceError } from '../core/errors.ts';
import { type Http, type HttpRequest, joinUrl, parseJsonAnswer, readAnswer, request } from '../core/http/client.ts';
import { type IdentityToken, parseIdentityToken, requireFreshToken } from '../core/sign/identity-token.ts';

/** What logging in needs: the client at the issuer and the world outside. */
export interface LoginContext {
  readonly http: Http;
  readonly issuer: string;
  readonly clientId: string;
  readonly say: (text: string) => void;
  /** Of a client that is registered with one. */
  readonly clientSecret?: string;
  /** Of a client that is registered for one address: a port of this computer. */
  readonly redirectUrl?: string;
  /** Which login a Dex offers first. */
  readonly connectorId?: string;
}

/** The endpoints of an issuer (OpenID Connect Discovery 1.0 §3, RFC 8414 §2). */
export interface IssuerEndpoints {
  readonly issuer: string;
  readonly authorization: string;
  readonly token: string;
  readonly deviceAuthorization: string | undefined;
}

const SERVICE = 'the OIDC issuer';
const TIMEOUT_MS = 15_000;
export const SCOPES = 'openid email';

/** Reads the issuer's discovery document. SERVICE_ANSWER_INVALID if it speaks for another issuer or cannot do PKCE. */
export async function fetchEndpoints(http: Http, issuer: string): Promise<IssuerEndpoints> {
  const url = joinUrl(issuer, '/.well-known/openid-configuration');
  const call: HttpRequest = { service: SERVICE, method: 'GET', url, timeoutMs: TIMEOUT_MS, accept: [200] };
  const json = parseJsonAnswer(call, await request(http, call));
  return readAnswer(call, () => {
    const fields = new Fields(json, 'discovery', 'FIELD_INVALID');
    // §4.3: the issuer has to be the one that was asked, or another one could speak in its name.
    const named = fields.string('issuer');
    if (named !== issuer) throw fields.fail('issuer', `is ${JSON.stringify(named.slice(0, 200))}, not ${issuer}`);
    const methods = fields.json('code_challenge_methods_supported');
    // Absent says nothing (Azure leaves it out); a list without S256 says no (RFC 7636 §4.2).
    if (Array.isArray(methods) && !methods.includes('S256'))
      throw fields.fail('code_challenge_methods_supported', 'lacks S256 (PKCE)');
    const device = fields.optionalString('device_authorization_endpoint');
    return {
      issuer,
      authorization: endpoint(fields, 'authorization_endpoint', fields.string('authorization_endpoint')),
      token: endpoint(fields, 'token_endpoint', fields.string('token_endpoint')),
      deviceAuthorization: device && endpoint(fields, 'device_authorization_endpoint', device),
    };
  });
}

// An issuer on https may not send a code or verifier over plain http.
function endpoint(fields: Fields, key: string, url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) throw fields.fail(key, 'expected a URL');
  if (parsed.protocol === 'http:' && fields.string('issuer').startsWith('https:'))
    throw fields.fail(key, 'is not https although the issuer is');
  return url;
}

/** The pair of RFC 7636 §4.1-4.2: a secret and its SHA-256. */
export function pkce(random: (bytes: number) => Uint8Array): { verifier: string; challenge: string } {
  const verifier = serializeBase64Url(random(32));
  return { verifier, challenge: serializeBase64Url(sha256(serializeUtf8(verifier))) };
}

/** One request to an OAuth endpoint; OAuth's own refusals (RFC 6749 §5.2) come back as `error`. */
export async function postForm(
  http: Http,
  url: string,
  form: Record<string, string>,
): Promise<{ fields: Fields; error: string | undefined; description: string }> {
  const call: HttpRequest = {
    service: SERVICE,
    method: 'POST',
    url,
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body: new URLSearchParams(form).toString(),
    timeoutMs: TIMEOUT_MS,
    accept: [200, 400, 401, 403, 428],
  };
  const answer = await request(http, call);
  const json = parseJsonAnswer(call, answer);
  return readAnswer(call, () => {
    const fields = new Fields(json, '', 'FIELD_INVALID');
    const error = fields.optionalString('error');
    if (answer.status !== 200 && error === undefined)
      throw new ServiceError('SERVICE_REFUSED', `${SERVICE} at ${url} answered ${answer.status}`, {
        status: answer.status,
      });
    return { fields, error, description: (fields.optionalString('error_description') ?? error ?? '').slice(0, 300) };
  });
}

/**
 * The identity token of a token response, held to OpenID Connect Core §3.1.3.7: issuer, audience, end, nonce. Its
 * signature need not be verified: it came from the issuer's own endpoint, and the CA verifies it again.
 */
export function acceptIdToken(fields: Fields, login: LoginContext, nonce: string | undefined): IdentityToken {
  const token = parseIdentityToken(fields.string('id_token'));
  const refuse = (problem: string): IdentityError =>
    new IdentityError('LOGIN_FAILED', `the login at ${login.issuer} is not accepted: ${problem}`, {
      hint: 'log in again; if it happens again, somebody may be interfering with the login',
    });
  if (token.issuer !== login.issuer) throw refuse(`its token comes from ${token.issuer}`);
  if (!token.audiences.includes(login.clientId)) throw refuse(`its token is not for the client ${login.clientId}`);
  if (nonce !== undefined && token.nonce !== nonce) throw refuse('the nonce in its token is not the one that was sent');
  requireFreshToken(token, login.http.clock());
  return token;
}
