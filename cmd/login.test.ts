import { afterAll, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Http } from '../core/http/client.ts';
import { rejectionOf } from '../core/testing.ts';
import { loginWithDevice } from './device-login.ts';
import type { GitSettingName, GitSettings } from './git-settings.ts';
import { openGitStack } from './git-stack.ts';
import { httpOf } from './http.ts';
import { identityTokenSource } from './identity.ts';
import { loginWithBrowser } from './login.ts';
import { fetchEndpoints, type LoginContext } from './oidc.ts';
import { fakeCli } from './testing.ts';

const ISSUER = 'https://issuer.example';
const NOW = new Date('2026-11-20T12:00:00Z');

const jwt = (claims: object): string =>
  ['{"alg":"RS256"}', JSON.stringify(claims), 'signature']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.');

interface FakeIssuer {
  /** Changes to the claims of the token, the callback's parameters, the discovery document, the device's answers. */
  claims?: object;
  callback?: (parameters: URLSearchParams) => void;
  discovery?: object;
  userCode?: string;
  pending?: string[];
  /** The one client that it knows. */
  client?: { id: string; secret: string };
}

/** An issuer whose every check is real: the code is only redeemed with the verifier of the challenge. */
function fakeIssuer(flaws: FakeIssuer = {}) {
  const state = {
    challenge: '',
    nonce: '',
    redirectUri: '',
    connector: '',
    polls: 0,
    said: [] as string[],
    tokenRequests: 0,
  };
  const token = (): Response => {
    const claims = { iss: ISSUER, sub: 'u', aud: 'sigstore', exp: NOW.getTime() / 1000 + 60, email: 'a@b.example' };
    return Response.json({ id_token: jwt({ ...claims, nonce: state.nonce, ...flaws.claims }) });
  };
  const http: Http = {
    clock: () => NOW,
    random: (n) => crypto.getRandomValues(new Uint8Array(n)),
    sleep: async () => {},
    fetch: async (url, init) => {
      const { pathname } = new URL(url);
      if (pathname === '/.well-known/openid-configuration') {
        return Response.json({
          issuer: ISSUER,
          authorization_endpoint: `${ISSUER}/auth`,
          token_endpoint: `${ISSUER}/token`,
          device_authorization_endpoint: `${ISSUER}/device`,
          code_challenge_methods_supported: ['S256'],
          ...flaws.discovery,
        });
      }
      const form = new URLSearchParams(String(init?.body));
      if (pathname === '/device') {
        state.challenge = form.get('code_challenge') ?? '';
        return Response.json({
          device_code: 'dc',
          user_code: flaws.userCode ?? 'ABCD-EFGH',
          verification_uri: `${ISSUER}/device`,
          expires_in: 300,
        });
      }
      state.tokenRequests++;
      const verifier = createHash('sha256')
        .update(form.get('code_verifier') ?? '')
        .digest('base64url');
      const { id = 'sigstore', secret = null } = flaws.client ?? {};
      if (form.get('client_id') !== id || form.get('client_secret') !== secret)
        return Response.json({ error: 'invalid_client' }, { status: 401 });
      if (verifier !== state.challenge)
        return Response.json({ error: 'invalid_grant', error_description: 'PKCE mismatch' }, { status: 400 });
      const pending = flaws.pending?.[state.polls++];
      if (pending !== undefined) return Response.json({ error: pending }, { status: 400 });
      if (form.get('grant_type') === 'authorization_code' && form.get('redirect_uri') !== state.redirectUri)
        return Response.json({ error: 'invalid_grant' }, { status: 400 });
      return token();
    },
  };
  const login: LoginContext = { http, issuer: ISSUER, clientId: 'sigstore', say: (text) => void state.said.push(text) };
  /** The person and the browser: logs in, then follows the redirect. */
  const browse = (href: string): boolean => {
    const url = new URL(href);
    state.challenge = url.searchParams.get('code_challenge') ?? '';
    state.nonce = url.searchParams.get('nonce') ?? '';
    state.redirectUri = url.searchParams.get('redirect_uri') ?? '';
    state.connector = url.searchParams.get('connector_id') ?? '';
    const back = new URL(state.redirectUri);
    back.searchParams.set('code', 'c');
    back.searchParams.set('state', url.searchParams.get('state') ?? '');
    flaws.callback?.(back.searchParams);
    void fetch(back);
    return true;
  };
  return { login, browse, state };
}

