/**
 * Keeps the search index of one log up with it: reads what is new from the log, has the thread of the indexes take it in, and
 * asks it. The log does not know: an append does not wait for the index, and what the index lost is read again.
 */
import { serializeHex } from '../../core/bytes/bytes.ts';
import { StorageError } from '../../core/errors.ts';
import type { IndexThread } from '../index/thread.ts';
import type { LogReader } from '../log-reader.ts';
import type { Leaf } from '../store.ts';
import type { IndexQuery } from './search-source.ts';
import type { PackedEntries, SearchState } from './search-tasks.ts';
import type { Found, TreeIndexOptions } from './tree-index.ts';

export interface FollowerOptions {
  readonly log: LogReader;
  /** Name of the tree, as it names files. */
  readonly tree: string;
  readonly thread: IndexThread;
  /** Folder of the files; undefined: all is kept in memory. */
  readonly directory: string | undefined;
  /** Gets what is wrong with files and threads. Nothing is lost by it. */
  readonly onFault: (error: unknown) => void;
  /** Tests take smaller segments. */
  readonly sizes?: Pick<TreeIndexOptions, 'slotEntries' | 'fanout' | 'levels'>;
}

export interface Coverage {
  readonly treeSize: number;
  /** Entries that can be found. */
  readonly indexed: number;
}

export interface Follower {
  /**
   * Waits until the newest entry that the log holds now is indexed, or all up to it, at most `ms`. False if it is not. All
   * are indexed with the newest one, unless files were lost that have to be made again.
   */
  caughtUp(what: 'newest' | 'all', ms: number): Promise<boolean>;
  coverage(): Coverage;
  /**
   * Entries below `before` that may fit the query, the newest first: fingerprints are compared, so look at each. OVERLOADED
   * while the index is being opened.
   */
  search(query: IndexQuery, before: number, limit: number, seeks: number): Promise<Found>;
  close(): Promise<void>;
}

/** How long new entries gather before they are taken in, if nobody waits for them. */
const GATHER_MS = 100;
/** Entries that are taken in at once: 10 ms of the thread's time, in which it answers no search. */
const BATCH = 128;
/** Rest between two such batches of a gap while entries are logged, so that making an index again takes little from them. */
const GAP_REST_MS = 50;
/** Pause after something failed, so that a full disk or a broken log is not asked in a loop. */
const PAUSE_MS = 2_000;

export function createFollower({ log, tree, thread, directory, onFault, sizes }: FollowerOptions): Follower {
  let session: { id: number; starts: number } | undefined;
  /** One that failed: two indexes over the same files would remove them under each other. */
  let abandoned: typeof session;
  let indexed = 0;
  let newest = 0;
  let closed = false;
  /** Ends a pause. */
  let wake = (): void => {};
  let failed = false;
  const waiters = new Set<{ isReached: () => boolean; resolve: (reached: boolean) => void }>();

  const size = (): number => Number(log.head().treeSize);
  const rootHash = async (end: number): Promise<string> => serializeHex(await log.rootAt(BigInt(end)));

  async function closeSession(open: typeof session): Promise<void> {
    if (open && open.starts === thread.starts) await thread.run('closeSearch', [open.id]);
  }

  async function open(): Promise<SearchState> {
    await closeSession(abandoned);
    abandoned = undefined;
    const { id, ends } = await thread.run('openSearch', [{ directory, tree, ...sizes }]);
    session = { id, starts: thread.starts };
    const now = size();
    const roots = new Map<number, string>();
    for (const end of ends) if (end <= now) roots.set(end, await rootHash(end));
    return thread.run('wantedOfSearch', [id, roots, now, BATCH]);
  }

  /** What of the log the index wants; undefined if it wants nothing. */
  async function read({ wanted, needsRoot }: SearchState) {
    if (!wanted) return undefined;
    const leaves = await log.entries(BigInt(wanted.start), BigInt(wanted.end));
    const root = needsRoot ? await rootHash(wanted.end) : undefined;
    return { start: wanted.start, packed: pack(leaves), root };
  }

  async function follow(): Promise<void> {
    let state: SearchState | undefined;
    let lastSize = 0;
    while (!closed) {
      let reading = false;
      try {
        // What the thread held is gone with it.
        if (session && session.starts !== thread.starts) lose();
        if (!session || !state) state = await open();
        else {
          reading = true;
          const work = await read(state);
          reading = false;
          state = work
            ? await takeIn(session.id, work)
            : await thread.run('stateOfSearch', [session.id, size(), BATCH]);
        }
        ({ indexed, newest } = state);
        for (const fault of state.faults) onFault(new Error(fault));
        failed = state.faults.length > 0;
      } catch (error) {
        if (closed) return;
        onFault(error);
        // Where it is the log that failed, what is indexed can still be searched.
        if (!reading) lose();
        failed = true;
      }
      for (const waiter of waiters) if (waiter.isReached()) waiter.resolve(true);
      const grew = size() > lastSize;
      lastSize = size();
      if (failed) await pause(PAUSE_MS);
      else if (waiters.size > 0) continue;
      else if (!state?.wanted) await pause(GATHER_MS);
      else if (state.wanted.isGap && grew) await pause(GAP_REST_MS);
    }
  }

  function takeIn(id: number, work: NonNullable<Awaited<ReturnType<typeof read>>>): Promise<SearchState> {
    const { start, packed, root } = work;
    const buffers = [packed.bytes.buffer, packed.lengths.buffer] as ArrayBuffer[];
    return thread.run('takeIn', [id, start, packed, root, size(), BATCH], buffers);
  }

  function lose(): void {
    abandoned = session ?? abandoned;
    session = undefined;
    indexed = 0;
    newest = 0;
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      timer.unref();
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  const following = follow();

  return {
    coverage: () => ({ treeSize: size(), indexed: Math.min(indexed, size()) }),
    async caughtUp(what, ms) {
      const wanted = size();
      const isReached = (): boolean => session !== undefined && (what === 'all' ? indexed : newest) >= wanted;
      if (isReached()) return true;
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const waiter = { isReached, resolve };
      waiters.add(waiter);
      const timer = setTimeout(() => resolve(false), ms);
      if (!failed) wake();
      const reached = await promise;
      clearTimeout(timer);
      waiters.delete(waiter);
      return reached;
    },
    async search(query, before, limit, seeks) {
      if (!session) throw unavailable();
      try {
        return await thread.run('searchTree', [session.id, query, before, limit, seeks]);
      } catch (cause) {
        throw unavailable(cause);
      }
    },
    async close() {
      closed = true;
      wake();
      await following;
      for (const waiter of waiters) waiter.resolve(false);
      await closeSession(session ?? abandoned);
    },
  };
}

const unavailable = (cause?: unknown): StorageError =>
  new StorageError('OVERLOADED', 'the search index is being opened', { hint: 'try again in a second', cause });

function pack(leaves: readonly Leaf[]): PackedEntries {
  const total = leaves.reduce((sum, { body, extra }) => sum + body.length + (extra?.length ?? 0), 0);
  const bytes = new Uint8Array(total);
  const lengths = new Uint32Array(leaves.length * 3);
  let at = 0;
  for (const [i, { body, extra, time }] of leaves.entries()) {
    bytes.set(body, at);
    if (extra) bytes.set(extra, at + body.length);
    at += body.length + (extra?.length ?? 0);
    lengths.set([body.length, extra?.length ?? 0, Math.max(0, Math.floor(time.getTime() / 1000))], i * 3);
  }
  return { bytes, lengths };
}
