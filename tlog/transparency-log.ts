import { join } from 'node:path';
import { serializeHashedRekordV001 } from '../core/bundle/entry.ts';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import { createAsyncVerifier } from '../core/crypto/async-verifier.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { generateKey, type PrivateKey, sign } from '../core/crypto/private-key.ts';
import { keyFingerprint, type PublicKey, serializePublicKeyPem } from '../core/crypto/public-key.ts';
import { InputError } from '../core/errors.ts';
import type { FetchLike } from '../core/http/client.ts';
import type { Peer } from '../core/http/front-end.ts';
import { logKeyHash } from '../core/merkle/note.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Certificate } from '../core/x509/certificate.ts';
import type { CtLog } from '../core/x509/sct.ts';
import { createBodyReader } from './body-reader.ts';
import { createNoteSigner, createTreeHeadSigner } from './checkpoint-signer.ts';
import { createCtFrontEnd } from './ct.ts';
import { createCtLog } from './ct-log.ts';
import type { SegmentFiles } from './duplicate-index.ts';
import { serializeEntryId } from './entry-id.ts';
import { createGroupCommit } from './group-commit.ts';
import { createIndexThread, createLocalThread } from './index/thread.ts';
import { type Log, type LogOptions, openLog } from './log.ts';
import { createLogMetrics, observeSearch, observeWitnesses } from './observe.ts';
import { createRekorV1 } from './rekor-v1.ts';
import { createRekorV2 } from './rekor-v2.ts';
import { createFollower } from './search/follower.ts';
import type { SearchableLog } from './search/search.ts';
import { createSearchApi } from './search/search-api.ts';
import { openSqliteStore } from './sqlite-store.ts';
import type { Store } from './store.ts';
import { createWitnessClient } from './witness-client.ts';
import { openWitnessedLog, type PublishedHead, type PublishingEvent, type WitnessPolicy } from './witnessed-log.ts';

/** Folder of the index files in the data directory. They are caches: what is missing is made again from the log. */
const INDEX_FOLDER = 'index';

export interface TransparencyLogOptions {
  /** The key of each log that runs; a log without one does not. v1 and ct: ECDSA P-256; v2: Ed25519. */
  readonly keys: {
    readonly v1: PrivateKey | undefined;
    readonly v2: PrivateKey | undefined;
    readonly ct: PrivateKey | undefined;
  };
  /** Roots of the certificate chains that strangers may send to the CT log; without any nobody may. */
  readonly ctRoots: readonly Certificate[];
  /** Its host names the logs for ever. */
  readonly publicUrl: string;
  readonly clock: () => Date;
  readonly random: (bytes: number) => Uint8Array;
  readonly metrics: Metrics;
  /** Gets the faults that clients are told nothing about. */
  readonly onFault: (error: unknown) => void;
  /** Witnesses of the v2 log; without them it publishes every head at once. v1 and CT clients know no cosignatures. */
  readonly witnessing?: Witnessing | undefined;
}

export interface Witnessing {
  readonly policy: WitnessPolicy;
  readonly fetch: FetchLike;
  readonly head: PublishedHead;
  readonly onEvent: (event: PublishingEvent) => void;
}

/** A log as verifiers have to know it. */
interface PublishedLog {
  readonly publicKey: PublicKey;
  readonly logId: Uint8Array;
}

export interface TransparencyLog {
  /** Answers the requests to the logs that run; undefined for any other path. */
  readonly handle: (request: Request, url: URL, peer: Peer) => Promise<Response> | undefined;
  readonly ctLog: CtLog | undefined;
  readonly v1: PublishedLog | undefined;
  readonly v2: PublishedLog | undefined;
  readonly ct: PublishedLog | undefined;
  /** Finishes the appends under way, refuses further ones and closes the store. */
  readonly close: () => Promise<void>;
}

interface StoredTransparencyLogOptions extends TransparencyLogOptions {
  /** Holds the database. */
  readonly directory: string;
  /** Logs that were opened here before. One that is no longer there is never begun anew, as that would fork it. */
  readonly established?: readonly (keyof TransparencyLogOptions['keys'])[];
}

/**
 * Opens the logs whose database lies in `directory`, creating what is not there yet and not `established`. Errors:
 * CONFIG_INVALID if they were created under another host, LOG_FORKED, DATABASE_CORRUPT and the other errors of the store.
 */
export async function createTransparencyLog(options: StoredTransparencyLogOptions): Promise<TransparencyLog> {
  const { directory, established } = options;
  return openTransparencyLog(openSqliteStore(directory, established), options, join(directory, INDEX_FOLDER));
}

/**
 * The same over any store, which then belongs to the transparency log: `close`, or a failure to open, closes it. Indexes are
 * kept in the folder `indexes`, and in memory alone without one.
 */
