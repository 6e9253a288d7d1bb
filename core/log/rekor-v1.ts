import type { TransparencyLogEntry } from '../bundle/bundle.ts';
import { parseBase64, parseHex, serializeBase64, serializeHex, serializeUtf8 } from '../bytes/bytes.ts';
import { Fields } from '../bytes/fields.ts';
import { type Json, parseJson } from '../bytes/json.ts';
import { InputError, ServiceError } from '../errors.ts';
import { type Http, type HttpRequest, joinUrl, parseJsonAnswer, readAnswer, request } from '../http/client.ts';
import { MAX_INDEX_RESULTS, MAX_LOG_SIZE, MAX_PROOF_HASHES } from '../limits.ts';
import { leafHash } from '../merkle/tree.ts';

const SERVICE = 'the transparency log (Rekor v1)';
const TIMEOUT_MS = 30_000;

/** An entry of a Rekor v1 log under its name there: the leaf hash, or the tree ID before it. Not verified. */
export interface NamedEntry {
  readonly id: string;
  readonly entry: TransparencyLogEntry;
}

const get = (url: string, path: string, accept: readonly number[] = [200]): HttpRequest => ({
  service: SERVICE,
  method: 'GET',
  url: joinUrl(url, path),
  headers: { accept: 'application/json' },
  timeoutMs: TIMEOUT_MS,
  accept,
});

/** The newest checkpoint of the active shard, a signed note. Not verified. SERVICE_*. */
export async function fetchCheckpointV1(http: Http, url: string): Promise<string> {
  const call = get(url, '/api/v1/log');
  const json = parseJsonAnswer(call, await request(http, call));
  return readAnswer(call, () => new Fields(json, '', 'FIELD_INVALID').string('signedTreeHead'));
}

/** The entry of an index over all shards, or of an ID; undefined if there is none. Not verified. SERVICE_*. */
export async function fetchEntryV1(http: Http, url: string, wanted: bigint | string): Promise<NamedEntry | undefined> {
  const query = typeof wanted === 'bigint' ? `?logIndex=${wanted}` : `/${wanted}`;
  const call = get(url, `/api/v1/log/entries${query}`, [200, 404]);
  const answer = await request(http, call);
  if (answer.status === 404) return undefined;
  const found = parseLogEntry(call, parseJsonAnswer(call, answer));
  const { logIndex, canonicalizedBody } = found.entry;
  const leaf = serializeHex(leafHash(canonicalizedBody));
  const isAsked = typeof wanted === 'bigint' ? logIndex === wanted : wanted.endsWith(leaf);
  if (isAsked && isEntryId(found.id) && found.id.endsWith(leaf)) return found;
  throw new ServiceError('SERVICE_ANSWER_INVALID', `${SERVICE} at ${call.url} gave another entry than was asked for`);
}

/**
 * IDs of the entries about an artifact with this digest, by the log's own search index, which nothing proves; with a key or
 * certificate in PEM only those that it signed. SERVICE_*.
 */
export async function findByDigestV1(http: Http, url: string, digest: string, pem?: string): Promise<string[]> {
  const call: HttpRequest = {
    ...get(url, '/api/v1/index/retrieve'),
    method: 'POST',
    headers: { accept: 'application/json', 'content-type': 'application/json' },
    body: JSON.stringify({
      hash: digest,
      ...(pem !== undefined && {
        operator: 'and',
        publicKey: { format: 'x509', content: serializeBase64(serializeUtf8(pem)) },
      }),
    }),
  };
  const json = parseJsonAnswer(call, await request(http, call));
  return readAnswer(call, () => {
    if (!Array.isArray(json) || json.length > MAX_INDEX_RESULTS)
      throw new InputError('FIELD_INVALID', 'not a list of entry IDs');
    return json.map((id) => {
      if (typeof id === 'string' && isEntryId(id)) return id;
      throw new InputError('FIELD_INVALID', 'not an entry ID');
    });
  });
}

/** The consistency proof between two sizes of the tree with this ID. Not verified. SERVICE_*. */
export async function fetchConsistencyV1(
  http: Http,
  url: string,
  first: bigint,
  second: bigint,
  treeId: string,
): Promise<Uint8Array[]> {
  const call = get(url, `/api/v1/log/proof?firstSize=${first}&lastSize=${second}&treeID=${treeId}`);
  const json = parseJsonAnswer(call, await request(http, call));
  return readAnswer(call, () => hashesOf(new Fields(json, '', 'FIELD_INVALID')));
}

/** An entry ID as Rekor writes it: 64 hexadecimal digits of leaf hash, or 16 of tree ID before them. */
export const isEntryId = (text: string): boolean => /^(?:[0-9a-f]{64}|[0-9a-f]{80})$/.test(text);

/** Rekor v1's LogEntry, one entry under its ID, as the protobuf form that bundles carry. SERVICE_ANSWER_INVALID */
export function parseLogEntry(call: HttpRequest, json: Json): NamedEntry {
  return readAnswer(call, () => {
    const answer = new Fields(json, '', 'ENTRY_INVALID');
    const [id, ...others] = answer.keys();
    if (id === undefined || others.length > 0) throw answer.fail(id ?? '', 'expected exactly one entry');
    const entry = answer.object(id);
    const canonicalizedBody = parseBase64(entry.string('body'));
    const verification = entry.object('verification');
    const proof = verification.object('inclusionProof');
    const integratedTime = entry.bigint('integratedTime', MAX_LOG_SIZE);
    return {
      id,
      entry: {
        logIndex: entry.bigint('logIndex', MAX_LOG_SIZE),
        logId: parseHex(entry.string('logID')),
        kindVersion: kindVersionOf(canonicalizedBody),
        integratedTime: integratedTime === 0n ? undefined : integratedTime,
        inclusionPromise: verification.optionalBytes('signedEntryTimestamp'),
        inclusionProof: {
          // Within the shard; the outer index counts over all shards.
          logIndex: proof.bigint('logIndex', MAX_LOG_SIZE),
          rootHash: parseHex(proof.string('rootHash')),
          treeSize: proof.bigint('treeSize', MAX_LOG_SIZE),
          hashes: hashesOf(proof),
          checkpoint: proof.string('checkpoint'),
        },
        canonicalizedBody,
      },
    };
  });
}

const hashesOf = (fields: Fields): Uint8Array[] =>
  fields.array('hashes', MAX_PROOF_HASHES).map((hash, i) => {
    if (typeof hash !== 'string') throw fields.fail(`hashes[${i}]`, 'expected a string');
    return parseHex(hash);
  });

/** What an entry's body says it is; it may be of a kind that is not understood here. ENTRY_INVALID, JSON_* */
export function kindVersionOf(body: Uint8Array): TransparencyLogEntry['kindVersion'] {
  const fields = new Fields(parseJson(body), '', 'ENTRY_INVALID');
  return { kind: fields.string('kind'), version: fields.string('apiVersion') };
}
