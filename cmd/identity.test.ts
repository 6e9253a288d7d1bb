import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HallmarkError } from '../core/errors.ts';
import type { FetchLike } from '../core/http/client.ts';
import type { IdentityToken } from '../core/sign/identity-token.ts';
import { rejectionOf } from '../core/testing.ts';
import { type AmbientContext, findProvider } from './ambient.ts';
import { httpOf } from './http.ts';
import { type IdentityFlags, identityTokenSource } from './identity.ts';
import { fakeCli } from './testing.ts';

const directory = mkdtempSync(join(tmpdir(), 'hallmark-identity-'));
afterAll(() => rmSync(directory, { recursive: true }));

const NOW = new Date('2026-11-20T12:00:00Z');

function token(claims: object = {}): string {
  const all = { iss: 'https://issuer.example', sub: 'u', aud: 'sigstore', exp: NOW.getTime() / 1000 + 60, ...claims };
  return ['{"alg":"RS256"}', JSON.stringify(all), 'x'].map((part) => Buffer.from(part).toString('base64url')).join('.');
}

function find(options: {
  flags?: Partial<IdentityFlags>;
  env?: Record<string, string>;
  fetch?: FetchLike;
}): Promise<IdentityToken> {
  const cli = fakeCli({
    now: NOW,
    ...(options.env && { env: options.env }),
    ...(options.fetch && { fetch: options.fetch }),
  });
  const flags = { oidcClientId: 'sigstore', ...options.flags };
  return identityTokenSource(cli, flags, httpOf(cli), () => undefined)();
}

describe('--identity-token', () => {
  test('takes a token', async () => {
    expect((await find({ flags: { identityToken: token() } })).tokenSubject).toBe('u');
  });

  test('takes a file, whose final newline does not count', async () => {
    const path = join(directory, 'token');
    writeFileSync(path, `${token({ sub: 'from file' })}\n`);
    expect((await find({ flags: { identityToken: path } })).tokenSubject).toBe('from file');
  });

  test('wins over the environment', async () => {
    const env = { SIGSTORE_ID_TOKEN: token({ sub: 'env' }) };
    expect((await find({ flags: { identityToken: token() }, env })).tokenSubject).toBe('u');
  });

  test('that names a missing file says so', async () => {
    expect((await rejectionOf(find({ flags: { identityToken: join(directory, 'none') } }))).code).toBe('INPUT_MISSING');
  });

  test('that has expired is refused without a request', async () => {
    const identityToken = token({ exp: NOW.getTime() / 1000 });
    expect((await rejectionOf(find({ flags: { identityToken } }))).code).toBe('IDENTITY_TOKEN_EXPIRED');
  });
});

describe('ambient tokens', () => {
  const answering =
    (expected: { url: string; headers?: Record<string, string>; body?: object }, answer: object | string): FetchLike =>
    async (url, init) => {
      expect(url).toBe(expected.url);
      const headers = new Headers(init?.headers);
      for (const [name, value] of Object.entries(expected.headers ?? {})) expect(headers.get(name)).toBe(value);
      if (expected.body) expect(JSON.parse(String(init?.body))).toEqual(expected.body);
      return typeof answer === 'string' ? new Response(answer) : Response.json(answer);
    };

  test('SIGSTORE_ID_TOKEN', async () => {
    expect((await find({ env: { SIGSTORE_ID_TOKEN: token({ sub: 'gitlab' }) } })).tokenSubject).toBe('gitlab');
  });

  test('GitHub Actions', async () => {
    const fetch = answering(
      { url: 'https://token.example/?api=2&audience=sigstore', headers: { authorization: 'Bearer secret' } },
      { value: token({ sub: 'github' }) },
    );
    const env = {
      ACTIONS_ID_TOKEN_REQUEST_URL: 'https://token.example/?api=2',
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'secret',
    };
    expect((await find({ env, fetch })).tokenSubject).toBe('github');
  });

  test('Buildkite', async () => {
    const fetch = answering(
      {
        url: 'https://agent.buildkite.com/v3/jobs/job-1/oidc/tokens',
        headers: { authorization: 'Token secret' },
        body: { audience: 'sigstore' },
      },
      { token: token({ sub: 'buildkite' }) },
    );
    const env = { BUILDKITE_AGENT_ACCESS_TOKEN: 'secret', BUILDKITE_JOB_ID: 'job-1' };
    expect((await find({ env, fetch })).tokenSubject).toBe('buildkite');
  });

  test('CircleCI, the newer token first', async () => {
    const env = { CIRCLE_OIDC_TOKEN: token({ sub: 'v1' }), CIRCLE_OIDC_TOKEN_V2: token({ sub: 'v2' }) };
    expect((await find({ env })).tokenSubject).toBe('v2');
  });

  test('CircleCI with its own audience is refused, with the way to get another', async () => {
    const error = await rejectionOf(find({ env: { CIRCLE_OIDC_TOKEN: token({ aud: 'org-id' }) } }));
    expect(error.code).toBe('IDENTITY_TOKEN_INVALID');
    expect(error.hint).toContain('circleci run oidc get');
  });

  test('Google Cloud', async () => {
    const fetch = answering(
      {
        url: 'http://metadata.example/computeMetadata/v1/instance/service-accounts/default/identity?audience=sigstore&format=full',
        headers: { 'metadata-flavor': 'Google' },
      },
      token({ sub: 'google' }),
    );
    expect((await find({ env: { GCE_METADATA_HOST: 'metadata.example' }, fetch })).tokenSubject).toBe('google');
  });

  test('Google service account impersonation', async () => {
    const calls: string[] = [];
    const fetch: FetchLike = async (url, init) => {
      calls.push(url);
      if (url.startsWith('http://metadata')) return Response.json({ access_token: 'access' });
      expect(new Headers(init?.headers).get('authorization')).toBe('Bearer access');
      return Response.json({ token: token({ sub: 'impersonated' }) });
    };
    const found = await find({ env: { GOOGLE_SERVICE_ACCOUNT_NAME: 'a@b.iam' }, fetch });
    expect(found.tokenSubject).toBe('impersonated');
    expect(calls[1]).toEndWith('/serviceAccounts/a%40b.iam:generateIdToken');
  });

  test('a mounted file', () => {
    const context: AmbientContext = {
      env: () => undefined,
      readText: (path) => (path === '/var/run/sigstore/cosign/oidc-token' ? token() : undefined),
      http: httpOf(fakeCli({})),
      audience: 'sigstore',
    };
    expect(findProvider(context)?.name).toContain('oidc-token');
  });
});

describe('without a terminal and without a token', () => {
  const missing = async (env: Record<string, string>): Promise<HallmarkError> => {
    const error = await rejectionOf(find({ env }));
    expect(error.code).toBe('IDENTITY_TOKEN_MISSING');
    return error;
  };

  test('nothing is asked', async () => {
    expect((await missing({})).hint).toContain('--identity-token');
  });

  test('GitHub Actions is told what to add', async () => {
    expect((await missing({ GITHUB_ACTIONS: 'true' })).hint).toContain('id-token: write');
  });

  test('GitLab CI is told what to add', async () => {
    expect((await missing({ GITLAB_CI: 'true' })).hint).toContain('SIGSTORE_ID_TOKEN:\n    aud: sigstore');
  });

  test('--oidc-disable-ambient-providers leaves the environment alone', async () => {
    const env = { SIGSTORE_ID_TOKEN: token() };
    const error = await rejectionOf(find({ env, flags: { oidcDisableAmbientProviders: true } }));
    expect(error.code).toBe('IDENTITY_TOKEN_MISSING');
  });
});