async function browserLogin(flaws: FakeIssuer = {}) {
  const { login, browse, state } = fakeIssuer(flaws);
  const endpoints = await fetchEndpoints(login.http, ISSUER);
  return { promise: loginWithBrowser(login, endpoints, browse, 2000), state };
}

describe("with git's settings", () => {
  const folder = mkdtempSync(join(tmpdir(), 'hallmark-login-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const secretFile = join(folder, 'secret');
  writeFileSync(secretFile, 'hush\n');

  // From the settings to the issuer, without a desktop: the person opens the address that they are told.
  async function signedIn(values: Partial<Record<GitSettingName, string>>, flaws: FakeIssuer = {}) {
    const discovery = { device_authorization_endpoint: undefined };
    const issuer = fakeIssuer({ discovery, claims: { aud: flaws.client?.id ?? 'sigstore' }, ...flaws });
    const cli = {
      ...fakeCli({ env: { HOME: folder }, now: NOW, interactive: true, fetch: issuer.login.http.fetch }),
      say: (text: string) => void issuer.browse(text.split('\n  ')[1] ?? ''),
    };
    const all = { ...values, issuer: ISSUER };
    const get: GitSettings['get'] = (name) => {
      const value = all[name as keyof typeof all];
      return value === undefined ? undefined : { value, source: 'here', isUsers: true };
    };
    const settings: GitSettings = { get, users: get, all: () => [], ignored: [], git: () => undefined };
    const stack = openGitStack(cli, settings, 'SIGNED MESSAGE');
    const token = identityTokenSource(cli, stack.identity, httpOf(cli), () => stack.issuer)();
    return { token, state: issuer.state };
  }

  test('connectorID is offered first', async () => {
    const { token, state } = await signedIn({ connectorID: 'https://github.com/login/oauth' });
    expect((await token).email).toBe('a@b.example');
    expect(state.connector).toBe('https://github.com/login/oauth');
    const without = await signedIn({});
    await without.token;
    expect(without.state.connector).toBe('');
  });

  test('redirectURL is where the browser comes back to', async () => {
    const probe = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('') });
    const redirectURL = `http://127.0.0.1:${probe.port}/back`;
    await probe.stop(true);
    const { token, state } = await signedIn({ redirectURL });
    expect((await token).email).toBe('a@b.example');
    expect(state.redirectUri).toBe(redirectURL);
  });

  test.each(['http://192.0.2.1:8080/back', 'https://evil.example/back', 'back'])(
    'redirectURL %s, which is not of this computer, is refused',
    async (redirectURL) => {
      const { token, state } = await signedIn({ redirectURL });
      expect((await rejectionOf(token)).code).toBe('LOGIN_FAILED');
      expect(state.tokenRequests).toBe(0);
    },
  );

  test('clientSecretFile authenticates the client', async () => {
    const client = { id: 'mine', secret: 'hush' };
    const { token } = await signedIn({ clientID: 'mine', clientSecretFile: secretFile }, { client });
    expect((await token).audiences).toEqual(['mine']);
    const without = await signedIn({ clientID: 'mine' }, { client });
    expect((await rejectionOf(without.token)).message).toContain('invalid_client');
    const missing = await signedIn({ clientID: 'mine', clientSecretFile: join(folder, 'none') }, { client });
    expect((await rejectionOf(missing.token)).code).toBe('INPUT_MISSING');
  });
});

