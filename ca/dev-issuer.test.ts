import { describe, expect, test } from 'bun:test';
import { createHash, randomBytes } from 'node:crypto';
import { generateKey, type PrivateKey } from '../core/crypto/private-key.ts';
import type { Peer } from '../core/http/front-end.ts';
import type { Reach } from './dev-issuer/access.ts';
import { createDevIssuer, type DevIssuer } from './dev-issuer.ts';
import { createIssuerKeys } from './issuer-keys.ts';
import { issuerTable } from './issuers.ts';
import { verifyIdentityToken } from './token.ts';

const BASE = 'http://127.0.0.1:8080';
const URL_ = `${BASE}/oidc`;
const LOOPBACK: Peer = { address: '127.0.0.1', loopback: true };
const REDIRECT = 'http://localhost:49152/auth/callback';
const VERIFIER = 'v'.repeat(64);
const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url');

// One key for the file: making it is the slow part.
const rsa: PrivateKey = generateKey('rsa', 2048);

interface Stack {
  issuer: DevIssuer;
  now: Date;
  call(path: string, init?: RequestInit, peer?: Peer, base?: string): Promise<Response>;
  post(path: string, form: Record<string, string>, headers?: Record<string, string>): Promise<Response>;
}

function stack(reach: Reach = 'loopback'): Stack {
  const state = { now: new Date('2026-03-01T12:00:00.500Z') };
  const issuer = createDevIssuer({
    url: URL_,
    clock: () => state.now,
    random: (n) => new Uint8Array(randomBytes(n)),
    key: async () => rsa,
    reach,
  });
  const call: Stack['call'] = async (path, init, peer = LOOPBACK, base = URL_) => {
    const request = new Request(`${base}${path}`, init);
    const response = await issuer.handle(request, new URL(request.url), peer);
    if (!response) throw new Error(`no answer for ${path}`);
    return response;
  };
  return Object.assign(state, {
    issuer,
    call,
    post: (path: string, form: Record<string, string>, headers: Record<string, string> = {}) =>
      call(path, { method: 'POST', body: new URLSearchParams(form), headers }),
  });
}

const AUTHORIZATION = {
  response_type: 'code',
  client_id: 'sigstore',
  redirect_uri: REDIRECT,
  scope: 'openid email',
  state: 'st&te',
  nonce: 'n0nce',
  code_challenge: CHALLENGE,
  code_challenge_method: 'S256',
};
const GRANT = {
  grant_type: 'authorization_code',
  redirect_uri: REDIRECT,
  code_verifier: VERIFIER,
  client_id: 'sigstore',
};

async function login(s: Stack, changes: Record<string, string> = {}): Promise<string> {
  const response = await s.post('/authorize', { ...AUTHORIZATION, ...changes, email: 'ada@example.com' });
  expect(response.status).toBe(303);
  const code = new URL(response.headers.get('location') as string).searchParams.get('code');
  expect(code).toMatch(/^[\w-]{32}$/);
  return code as string;
}

const claimsOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString('utf8'));

describe('discovery', () => {
  test('names what the clients look for', async () => {
    const document = (await (await stack().call('/.well-known/openid-configuration')).json()) as Record<
      string,
      unknown
    >;
    expect(document).toMatchObject({
      issuer: URL_,
      authorization_endpoint: `${URL_}/authorize`,
      token_endpoint: `${URL_}/token`,
      device_authorization_endpoint: `${URL_}/device/code`,
      jwks_uri: `${URL_}/jwks`,
      code_challenge_methods_supported: ['S256'],
      id_token_signing_alg_values_supported: ['RS256'],
    });
  });
  test('paths of others are left alone', () => {
    const { issuer } = stack();
    for (const path of ['/api/v2/signingCert', '/oidcx/token', '/oidc/unknown', '/'])
      expect(issuer.handle(new Request(BASE + path), new URL(BASE + path), LOOPBACK)).toBeUndefined();
  });
  test('a method that a path does not have is 405', async () => {
    expect((await stack().call('/token', { method: 'toString' })).status).toBe(405);
    const response = await stack().call('/token');
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
  });
});

