import type { JSONWebKeySet } from 'jose';
import type { Json } from '../core/bytes/json.ts';
import { requireSameSite } from './domains.ts';

/** What the tokens of an issuer identify, and what its kind of identity needs to know. */
export type IdentityRules =
  | {
      readonly type: 'email';
      /** Claim that names the real issuer behind a federating one, e.g. federated_claims, connector_id. */
      readonly issuerClaim?: readonly string[];
      readonly emailVerification: 'required' | 'skipped';
    }
  | { readonly type: 'uri'; readonly subjectDomain: string }
  | { readonly type: 'username'; readonly subjectDomain: string }
  | { readonly type: 'spiffe'; readonly trustDomain: string }
  | { readonly type: 'kubernetes' }
  | { readonly type: 'github-workflow'; readonly serverUrl: string }
  | { readonly type: 'gitlab-pipeline'; readonly serverUrl: string }
  | { readonly type: 'buildkite-job'; readonly serverUrl: string };

type IssuerType = IdentityRules['type'];

/** An OIDC issuer whose tokens the CA accepts. */
export type Issuer = IdentityRules & {
  /** Exactly the `iss` claim of its tokens. */
  readonly url: string;
  /** What `aud` must contain. */
  readonly audience: string;
  /** Its keys, where they live in this process: nothing is fetched then. */
  readonly jwks?: () => Promise<JSONWebKeySet>;
};

/** Issuers by URL: a look-up is an exact match or nothing. */
export type IssuerTable = ReadonlyMap<string, Issuer>;

export function issuerTable(issuers: readonly Issuer[]): IssuerTable {
  return new Map(issuers.map((issuer) => [issuer.url, issuer]));
}

/** Issuers in one configuration: a look-up is constant, the bound keeps the answer of /configuration small. */
const MAX_ISSUERS = 1000;

type Problem = string | undefined;
type Check = (value: Json, entry: { readonly [key: string]: Json }) => Problem;

const nonEmpty: Check = (value) => (typeof value === 'string' && value !== '' ? undefined : 'expected a string');
const flag: Check = (value) => (typeof value === 'boolean' ? undefined : 'expected true or false');
const serverUrl: Check = (value) =>
  typeof value === 'string' && /^https:\/\/[a-z0-9.-]+(?::\d+)?(?:\/[\w./-]*[\w-])?$/.test(value)
    ? undefined
    : 'expected an https URL without a final slash';
const claimPath: Check = (value) =>
  typeof value === 'string' && /^\$(?:\.\w{1,64}){1,8}$/.test(value)
    ? undefined
    : 'expected a path like $.federated_claims.connector_id';
const trustDomain: Check = (value) =>
  typeof value === 'string' && /^[a-z0-9._-]{1,255}$/.test(value) ? undefined : 'expected a SPIFFE trust domain';

const subjectUrl: Check = (value, entry) => {
  const subject = typeof value === 'string' ? /^(https?):\/\/([a-z0-9.-]+)$/.exec(value) : null;
  if (!subject) return 'expected scheme and host, like https://example.com';
  const issuer = typeof entry['url'] === 'string' && URL.canParse(entry['url']) ? new URL(entry['url']) : undefined;
  if (!issuer) return undefined; // the problem with `url` is reported by its own check
  if (issuer.protocol !== `${subject[1]}:`) return `expected the scheme of the issuer, ${issuer.protocol}//`;
  return requireSameSite(subject[2] as string, issuer.hostname);
};
const subjectHost: Check = (value, entry) => {
  if (typeof value !== 'string' || !/^[a-z0-9.-]+$/.test(value)) return 'expected a host name, like example.com';
  const issuer = typeof entry['url'] === 'string' && URL.canParse(entry['url']) ? new URL(entry['url']) : undefined;
  return issuer && requireSameSite(value, issuer.hostname);
};

/** What each kind of identity reads of its entry, beside url, audience and type: the check of each key, and which are required. */
export const ISSUER_KEYS: Record<
  IssuerType,
  { readonly [key: string]: { readonly check: Check; readonly required?: true } }
