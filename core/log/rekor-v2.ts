import type { TransparencyLogEntry } from '../bundle/bundle.ts';
import { parseUtf8 } from '../bytes/bytes.ts';
import { type Http, type HttpRequest, joinUrl, readAnswer, request } from '../http/client.ts';
import { MAX_NOTE_BYTES } from '../limits.ts';
import { parseCheckpoint } from '../merkle/checkpoint.ts';
import { kindVersionOf } from './rekor-v1.ts';
import { fetchBody, fetchConsistencyProof, fetchInclusionProof } from './tiles.ts';

const SERVICE = 'the transparency log (Rekor v2)';
const TIMEOUT_MS = 15_000;
/** Where checkpoint and tiles lie below a log's URL. */
const PREFIX = '/api/v2';

/** The newest checkpoint, a signed note. Not verified. SERVICE_*. */
export async function fetchCheckpointV2(http: Http, url: string): Promise<string> {
  const call: HttpRequest = {
    service: SERVICE,
    method: 'GET',
    url: joinUrl(url, `${PREFIX}/checkpoint`),
    timeoutMs: TIMEOUT_MS,
    accept: [200],
    maxBytes: MAX_NOTE_BYTES,
  };
  const { body } = await request(http, call);
  return readAnswer(call, () => parseUtf8(body));
}

/** The entry at an index below the size of `checkpoint`, with a proof in its tree. Not verified. SERVICE_*. */
export async function fetchEntryV2(
  http: Http,
  url: string,
  index: bigint,
  checkpoint: string,
  logId: Uint8Array,
): Promise<TransparencyLogEntry> {
  const { treeSize, rootHash } = parseCheckpoint(checkpoint);
  const base = joinUrl(url, PREFIX);
  const [canonicalizedBody, hashes] = await Promise.all([
    fetchBody(http, base, index, treeSize),
    fetchInclusionProof(http, base, index, treeSize),
  ]);
  const kindVersion = readAnswer({ service: SERVICE, url: base }, () => kindVersionOf(canonicalizedBody));
  return {
    logIndex: index,
    logId,
    kindVersion,
    integratedTime: undefined,
    inclusionPromise: undefined,
    inclusionProof: { logIndex: index, rootHash, treeSize, hashes, checkpoint },
    canonicalizedBody,
  };
}

/** The consistency proof between two sizes, from the tiles. Not verified. SERVICE_*. */
export const fetchConsistencyV2 = (http: Http, url: string, first: bigint, second: bigint): Promise<Uint8Array[]> =>
  fetchConsistencyProof(http, joinUrl(url, PREFIX), first, second);
