import { signedEntryTimestampPayload } from '../core/bundle/set.ts';
import { parseDecimal, serializeBase64, serializeHex } from '../core/bytes/bytes.ts';
import { type Json, parseJson } from '../core/bytes/json.ts';
import { type PrivateKey, sign } from '../core/crypto/private-key.ts';
import { keyFingerprint, serializePublicKeyPem } from '../core/crypto/public-key.ts';
import { InputError } from '../core/errors.ts';
import { jsonResponse, type Peer } from '../core/http/front-end.ts';
import {
  MAX_INDEX_RESULTS,
  MAX_LOG_REQUEST_BYTES,
  MAX_LOG_REQUEST_MEMBERS,
  MAX_LOG_SIZE,
  MAX_LOOKUP_REQUEST_BYTES,
} from '../core/limits.ts';
import { leafHash, verifyInclusion } from '../core/merkle/tree.ts';
import type { BodyReader } from './body-reader.ts';
import { parseEntryExtra, serializeEntryExtra } from './entry-extra.ts';
import { parseEntryId, serializeEntryId } from './entry-id.ts';
import type { EntryRate } from './entry-rate.ts';
import { corrupt } from './faults.ts';
import { createDispatcher, jsonInteger, Refusal, type Route, requireBody } from './http.ts';
import type { Log } from './log.ts';
import type { InclusionProof } from './log-reader.ts';
import type { SearchableLog } from './search/search.ts';
import { searchIndex } from './search-v1.ts';
import type { Shard, Shards } from './shards.ts';
import type { Leaf } from './store.ts';
import { createStretches } from './stretches.ts';

/** What opening a shard of a Rekor v1 log gives. */
export interface V1Shard {
  readonly log: Log;
  readonly key: PrivateKey;
  readonly treeId: bigint;
  readonly search: SearchableLog;
}

export interface RekorV1Options {
  readonly shards: Shards<V1Shard>;
  readonly bodies: BodyReader;
  readonly entryRate: EntryRate;
  readonly onFault: (error: unknown) => void;
}

/**
 * Rekor v1's HTTP interface under `/api/v1/log` and `/api/v1/index`. A log index outside of a proof counts over all shards.
 * Only what the active shard holds is a duplicate. Answers undefined for other paths.
 */
