import { equal, serializeBase64Url, serializeUtf8 } from '../core/bytes/bytes.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { IdentityError } from '../core/errors.ts';
import type { IdentityToken } from '../core/sign/identity-token.ts';
import { acceptIdToken, type IssuerEndpoints, type LoginContext, pkce, postForm, SCOPES } from './oidc.ts';

/** How long a person has to log in. */
const LOGIN_TIMEOUT_MS = 120_000;
const CALLBACK_PATH = '/auth/callback';

/** Opens a URL in the user's browser; false if there is none to open. */
export type OpenBrowser = (url: string) => boolean;

/**
 * Logs in with the user's browser: authorization code with PKCE S256, state and nonce, redirected to a port of this
 * computer (RFC 8252 §7.3, OpenID Connect Core §3.1). LOGIN_FAILED.
 */
export async function loginWithBrowser(
  login: LoginContext,
  endpoints: IssuerEndpoints,
  openBrowser: OpenBrowser,
  timeoutMs = LOGIN_TIMEOUT_MS,
): Promise<IdentityToken> {
  const { random } = login.http;
  const state = serializeBase64Url(random(32));
  const nonce = serializeBase64Url(random(32));
  const { verifier, challenge } = pkce(random);

  const fixed = login.redirectUrl === undefined ? undefined : loopbackUrl(login.redirectUrl);
  const callback = awaitCallback({ state, issuer: login.issuer, path: fixed?.pathname ?? CALLBACK_PATH });
  // Port 0: any free one. The issuer accepts loopback redirects on every port (RFC 8252 §7.3).
  const server = Bun.serve({ hostname: '127.0.0.1', port: Number(fixed?.port ?? 0), fetch: callback.handle });
  const timer = setTimeout(() => callback.fail(failed(`nobody logged in within ${timeoutMs / 1000} s`)), timeoutMs);
  try {
    const redirectUri = login.redirectUrl ?? `http://127.0.0.1:${server.port}${CALLBACK_PATH}`;
    const url = new URL(endpoints.authorization);
    for (const [name, value] of Object.entries({
      response_type: 'code',
      client_id: login.clientId,
      redirect_uri: redirectUri,
      scope: SCOPES,
      state,
      nonce,
      code_challenge: challenge,
      code_challenge_method: 'S256',
      ...(login.connectorId !== undefined && { connector_id: login.connectorId }),
    }))
      url.searchParams.set(name, value);
    login.say(
      openBrowser(url.href)
        ? `Log in with the browser that opens. If none does, open:\n  ${url.href}`
        : `Open this address in a browser on this computer to log in:\n  ${url.href}`,
    );
    const code = await callback.code;
    const { fields, error, description } = await postForm(login.http, endpoints.token, {
      grant_type: 'authorization_code',
      code,
      redirect_uri: redirectUri,
      client_id: login.clientId,
      code_verifier: verifier,
      ...(login.clientSecret !== undefined && { client_secret: login.clientSecret }),
    });
    if (error !== undefined) throw failed(`the issuer says: ${description}`);
    return acceptIdToken(fields, login, nonce);
  } finally {
    clearTimeout(timer);
    // The page that the browser is loading may finish; connections that it keeps open do not hold the process.
    void server.stop();
    server.unref();
  }
}

/**
 * The receiving end of the redirect: a request handler and the code that it waits for. Only a request with our state
 * counts (RFC 6749 §10.12); one with another state ends the login, as somebody is trying to log us in as themselves.
 */
function awaitCallback(expected: { state: string; issuer: string; path: string }): {
  handle: (request: Request) => Response;
  code: Promise<string>;
  fail: (error: Error) => void;
} {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  // Awaited later: until then a rejection has no handler.
  promise.catch(() => {});
  const refuse = (problem: string): Response => {
    reject(failed(problem));
    return page(400, 'Not logged in', 'The login was not accepted. Look at the terminal, then close this window.');
  };
  const handle = (request: Request): Response => {
    const url = new URL(request.url);
    if (request.method !== 'GET' || url.pathname !== expected.path) return new Response('not found\n', { status: 404 });
    const one = (name: string): string | undefined => {
      const values = url.searchParams.getAll(name);
      return values.length === 1 ? values[0] : undefined;
    };
    if (!sameSecret(one('state'), expected.state))
      return refuse('the state that came back is not the one that was sent');
    // RFC 9207: an issuer that names itself in the redirect must be the one that was asked.
    const issuer = one('iss');
    if (issuer !== undefined && issuer !== expected.issuer) return refuse('another issuer answered');
    const error = one('error');
    if (error !== undefined) return refuse(`the issuer says: ${(one('error_description') ?? error).slice(0, 300)}`);
    const code = one('code');
    if (code === undefined || code === '') return refuse('the issuer sent no code');
    resolve(code);
    return page(200, 'Logged in', 'You can close this window and return to the terminal.');
  };
  return { handle, code: promise, fail: reject };
}

// The code comes back to this computer, or not to us at all.
function loopbackUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' && /^(?:localhost|127\.0\.0\.1)$/.test(url.hostname) && url.port !== '') return url;
  throw failed(`the redirect URL ${JSON.stringify(text.slice(0, 200))} is not http://localhost:PORT/PATH`);
}

// Hashed first, so that the time of the comparison says nothing about the secret.
function sameSecret(given: string | undefined, secret: string): boolean {
  return given !== undefined && equal(sha256(serializeUtf8(given)), sha256(serializeUtf8(secret)));
}

function failed(problem: string): IdentityError {
  return new IdentityError('LOGIN_FAILED', `the login failed: ${problem}`, {
    hint: 'run the command again, or pass --identity-token TOKEN|FILE',
  });
}

function page(status: number, title: string, text: string): Response {
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title} - Hallmark</title>
<body style="font:1.1rem system-ui,sans-serif;margin:4rem auto;max-width:32rem"><h1>${title}</h1><p>${text}</p></body></html>
`;
  return new Response(html, {
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
      // The next request belongs to nobody: the port closes.
      connection: 'close',
    },
  });
}