describe('authorization code flow', () => {
  test('gives a token that the CA accepts, with the claims that clients need', async () => {
    const s = stack();
    const response = await s.post('/token', { ...GRANT, code: await login(s) });
    expect(response.status).toBe(200);
    expect(response.headers.get('cache-control')).toBe('no-store');
    const body = (await response.json()) as { id_token: string; access_token: string; token_type: string };
    expect(body.token_type).toBe('Bearer');
    expect(body.access_token).toBe(body.id_token);
    const issued = Math.floor(s.now.getTime() / 1000);
    expect(claimsOf(body.id_token)).toEqual({
      iss: URL_,
      sub: 'ada@example.com',
      aud: 'sigstore',
      iat: issued,
      nbf: issued,
      exp: issued + 600,
      email: 'ada@example.com',
      email_verified: true,
      nonce: 'n0nce',
    });
    const keys = createIssuerKeys({ fetch: () => Promise.reject(new Error('fetched')), clock: () => s.now });
    const verified = await verifyIdentityToken(body.id_token, issuerTable([s.issuer.issuer]), keys, s.now);
    expect(verified.tokenSubject).toBe('ada@example.com');
  });
  test('the login form carries the request, escaped, and may lead only to the redirect', async () => {
    const query = new URLSearchParams({ ...AUTHORIZATION, state: '"><script>', login_hint: 'a@b"onfocus=' });
    const response = await stack().call(`/authorize?${query}`);
    const html = await response.text();
    expect(response.status).toBe(200);
    expect(html).toContain('Development issuer');
    expect(html).toContain('name="state" value="&quot;&gt;&lt;script&gt;"');
    expect(html).toContain('value="a@b&quot;onfocus="');
    expect(html).not.toContain('<script');
    const policy = response.headers.get('content-security-policy') as string;
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("form-action 'self' http://localhost:49152");
    expect(policy).toContain("frame-ancestors 'none'");
  });
  test('state comes back as it was sent', async () => {
    const s = stack();
    const response = await s.post('/authorize', { ...AUTHORIZATION, email: 'ada@example.com' });
    expect(new URL(response.headers.get('location') as string).searchParams.get('state')).toBe('st&te');
  });
  test('without a nonce in the request the token has none', async () => {
    const s = stack();
    const { nonce: _, ...withoutNonce } = AUTHORIZATION;
    const response = await s.post('/authorize', { ...withoutNonce, email: 'ada@example.com' });
    const code = new URL(response.headers.get('location') as string).searchParams.get('code') as string;
    const body = (await (await s.post('/token', { ...GRANT, code })).json()) as { id_token: string };
    expect(claimsOf(body.id_token)).not.toHaveProperty('nonce');
  });
  test('the out-of-band redirect shows the code', async () => {
    const s = stack();
    const redirect_uri = 'urn:ietf:wg:oauth:2.0:oob';
    const page = await s.post('/authorize', { ...AUTHORIZATION, redirect_uri, email: 'ada@example.com' });
    expect(page.status).toBe(200);
    const code = /<code>([\w-]{32})<\/code>/.exec(await page.text())?.[1] as string;
    expect((await s.post('/token', { ...GRANT, redirect_uri, code })).status).toBe(200);
  });
  test('HTTP Basic with an empty secret is the public client', async () => {
    const s = stack();
    const { client_id: _, ...form } = GRANT;
    const authorization = `Basic ${Buffer.from('sigstore:').toString('base64')}`;
    expect((await s.post('/token', { ...form, code: await login(s) }, { authorization })).status).toBe(200);
  });
  for (const redirect_uri of ['http://127.0.0.1:1/', 'http://[::1]:65535/x/y?z=1', 'http://localhost/cb'])
    test(`redirect ${redirect_uri} is loopback`, async () => {
      const s = stack();
      const location = (await s.post('/authorize', { ...AUTHORIZATION, redirect_uri, email: 'a@b.c' })).headers.get(
        'location',
      );
      expect(location).toStartWith(redirect_uri);
    });
});

