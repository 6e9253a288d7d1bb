/**
 * One transparency log: a tree, its key (behind a CheckpointSigner) and its place in the store.
 *
 * Life of an entry
 *   1. `append` computes the leaf hash and puts the submission into `waiting`, or joins the same submission if one waits
 *      or is being committed. The queue is bounded: beyond half a second's work, by the pace of the commits so far, the
 *      answer is OVERLOADED.
 *   2. The sequencer (one loop per log) takes what has gathered as a batch and asks the index of identities which of it is
 *      known. It alone commits, and whoever else extends the stored tree makes its commit fail, so between this question
 *      and the commit no duplicate can slip in.
 *   3. The rest gets the next indexes, a new right edge and a signed checkpoint are computed beside the current ones, and
 *      one commit stores leaf rows, full tiles and the checkpoint. Trees of one store that wait at the same time share it.
 *   4. Only when the commit is durable do the indexes take the entries in and does the new state replace the old one in
 *      memory; from then on readers see it.
 *   5. Each append is answered with an inclusion proof to that checkpoint, verified before it leaves.
 *
 * Ownership: `state` is replaced by the sequencer alone (step 4 and `reload`) and immutable, so a reader takes it once
 * and works on a consistent tree. The indexes are filled by the sequencer alone, in the same turn. `waiting`,
 * `waitingBytes` and `inFlight` change only between awaits. `stale` is set by a failed batch and cleared by `reload`.
 * `broken` is set once and for ever.
 *
 * Order of durable writes, and what a crash before each means. The commit is one write to whoever asks the store.
 *   a. Full tiles, where they are objects of their own (in SQLite they are part of b). Before: nothing of this batch was
 *      there. The checkpoint of step 3 was signed but never left the memory, so the other one of the same size that
 *      follows contradicts nothing published.
 *   b. Leaf rows, identities and the head with its checkpoint, in one transaction. Before: the tiles of a are named by
 *      nothing and never read; else as before a.
 *   c. The end of the transaction (in SQLite: fdatasync of the write-ahead log). Before: as before b.
 *   d. Nothing more. Before step 4 or 5: the entries are in the log and covered by the stored checkpoint; the submitters got
 *      no answer, and a repeated submission finds its entry as a duplicate, as the indexes are filled from the log at start.
 *   e. Index files, search and the copy of the write-ahead log into the database follow later. Before: they are made again
 *      from the log, or copied at the next start.
 *   A commit that fails or whose result is unknown is all of these at once: every waiting append fails, as do those of the
 *   other trees that shared it, and before the next batch `reload` reads the head from the store, which must extend the last
 *   published one, and completes the indexes.
 */
import { serializeHex } from '../core/bytes/bytes.ts';
import { StorageError } from '../core/errors.ts';
import {
  MAX_APPEND_BATCH,
  MAX_APPEND_BATCH_BYTES,
  MAX_WAITING_APPENDS,
  MAX_WAITING_BYTES,
  MAX_WAITING_MS,
} from '../core/limits.ts';
import { leafHash, verifyInclusion } from '../core/merkle/tree.ts';
import type { CheckpointSigner } from './checkpoint-signer.ts';
import { createDuplicateIndex, type DuplicateIndex, type ReadHashes, type SegmentFiles } from './duplicate-index.ts';
import { corrupt, forked } from './faults.ts';
import { createTurn } from './index/turn.ts';
import { createLogReader, type InclusionProof, type LogReader } from './log-reader.ts';
import { createPace, type Pace } from './pace.ts';
import type { Head, Leaf, Store } from './store.ts';
import { extend, rootOfEdge } from './tree-edge.ts';
import { createTileCache, loadTree, readLeafHashes, rootAt, type TreeState } from './tree-state.ts';

/** What is to be logged. */
export interface Submission {
  /** The bytes of the leaf. */
  readonly body: Uint8Array;
  /** IDENTITY_BYTES that are equal for two submissions that shall be one entry: given if the log's identity is `submitted`. */
  readonly identity?: Uint8Array;
  readonly extra?: Uint8Array | undefined;
}

/** A durable entry with the proof that the log of this checkpoint holds it. */
export interface Appended extends InclusionProof {
  readonly index: bigint;
  readonly leafHash: Uint8Array;
  /** The stored entry: the submitted one, or for a duplicate the one that was there before. */
  readonly body: Uint8Array;
  readonly integratedTime: Date;
  readonly duplicate: boolean;
}

export interface LogOptions {
  readonly store: Store;
  /** Name of the tree in the store. */
  readonly tree: string;
  readonly signer: CheckpointSigner;
  readonly clock: () => Date;
  /** What two submissions of one entry have in common. The same for the whole life of a tree. */
  readonly identity: 'leaf-hash' | 'submitted';
  /** Where the indexes by hash are kept; left out: in memory alone. */
  readonly indexFiles?: SegmentFiles | undefined;
  /** Left out: measured. Tests have another one. */
  readonly pace?: Pace;
}

