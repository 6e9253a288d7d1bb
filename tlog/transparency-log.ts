import { join } from 'node:path';
import { serializeHashedRekordV001 } from '../core/bundle/entry.ts';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import type { Json } from '../core/bytes/json.ts';
import { createAsyncVerifier } from '../core/crypto/async-verifier.ts';
import { prepareEd25519ph } from '../core/crypto/ed25519.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { generateKey, type PrivateKey, sign } from '../core/crypto/private-key.ts';
import { keyFingerprint, serializePublicKeyPem } from '../core/crypto/public-key.ts';
import { InputError, StorageError } from '../core/errors.ts';
import type { Peer } from '../core/http/front-end.ts';
import type { Rate } from '../core/http/rate-limit.ts';
import type { RotatedLog, ShardHistories, ShardRecord } from '../core/instance/shard-history.ts';
import { logKeyHash } from '../core/merkle/note.ts';
import type { Metrics } from '../core/metrics.ts';
import type { PublishedLog } from '../core/trust/publication.ts';
import type { Certificate } from '../core/x509/certificate.ts';
import type { CtLog } from '../core/x509/sct.ts';
import { createBodyReader } from './body-reader.ts';
import { createNoteSigner, createTreeHeadSigner } from './checkpoint-signer.ts';
import { createCtFrontEnd } from './ct.ts';
import { createCtLog } from './ct-log.ts';
import type { SegmentFiles } from './duplicate-index.ts';
import { serializeEntryId } from './entry-id.ts';
import { createEntryRate } from './entry-rate.ts';
import { createGroupCommit } from './group-commit.ts';
import { createIndexThread, createLocalThread } from './index/thread.ts';
import { type Log, type LogOptions, openLog } from './log.ts';
import type { LogReader } from './log-reader.ts';
import { createLogMetrics, createWitnessMetrics, observeSearch, observeVerifier } from './observe.ts';
import { createRekorV1, type V1Shard } from './rekor-v1.ts';
import { createRekorV2, type V2Shard } from './rekor-v2.ts';
import { createFollower } from './search/follower.ts';
import type { SearchableLog } from './search/search.ts';
import { createSearchApi } from './search/search-api.ts';
import { openShards, type Shard, type Shards, treeName } from './shards.ts';
import { openSqliteStore } from './sqlite-store.ts';
import type { Store } from './store.ts';
import { forgetPublished, type WitnessedLog } from './witnessed-log.ts';
import { openPublishing, type Witnessing } from './witnessing.ts';

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
  /** Entries of one key, of clients that are limited. */
  readonly entryRate: Rate;
  readonly history: ShardHistories;
  /** The key of a shard from the second on; made if it is not `established`. Of the same kind as the first one's. */
  readonly shardKey: (log: RotatedLog, number: number, established: boolean) => PrivateKey;
  /** Gets the faults that clients are told nothing about. */
  readonly onFault: (error: unknown) => void;
  /** Gets what was wrong with an index: nothing is lost by it, and it is made again from the log. */
  readonly onIndexFault: (error: unknown) => void;
  /** Witnesses of the v2 log; without them it publishes every head at once. v1 and CT clients know no cosignatures. */
  readonly witnessing?: Witnessing | undefined;
}

/** Both in the order of their shards, the active one last; empty where the log does not run. */
export type PublishedLogs = Readonly<Record<RotatedLog, readonly PublishedLog[]>>;