describe('authorization requests that are shown an error and redirected nowhere', () => {
  for (const [flaw, changes] of [
    ['redirect to another computer', { redirect_uri: 'https://evil.example/cb' }],
    ['redirect to a name that begins like loopback', { redirect_uri: 'http://127.0.0.1.evil.example/cb' }],
    ['redirect with loopback as user', { redirect_uri: 'http://localhost@evil.example/cb' }],
    ['redirect with a backslash authority', { redirect_uri: 'http://localhost\\@evil.example/' }],
    ['redirect with a fragment', { redirect_uri: 'http://localhost/#x' }],
    ['redirect to a script', { redirect_uri: 'javascript:alert(1)//localhost' }],
    ['redirect with a line break', { redirect_uri: 'http://localhost/\r\nx: y' }],
    ['unknown client', { client_id: 'other' }],
  ] as const)
    test(flaw, async () => {
      const s = stack();
      for (const response of [
        await s.call(`/authorize?${new URLSearchParams({ ...AUTHORIZATION, ...changes })}`),
        await s.post('/authorize', { ...AUTHORIZATION, ...changes, email: 'ada@example.com' }),
      ]) {
        expect(response.status).toBe(400);
        expect(response.headers.get('location')).toBeNull();
      }
    });
  test('a parameter given twice', async () => {
    const response = await stack().call(
      `/authorize?${new URLSearchParams(AUTHORIZATION)}&redirect_uri=http://localhost/`,
    );
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: 'invalid_request' });
  });
  test('no email address', async () => {
    for (const email of ['', 'ada', 'a b@example.com', 'ada@example.com\r\nx', `${'a'.repeat(251)}@b.c`]) {
      const response = await stack().post('/authorize', { ...AUTHORIZATION, email });
      expect(response.status).toBe(400);
    }
  });
});