export function createRekorV1({ shards, bodies, entryRate, onFault }: RekorV1Options) {
  const inStretches = createStretches(() => performance.now());

  /** POST /api/v1/log/entries */
  async function createEntry(request: Request, peer: Peer): Promise<Response> {
    shards.requireRoom();
    const proposal = await bodies.read('proposal', await requireBody(request, MAX_LOG_REQUEST_BYTES));
    const { body } = proposal;
    entryRate(peer, body);
    const appended = await shards.append({ body, extra: serializeEntryExtra(proposal) });
    const { shard } = appended;
    const id = serializeEntryId(shard.treeId, appended.leafHash);
    const location = `/api/v1/log/entries/${id}`;
    if (appended.duplicate) {
      throw new Refusal(409, `an equivalent entry already exists in the transparency log with UUID ${id}`, {
        Location: location,
      });
    }
    // A commit resolves hundreds of appends at once, and each promise costs a signature.
    return inStretches(async () => {
      const entry = logEntry(shard, appended.index, { body, time: appended.integratedTime }, appended);
      return jsonResponse(201, entry, { ETag: id, Location: location });
    });
  }

  /** GET /api/v1/log/entries?logIndex=N */
  async function getEntryByIndex(url: URL): Promise<Response> {
    const index = decimal(url, 'logIndex');
    if (index === undefined) throw new Refusal(422, 'logIndex in query is required');
    const found = await inStretches(() => entryAt(index));
    return found ? jsonResponse(200, found) : notFound();
  }

  /** GET /api/v1/log/entries/{id} */
  async function getEntryById(id: string): Promise<Response> {
    const index = await indexOfId(id);
    const found = index === undefined ? undefined : await inStretches(() => entryAt(index));
    return found ? jsonResponse(200, found) : notFound();
  }

  /** POST /api/v1/log/entries/retrieve: what is not found is left out. An entry is a proposal, or the body as it is logged. */
  async function retrieveEntries(request: Request): Promise<Response> {
    const asked = await bodies.read('retrieval', await requireBody(request, MAX_LOG_REQUEST_BYTES));
    const wanted: (bigint | undefined)[] = [];
    for (const id of asked.ids) wanted.push(await indexOfId(id));
    wanted.push(...asked.indexes);
    for (const hash of asked.leafHashes) wanted.push(await indexOfLeaf(hash));
    const found: Json[] = [];
    for (const index of wanted) {
      const entry = index === undefined ? undefined : await inStretches(() => entryAt(index));
      if (entry) found.push(entry);
    }
    return jsonResponse(200, found);
  }

  /** GET /api/v1/log */
  function getLogInfo(): Response {
    const all = shards.all().map(({ log, treeId }) => {
      const { treeSize, rootHash, checkpoint } = log.head();
      return {
        rootHash: serializeHex(rootHash),
        treeSize: jsonInteger(treeSize),
        signedTreeHead: checkpoint,
        treeID: `${treeId}`,
      };
    });
    return jsonResponse(200, { ...all.at(-1), inactiveShards: all.slice(0, -1) });
  }

  /** GET /api/v1/log/publicKey?treeID= */
  function getPublicKey(url: URL): Response {
    const { key } = requireShard(url);
    return new Response(serializePublicKeyPem(key.publicKey), {
      headers: { 'Content-Type': 'application/x-pem-file' },
    });
  }

  /** GET /api/v1/log/proof?firstSize=&lastSize=&treeID= */
  async function getConsistencyProof(url: URL): Promise<Response> {
    const { log } = requireShard(url);
    const { treeSize, rootHash } = log.head();
    const first = decimal(url, 'firstSize') ?? 1n;
    const last = decimal(url, 'lastSize');
    if (last === undefined) throw new Refusal(422, 'lastSize in query is required');
    if (first < 1n || last < 1n) throw new Refusal(422, 'firstSize and lastSize in query must be 1 at least');
    if (first > last) throw new Refusal(400, `firstSize(${first}) must be less than or equal to lastSize(${last})`);
    if (last > treeSize) {
      throw new Refusal(400, `lastSize requested ${last} is greater than current tree size ${treeSize}`);
    }
    const hashes = await log.consistencyPath(first, last);
    return jsonResponse(200, { rootHash: serializeHex(rootHash), hashes: hashes.map(serializeHex) });
  }

  /** POST /api/v1/index/retrieve */
  async function retrieveIndex(request: Request): Promise<Response> {
    const query = parseJson(await requireBody(request, MAX_LOOKUP_REQUEST_BYTES), MAX_LOG_REQUEST_MEMBERS);
    const found = await Promise.all(
      shards
        .all()
        .map(async ({ search, treeId }) =>
          (await searchIndex(search, query)).map((hit) => serializeEntryId(treeId, hit.leafHash)),
        ),
    );
    return jsonResponse(200, found.flat().slice(-MAX_INDEX_RESULTS));
  }

  async function indexOfId(text: string): Promise<bigint | undefined> {
    const id = parseEntryId(text);
    if (!id) throw new Refusal(422, 'an entry UUID has 64 or 80 hexadecimal digits');
    return indexOfLeaf(id.leafHash, id.treeId);
  }

  /** The index of an entry in the named tree, or in the newest shard that has it. */
  async function indexOfLeaf(hash: Uint8Array, treeId?: bigint): Promise<bigint | undefined> {
    for (const shard of shards.all().toReversed()) {
      if (treeId !== undefined && treeId !== shard.treeId) continue;
      const index = await shard.log.indexOf(hash);
      if (index !== undefined) return shard.first + index;
    }
    return undefined;
  }

  async function entryAt(index: bigint): Promise<Json | undefined> {
    const at = shards.locate(index);
    const leaf = await at?.shard.log.entry(at.index);
    if (!at || !leaf) return undefined;
    const { attestation } = parseEntryExtra(leaf.extra);
    const proof = await at.shard.log.proveInclusion(at.index);
    // A promise is signed for what the tree holds, not for what is stored beside it.
    requireIncluded(at.shard.log.origin, leaf, at.index, proof);
    return logEntry(at.shard, at.index, leaf, proof, attestation);
  }

  /** One LogEntry: an object with the entry's ID as its only member. `index` is the one in its shard. */
  function logEntry(
    { key, treeId, first }: Shard<V1Shard>,
    index: bigint,
    { body, time }: Pick<Leaf, 'body' | 'time'>,
    proof: InclusionProof,
    attestation?: Uint8Array,
  ): Json {
    const logId = keyFingerprint(key.publicKey);
    const logIndex = first + index;
    const integratedTime = BigInt(Math.floor(time.getTime() / 1000));
    const promise = sign(key, signedEntryTimestampPayload({ body, integratedTime, logId, logIndex }));
    return {
      [serializeEntryId(treeId, leafHash(body))]: {
        ...(attestation ? { attestation: { data: serializeBase64(attestation) } } : {}),
        body: serializeBase64(body),
        integratedTime: jsonInteger(integratedTime),
        logID: serializeHex(logId),
        logIndex: jsonInteger(logIndex),
        verification: {
          inclusionProof: {
            checkpoint: proof.checkpoint,
            hashes: proof.hashes.map(serializeHex),
            logIndex: jsonInteger(index),
            rootHash: serializeHex(proof.rootHash),
            treeSize: jsonInteger(proof.treeSize),
          },
          signedEntryTimestamp: serializeBase64(promise),
        },
      },
    };
  }

  function requireShard(url: URL): Shard<V1Shard> {
    const asked = url.searchParams.get('treeID');
    const shard = asked ? shards.all().find(({ treeId }) => asked === `${treeId}`) : shards.active();
    if (!shard) throw new Refusal(400, 'the log has no such tree');
    return shard;
  }

  const routes: Route[] = [
    {
      method: 'POST',
      name: '/api/v1/log/entries',
      path: /^\/api\/v1\/log\/entries$/,
      answer: (request, _url, _groups, peer) => createEntry(request, peer),
    },
    {
      method: 'GET',
      name: '/api/v1/log/entries',
      path: /^\/api\/v1\/log\/entries$/,
      answer: (_, url) => getEntryByIndex(url),
    },
    {
      method: 'POST',
      name: '/api/v1/log/entries/retrieve',
      path: /^\/api\/v1\/log\/entries\/retrieve$/,
      answer: retrieveEntries,
    },
    {
      method: 'GET',
      name: '/api/v1/log/entries/{id}',
      path: /^\/api\/v1\/log\/entries\/(?!retrieve$)([^/]+)$/,
      answer: (_request, _url, [id = '']) => getEntryById(id),
    },
    { method: 'GET', name: '/api/v1/log', path: /^\/api\/v1\/log$/, answer: getLogInfo },
    {
      method: 'GET',
      name: '/api/v1/log/publicKey',
      path: /^\/api\/v1\/log\/publicKey$/,
      answer: (_, url) => getPublicKey(url),
    },
    {
      method: 'GET',
      name: '/api/v1/log/proof',
      path: /^\/api\/v1\/log\/proof$/,
      answer: (_, url) => getConsistencyProof(url),
    },
    { method: 'POST', name: '/api/v1/index/retrieve', path: /^\/api\/v1\/index\/retrieve$/, answer: retrieveIndex },
    {
      method: 'GET',
      name: '/ping',
      path: /^\/ping$/,
      answer: () => new Response('.', { headers: { 'Content-Type': 'text/plain' } }),
    },
  ];
  return createDispatcher(
    routes.map(uncached),
    (status, message, headers) => jsonResponse(status, { code: status, message }, headers),
    onFault,
  );
}

/** Answers of a v1 log change with its growth, an entry's with its proof: none is for a cache (as the reference says). */
function uncached(route: Route): Route {
  return {
    ...route,
    answer: async (...asked) => {
      const response = await route.answer(...asked);
      response.headers.set('Cache-Control', 'no-cache, no-store, must-revalidate');
      return response;
    },
  };
}

/** The reference answers an absent entry without a body. */
const notFound = (): Response => new Response(null, { status: 404 });

/** DATABASE_CORRUPT if the tree does not hold this body at this index. */
function requireIncluded(origin: string, { body }: Leaf, index: bigint, proof: InclusionProof): void {
  try {
    verifyInclusion({ ...proof, leafHash: leafHash(body), index });
  } catch (error) {
    throw corrupt(origin, `entry ${index} is not the one that its tree holds`, error);
  }
}

function decimal(url: URL, name: string): bigint | undefined {
  const text = url.searchParams.get(name);
  if (text === null) return undefined;
  try {
    return parseDecimal(text, MAX_LOG_SIZE);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new Refusal(422, `${name} in query must be a non-negative integer`);
  }
}
