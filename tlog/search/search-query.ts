import { domainToASCII } from 'node:url';
import { parseDecimal, serializeHex, serializeUtf8 } from '../../core/bytes/bytes.ts';
import { sha256 } from '../../core/crypto/hash.ts';
import { InputError } from '../../core/errors.ts';
import { MAX_SEARCH_PAGE, MAX_SEARCH_TERM_CHARS } from '../../core/limits.ts';
import type { SearchPosition, SearchQuery } from './search.ts';
import { repositoryName, termKey } from './terms.ts';

/** A request of the search interface. */
export interface SearchRequest {
  readonly query: SearchQuery;
  /** Name of the one log that is asked; undefined: all. */
  readonly log: string | undefined;
  readonly limit: number;
  readonly position: SearchPosition | undefined;
}

/** Entries in a page if the request does not say. */
const DEFAULT_LIMIT = 20;
/** Logs in a cursor: shards of two dialects. */
const MAX_CURSOR_LOGS = 64;
const DIGEST_DIGITS: Readonly<Record<string, number>> = { sha1: 40, sha256: 64, sha384: 96, sha512: 128 };

/** What a parameter asks for: keys of which an entry has one. */
const TERMS: Readonly<Record<string, (value: string) => Uint8Array[]>> = {
  __proto__: null as never,
  digest: (value) => [termKey('digest', digestName(value))],
  identity: (value) => [termKey('subject', value)],
  domain: (value) => [
    termKey('domain', requireMatch(asciiDomain(value), 'domain', /^@?([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)$/i)),
  ],
  issuer: (value) => [termKey('issuer', value)],
  key: (value) => [termKey('fingerprint', requireMatch(value, 'key', /^(?:sha256:)?([0-9a-f]{64})$/i))],
  serial: (value) => [
    termKey(
      'serial',
      requireMatch(value, 'serial', /^(?:0x)?([0-9a-f:]{1,120})$/i)
        .replace(/:/g, '')
        .replace(/^0+(?=.)/, ''),
    ),
  ],
  repository: (value) => [termKey('repository', repositoryName(value))],
  commit: commitKeys,
};

/** Parameters of the search interface, for those who build requests. */
export const SEARCH_PARAMETERS = [...Object.keys(TERMS), 'identityPrefix', 'since', 'until', 'log', 'limit', 'cursor'];

/** Reads the parameters of a request, each at most once and none that is unknown. Errors: FIELD_INVALID. */
export function parseSearchRequest(parameters: URLSearchParams): SearchRequest {
  const values = new Map<string, string>();
  for (const [name, value] of parameters) {
    if (!SEARCH_PARAMETERS.includes(name))
      throw invalid(name.slice(0, 80), `not one of ${SEARCH_PARAMETERS.join(', ')}`);
    if (values.has(name)) throw invalid(name, 'given twice');
    if (value === '') throw invalid(name, 'empty');
    if (value.length > MAX_SEARCH_TERM_CHARS) throw invalid(name, `longer than ${MAX_SEARCH_TERM_CHARS} characters`);
    values.set(name, value);
  }
  const groups: Uint8Array[][] = [];
  for (const [name, keysOf] of Object.entries(TERMS)) {
    const value = values.get(name);
    if (value !== undefined) groups.push(keysOf(value));
  }
  const cursor = values.get('cursor');
  return {
    query: {
      groups,
      prefix: values.get('identityPrefix')?.toLowerCase(),
      since: seconds(values, 'since'),
      until: seconds(values, 'until'),
    },
    log: values.get('log'),
    limit: limitOf(values.get('limit')),
    position: cursor === undefined ? undefined : parseCursor(cursor),
  };
}

/** `sha256:HEX`, or the digits alone: their number tells the algorithm. */
function digestName(value: string): string {
  const [, prefix, digits = ''] = /^(?:(sha1|sha256|sha384|sha512):)?([0-9a-f]+)$/i.exec(value) ?? [];
  const algorithm =
    prefix?.toLowerCase() ?? Object.keys(DIGEST_DIGITS).find((name) => DIGEST_DIGITS[name] === digits.length);
  if (algorithm === undefined || DIGEST_DIGITS[algorithm] !== digits.length) {
    throw invalid('digest', 'expected sha256:HEX, sha384:HEX, sha512:HEX or sha1:HEX');
  }
  return `${algorithm}:${digits}`;
}

// A commit that a certificate names; or one that was signed itself, as gitsign logs it: the digest of its ID in hexadecimal.
function commitKeys(value: string): Uint8Array[] {
  const id = requireMatch(value, 'commit', /^([0-9a-f]{40}|[0-9a-f]{64})$/i).toLowerCase();
  return [termKey('commit', id), termKey('digest', `sha256:${serializeHex(sha256(serializeUtf8(id)))}`)];
}

// Certificates name hosts in ASCII (RFC 5280 §7.2), people write them in Unicode.
function asciiDomain(value: string): string {
  const [, at = '', host = ''] = /^(@?)(.*\P{ASCII}.*)$/u.exec(value) ?? [];
  return host === '' ? value : `${at}${domainToASCII(host)}`;
}

function requireMatch(value: string, name: string, pattern: RegExp): string {
  const found = pattern.exec(value)?.[1];
  if (found === undefined) throw invalid(name, EXPECTED[name] ?? 'not of its form');
  return found;
}

const EXPECTED: Readonly<Record<string, string>> = {
  domain: 'expected a host name, such as example.com',
  key: 'expected the SHA-256 of a public key (SubjectPublicKeyInfo): 64 hexadecimal digits',
  serial: 'expected the serial number of a certificate in hexadecimal',
  commit: 'expected a whole commit ID: 40 or 64 hexadecimal digits',
};

function seconds(values: ReadonlyMap<string, string>, name: string): number | undefined {
  const value = values.get(name);
  if (value === undefined) return undefined;
  const parts = /^(\d{4})-(\d\d)-(\d\d)T\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/.exec(value);
  // A day that its month does not have would be read as one of the next.
  const isDay =
    parts !== null && Number(parts[3]) <= new Date(Date.UTC(Number(parts[1]), Number(parts[2]), 0)).getUTCDate();
  const time = isDay ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(time)) throw invalid(name, 'expected an RFC 3339 time, such as 2026-01-31T12:00:00Z');
  // Entries have whole seconds: one that was logged in the second of a fraction is neither before nor after it.
  return Math.ceil(time / 1000);
}