describe('authorization requests that are redirected with an error', () => {
  for (const [flaw, changes, error] of [
    ['PKCE missing', { code_challenge: undefined }, 'invalid_request'],
    ['PKCE plain', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['PKCE method missing', { code_challenge_method: undefined }, 'invalid_request'],
    ['challenge not a digest', { code_challenge: 'abc' }, 'invalid_request'],
    ['implicit flow', { response_type: 'id_token' }, 'unsupported_response_type'],
    ['scope without openid', { scope: 'email' }, 'invalid_scope'],
    ['endless nonce', { nonce: 'n'.repeat(1025) }, 'invalid_request'],
  ] as const)
    test(flaw, async () => {
      const parameters = Object.entries({ ...AUTHORIZATION, ...changes }).filter(([, value]) => value !== undefined);
      const response = await stack().call(`/authorize?${new URLSearchParams(parameters as [string, string][])}`);
      expect(response.status).toBe(303);
      const location = new URL(response.headers.get('location') as string);
      expect(location.origin + location.pathname).toBe(REDIRECT);
      expect(Object.fromEntries(location.searchParams)).toMatchObject({ error, state: 'st&te' });
    });
});

describe('token requests that are refused', () => {
  async function refused(s: Stack, form: Record<string, string>, headers: Record<string, string> = {}) {
    const response = await s.post('/token', form, headers);
    return [response.status, ((await response.json()) as { error: string }).error] as const;
  }
  test('code used twice', async () => {
    const s = stack();
    const code = await login(s);
    expect((await s.post('/token', { ...GRANT, code })).status).toBe(200);
    expect(await refused(s, { ...GRANT, code })).toEqual([400, 'invalid_grant']);
  });
  test('code used after a failed try', async () => {
    const s = stack();
    const code = await login(s);
    expect(await refused(s, { ...GRANT, code, code_verifier: 'w'.repeat(64) })).toEqual([400, 'invalid_grant']);
    expect(await refused(s, { ...GRANT, code })).toEqual([400, 'invalid_grant']);
  });
  test('PKCE verifier of somebody else', async () => {
    const s = stack();
    expect(await refused(s, { ...GRANT, code: await login(s), code_verifier: 'w'.repeat(64) })).toEqual([
      400,
      'invalid_grant',
    ]);
  });
  test('PKCE verifier missing', async () => {
    const s = stack();
    const { code_verifier: _, ...form } = GRANT;
    expect(await refused(s, { ...form, code: await login(s) })).toEqual([400, 'invalid_grant']);
  });
  test('other redirect than in the request', async () => {
    const s = stack();
    expect(await refused(s, { ...GRANT, code: await login(s), redirect_uri: 'http://localhost:1/' })).toEqual([
      400,
      'invalid_grant',
    ]);
  });
  test('code expired', async () => {
    const s = stack();
    const code = await login(s);
    s.now = new Date(s.now.getTime() + 5 * 60_000);
    expect(await refused(s, { ...GRANT, code })).toEqual([400, 'invalid_grant']);
  });
  test('code pushed out by a thousand newer ones', async () => {
    const s = stack();
    const code = await login(s);
    for (let i = 0; i < 1000; i++) await login(s);
    expect(await refused(s, { ...GRANT, code })).toEqual([400, 'invalid_grant']);
  });
  test('code invented', async () => {
    expect(await refused(stack(), { ...GRANT, code: 'x' })).toEqual([400, 'invalid_grant']);
  });
  test('unknown client', async () => {
    expect(await refused(stack(), { ...GRANT, client_id: 'other', code: 'x' })).toEqual([401, 'invalid_client']);
  });
  test('client with a secret', async () => {
    const authorization = `Basic ${Buffer.from('sigstore:secret').toString('base64')}`;
    expect(await refused(stack(), { ...GRANT, code: 'x' }, { authorization })).toEqual([401, 'invalid_client']);
  });
  test('unknown grant type', async () => {
    expect(await refused(stack(), { ...GRANT, grant_type: 'password' })).toEqual([400, 'unsupported_grant_type']);
  });
  test('JSON instead of a form', async () => {
    const response = await stack().call('/token', {
      method: 'POST',
      body: JSON.stringify(GRANT),
      headers: { 'content-type': 'application/json' },
    });
    expect(response.status).toBe(400);
  });
  test('form of more than 16 KiB', async () => {
    expect(await refused(stack(), { ...GRANT, code: 'x'.repeat(17_000) })).toEqual([400, 'invalid_request']);
  });
});

describe('device flow', () => {
  const DEVICE_GRANT = { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', client_id: 'sigstore' };
  interface Started {
    device_code: string;
    user_code: string;
    verification_uri_complete: string;
    interval: number;
  }
  async function start(s: Stack, extra: Record<string, string> = {}): Promise<Started> {
    const response = await s.post('/device/code', { client_id: 'sigstore', scope: 'openid email', ...extra });
    expect(response.status).toBe(200);
    return (await response.json()) as Started;
  }
  async function poll(s: Stack, device_code: string, extra: Record<string, string> = {}) {
    const response = await s.post('/token', { ...DEVICE_GRANT, device_code, ...extra });
    return (await response.json()) as { error?: string; id_token?: string };
  }

  test('pending, allowed, redeemed once', async () => {
    const s = stack();
    const started = await start(s);
    expect(started.user_code).toMatch(/^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/);
    expect(started.verification_uri_complete).toBe(`${URL_}/device?user_code=${started.user_code}`);
    expect((await poll(s, started.device_code)).error).toBe('authorization_pending');
    const typed = started.user_code.toLowerCase().replace('-', ' ');
    const page = await s.post('/device', { user_code: typed, email: 'ada@example.com', decision: 'allow' });
    expect(page.status).toBe(200);
    expect(claimsOf((await poll(s, started.device_code)).id_token as string)['sub']).toBe('ada@example.com');
    expect((await poll(s, started.device_code)).error).toBe('expired_token');
  });
  test('the page shows the code of its link, escaped', async () => {
    const html = await (await stack().call('/device?user_code=%22%3E%3Cb%3E')).text();
    expect(html).toContain('value="&quot;&gt;&lt;b&gt;"');
  });
  test('denied', async () => {
    const s = stack();
    const { device_code, user_code } = await start(s);
    await s.post('/device', { user_code, email: '', decision: 'deny' });
    expect((await poll(s, device_code)).error).toBe('access_denied');
  });
  test('decided twice', async () => {
    const s = stack();
    const { user_code } = await start(s);
    await s.post('/device', { user_code, email: 'ada@example.com', decision: 'allow' });
    expect((await s.post('/device', { user_code, email: 'eve@example.com', decision: 'allow' })).status).toBe(400);
  });
  test('unknown user code', async () => {
    const response = await stack().post('/device', { user_code: 'BBBB-BBBB', email: 'a@b.c', decision: 'allow' });
    expect(response.status).toBe(400);
  });
  test('expired', async () => {
    const s = stack();
    const { device_code } = await start(s);
    s.now = new Date(s.now.getTime() + 600_000);
    expect((await poll(s, device_code)).error).toBe('expired_token');
  });
  test('PKCE verifier that does not fit the challenge', async () => {
    const s = stack();
    const pkce = { code_challenge: CHALLENGE, code_challenge_method: 'S256' };
    const { device_code, user_code } = await start(s, pkce);
    await s.post('/device', { user_code, email: 'ada@example.com', decision: 'allow' });
    expect((await poll(s, device_code, { code_verifier: 'w'.repeat(64) })).error).toBe('invalid_grant');
    expect((await poll(s, device_code, { code_verifier: VERIFIER })).id_token).toBeString();
  });
});

describe('token for a script', () => {
  const ask = (s: Stack, body: string, type = 'application/json', headers: Record<string, string> = {}) =>
    s.call('/script/token', { method: 'POST', body, headers: { 'content-type': type, ...headers } });

  test('is given for an email address', async () => {
    const response = await ask(stack(), '{"email":"bot@example.com"}');
    expect(claimsOf(((await response.json()) as { id_token: string }).id_token)['email']).toBe('bot@example.com');
  });
  test('form instead of JSON, as a web page can send it', async () => {
    expect((await ask(stack(), '{"email":"a@b.c"}', 'text/plain')).status).toBe(400);
  });
  for (const body of [
    '{}',
    '[]',
    'x',
    '{"email":"no"}',
    '{"email":"a@b.c","email":"c@d.e"}',
    '{"email":"a@b.c","sub":"x"}',
  ])
    test(`bad body ${body}`, async () => {
      expect((await ask(stack(), body)).status).toBe(400);
    });
  test('foreign Origin', async () => {
    expect(
      (await ask(stack(), '{"email":"a@b.c"}', 'application/json', { origin: 'https://evil.example' })).status,
    ).toBe(403);
  });
});

describe('who is answered', () => {
  const remote: Peer = { address: '192.0.2.7', loopback: false };
  const document = '/.well-known/openid-configuration';

  test('another computer is refused', async () => {
    expect((await stack().call(document, {}, remote)).status).toBe(403);
  });
  test('another computer is answered only by the option that is named for the danger', async () => {
    expect((await stack('dangerously-everyone').call(document, {}, remote)).status).toBe(200);
  });
  test('a request that a proxy forwarded is refused', async () => {
    for (const name of ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'])
      expect((await stack().call(document, { headers: { [name]: '192.0.2.7' } })).status).toBe(403);
  });
  for (const host of ['evil.example', '127.0.0.1.evil.example:8080', 'localhost.evil.example', '192.0.2.1', '[::2]'])
    test(`Host ${host}, as DNS rebinding sends it, is refused`, async () => {
      expect((await stack().call(document, {}, LOOPBACK, `http://${host}/oidc`)).status).toBe(403);
      expect((await stack().call(document, { headers: { host } })).status).toBe(403);
    });
  for (const host of ['localhost:8080', '127.0.0.1', '127.1.2.3:9', '[::1]:8080'])
    test(`Host ${host} is answered`, async () => {
      expect((await stack().call(document, {}, LOOPBACK, `http://${host}/oidc`)).status).toBe(200);
    });
  test('the Origin of its own pages is answered', async () => {
    const response = await stack().post('/authorize', { ...AUTHORIZATION, email: 'a@b.c' }, { origin: BASE });
    expect(response.status).toBe(303);
  });
  for (const origin of ['https://evil.example', 'null', 'http://127.0.0.1:9999', 'http://localhost:3000'])
    test(`foreign Origin ${origin} is refused, with the dangerous option too`, async () => {
      for (const reach of ['loopback', 'dangerously-everyone'] as const)
        expect((await stack(reach).post('/authorize', { ...AUTHORIZATION, email: 'a@b.c' }, { origin })).status).toBe(
          403,
        );
    });
});

describe('signing key', () => {
  test('is not made before it is needed, and only once', async () => {
    let made = 0;
    const issuer = createDevIssuer({
      url: URL_,
      clock: () => new Date(),
      random: (n) => new Uint8Array(randomBytes(n)),
      key: async () => {
        made++;
        return rsa;
      },
      reach: 'loopback',
    });
    expect(made).toBe(0);
    const [first, second] = await Promise.all([issuer.jwks(), issuer.jwks()]);
    expect(made).toBe(1);
    expect(first).toEqual(second);
    expect(Object.keys(first.keys[0] ?? {}).sort()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use']);
  });
  test('that could not be made is tried again', async () => {
    let tries = 0;
    const issuer = createDevIssuer({
      url: URL_,
      clock: () => new Date(),
      random: (n) => new Uint8Array(randomBytes(n)),
      key: () => (tries++ === 0 ? Promise.reject(new Error('disk full')) : Promise.resolve(rsa)),
      reach: 'loopback',
    });
    expect(issuer.jwks()).rejects.toThrow('disk full');
    expect((await issuer.jwks()).keys).toHaveLength(1);
  });
});
