import { serializeHex } from '../../core/bytes/bytes.ts';
import type { Json } from '../../core/bytes/json.ts';
import { InputError } from '../../core/errors.ts';
import { jsonResponse } from '../../core/http/front-end.ts';
import { createDispatcher, jsonInteger } from '../http.ts';
import type { EntrySigner } from './entry-facts.ts';
import { type SearchableLog, type SearchHit, searchPage } from './search.ts';
import { parseSearchRequest, serializeCursor } from './search-query.ts';

export interface SearchApiOptions {
  /** Those that there are now. */
  readonly logs: () => readonly SearchableLog[];
  readonly onFault: (error: unknown) => void;
}

/** How long a search waits for the index to be where the log is, so that what was just logged is found. */
const WAIT_MS = 250;

/**
 * `GET /api/search` (docs/search.md): one answer over all logs, unverified. Answers undefined for other paths.
 */
export function createSearchApi({ logs: logsNow, onFault }: SearchApiOptions) {
  async function search(url: URL): Promise<Response> {
    const { query, log, limit, position } = parseSearchRequest(url.searchParams);
    const logs = logsNow();
    const asked = log === undefined ? logs : logs.filter((each) => nameOf(each) === log);
    if (asked.length === 0) {
      throw new InputError('FIELD_INVALID', `log: not one of ${[...new Set(logs.map(nameOf))].join(', ')}`);
    }
    await Promise.all(asked.map(({ follower }) => follower.caughtUp('newest', WAIT_MS)));
    const coverage = asked.map((each) => ({ ...placeOf(each), ...each.follower.coverage() }));
    const page = await searchPage(asked, query, position, limit);
    return jsonResponse(
      200,
      {
        entries: page.hits.map(hitJson),
        ...(page.next ? { nextCursor: serializeCursor(page.next) } : {}),
        index: {
          behind: coverage.reduce((sum, { treeSize, indexed }) => sum + treeSize - indexed, 0),
          logs: coverage,
        },
      },
      { 'Cache-Control': 'no-cache' },
    );
  }

  return createDispatcher(
    [{ name: '/api/search', method: 'GET', path: /^\/api\/search$/, answer: (_, url) => search(url) }],
    (status, message, headers) => jsonResponse(status, { code: status, message }, headers),
    onFault,
  );
}

const nameOf = ({ name, shard }: SearchableLog): string => shard?.of ?? name;

const placeOf = (log: SearchableLog): Record<string, Json> => ({
  log: nameOf(log),
  ...(log.shard && log.shard.number > 1 ? { shard: log.shard.number } : {}),
});

function hitJson({ log, index, leafHash, time, facts }: SearchHit): Json {
  return {
    ...placeOf(log),
    logIndex: jsonInteger((log.shard?.first ?? 0n) + BigInt(index)),
    leafHash: serializeHex(leafHash),
    ...(log.entryId ? { entryId: log.entryId(leafHash) } : {}),
    integratedTime: `${time.toISOString().slice(0, 19)}Z`,
    kind: facts.kind,
    version: facts.version,
    digests: facts.digests.map(({ of, algorithm, value }) => ({ of, algorithm, value })),
    signers: facts.signers.map(signerJson),
  };
}

function signerJson({ key, serial, identities, issuer, repository, commit }: EntrySigner): Json {
  return {
    key,
    ...(serial === undefined ? {} : { serial }),
    ...(identities.length === 0 ? {} : { identities: identities.map(({ kind, value }) => ({ kind, value })) }),
    ...(issuer === undefined ? {} : { issuer }),
    ...(repository === undefined ? {} : { repository }),
    ...(commit === undefined ? {} : { commit }),
  };
}