export interface TransparencyLog {
  /** Answers the requests to the logs that run; undefined for any other path. */
  readonly handle: (request: Request, url: URL, peer: Peer) => Promise<Response> | undefined;
  readonly ctLog: CtLog | undefined;
  readonly published: () => PublishedLogs;
  readonly ct: Pick<PublishedLog, 'publicKey' | 'logId'> | undefined;
  /** Shards.rotate of a log that runs; `publish` gets all logs as they are about to be. */
  readonly rotate: (
    log: RotatedLog,
    url: string | undefined,
    steps: { publish(logs: PublishedLogs): void; commit(record: ShardRecord): void },
  ) => Promise<void>;
  /** Shards.freeze of a log that runs. */
  readonly freeze: (log: RotatedLog, commit: () => void) => Promise<void>;
  /** The shards of each log that runs, for an operator. */
  readonly describe: () => Json;
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
  const { directory, history } = options;
  const established = (options.established ?? []).flatMap((log) => [
    log,
    ...(log === 'ct' ? [] : history[log].records.map((_, i) => treeName(log, i + 2))),
  ]);
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
  const publishing: WitnessedLog[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(searchable.map(({ follower }) => follower.close()));
    await Promise.all(publishing.map((log) => log.close()));
    await Promise.all(logs.map((log) => log.close()));
    await thread.close();
    await bodies.close();
    await store.close();
  };
  const { keys, clock, random, publicUrl, onFault, onIndexFault } = options;
  const indexFiles: SegmentFiles | undefined =
    indexes === undefined
      ? undefined
      : { directory: indexes, seal: (job) => thread.run('sealDuplicates', [job]), onFault: onIndexFault };
  const host = hostOf(publicUrl);
  const bodies = createBodyReader(observeVerifier(options.metrics, createAsyncVerifier()));
  const entryRate = createEntryRate(options.entryRate, clock);
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
  const makeSearchable = (name: string, log: LogReader, entryId?: SearchableLog['entryId']): SearchableLog => {
    const follower = createFollower({ log, tree: name, thread, directory: indexes, onFault: onIndexFault });
    const made = { name, log, follower, entryId };
    searchable.push(made);
    return made;
  };
  const witnessMetrics = options.witnessing?.policy && createWitnessMetrics(options.metrics);
  /** The same log, publishing what witnesses cosigned; undefined where there are none. */
  const publishedBy = async (
    tree: string,
    durable: Log,
    signer: LogOptions['signer'],
  ): Promise<WitnessedLog | undefined> => {
    if (!options.witnessing) return undefined;
    if (!options.witnessing.policy || !witnessMetrics) {
      await forgetPublished(durable, signer, options.witnessing.head(tree));
      return undefined;
    }
    const { policy, ...rest } = options.witnessing;
    const published = await openPublishing(tree, durable, signer, { ...rest, policy }, witnessMetrics);
    publishing.push(published);
    return published;
  };
  const fronts: TransparencyLog['handle'][] = [];
  const keyOf = (log: RotatedLog, number: number, established: boolean): PrivateKey =>
    number === 1 ? (keys[log] as PrivateKey) : options.shardKey(log, number, established);
  let ctLog: CtLog | undefined;
  let v1: Shards<V1Shard> | undefined;
  let v2: Shards<V2Shard> | undefined;
  try {
    // Before there is a request that the event loop could be kept from.
    if (keys.v1 || keys.v2) prepareEd25519ph();
    if (keys.v1) {
      v1 = await openShards({
        name: 'v1',
        store,
        clock,
        ...options.history.v1,
        url: publicUrl,
        firstEntries: 1n,
        open: async (number, _url, established) => {
          const key = keyOf('v1', number, established);
          const tree = treeName('v1', number);
          const treeId = await openTreeId(store, tree, random);
          const log = await open(tree, createNoteSigner(`${host} - ${treeId}`, host, key));
          await appendFirstEntry(log);
          const search = makeSearchable(tree, log, (leafHash) => serializeEntryId(treeId, leafHash));
          return { log, key, treeId, search };
        },
      });
      fronts.push(createRekorV1({ shards: v1, bodies, entryRate, onFault }));
    }
    if (keys.v2) {
      v2 = await openShards({
        name: 'v2',
        store,
        clock,
        ...options.history.v2,
        url: publicUrl,
        originOf: hostOf,
        open: async (number, url, established) => {
          const key = keyOf('v2', number, established);
          const name = hostOf(url);
          const tree = treeName('v2', number);
          const signer = createNoteSigner(name, name, key);
          const durable = await open(tree, signer);
          const witnessed = await publishedBy(tree, durable, signer);
          const search = makeSearchable(tree, witnessed?.entriesAlone ?? durable);
          return { log: witnessed ?? durable, key, logId: logKeyHash(name, key.publicKey), search };
        },
      });
      fronts.push(createRekorV2({ shards: v2, bodies, entryRate, onFault }));
    }
    if (keys.ct) {
      const key = keys.ct;
      const log = await open('ct', createTreeHeadSigner(`${host}/ct`, key, clock), 'submitted');
      ctLog = createCtLog(log, key, clock);
      fronts.push(createCtFrontEnd({ log, key, clock, roots: options.ctRoots, onFault }));
    }
    if (v1 || v2) fronts.push(createSearchApi({ logs: () => searchableShards(v1, v2), onFault }));
    observeSearch(options.metrics, searchable);
  } catch (error) {
    await close();
    throw error;
  }

