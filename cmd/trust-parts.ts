import { parseUtf8 } from '../core/bytes/bytes.ts';
import { parsePublicKeyPem } from '../core/crypto/public-key.ts';
import { InputError, UsageError } from '../core/errors.ts';
import { readFileBounded } from '../core/files.ts';
import { MAX_KEY_FILE_BYTES, MAX_TRUST_INSTANCES } from '../core/limits.ts';
import type { NewAuthority, NewCtLog, NewLog } from '../core/trust/create.ts';
import type { Service, ServiceSelector } from '../core/trust/signing-config.ts';
import { type Certificate, parseCertificatesPem } from '../core/x509/certificate.ts';
import { requirePlainUrl } from './plain-url.ts';
import { inFile } from './trust-instances.ts';

// The values of the flags of `trust create`: "key=value,key=value", with cosign's keys.

type Pairs = ReadonlyMap<string, string>;

/** Reads `url=...,key=value` of `flag`: every required key once, the optional ones at most once, no other. UsageError. */
function parsePairs(flag: string, text: string, required: readonly string[], optional: readonly string[]): Pairs {
  const hint = `${flag} ${required.map((key) => `${key}=...`).join(',')}; also: ${optional.join(', ')}`;
  const pairs = new Map<string, string>();
  for (const pair of text.split(',')) {
    const [key = '', ...rest] = pair.split('=');
    const value = rest.join('=');
    if (!required.includes(key) && !optional.includes(key)) {
      throw new UsageError(`${flag} has no ${JSON.stringify(key.slice(0, 40))}`, { hint });
    }
    if (value === '') throw new UsageError(`${key} of ${flag} is empty`, { hint });
    if (pairs.has(key)) throw new UsageError(`${key} of ${flag} is given twice`, { hint });
    pairs.set(key, value);
  }
  const missing = required.find((key) => !pairs.has(key));
  if (missing !== undefined) throw new UsageError(`${missing} of ${flag} is missing`, { hint });
  return pairs;
}

const SERVICE_KEYS = ['start-time', 'end-time', 'api-version', 'operator'] as const;

/** `--fulcio` and `--tsa`. Without a start time they begin when every certificate of the chain has begun. */
export function parseAuthority(flag: string, text: string): NewAuthority {
  const pairs = parsePairs(flag, text, ['url', 'certificate-chain'], SERVICE_KEYS);
  requireVersion(flag, pairs, ['1']);
  const chain = readChain(pairs.get('certificate-chain') as string);
  const begins = new Date(Math.max(...chain.map(({ notBefore }) => notBefore.getTime())));
  return { ...serviceOf(flag, pairs, begins), chain };
}

/** `--rekor`. Version 2 has an origin, which is the host of the URL: a trusted root has no place for another. */
export function parseLog(flag: string, text: string): NewLog {
  const pairs = parsePairs(
    flag,
    text,
    ['url', 'public-key', 'start-time'],
    ['end-time', 'api-version', 'origin', 'operator'],
  );
  const origin = pairs.get('origin');
  const version = requireVersion(flag, pairs, origin === undefined ? ['1', '2'] : ['2']);
  const service = serviceOf(flag, pairs, undefined);
  const host = new URL(service.url).hostname;
  if (origin !== undefined && origin !== host) {
    throw new UsageError(
      `origin of ${flag} is ${JSON.stringify(origin.slice(0, 80))}, and the host of its url ${host}`,
      {
        hint: 'verifiers take the host of the url for the origin: give the log a url of the host that its checkpoints name',
      },
    );
  }
  return {
    ...service,
    publicKey: readKey(pairs),
    rekorV2Origin: version === '2' ? host : undefined,
  };
}

/** `--ctfe`. */
export function parseCtLog(flag: string, text: string): NewCtLog {
  const pairs = parsePairs(flag, text, ['url', 'public-key', 'start-time'], ['end-time']);
  return { ...serviceOf(flag, pairs, undefined), publicKey: readKey(pairs) };
}

/** `--oidc-provider`. */
export function parseProvider(flag: string, text: string): Omit<Service, 'majorApiVersion'> {
  const pairs = parsePairs(flag, text, ['url', 'start-time'], ['end-time', 'api-version', 'operator']);
  requireVersion(flag, pairs, ['1']);
  return serviceOf(flag, pairs, undefined);
}

/** `ANY`, `ALL` or `EXACT:n`. */
export function parseSelector(flag: string, text: string): ServiceSelector {
  if (text === 'ANY' || text === 'ALL') return { selector: text };
  const count = Number(/^EXACT:([1-9][0-9]{0,2})$/.exec(text)?.[1]);
  if (count <= MAX_TRUST_INSTANCES) return { selector: 'EXACT', count };
  throw new UsageError(`${flag} is ${JSON.stringify(text.slice(0, 40))}`, { hint: `${flag} ANY, ALL or EXACT:2` });
}

function requireVersion(flag: string, pairs: Pairs, known: readonly [string, ...string[]]): string {
  const version = pairs.get('api-version') ?? known[0];
  if (known.includes(version)) return version;
  throw new UsageError(
    `api-version of ${flag} is ${JSON.stringify(version.slice(0, 40))}, expected ${known.join(' or ')}`,
  );
}

function serviceOf(flag: string, pairs: Pairs, begins: Date | undefined): Omit<Service, 'majorApiVersion'> {
  const url = requirePlainUrl(pairs.get('url') as string, `${flag} url=https://HOST,...`);
  const start = timeOf(flag, pairs, 'start-time') ?? begins;
  const end = timeOf(flag, pairs, 'end-time');
  if (start !== undefined && end !== undefined && end < start) throw new UsageError(`${flag} ends before it starts`);
  return { url, validFor: { start, end }, operator: pairs.get('operator') ?? new URL(url).hostname };
}

// Whole seconds: cosign fails within the second of a start that has a fraction.
function timeOf(flag: string, pairs: Pairs, key: string): Date | undefined {
  const text = pairs.get(key);
  if (text === undefined) return undefined;
  const time = new Date(text);
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(time.getTime())) return time;
  throw new UsageError(`${key} of ${flag} is ${JSON.stringify(text.slice(0, 40))}, not a time in whole seconds`, {
    hint: `${key}=2026-01-31T00:00:00Z`,
  });
}

function readChain(path: string): Certificate[] {
  const bytes = readFileBounded(path, MAX_KEY_FILE_BYTES, 'certificate chain');
  return inFile(path, () => {
    const chain = parseCertificatesPem(parseUtf8(bytes));
    if (chain.length > 0) return chain;
    throw new InputError('CERTIFICATE_INVALID', 'no certificate in it');
  });
}

function readKey(pairs: Pairs): NewLog['publicKey'] {
  const path = pairs.get('public-key') as string;
  const bytes = readFileBounded(path, MAX_KEY_FILE_BYTES, 'public key');
  return inFile(path, () => parsePublicKeyPem(parseUtf8(bytes)));
}
