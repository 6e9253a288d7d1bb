import type { TransparencyLogEntry } from '../bundle/bundle.ts';
import { equal, serializeHex } from '../bytes/bytes.ts';
import { ServiceError, VerificationError } from '../errors.ts';
import type { Http } from '../http/client.ts';
import { logKeyHash } from '../merkle/note.ts';
import { leafHash, verifyConsistency } from '../merkle/tree.ts';
import type { LogInstance } from '../trust/trusted-root.ts';
import { type SignedCheckpoint, verifySignedCheckpoint } from '../verify/checkpoint.ts';
import { type ReadEntry, verifyReadEntry } from '../verify/read-entry.ts';
import { fetchCheckpointV1, fetchConsistencyV1, fetchEntryV1, findByDigestV1 } from './rekor-v1.ts';
import { fetchCheckpointV2, fetchConsistencyV2, fetchEntryV2 } from './rekor-v2.ts';

/** A log to read: the dialect that it is asked in. */
export interface LogAddress {
  readonly version: 1 | 2;
  readonly url: string;
}

/**
 * Reads a log. Everything it answers was verified with the logs of the trusted root; no key ever comes from the log. Errors:
 * SERVICE_*, and those of `verifySignedCheckpoint`, `verifyReadEntry` and `verifyConsistency`.
 */
export interface LogClient {
  readonly address: LogAddress;
  /** The newest checkpoint; of a Rekor v1 log, that of its active shard. */
  checkpoint(): Promise<SignedCheckpoint>;
  /** The entry at an index, over all shards of a Rekor v1 log. SERVICE_REFUSED with status 404 if there is none. */
  entryAt(index: bigint): Promise<ReadEntry>;
  /** The entry of this ID. Rekor v1 alone. */
  entryOf(id: string): Promise<ReadEntry>;
  /** IDs of the entries about a digest (`sha256:HEX`), as the log's index tells; nothing proves that none is left out. Rekor v1 alone. */
  findByDigest(digest: string): Promise<string[]>;
  /** The same entry, as the log proves it now: what was taken from a bundle is looked for, not what the log says it is. */
  proveAgain(entry: TransparencyLogEntry): Promise<ReadEntry>;
  /** Proof that the larger of two checkpoints of this log extends the smaller. CONSISTENCY_PROOF_WRONG if it does not. */
  proveConsistency(one: SignedCheckpoint, other: SignedCheckpoint): Promise<Uint8Array[]>;
}

const TREE_ID = / - ([0-9]+)$/;