describe('browser login', () => {
  test('gives the token of the person', async () => {
    const { promise, state } = await browserLogin();
    expect((await promise).email).toBe('a@b.example');
    expect(state.redirectUri).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/auth\/callback$/);
    expect(state.said[0]).toContain(`${ISSUER}/auth?response_type=code`);
  });

  const rejected: Record<string, [FakeIssuer, RegExp]> = {
    'another state': [{ callback: (p) => p.set('state', 'x') }, /state/],
    'no state': [{ callback: (p) => p.delete('state') }, /state/],
    'the state twice': [{ callback: (p) => p.append('state', 'x') }, /state/],
    'another issuer in the redirect': [{ callback: (p) => p.set('iss', 'https://evil.example') }, /another issuer/],
    'a refusal': [{ callback: (p) => p.set('error', 'access_denied') }, /access_denied/],
    'no code': [{ callback: (p) => p.delete('code') }, /no code/],
    'another nonce': [{ claims: { nonce: 'x' } }, /nonce/],
    'no nonce': [{ claims: { nonce: undefined } }, /nonce/],
    'a token of another issuer': [{ claims: { iss: 'https://evil.example' } }, /comes from/],
    'a token for another client': [{ claims: { aud: 'other' } }, /not for the client/],
  };
  for (const [flaw, [flaws, message]] of Object.entries(rejected)) {
    test(`refuses ${flaw}`, async () => {
      const { promise } = await browserLogin(flaws);
      const error = await rejectionOf(promise);
      expect(error.code).toBe('LOGIN_FAILED');
      expect(error.message).toMatch(message);
    });
  }

  test('sends no code to the issuer when the state is wrong', async () => {
    const { promise, state } = await browserLogin({ callback: (p) => p.set('state', 'x') });
    await rejectionOf(promise);
    expect(state.tokenRequests).toBe(0);
  });

  test('refuses a code that was meant for another verifier (PKCE)', async () => {
    const { login, browse, state } = fakeIssuer();
    const endpoints = await fetchEndpoints(login.http, ISSUER);
    const swapped = (url: string): boolean => {
      browse(url);
      state.challenge = 'somebody else';
      return true;
    };
    expect((await rejectionOf(loginWithBrowser(login, endpoints, swapped, 2000))).message).toContain('PKCE mismatch');
  });

  test('refuses an expired token', async () => {
    const { promise } = await browserLogin({ claims: { exp: NOW.getTime() / 1000 } });
    expect((await rejectionOf(promise)).code).toBe('IDENTITY_TOKEN_EXPIRED');
  });

  test('ends when nobody logs in', async () => {
    const { login } = fakeIssuer();
    const endpoints = await fetchEndpoints(login.http, ISSUER);
    const error = await rejectionOf(loginWithBrowser(login, endpoints, () => false, 10));
    expect(error.message).toContain('nobody logged in');
  });
});

describe('discovery', () => {
  test('refuses a document that speaks for another issuer', async () => {
    const { login } = fakeIssuer({ discovery: { issuer: 'https://evil.example' } });
    expect((await rejectionOf(fetchEndpoints(login.http, ISSUER))).code).toBe('SERVICE_ANSWER_INVALID');
  });

  test('refuses an issuer without PKCE', async () => {
    const { login } = fakeIssuer({ discovery: { code_challenge_methods_supported: ['plain'] } });
    expect((await rejectionOf(fetchEndpoints(login.http, ISSUER))).message).toContain('S256');
  });

  test('refuses an endpoint on plain http', async () => {
    const { login } = fakeIssuer({ discovery: { token_endpoint: 'http://issuer.example/token' } });
    expect((await rejectionOf(fetchEndpoints(login.http, ISSUER))).message).toContain('not https');
  });
});

describe('device login', () => {
  test('waits until it is done', async () => {
    const { login, state } = fakeIssuer({ pending: ['authorization_pending', 'slow_down'] });
    const token = await loginWithDevice(login, await fetchEndpoints(login.http, ISSUER));
    expect(token.email).toBe('a@b.example');
    expect(state.polls).toBe(3);
    expect(state.said[0]).toContain('ABCD-EFGH');
  });

  test('what the issuer says cannot act on the terminal', async () => {
    const { login, state } = fakeIssuer({ userCode: 'AB\u001b[31m\nCD\u202e\u009b' });
    await loginWithDevice(login, await fetchEndpoints(login.http, ISSUER));
    for (const line of state.said) expect(line).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });

  test('ends when it is denied', async () => {
    const { login } = fakeIssuer({ pending: ['access_denied'] });
    const error = await rejectionOf(loginWithDevice(login, await fetchEndpoints(login.http, ISSUER)));
    expect(error.message).toContain('access_denied');
  });
});
