import type { TransparencyLogEntry } from '../bundle/bundle.ts';
import { serializeHashedRekordV002 } from '../bundle/entry.ts';
import type { HashedRekordV002 } from '../bundle/entry-v2.ts';
import { equal, parseUtf8 } from '../bytes/bytes.ts';
import { ServiceError } from '../errors.ts';
import { type Http, type HttpRequest, joinUrl, readAnswer, request } from '../http/client.ts';
import { fetchInclusionProof } from '../log/tiles.ts';
import { type Checkpoint, parseCheckpoint } from '../merkle/checkpoint.ts';
import type { LogInstance } from '../trust/trusted-root.ts';

const SERVICE = 'the transparency log (Rekor v2)';
const TIMEOUT_MS = 15_000;
/** A checkpoint over a new entry comes within 10 s in the reference log: how often it is asked for, and the pause, ms. */
const CHECKPOINT_ATTEMPTS = 8;
const CHECKPOINT_PAUSE_MS = 2_000;

/**
 * The entry at `logIndex` of a Rekor v2 log, known to be of this signature, not verified: the body is what was to be logged,
 * the proof comes from checkpoint and tiles (C2SP tlog-tiles). `logs` are those that the trusted root knows. SERVICE_*.
 */
export async function fetchExistingEntry(
  http: Http,
  url: string,
  logIndex: bigint,
  signature: Omit<HashedRekordV002, 'kind' | 'version'>,
  logs: readonly LogInstance[],
): Promise<TransparencyLogEntry> {
  const { envelope, checkpoint } = await fetchCheckpointOver(http, url, logIndex);
  const { treeSize, rootHash } = checkpoint;
  const log = logs.find(({ logId }) =>
    checkpoint.note.signatures.some(({ keyId }) => equal(keyId, logId.subarray(0, keyId.length))),
  );
  return {
    logIndex,
    // Of a log that nobody knows: the verification says so.
    logId: log?.logId ?? new Uint8Array(),
    kindVersion: { kind: 'hashedrekord', version: '0.0.2' },
    integratedTime: undefined,
    inclusionPromise: undefined,
    inclusionProof: {
      logIndex,
      rootHash,
      treeSize,
      hashes: await fetchInclusionProof(http, url, logIndex, treeSize),
      checkpoint: envelope,
    },
    canonicalizedBody: serializeHashedRekordV002(signature),
  };
}

async function fetchCheckpointOver(
  http: Http,
  url: string,
  logIndex: bigint,
): Promise<{ envelope: string; checkpoint: Checkpoint }> {
  const call: HttpRequest = {
    service: SERVICE,
    method: 'GET',
    url: joinUrl(url, '/checkpoint'),
    timeoutMs: TIMEOUT_MS,
    accept: [200],
  };
  for (let attempt = 1; attempt <= CHECKPOINT_ATTEMPTS; attempt++) {
    const { body } = await request(http, call);
    const envelope = readAnswer(call, () => parseUtf8(body));
    const checkpoint = readAnswer(call, () => parseCheckpoint(envelope));
    if (checkpoint.treeSize > logIndex) return { envelope, checkpoint };
    await http.sleep(CHECKPOINT_PAUSE_MS);
  }
  throw new ServiceError(
    'SERVICE_REFUSED',
    `${SERVICE} at ${call.url} does not get to the entry at index ${logIndex}`,
    {
      hint: 'the log is behind; run the command again later',
    },
  );
}
