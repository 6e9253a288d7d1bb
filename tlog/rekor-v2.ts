import { serializeBase64 } from '../core/bytes/bytes.ts';
import type { Json } from '../core/bytes/json.ts';
import type { PrivateKey } from '../core/crypto/private-key.ts';
import { jsonResponse, type Peer } from '../core/http/front-end.ts';
import { MAX_LOG_REQUEST_BYTES } from '../core/limits.ts';
import type { BodyReader } from './body-reader.ts';
import type { EntryRate } from './entry-rate.ts';
import { createDispatcher, type Route, requireBody } from './http.ts';
import type { Appended, Log } from './log.ts';
import type { SearchableLog } from './search/search.ts';
import type { Shard, Shards } from './shards.ts';
import { createStretches } from './stretches.ts';
import { tileRoutes } from './tile-routes.ts';

/** What opening a shard of a Rekor v2 log gives. */
export interface V2Shard {
  readonly log: Log;
  readonly key: PrivateKey;
  /** Untruncated signed-note key hash. */
  readonly logId: Uint8Array;
  readonly search: SearchableLog;
}

export interface RekorV2Options {
  readonly shards: Shards<V2Shard>;
  readonly bodies: BodyReader;
  readonly entryRate: EntryRate;
  readonly onFault: (error: unknown) => void;
}

/**
 * Rekor v2's HTTP interface: `POST /api/v2/log/entries`, and checkpoint, tiles and entry bundles at `/` and `/api/v2/`, all
 * below the URL of each shard. That URL is a shard's own for ever, as what is read there is cached without end; a frozen
 * one answers a submission with 405. A duplicate is answered as the first was, with its entry; what lies in a frozen shard
 * is none. Answers undefined for other paths.
 */
export function createRekorV2({ shards, bodies, entryRate, onFault }: RekorV2Options) {
  // Routes are the same for every shard, so one that comes later needs no more than its reader.
  const fronts = new Map<number, Front>();
  // Witnesses let go of many entries at once.
  const inStretches = createStretches(() => performance.now());

  function frontOf(shard: Shard<V2Shard>): Front {
    const front = fronts.get(shard.number) ?? {
      base: new URL(shard.url),
      answer: createDispatcher(routesOf(shard), errorAnswer, onFault),
    };
    fronts.set(shard.number, front);
    return front;
  }

  function routesOf(shard: Shard<V2Shard>): Route[] {
    async function createEntry(request: Request, peer: Peer): Promise<Response> {
      // Before its body is looked at: a client of an older signing config need not send a valid one to learn of it.
      shards.requireRoom(shard);
      const { body, extra } = await bodies.read('proposalV2', await requireBody(request, MAX_LOG_REQUEST_BYTES));
      entryRate(peer, body);
      const appended = await shards.appendTo(shard, { body, extra });
      return inStretches(async () => jsonResponse(201, transparencyLogEntry(appended, shard.logId)));
    }
    return [
      {
        method: 'POST',
        name: '/api/v2/log/entries',
        path: /^\/api\/v2\/log\/entries$/,
        answer: (request, _url, _groups, peer) => createEntry(request, peer),
      },
      ...tileRoutes(shard.log),
    ];
  }

  return (request: Request, url: URL, peer: Peer): Promise<Response> | undefined => {
    for (const shard of shards.all().toReversed()) {
      const { base, answer } = frontOf(shard);
      // The first shard is at any host, for a proxy may have changed its name.
      const below = shard.number === 1 ? url : urlBelow(base, url);
      const response = below && answer(request, below, peer);
      if (response) return response;
    }
    return undefined;
  };
}

interface Front {
  readonly base: URL;
  readonly answer: ReturnType<typeof createDispatcher>;
}

/** The URL as seen from a shard at `base`: by its path, or where that is the root by its host. */
function urlBelow(base: URL, url: URL): URL | undefined {
  if (base.pathname === '/') return url.host === base.host ? url : undefined;
  if (!url.pathname.startsWith(`${base.pathname}/`)) return undefined;
  const below = new URL(url);
  below.pathname = url.pathname.slice(base.pathname.length);
  return below;
}

/** TransparencyLogEntry of sigstore_rekor.proto as the reference writes it, unset fields included. */
function transparencyLogEntry(entry: Appended, logId: Uint8Array): Json {
  return {
    logIndex: `${entry.index}`,
    logId: { keyId: serializeBase64(logId) },
    kindVersion: { kind: 'hashedrekord', version: '0.0.2' },
    integratedTime: '0',
    inclusionPromise: null,
    inclusionProof: {
      logIndex: `${entry.index}`,
      rootHash: serializeBase64(entry.rootHash),
      treeSize: `${entry.treeSize}`,
      hashes: entry.hashes.map(serializeBase64),
      checkpoint: { envelope: entry.checkpoint },
    },
    canonicalizedBody: serializeBase64(entry.body),
  };
}

/** google.rpc.Code for the HTTP statuses that are used. */
const GRPC_CODES: Readonly<Record<number, number>> = { 400: 3, 404: 5, 405: 12, 413: 8, 500: 13, 503: 14 };

/** google.rpc.Status in JSON. */
function errorAnswer(status: number, message: string, headers: Readonly<Record<string, string>>): Response {
  return jsonResponse(status, { code: GRPC_CODES[status] ?? 2, message, details: [] }, headers);
}