export async function openTransparencyLog(
  store: Store,
  options: TransparencyLogOptions,
  indexes?: string,
): Promise<TransparencyLog> {
  const logs: Log[] = [];
  const searchable: SearchableLog[] = [];
  const thread = indexes === undefined ? createLocalThread() : createIndexThread();
  let publishing: Log | undefined;
  const close = async (): Promise<void> => {
    await Promise.all(searchable.map(({ follower }) => follower.close()));
    await publishing?.close();
    await Promise.all(logs.map((log) => log.close()));
    await thread.close();
    await bodies.close();
    await store.close();
  };
  const { keys, clock, random, onFault } = options;
  const indexFiles: SegmentFiles | undefined =
    indexes === undefined
      ? undefined
      : { directory: indexes, seal: (job) => thread.run('sealDuplicates', [job]), onFault };
  const host = hostOf(options.publicUrl);
  const bodies = createBodyReader(createAsyncVerifier());
  const observer = createLogMetrics(options.metrics);
  const commits = createGroupCommit(observer.observeStore(store));
  const open = async (
    tree: string,
    signer: LogOptions['signer'],
    identity: LogOptions['identity'] = 'leaf-hash',
  ): Promise<Log> => {
    const opened = await openLog({ store: commits, tree, signer, clock, identity, indexFiles });
    const log = observer.observeLog(tree, opened);
    logs.push(log);
    return log;
  };
  const makeSearchable = (name: string, log: Log, entryId?: SearchableLog['entryId']): SearchableLog => {
    const follower = createFollower({ log, tree: name, thread, directory: indexes, onFault });
    const made = { name, log, follower, entryId };
    searchable.push(made);
    return made;
  };
  const fronts: TransparencyLog['handle'][] = [];
  let ctLog: CtLog | undefined;
  try {
    if (keys.v1) {
      const key = keys.v1;
      const treeId = await openTreeId(store, random);
      const log = await open('v1', createNoteSigner(`${host} - ${treeId}`, host, key));
      await appendFirstEntry(log);
      const search = makeSearchable('v1', log, (leafHash) => serializeEntryId(treeId, leafHash));
      fronts.push(createRekorV1({ log, key, treeId, search, bodies, onFault }));
    }
    if (keys.v2) {
      const key = keys.v2;
      const durable = await open('v2', createNoteSigner(host, host, key));
      const { witnessing } = options;
      if (witnessing) publishing = await openPublishing(durable, witnessing, options.metrics);
      const log = publishing ?? durable;
      makeSearchable('v2', log);
      fronts.push(createRekorV2({ log, logId: logKeyHash(host, key.publicKey), bodies, onFault }));
    }
    if (keys.ct) {
      const key = keys.ct;
      const log = await open('ct', createTreeHeadSigner(`${host}/ct`, key, clock), 'submitted');
      ctLog = createCtLog(log, key, clock);
      fronts.push(createCtFrontEnd({ log, key, clock, roots: options.ctRoots, onFault }));
    }
    if (searchable.length > 0) fronts.push(createSearchApi({ logs: searchable, onFault }));
    observeSearch(options.metrics, searchable);
  } catch (error) {
    await close();
    throw error;
  }
  const fingerprinted = (key: PrivateKey | undefined): PublishedLog | undefined =>
    key && { publicKey: key.publicKey, logId: keyFingerprint(key.publicKey) };
  return {
    handle(request, url, peer) {
      for (const front of fronts) {
        const response = front(request, url, peer);
        if (response) return response;
      }
      return undefined;
    },
    ctLog,
    v1: fingerprinted(keys.v1),
    v2: keys.v2 && { publicKey: keys.v2.publicKey, logId: logKeyHash(host, keys.v2.publicKey) },
    ct: fingerprinted(keys.ct),
    close,
  };
}

async function openPublishing(log: Log, { policy, fetch, head, onEvent }: Witnessing, metrics: Metrics): Promise<Log> {
  const { timeoutMs } = policy;
  const clients = policy.witnesses.map((witness) =>
    createWitnessClient({ witness, timeoutMs, fetch, prove: log.consistencyPath }),
  );
  let lag = (): bigint => 0n;
  const observed = observeWitnesses(metrics, 'v2', clients, () => lag());
  const published = await openWitnessedLog({ log, policy, clients: observed, head, onEvent });
  lag = published.lag;
  return published;
}

/** Origin and key name: the bare host, for clients compare it with the host name of the log's URL (IPv6 without brackets). */
function hostOf(publicUrl: string): string {
  const hostname = new URL(publicUrl).hostname.replace(/^\[(.*)\]$/, '$1');
  if (hostname === '' || /[\s+]/.test(hostname)) {
    throw new InputError('CONFIG_INVALID', `the public URL ${publicUrl} has no host name`);
  }
  return hostname;
}

/** The v1 tree's ID: 63 random bits, not zero, chosen once for a data directory. */
async function openTreeId(store: Store, random: (bytes: number) => Uint8Array): Promise<bigint> {
  const bits = Buffer.from(random(8)).readBigUInt64BE() >> 1n;
  return BigInt(await store.once('v1-tree-id', `${bits === 0n ? 1n : bits}`));
}

/**
 * Rekor's schema knows no empty tree, and its clients ask for proofs from size 1. So the tree begins with an entry of its
 * own: the name of the log, signed with a key that is forgotten at once.
 */
async function appendFirstEntry(log: Log): Promise<void> {
  if (log.head().treeSize > 0n) return;
  const key = generateKey('p256');
  const message = serializeUtf8(`${log.origin}\n`);
  await log.append({
    body: serializeHashedRekordV001({
      hash: 'sha256',
      digest: sha256(message),
      signature: sign(key, message),
      publicKeyPem: serializePublicKeyPem(key.publicKey),
    }),
  });
}