export interface Log extends LogReader {
  readonly origin: string;
  /**
   * Logs a submission, resolved when it is durable. Errors: OVERLOADED (nothing happened), any StorageError of the
   * store (it may have been logged; submitting it again is safe), LOG_FORKED.
   */
  append(submission: Submission): Promise<Appended>;
  /**
   * Asked before an entry is verified, so that one which would be refused costs nothing. OVERLOADED if so many wait that
   * another one would take longer than MAX_WAITING_MS to be durable; the errors of a log that takes nothing any more.
   */
  requireRoom(): void;
  /** Refuses further appends and waits for those under way. The store stays open. */
  close(): Promise<void>;
}

/** Opens a tree, creating it if the store has none. Errors: LOG_FORKED, DATABASE_CORRUPT and those of the store. */
export async function openLog(options: LogOptions): Promise<Log> {
  const { store, tree, signer, clock, identity, indexFiles, pace = createPace() } = options;
  const cache = createTileCache(store, tree);
  let state = await loadTree(store, tree, signer);
  const openIndex = (kind: string, read: ReadHashes): DuplicateIndex =>
    createDuplicateIndex({
      name: `${tree}-${kind}`,
      read,
      rootAt: (size) => rootAt(state, cache, size),
      files: indexFiles,
    });
  const byLeafHash = openIndex('leaf-hash', (start, end) => readLeafHashes(store, tree, start, end));
  const byIdentity =
    identity === 'leaf-hash' ? byLeafHash : openIndex('identity', (start, end) => store.identities(tree, start, end));
  const indexes: ReadonlySet<DuplicateIndex> = new Set([byLeafHash, byIdentity]);
  await catchUp(state.head.treeSize);
  const reader = createLogReader({ store, tree, cache, byLeafHash, state: () => state });

  let waiting = new Map<string, Waiting>();
  let waitingBytes = 0;
  let inFlight: ReadonlyMap<string, Waiting> = new Map();
  let stale = false;
  let broken: StorageError | undefined;
  let closing = false;
  let sequencer: Promise<void> | undefined;
  const answers = new Set<Promise<void>>();

  async function append(submission: Submission): Promise<Appended> {
    if (broken) throw broken;
    if (closing) throw overloaded('the log is shutting down');
    const hash = leafHash(submission.body);
    const itsIdentity = identityOf(submission, hash);
    const key = serializeHex(itsIdentity);
    // Who joins an entry that waits already takes no room.
    const same = waiting.get(key) ?? inFlight.get(key);
    if (same) return { ...(await same.answer.promise), duplicate: true };
    const bytes = submission.body.length + (submission.extra?.length ?? 0);
    if (isFull(bytes)) throw overloaded('too many entries wait to be logged');
    const item: Waiting = { submission, leafHash: hash, identity: itsIdentity, bytes, answer: Promise.withResolvers() };
    waiting.set(key, item);
    waitingBytes += bytes;
    sequencer ??= sequence();
    return item.answer.promise;
  }

  /** However slow the disk, one entry may wait for it. */
  function isFull(bytes: number): boolean {
    if (waiting.size === 0) return false;
    return (
      waiting.size >= MAX_WAITING_APPENDS ||
      waitingBytes + bytes > MAX_WAITING_BYTES ||
      pace.timeFor(waiting.size + 1) > MAX_WAITING_MS
    );
  }

  function requireRoom(): void {
    if (broken) throw broken;
    if (closing) throw overloaded('the log is shutting down');
    if (isFull(0)) throw overloaded('too many entries wait to be logged');
  }

  async function sequence(): Promise<void> {
    // One turn of the event loop, so that whatever arrived together shares a commit.
    await new Promise((resolve) => setImmediate(resolve));
    while (waiting.size > 0) {
      const batch = takeBatch();
      try {
        if (stale) await reload();
        const started = performance.now();
        await commitBatch([...batch.values()]);
        pace.measured(batch.size, performance.now() - started);
      } catch (error) {
        stale = true;
        const failed = [...batch.values(), ...waiting.values()];
        waiting.clear();
        waitingBytes = 0;
        for (const { answer } of failed) answer.reject(error);
      } finally {
        inFlight = new Map();
      }
    }
    // In the same turn in which nothing was found waiting, so that no append can think that a sequencer still runs.
    sequencer = undefined;
  }

  function takeBatch(): ReadonlyMap<string, Waiting> {
    if (waiting.size <= MAX_APPEND_BATCH && waitingBytes <= MAX_APPEND_BATCH_BYTES) {
      inFlight = waiting;
      waiting = new Map();
      waitingBytes = 0;
      return inFlight;
    }
    const batch = new Map<string, Waiting>();
    let bytes = 0;
    for (const [key, item] of waiting) {
      if (batch.size >= MAX_APPEND_BATCH || (batch.size > 0 && bytes + item.bytes > MAX_APPEND_BATCH_BYTES)) break;
      waiting.delete(key);
      batch.set(key, item);
      bytes += item.bytes;
    }
    waitingBytes -= bytes;
    inFlight = batch;
    return batch;
  }

  async function commitBatch(batch: readonly Waiting[]): Promise<void> {
    const before = state;
    const known = await byIdentity.find(batch.map((item) => item.identity));
    const time = clock();
    const fresh = batch.filter((_, i) => known[i] === undefined);
    if (fresh.length > 0) {
      const { edge, filled } = extend(
        before.edge,
        fresh.map((item) => item.leafHash),
      );
      const rootHash = rootOfEdge(edge);
      const head: Head = { treeSize: edge.size, checkpoint: signer.sign(edge.size, rootHash) };
      const leaves = fresh.map(({ submission: { body, extra }, identity: own }) => ({
        body,
        extra,
        identity: byIdentity === byLeafHash ? undefined : own,
      }));
      const tiles = filled.map(({ level, index, nodes }) => ({ level, index, hashes: nodes.hashes() }));
      await store.commit([{ tree, expected: before.head, head, time, leaves, tiles }]);
      // Durable from here on.
      for (const { level, index, nodes } of filled) cache.add(level, index, nodes);
      byLeafHash.add(
        before.edge.size,
        fresh.map((item) => item.leafHash),
      );
      if (byIdentity !== byLeafHash) {
        byIdentity.add(
          before.edge.size,
          fresh.map((item) => item.identity),
        );
      }
      state = { head, rootHash, edge };
    }
    for (const [i, item] of batch.entries()) {
      const index = known[i];
      if (index === undefined) continue;
      const stored = reader.entry(index).then((leaf) => answerWith(item, index, present(tree, index, leaf), true));
      track(stored.catch(item.answer.reject));
    }
    track(answerFresh(fresh, before.edge.size, time));
  }

  // One after the other, so that what a client is sent is made between them and the event loop has its turns.
  async function answerFresh(fresh: readonly Waiting[], first: bigint, time: Date): Promise<void> {
    const turn = createTurn();
    let next = first;
    for (const item of fresh) {
      if (turn.isDue()) await turn.next();
      const { body, extra } = item.submission;
      await answerWith(item, next++, { body, time, extra }, false).catch(item.answer.reject);
    }
  }

  async function answerWith(item: Waiting, index: bigint, leaf: Leaf, duplicate: boolean): Promise<void> {
    const hash = duplicate ? leafHash(leaf.body) : item.leafHash;
    const proof = await reader.proveInclusion(index);
    // The last line of defence against a fault in this engine: an answer that does not verify never leaves.
    verifyInclusion({
      leafHash: hash,
      index,
      treeSize: proof.treeSize,
      hashes: proof.hashes,
      rootHash: proof.rootHash,
    });
    item.answer.resolve({ index, leafHash: hash, body: leaf.body, integratedTime: leaf.time, duplicate, ...proof });
  }

  // Answers are made beside the next batch; a failure concerns one entry, and `close` waits for all.
  function track(work: Promise<void>): void {
    const tracked = work.finally(() => answers.delete(tracked));
    answers.add(tracked);
  }

  async function reload(): Promise<void> {
    const loaded: TreeState = await loadTree(store, tree, signer).catch((error) => {
      if (error instanceof StorageError && error.code === 'LOG_FORKED') broken = error;
      throw error;
    });
    const published = state;
    const extendsPublished =
      loaded.head.treeSize >= published.head.treeSize &&
      Buffer.compare(await rootAt(loaded, cache, published.head.treeSize), published.rootHash) === 0;
    if (!extendsPublished) {
      broken = forked(tree, `the store no longer holds what was answered up to size ${published.head.treeSize}`);
      throw broken;
    }
    // Before the indexes, which ask for its roots; until they are complete nothing is committed.
    state = loaded;
    await catchUp(loaded.head.treeSize);
    stale = false;
  }

  async function catchUp(size: bigint): Promise<void> {
    for (const index of indexes) await index.catchUp(size);
  }

  function identityOf(submission: Submission, hash: Uint8Array): Uint8Array {
    const own = identity === 'leaf-hash' ? hash : submission.identity;
    if (own === undefined) throw new Error('internal: a submission without the identity that its log tells it by');
    return own;
  }

  async function close(): Promise<void> {
    closing = true;
    await sequencer;
    await Promise.all(answers);
    for (const index of indexes) await index.close();
  }

  return { ...reader, origin: signer.origin, append, requireRoom, close };
}

interface Waiting {
  readonly submission: Submission;
  readonly leafHash: Uint8Array;
  readonly identity: Uint8Array;
  readonly bytes: number;
  readonly answer: PromiseWithResolvers<Appended>;
}

function present(tree: string, index: bigint, leaf: Leaf | undefined): Leaf {
  if (!leaf) throw corrupt(tree, `entry ${index} is missing`);
  return leaf;
}

function overloaded(why: string): StorageError {
  return new StorageError('OVERLOADED', why, { hint: 'try again in a second' });
}
