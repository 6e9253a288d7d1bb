import { readFileSync } from 'node:fs';
import { Fields } from '../core/bytes/fields.ts';
import { IdentityError } from '../core/errors.ts';
import { type Http, type HttpRequest, joinUrl, parseJsonAnswer, readAnswer, request } from '../core/http/client.ts';
import type { IdentityToken } from '../core/sign/identity-token.ts';
import type { EnvName } from './env.ts';

/** What finding an ambient token may look at. */
export interface AmbientContext {
  readonly env: (name: EnvName) => string | undefined;
  /** The text of a small file, undefined if it cannot be read. */
  readonly readText: (path: string) => string | undefined;
  readonly http: Http;
  /** The audience that the token has to name: the CA's client ID. */
  readonly audience: string;
}

/** A place where an identity token waits without a person: a CI system, a cloud's metadata, a mounted file. */
export interface TokenProvider {
  readonly name: string;
  readonly isPresent: (context: AmbientContext) => boolean;
  readonly token: (context: AmbientContext) => Promise<string>;
}

const TOKEN_FILE = '/var/run/sigstore/cosign/oidc-token';
/** Milliseconds for one request: these services are on this computer or in its data centre. */
const TIMEOUT_MS = 10_000;

/** The providers in the order in which they are asked; the first that is present decides. */
const TOKEN_PROVIDERS: readonly TokenProvider[] = [
  {
    // Also how GitLab CI works: id_tokens: { SIGSTORE_ID_TOKEN: { aud: sigstore } }.
    name: 'SIGSTORE_ID_TOKEN',
    isPresent: ({ env }) => env('SIGSTORE_ID_TOKEN') !== undefined,
    token: async ({ env }) => present(env('SIGSTORE_ID_TOKEN')),
  },
  {
    // Forgejo Actions has the same variables.
    name: 'GitHub Actions',
    isPresent: ({ env }) =>
      env('ACTIONS_ID_TOKEN_REQUEST_URL') !== undefined && env('ACTIONS_ID_TOKEN_REQUEST_TOKEN') !== undefined,
    token: async ({ env, http, audience }) => {
      const url = new URL(present(env('ACTIONS_ID_TOKEN_REQUEST_URL')));
      url.searchParams.set('audience', audience);
      const authorization = `Bearer ${present(env('ACTIONS_ID_TOKEN_REQUEST_TOKEN'))}`;
      return member(http, get('the token service of GitHub Actions', url.href, { authorization }), 'value');
    },
  },
  {
    name: 'Buildkite',
    isPresent: ({ env }) => env('BUILDKITE_AGENT_ACCESS_TOKEN') !== undefined && env('BUILDKITE_JOB_ID') !== undefined,
    token: async ({ env, http, audience }) => {
      const endpoint = env('BUILDKITE_AGENT_ENDPOINT') ?? 'https://agent.buildkite.com/v3';
      const path = `/jobs/${encodeURIComponent(present(env('BUILDKITE_JOB_ID')))}/oidc/tokens`;
      const authorization = `Token ${present(env('BUILDKITE_AGENT_ACCESS_TOKEN'))}`;
      return member(
        http,
        post('the Buildkite agent API', joinUrl(endpoint, path), authorization, { audience }),
        'token',
      );
    },
  },
  {
    name: 'CircleCI',
    isPresent: ({ env }) => env('CIRCLE_OIDC_TOKEN_V2') !== undefined || env('CIRCLE_OIDC_TOKEN') !== undefined,
    token: async ({ env }) => present(env('CIRCLE_OIDC_TOKEN_V2') ?? env('CIRCLE_OIDC_TOKEN')),
  },
  {
    name: `the file ${TOKEN_FILE}`,
    isPresent: ({ readText }) => readText(TOKEN_FILE) !== undefined,
    token: async ({ readText }) => present(readText(TOKEN_FILE)).trim(),
  },
  {
    // The computer's own account asks for a token of the account that is named.
    name: 'Google service account impersonation',
    isPresent: ({ env }) => env('GOOGLE_SERVICE_ACCOUNT_NAME') !== undefined,
    token: async ({ env, http, audience }) => {
      const access = await member(http, googleMetadata(env, 'token'), 'access_token');
      const account = encodeURIComponent(present(env('GOOGLE_SERVICE_ACCOUNT_NAME')));
      const url = `https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/${account}:generateIdToken`;
      const body = { audience, includeEmail: true };
      return member(http, post('Google IAM credentials', url, `Bearer ${access}`, body), 'token');
    },
  },
  {
    name: 'Google Cloud',
    isPresent: ({ env, readText }) =>
      env('GCE_METADATA_HOST') !== undefined ||
      readText('/sys/class/dmi/id/product_name')?.trim().startsWith('Google') === true,
    token: async ({ env, http, audience }) => {
      const call = googleMetadata(env, `identity?audience=${encodeURIComponent(audience)}&format=full`);
      return Buffer.from((await request(http, call)).body)
        .toString('latin1')
        .trim();
    },
  },
];