  const logsOf = (
    v1Shards: readonly Shard<V1Shard>[] = [],
    v2Shards: readonly Shard<V2Shard>[] = [],
  ): PublishedLogs => ({
    v1: v1Shards.map((shard, i) => publishedShard(shard, keyFingerprint(shard.key.publicKey), v1Shards[i + 1])),
    v2: v2Shards.map((shard, i) => publishedShard(shard, shard.logId, v2Shards[i + 1])),
  });
  return {
    handle(request, url, peer) {
      for (const front of fronts) {
        const response = front(request, url, peer);
        if (response) return response;
      }
      return undefined;
    },
    ctLog,
    published: () => logsOf(v1?.all(), v2?.all()),
    ct: keys.ct && { publicKey: keys.ct.publicKey, logId: keyFingerprint(keys.ct.publicKey) },
    async rotate(log, url, { publish, commit }) {
      if (log === 'v1') {
        await running(v1).rotate(publicUrl, { publish: (shards) => publish(logsOf(shards, v2?.all())), commit });
      } else {
        const shards = running(v2);
        const ownUrl = url ?? `${publicUrl}/shard/${shards.all().length + 1}`;
        await shards.rotate(ownUrl, { publish: (next) => publish(logsOf(v1?.all(), next)), commit });
      }
    },
    describe: () => ({
      ...(v1 && { v1: v1.all().map((shard) => ({ ...describeShard(shard, v1), treeId: `${shard.treeId}` })) }),
      ...(v2 && { v2: v2.all().map((shard) => describeShard(shard, v2)) }),
    }),
    freeze: (log, commit) => running<Pick<Shards<never>, 'freeze'>>(log === 'v1' ? v1 : v2).freeze(commit),
    close,
  };
}

/** An index in v1 counts over all its shards, in v2 within one. */
function searchableShards(v1: Shards<V1Shard> | undefined, v2: Shards<V2Shard> | undefined): SearchableLog[] {
  return [
    ...(v1?.all() ?? []).map(({ search, number, first }) => ({ ...search, shard: { of: 'v1', number, first } })),
    ...(v2?.all() ?? []).map(({ search, number }) => ({ ...search, shard: { of: 'v2', number, first: 0n } })),
  ];
}

function publishedShard(
  { key, url, since }: { key: PrivateKey; url: string; since: Date | undefined },
  logId: Uint8Array,
  next: { since: Date | undefined } | undefined,
): PublishedLog {
  return { publicKey: key.publicKey, logId, baseUrl: url, since, until: next?.since };
}

function describeShard<P extends { readonly log: Log }>(shard: Shard<P>, shards: Pick<Shards<P>, 'isFrozen'>) {
  return {
    shard: shard.number,
    origin: shard.log.origin,
    url: shard.url,
    firstIndex: `${shard.first}`,
    entries: `${publishedSize(shard.log)}`,
    since: shard.since?.toISOString() ?? null,
    frozen: shards.isFrozen(shard),
  };
}

function publishedSize(log: Pick<Log, 'head'>): bigint {
  try {
    return log.head().treeSize;
  } catch (error) {
    // Witnesses have not cosigned any head yet.
    if (error instanceof StorageError) return 0n;
    throw error;
  }
}

function running<T>(shards: T | undefined): T {
  if (shards === undefined) throw new InputError('CONFIG_INVALID', 'this log does not run here');
  return shards;
}

/** Origin and key name: the bare host, for clients compare it with the host name of the log's URL (IPv6 without brackets). */
function hostOf(publicUrl: string): string {
  const hostname = new URL(publicUrl).hostname.replace(/^\[(.*)\]$/, '$1');
  if (hostname === '' || /[\s+]/.test(hostname)) {
    throw new InputError('CONFIG_INVALID', `the public URL ${publicUrl} has no host name`);
  }
  return hostname;
}

/** The ID of a v1 tree: 63 random bits, not zero, chosen once for a data directory. */
async function openTreeId(store: Store, tree: string, random: (bytes: number) => Uint8Array): Promise<bigint> {
  const bits = Buffer.from(random(8)).readBigUInt64BE() >> 1n;
  return BigInt(await store.once(`${tree}-tree-id`, `${bits === 0n ? 1n : bits}`));
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