function limitOf(value: string | undefined): number {
  if (value === undefined) return DEFAULT_LIMIT;
  const limit = /^\d{1,4}$/.test(value) ? Number(value) : 0;
  if (limit < 1 || limit > MAX_SEARCH_PAGE) throw invalid('limit', `expected 1 to ${MAX_SEARCH_PAGE}`);
  return limit;
}

/** Where a search goes on, as a text that clients give back: it stays valid for ever, whatever is logged meanwhile. */
export const serializeCursor = (position: SearchPosition): string =>
  [...position].map(([name, before]) => `${name}.${before}`).join('~');

function parseCursor(text: string): SearchPosition {
  const position = new Map<string, number>();
  for (const part of text.split('~', MAX_CURSOR_LOGS + 1)) {
    const [, name, before] = /^([a-z][a-z0-9]{0,30})\.(\d{1,16})$/.exec(part) ?? [];
    if (name === undefined || before === undefined || position.has(name) || position.size >= MAX_CURSOR_LOGS) {
      throw invalid('cursor', 'not one that this server gave');
    }
    position.set(name, Number(parseDecimal(before, BigInt(Number.MAX_SAFE_INTEGER))));
  }
  return position;
}

const invalid = (name: string, problem: string): InputError => new InputError('FIELD_INVALID', `${name}: ${problem}`);