/** The first provider that is present, or the one that is named, present or not; undefined if this computer has none. */
export function findProvider(context: AmbientContext, name?: string): TokenProvider | undefined {
  if (name === undefined) return TOKEN_PROVIDERS.find((provider) => provider.isPresent(context));
  const named = TOKEN_PROVIDERS.find((provider) => provider.name === name);
  if (named?.isPresent(context)) return named;
  throw new IdentityError('IDENTITY_TOKEN_MISSING', `there is no identity token from ${name}`, {
    hint: 'git config --unset hallmark.tokenProvider, to use what is there',
  });
}

/** CI systems that could give a token but were not asked to: what to add, exactly. */
const CI_REMEDIES: readonly { name: string; sign: EnvName; remedy: string }[] = [
  {
    name: 'GitHub Actions',
    sign: 'GITHUB_ACTIONS',
    remedy: 'let the workflow have an identity; add to the job:\npermissions:\n  contents: read\n  id-token: write',
  },
  {
    name: 'GitLab CI',
    sign: 'GITLAB_CI',
    remedy: 'let the job have an identity; add to it:\nid_tokens:\n  SIGSTORE_ID_TOKEN:\n    aud: sigstore',
  },
  {
    name: 'CircleCI',
    sign: 'CIRCLECI',
    remedy: 'export SIGSTORE_ID_TOKEN=$(circleci run oidc get --claims \'{"aud":"sigstore"}\')',
  },
  {
    name: 'Buildkite',
    sign: 'BUILDKITE',
    remedy: 'export SIGSTORE_ID_TOKEN=$(buildkite-agent oidc request-token --audience sigstore)',
  },
];

/** The error of a computer without a person and without a token. */
export function tokenMissing(env: AmbientContext['env']): IdentityError {
  const ci = CI_REMEDIES.find(({ sign }) => env(sign) !== undefined);
  return new IdentityError(
    'IDENTITY_TOKEN_MISSING',
    ci === undefined
      ? 'nobody can log in here: there is no terminal and no identity token'
      : `${ci.name} gives this job no identity token`,
    { hint: ci?.remedy ?? 'pass --identity-token TOKEN|FILE, set SIGSTORE_ID_TOKEN, or sign with --key' },
  );
}

/** The error of a token that `provider` made for somebody else. */
export function wrongAudience(provider: string, token: IdentityToken, audience: string): IdentityError {
  const ci = CI_REMEDIES.find(({ name }) => name === provider);
  return new IdentityError(
    'IDENTITY_TOKEN_INVALID',
    `the identity token of ${provider} is for ${token.audiences.map((name) => JSON.stringify(name)).join(', ') || 'nobody'}, not for "${audience}"`,
    { hint: ci?.remedy ?? `have the token made for the audience "${audience}", or name another with --oidc-client-id` },
  );
}

/** Reads a small text file for AmbientContext. */
export function readSmallText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function present(value: string | undefined): string {
  if (value === undefined) throw new Error('internal: token provider without its variable');
  return value;
}

function googleMetadata(env: AmbientContext['env'], what: string): HttpRequest {
  const host = env('GCE_METADATA_HOST') ?? 'metadata.google.internal';
  const url = `http://${host}/computeMetadata/v1/instance/service-accounts/default/${what}`;
  return get("Google's metadata server", url, { 'metadata-flavor': 'Google' });
}

function get(service: string, url: string, headers: Record<string, string>): HttpRequest {
  return { service, method: 'GET', url, headers, timeoutMs: TIMEOUT_MS, accept: [200] };
}

function post(service: string, url: string, authorization: string, body: object): HttpRequest {
  return {
    service,
    method: 'POST',
    url,
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    timeoutMs: TIMEOUT_MS,
    accept: [200, 201],
  };
}

async function member(http: Http, call: HttpRequest, name: string): Promise<string> {
  const answer = await request(http, call);
  const json = parseJsonAnswer(call, answer);
  return readAnswer(call, () => new Fields(json, '', 'FIELD_INVALID').string(name));
}
