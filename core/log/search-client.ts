import { Fields } from '../bytes/fields.ts';
import { type Http, joinUrl, parseJsonAnswer, readAnswer, request } from '../http/client.ts';
import { MAX_SEARCH_PAGE } from '../limits.ts';

/** What a log's search says of an entry. Nothing in it is verified: it is the server's word. */
export interface SearchedEntry {
  readonly log: string;
  readonly logIndex: number;
  readonly leafHash: string;
  /** Rekor v1's name of it. */
  readonly entryId: string | undefined;
  readonly integratedTime: Date;
  readonly kind: string;
  readonly version: string;
  readonly digests: readonly { readonly of: string; readonly algorithm: string; readonly value: string }[];
  readonly signers: readonly SearchedSigner[];
}

export interface SearchedSigner {
  readonly key: string;
  readonly serial: string | undefined;
  readonly identities: readonly { readonly kind: string; readonly value: string }[];
  readonly issuer: string | undefined;
  readonly repository: string | undefined;
  readonly commit: string | undefined;
}

export interface SearchAnswer {
  readonly entries: readonly SearchedEntry[];
  readonly nextCursor: string | undefined;
  /** Entries that are logged and cannot be found yet. */
  readonly behind: number;
}

/** For one attempt: a search takes milliseconds. */
const TIMEOUT_MS = 20_000;
/** Digests, signers and identities of one entry that are read. */
const MAX_LISTED = 256;

/**
 * Asks the search interface of the log at `url`. Errors: SERVICE_UNREACHABLE, SERVICE_REFUSED (no such interface, or what is
 * asked is not understood), SERVICE_ANSWER_INVALID.
 */
export async function searchLog(
  http: Http,
  url: string,
  parameters: Readonly<Record<string, string>>,
): Promise<SearchAnswer> {
  const call = {
    service: 'the search of the log',
    method: 'GET',
    url: `${joinUrl(url, '/api/search')}?${new URLSearchParams(parameters)}`,
    timeoutMs: TIMEOUT_MS,
    accept: [200],
    wrongUrlHint: 'only hallmark serve has this search; name one with --rekor-url URL',
  } as const;
  const answer = await request(http, call);
  const json = parseJsonAnswer(call, answer);
  return readAnswer(call, () => {
    const fields = new Fields(json, '', 'FIELD_INVALID');
    return {
      entries: fields.objects('entries', MAX_SEARCH_PAGE).map(readEntry),
      nextCursor: fields.optionalString('nextCursor'),
      behind: requireCount(fields.object('index'), 'behind'),
    };
  });
}

function readEntry(fields: Fields): SearchedEntry {
  const integratedTime = fields.optionalTime('integratedTime');
  if (integratedTime === undefined) throw fields.fail('integratedTime', 'missing');
  return {
    log: fields.string('log'),
    logIndex: requireCount(fields, 'logIndex'),
    leafHash: requireHex(fields, 'leafHash', fields.string('leafHash')),
    entryId: optionalHex(fields, 'entryId'),
    integratedTime,
    kind: fields.string('kind'),
    version: fields.string('version'),
    digests: fields.objects('digests', MAX_LISTED).map((item) => ({
      of: item.string('of'),
      algorithm: item.string('algorithm'),
      value: requireHex(item, 'value', item.string('value')),
    })),
    signers: fields.objects('signers', MAX_LISTED).map(readSigner),
  };
}

function readSigner(fields: Fields): SearchedSigner {
  return {
    key: requireHex(fields, 'key', fields.string('key')),
    serial: fields.optionalString('serial'),
    identities: fields
      .objects('identities', MAX_LISTED)
      .map((item) => ({ kind: item.string('kind'), value: item.string('value') })),
    issuer: fields.optionalString('issuer'),
    repository: fields.optionalString('repository'),
    commit: fields.optionalString('commit'),
  };
}

function requireCount(fields: Fields, key: string): number {
  const value = fields.optionalInteger(key, 0, Number.MAX_SAFE_INTEGER);
  if (value === undefined) throw fields.fail(key, 'missing');
  return value;
}

function requireHex(fields: Fields, key: string, value: string): string {
  if (!/^[0-9a-f]{1,160}$/.test(value)) throw fields.fail(key, 'expected hexadecimal');
  return value;
}

function optionalHex(fields: Fields, key: string): string | undefined {
  const value = fields.optionalString(key);
  return value === undefined ? undefined : requireHex(fields, key, value);
}
