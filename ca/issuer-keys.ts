import type { CompactVerifyGetKey, JSONWebKeySet } from 'jose';
import { Fields } from '../core/bytes/fields.ts';
import { IdentityError, ServiceError } from '../core/errors.ts';
import { type FetchLike, type HttpRequest, joinUrl, parseJsonAnswer, requestOnce } from '../core/http/client.ts';
import { MAX_ISSUER_DOCUMENT_BYTES } from '../core/limits.ts';
import type { Issuer } from './issuers.ts';

/** Verifies tokens with their issuer's keys. */
export interface IssuerKeys {
  /** The payload that the issuer signed. IDENTITY_TOKEN_INVALID if it did not; ServiceError if its keys cannot be had. */
  verifySignature(token: string, issuer: Issuer): Promise<Uint8Array>;
}

/** Signature algorithms taken (RFC 7518 §3.1, RFC 9864). None is symmetric: the keys are public. */
const ALGORITHMS: ReadonlySet<string> = new Set([
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
]);
/** What an issuer signs with if its discovery document does not say (OpenID Connect Discovery §3). */
const DEFAULT_ALGORITHMS = ['RS256'];

/** Time for each of an issuer's two documents, ms: together the reference server's 10 s. */
const DOCUMENT_TIMEOUT_MS = 5_000;
/** How long fetched keys are used, ms: a withdrawn key stops counting after it. */
const KEYS_MAX_AGE_MS = 10 * 60_000;
/** How soon an unknown key ID may cause another fetch, ms: anybody can invent key IDs. */
const REFETCH_PAUSE_MS = 30_000;

interface KeySet {
  readonly algorithms: string[];
  readonly keys: CompactVerifyGetKey;
  readonly fetchedAt: number;
}

/** Keeps the key sets of the issuers it was asked about. One fetch per issuer is under way at a time. */
export function createIssuerKeys(options: { fetch: FetchLike; clock: () => Date }): IssuerKeys {
  const known = new Map<string, KeySet>();
  const underWay = new Map<string, Promise<KeySet>>();

  async function keySetOf(issuer: Issuer, maxAge: number): Promise<KeySet> {
    const current = known.get(issuer.url);
    const now = options.clock().getTime();
    if (current && now - current.fetchedAt < maxAge) return current;
    const running = underWay.get(issuer.url);
    if (running) return running;
    const started = load(issuer, options.fetch, now);
    underWay.set(issuer.url, started);
    try {
      const keySet = await started;
      known.set(issuer.url, keySet);
      return keySet;
    } finally {
      underWay.delete(issuer.url);
    }
  }

  return {
    async verifySignature(token, issuer) {
      const { errors } = await import('jose');
      const first = await keySetOf(issuer, KEYS_MAX_AGE_MS);
      try {
        return await verifyWith(token, first);
      } catch (cause) {
        const again = cause instanceof errors.JWKSNoMatchingKey ? await keySetOf(issuer, REFETCH_PAUSE_MS) : undefined;
        if (again === undefined || again === first) throw notSigned(issuer, cause);
        return await verifyWith(token, again).catch((second: unknown) => {
          throw notSigned(issuer, second);
        });
      }
    },
  };
}

async function verifyWith(token: string, { keys, algorithms }: KeySet): Promise<Uint8Array> {
  const { compactVerify, errors } = await import('jose');
  try {
    return (await compactVerify(token, keys, { algorithms })).payload;
  } catch (cause) {
    if (!(cause instanceof errors.JWKSMultipleMatchingKeys)) throw cause;
    // Without a key ID every key that fits is tried (OpenID Connect Core §10.1).
    for await (const key of cause) {
      const verified = await compactVerify(token, key, { algorithms }).catch(() => undefined);
      if (verified) return verified.payload;
    }
    throw cause;
  }
}

function notSigned(issuer: Issuer, cause: unknown): IdentityError {
  const problem = cause instanceof Error ? cause.message : 'bad signature';
  return new IdentityError('IDENTITY_TOKEN_INVALID', `identity token is not signed by ${issuer.url}: ${problem}`, {
    cause,
  });
}

async function load(issuer: Issuer, fetch: FetchLike, now: number): Promise<KeySet> {
  const { createLocalJWKSet } = await import('jose');
  if (issuer.jwks) {
    return { algorithms: DEFAULT_ALGORITHMS, keys: createLocalJWKSet(await issuer.jwks()), fetchedAt: now };
  }
  try {
    const { jwks, algorithms } = await discover(issuer.url, fetch);
    return { algorithms, keys: createLocalJWKSet(jwks), fetchedAt: now };
  } catch (cause) {
    if (cause instanceof ServiceError) throw cause;
    throw unusable(issuer.url, cause instanceof Error ? cause.message : 'bad key set', cause);
  }
}

/** OpenID Connect Discovery §4: the configuration, which must name the issuer itself, then the keys it points to. */
async function discover(url: string, fetch: FetchLike): Promise<{ jwks: JSONWebKeySet; algorithms: string[] }> {
  const configuration = await fetchFields(joinUrl(url, '/.well-known/openid-configuration'), fetch);
  const named = configuration.string('issuer');
  if (named !== url) throw unusable(url, `its discovery document speaks for ${named.slice(0, 200)}`);

  const jwksUrl = configuration.string('jwks_uri');
  if (!URL.canParse(jwksUrl) || new URL(jwksUrl).protocol !== new URL(url).protocol)
    throw unusable(url, 'its jwks_uri is not a URL with the scheme of the issuer');
  const offered = configuration.has('id_token_signing_alg_values_supported')
    ? configuration.array('id_token_signing_alg_values_supported', 64)
    : DEFAULT_ALGORITHMS;
  const algorithms = offered.filter((name): name is string => typeof name === 'string' && ALGORITHMS.has(name));
  if (algorithms.length === 0) throw unusable(url, 'it offers no signature algorithm that is accepted here');

  const keys = (await fetchFields(jwksUrl, fetch)).array('keys', 1000);
  return { jwks: { keys } as JSONWebKeySet, algorithms };
}

async function fetchFields(url: string, fetch: FetchLike): Promise<Fields> {
  const call: HttpRequest = {
    service: 'the identity provider',
    method: 'GET',
    url,
    headers: { accept: 'application/json' },
    timeoutMs: DOCUMENT_TIMEOUT_MS,
    accept: [200],
    maxBytes: MAX_ISSUER_DOCUMENT_BYTES,
    // Keys come from where the issuer says, not from where somebody on the way does.
    maxRedirects: 0,
  };
  // Once: who waits for a certificate tries again itself.
  const answer = await requestOnce(fetch, call);
  return new Fields(parseJsonAnswer(call, answer), url, 'JSON_INVALID');
}

function unusable(url: string, problem: string, cause?: unknown): ServiceError {
  return new ServiceError('SERVICE_ANSWER_INVALID', `identity provider at ${url} cannot be used: ${problem}`, {
    cause,
  });
}