export function createLogClient(http: Http, address: LogAddress, logs: readonly LogInstance[]): LogClient {
  const { url, version } = address;

  async function checkpoint(): Promise<SignedCheckpoint> {
    const envelope = version === 1 ? await fetchCheckpointV1(http, url) : await fetchCheckpointV2(http, url);
    return verifySignedCheckpoint(envelope, version, logs);
  }

  async function entryV1(wanted: bigint | string): Promise<ReadEntry> {
    const found = await fetchEntryV1(http, url, wanted);
    if (found === undefined) throw absent(url, typeof wanted === 'bigint' ? `index ${wanted}` : `the ID ${wanted}`);
    return requireGlobalIndex(verifyReadEntry(found.entry, 1, logs), url);
  }

  async function entryV2(index: bigint): Promise<ReadEntry> {
    const head = await checkpoint();
    if (index >= head.checkpoint.treeSize) {
      throw absent(url, `index ${index}: it has ${head.checkpoint.treeSize} entries`);
    }
    return verifyReadEntry(await fetchEntryV2(http, url, index, head.envelope, head.log.logId), 2, logs);
  }

  async function proveAgain(entry: TransparencyLogEntry): Promise<ReadEntry> {
    const leaf = leafHash(entry.canonicalizedBody);
    const proof = entry.inclusionProof;
    if (version === 2) {
      const again = await entryV2(proof?.logIndex ?? entry.logIndex);
      if (equal(leafHash(again.entry.canonicalizedBody), leaf)) return again;
      throw new VerificationError('LOG_ENTRY_MISMATCH', 'log', `${url} has another entry at index ${entry.logIndex}`, {
        evidence: 'tlogEntries',
      });
    }
    // With the tree ID where it is known: a log of several shards looks at the right one.
    const treeId = TREE_ID.exec(proof?.checkpoint?.split('\n', 1)[0] ?? '')?.[1];
    const prefix = treeId === undefined ? '' : BigInt(treeId).toString(16).padStart(16, '0');
    return entryV1(`${prefix}${serializeHex(leaf)}`);
  }

  async function proveConsistency(one: SignedCheckpoint, other: SignedCheckpoint): Promise<Uint8Array[]> {
    const [first, second] = [one.checkpoint, other.checkpoint].sort((a, b) => (a.treeSize < b.treeSize ? -1 : 1));
    if (first === undefined || second === undefined) throw new Error('internal: fewer than two checkpoints');
    if (first.origin !== second.origin || !equal(one.log.logId, other.log.logId)) {
      throw new VerificationError('CONSISTENCY_PROOF_WRONG', 'log', 'the checkpoints are of different logs', {
        evidence: `${first.origin}, ${second.origin}`,
      });
    }
    const { treeSize: from } = first;
    const { treeSize: to } = second;
    const isTrivial = from === 0n || from === to;
    const treeId = TREE_ID.exec(second.origin)?.[1] ?? '';
    const hashes = isTrivial
      ? []
      : version === 1
        ? await fetchConsistencyV1(http, url, from, to, treeId)
        : await fetchConsistencyV2(http, url, from, to);
    verifyConsistency({
      firstSize: from,
      firstRoot: first.rootHash,
      secondSize: to,
      secondRoot: second.rootHash,
      hashes,
    });
    return hashes;
  }

  return {
    address,
    checkpoint,
    entryAt: (index) => (version === 1 ? entryV1(index) : entryV2(index)),
    entryOf: (id) => (version === 1 ? entryV1(id) : Promise.reject(onlyV1('entry IDs'))),
    findByDigest: (digest) =>
      version === 1 ? findByDigestV1(http, url, digest) : Promise.reject(onlyV1('a search index')),
    proveAgain,
    proveConsistency,
  };
}

/**
 * The proof covers the index in a shard; the one over all shards is covered by the log's promise alone, and is never the lower
 * of the two. A log that keeps the promise back could tell any. SET_INVALID, LOG_ENTRY_MISMATCH.
 */
function requireGlobalIndex(read: ReadEntry, url: string): ReadEntry {
  const { inclusionPromise, inclusionProof, logIndex } = read.entry;
  if (inclusionPromise === undefined || read.integratedTime === undefined) {
    throw new VerificationError('SET_INVALID', 'log', `${url} gave an entry without its signed promise`, {
      evidence: 'inclusionPromise',
      hint: 'without it nothing proves at which index the log has the entry',
    });
  }
  if (inclusionProof === undefined || logIndex < inclusionProof.logIndex) {
    throw new VerificationError('LOG_ENTRY_MISMATCH', 'log', `${url} gave an index below the one in its shard`, {
      evidence: 'logIndex',
    });
  }
  return read;
}

/** The dialect that a log with this URL is spoken to in, by what the trusted root says of its logs. */
export function dialectOfUrl(url: string, logs: readonly LogInstance[]): 1 | 2 {
  const host = URL.parse(url)?.host;
  const here = logs.filter(({ baseUrl }) => URL.parse(baseUrl)?.host === host);
  const isV2 = ({ publicKey, logId, baseUrl }: LogInstance): boolean =>
    publicKey.kind === 'ed25519' && equal(logId, logKeyHash(URL.parse(baseUrl)?.hostname ?? '', publicKey));
  return here.length > 0 && here.every(isV2) ? 2 : 1;
}

const absent = (url: string, what: string): ServiceError =>
  new ServiceError('SERVICE_REFUSED', `the log at ${url} has no entry with ${what}`, {
    status: 404,
    hint: 'see how many entries it has: hallmark log info',
  });

const onlyV1 = (what: string): ServiceError =>
  new ServiceError('SERVICE_REFUSED', `a Rekor v2 log has no ${what}`, {
    hint: 'name the entry by its index, or search the instance: hallmark log search',
  });