> = {
  email: { issuerClaim: { check: claimPath }, skipEmailVerification: { check: flag } },
  uri: { subjectDomain: { check: subjectUrl, required: true } },
  username: { subjectDomain: { check: subjectHost, required: true } },
  spiffe: { trustDomain: { check: trustDomain, required: true } },
  kubernetes: {},
  'github-workflow': { serverUrl: { check: serverUrl } },
  'gitlab-pipeline': { serverUrl: { check: serverUrl } },
  'buildkite-job': { serverUrl: { check: serverUrl } },
};

/**
 * The `issuers` of the server's configuration: `[{url, audience, type, ...}]`. Every bad key of every entry is added to
 * `problems` as `path: sentence`; the result counts only if there are none. Unknown keys are problems.
 */
export function parseIssuers(value: Json | undefined, path: string, problems: string[]): Issuer[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_ISSUERS) {
    problems.push(`${path}: expected a list of 1 to ${MAX_ISSUERS} issuers`);
    return [];
  }
  const issuers: Issuer[] = [];
  const seen = new Set<string>();
  for (const [i, entry] of value.entries()) {
    const at = `${path}[${i}]`;
    if (entry === null || typeof entry !== 'object' || Array.isArray(entry)) {
      problems.push(`${at}: expected an object`);
      continue;
    }
    const before = problems.length;
    checkEntry(entry, at, problems);
    if (problems.length > before) continue;
    const issuer = issuerOf(entry as { readonly [key: string]: string } & { skipEmailVerification?: boolean });
    if (seen.has(issuer.url)) problems.push(`${at}.url: issuer listed twice`);
    seen.add(issuer.url);
    issuers.push(issuer);
  }
  return issuers;
}

function checkEntry(entry: { readonly [key: string]: Json }, at: string, problems: string[]): void {
  const type = entry['type'];
  const known = typeof type === 'string' && Object.hasOwn(ISSUER_KEYS, type);
  if (!known) problems.push(`${at}.type: expected one of ${Object.keys(ISSUER_KEYS).join(', ')}`);
  const keys: (typeof ISSUER_KEYS)[IssuerType] = {
    url: { check: issuerUrl, required: true },
    audience: { check: nonEmpty },
    type: { check: () => undefined },
    ...(known ? ISSUER_KEYS[type as IssuerType] : {}),
  };
  for (const [key, member] of Object.entries(entry)) {
    const problem = Object.hasOwn(keys, key) ? keys[key]?.check(member, entry) : known ? 'unknown key' : undefined;
    if (problem !== undefined) problems.push(`${at}.${key.slice(0, 80)}: ${problem}`);
  }
  for (const [key, { required }] of Object.entries(keys))
    if (required && !Object.hasOwn(entry, key)) problems.push(`${at}.${key}: missing`);
}

/** An issuer is one URL. Keys fetched without TLS from another computer would be anybody's. */
function issuerUrl(value: Json): Problem {
  if (typeof value !== 'string' || value.length > 512 || !URL.canParse(value)) return 'expected a URL';
  if (value.includes('*')) return 'wildcard issuers are not supported; list each issuer';
  const url = new URL(value);
  if (url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '')
    return 'expected a URL without query, fragment and user';
  const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback))
    return 'expected https (http is for loopback only)';
  return undefined;
}

function issuerOf(entry: { readonly [key: string]: string } & { skipEmailVerification?: boolean }): Issuer {
  const url = entry['url'] as string;
  const common = { url, audience: entry['audience'] ?? 'sigstore' };
  const type = entry['type'] as IssuerType;
  switch (type) {
    case 'email': {
      const emailVerification = entry.skipEmailVerification ? 'skipped' : 'required';
      const issuerClaim = entry['issuerClaim']?.split('.').slice(1);
      return { ...common, type, emailVerification, ...(issuerClaim && { issuerClaim }) };
    }
    case 'uri':
    case 'username':
      return { ...common, type, subjectDomain: entry['subjectDomain'] as string };
    case 'spiffe':
      return { ...common, type, trustDomain: entry['trustDomain'] as string };
    case 'kubernetes':
      return { ...common, type };
    case 'github-workflow':
      return { ...common, type, serverUrl: entry['serverUrl'] ?? 'https://github.com' };
    case 'gitlab-pipeline':
      // A GitLab instance is its own issuer.
      return { ...common, type, serverUrl: entry['serverUrl'] ?? url };
    case 'buildkite-job':
      return { ...common, type, serverUrl: entry['serverUrl'] ?? 'https://buildkite.com' };
  }
}
