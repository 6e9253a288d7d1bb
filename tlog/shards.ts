/**
 * A log in shards: trees of their own, each with its own key, of which the last alone grows.
 *
 * A rotation, in durable order
 *   1. The next shard is opened: its key is a file, its tree has a signed head. Neither was seen by anybody.
 *   2. New appends wait, those under way are finished. From here on the size of the active shard is final.
 *   3. `publish` tells the world the new key, and until when the old one was in use.
 *   4. `commit` records the shard durably: this is the moment of the rotation.
 *   5. The waiting appends go to the new shard.
 *
 * What a crash means
 *   before 4 is durable: the old shard is still the active one, and the start publishes its trust again. What 1 made is
 *     taken up by the next rotation. Nothing was signed with the new key that anybody has seen.
 *   after it: the new shard is the active one. The old one has the size that 2 found, which every start verifies.
 *   If `commit` fails its outcome is unknown: no shard takes an entry until the server starts again and reads what is true.
 *
 * Ownership: `list` and `isEnded` change in `rotate` and `freeze` alone, while `turn` holds the appends back.
 */
import { InputError, StorageError } from '../core/errors.ts';
import type { ShardRecord } from '../core/instance/shard-history.ts';
import { MAX_LOG_SHARDS } from '../core/limits.ts';
import { parseCheckpoint } from '../core/merkle/checkpoint.ts';
import { forked } from './faults.ts';
import { Refusal } from './http.ts';
import type { Appended, Log, Submission } from './log.ts';
import type { LogReader } from './log-reader.ts';
import type { Leaf, Store } from './store.ts';

/** What opening the tree of a shard gives; the rest is up to the front end. */
interface Parts {
  readonly log: Log;
}

export type Shard<P extends Parts> = Omit<P, 'log'> & {
  /** From 1 on, oldest first. */
  readonly number: number;
  readonly log: LogReader & Pick<Log, 'origin'>;
  /** The index of its first entry among those of all shards. */
  readonly first: bigint;
  /** Undefined: since the beginning. */
  readonly since: Date | undefined;
  readonly url: string;
};

/** What a rotation asks of who composes the log; both durable when they return. */
export interface RotationSteps<P extends Parts> {
  /** Tells the world of these shards, the last of which is about to become the active one. */
  publish(shards: readonly Shard<P>[]): void;
  /** Records the new shard. */
  commit(record: ShardRecord): void;
}

export interface Shards<P extends Parts> {
  /** Oldest first; the last is the active one, unless the log is frozen as a whole. */
  all(): readonly Shard<P>[];
  active(): Shard<P>;
  isFrozen(shard: Shard<P>): boolean;
  /** Asked before an entry is verified (Log.requireRoom): a Refusal if the shard, the active one by default, is frozen. */
  requireRoom(shard?: Shard<P>): void;
  /** Appends to the active shard. Errors: those of a log; a Refusal if all shards are frozen. */
  append(submission: Submission): Promise<Appended & { readonly shard: Shard<P> }>;
  /** Appends to this shard; a Refusal if it is frozen. */
  appendTo(shard: Shard<P>, submission: Submission): Promise<Appended>;
  /** Where an entry is, by its index among those of all shards; undefined beyond the end. */
  locate(index: bigint): { readonly shard: Shard<P>; readonly index: bigint } | undefined;
  /** Entries by their indexes among those of all shards: start .. end-1, fewer at the end. */
  entries(start: bigint, end: bigint): Promise<Leaf[]>;
  /** Makes a new shard at this URL the active one. OVERLOADED while the log is being changed, LOG_HEAD_MOVED, those of the store. */
  rotate(url: string, steps: RotationSteps<P>): Promise<Shard<P>>;
  /** Lets the active shard grow no more. `commit` records it. */
  freeze(commit: () => void): Promise<void>;
}

/** What a frozen shard answers a submission with, in the words that clients know. */
const frozen = (): Refusal =>
  new Refusal(405, 'This log has been frozen, please switch to the latest log.', { Allow: 'GET' });

/** Name of a shard's tree in the store: v1, v1s2, v1s3 ... */
export const treeName = (log: string, number: number): string => (number === 1 ? log : `${log}s${number}`);

/**
 * Opens the shards of `records` and the one before them. LOG_FORKED if one has another size than it was frozen with,
 * INSTANCE_DAMAGED if one that is not among them was appended to: then the records are older than the store.
 */
export async function openShards<P extends Parts>(options: {
  name: string;
  store: Pick<Store, 'head'>;
  records: readonly ShardRecord[];
  frozen: boolean;
  clock: () => Date;
  /** Opens the tree of a shard with its key, or makes both, which it must not do for one that is `established`. */
  open: (number: number, url: string, established: boolean) => Promise<P>;
  /** Where the first shard is. */
  url: string;
  /** Entries that a shard begins with when it is made. */
  firstEntries?: bigint;
  /** The origin of a shard at a URL, where it depends on that alone. */
  originOf?: (url: string) => string;
}): Promise<Shards<P>> {
  const { name, store, records, clock, open, url: firstUrl, firstEntries = 0n, originOf } = options;
  // The writing half of each shard stays in here.
  const writers = new Map<number, Log>();
  let list: readonly Shard<P>[] = [];
  let isEnded = options.frozen;
  // Of a rotation that did not come to its end: a tree is opened once.
  let prepared: { number: number; url: string; parts: P } | undefined;
  let turn: Promise<void> | undefined;
  let broken: unknown;
  const underWay = new Set<Promise<unknown>>();

  for (let number = records.length + 2; number <= MAX_LOG_SHARDS; number++) {
    const { treeSize } = (await store.head(treeName(name, number))) ?? {};
    if (treeSize === undefined) break;
    if (treeSize <= firstEntries) continue;
    throw new StorageError(
      'INSTANCE_DAMAGED',
      `instance.json does not know shard ${number} of the log ${name}, which holds ${treeSize} entries`,
      { hint: 'put back the instance.json of the last start: it is older than log.db' },
    );
  }
  list = [shardOf(1, await open(1, firstUrl, records.length > 0), { since: undefined, first: 0n, url: firstUrl })];
  for (const [i, record] of records.entries()) {
    const before = active();
    if (before.first + before.log.head().treeSize !== record.first) {
      throw forked(treeName(name, before.number), `it was frozen when the shards had ${record.first} entries together`);
    }
    list = [...list, shardOf(i + 2, await open(i + 2, record.url, true), record)];
  }

  function shardOf(
    number: number,
    parts: P,
    record: Omit<ShardRecord, 'since'> & { since: Date | undefined },
  ): Shard<P> {
    const { log, ...rest } = parts;
    writers.set(number, log);
    return { ...rest, log, number, ...record };
  }

  function active(): Shard<P> {
    return list.at(-1) as Shard<P>;
  }

  const isFrozen = (shard: Shard<P>): boolean => isEnded || shard.number !== active().number;

  async function appendTo(target: () => Shard<P>, submission: Submission) {
    while (turn) await turn;
    if (broken) throw new StorageError('LOG_HEAD_MOVED', `the log ${name} must be started again`, { cause: broken });
    const shard = target();
    if (isFrozen(shard)) throw frozen();
    const appending = (writers.get(shard.number) as Log).append(submission);
    underWay.add(appending);
    try {
      return { ...(await appending), shard };
    } finally {
      underWay.delete(appending);
    }
  }

  /** Holds new appends back, waits for those under way, and lets `change` do what it does to a log at rest. */
  async function atRest<T>(change: () => Promise<T> | T): Promise<T> {
    if (turn)
      throw new StorageError('OVERLOADED', `the log ${name} is being changed`, { hint: 'try again in a second' });
    const { promise, resolve } = Promise.withResolvers<void>();
    turn = promise;
    try {
      await Promise.allSettled(underWay);
      const shard = active();
      const stored = await store.head(treeName(name, shard.number));
      if (stored?.treeSize !== shard.log.head().treeSize) {
        throw new StorageError('LOG_HEAD_MOVED', `the log ${name} has entries that are not published yet`, {
          hint: 'try again once it answers submissions',
        });
      }
      return await change();
    } finally {
      turn = undefined;
      resolve();
    }
  }

  // A failure may have come after the record was durable.
  function settle(commit: () => void): void {
    try {
      commit();
    } catch (error) {
      broken = error;
      throw error;
    }
  }

  async function rotate(url: string, steps: RotationSteps<P>): Promise<Shard<P>> {
    const number = list.length + 1;
    if (number > MAX_LOG_SHARDS) throw new InputError('CONFIG_INVALID', `a log has at most ${MAX_LOG_SHARDS} shards`);
    if (prepared?.number !== number || prepared.url !== url) {
      await prepared?.parts.log.close();
      // Opened again whatever becomes of this: the log in it is closed.
      prepared = undefined;
      await requireName(number, url);
      prepared = { number, url, parts: await open(number, url, false) };
    }
    const { parts } = prepared;
    return atRest(() => {
      // Another rotation was faster.
      if (list.length + 1 !== number) throw new StorageError('OVERLOADED', `the log ${name} was just rotated`);
      const before = active();
      const record = { since: clock(), first: before.first + before.log.head().treeSize, url };
      const next = shardOf(number, parts, record);
      steps.publish([...list, next]);
      settle(() => steps.commit(record));
      list = [...list, next];
      isEnded = false;
      return next;
    });
  }

  // Its head is signed under the host of that URL, and who publishes may have shown it although it failed.
  async function requireName(number: number, url: string): Promise<void> {
    const head = await store.head(treeName(name, number));
    if (head === undefined || originOf === undefined) return;
    const { origin } = parseCheckpoint(head.checkpoint);
    if (origin === originOf(url)) return;
    throw new InputError(
      'CONFIG_INVALID',
      `shard ${number} of the log ${name} was begun as ${origin} by a rotation that stopped`,
      {
        hint: `go on with it under the same host: hallmark log rotate --${name} --url https://${origin}`,
      },
    );
  }

  const locate: Shards<P>['locate'] = (index) => {
    const shard = list.findLast((each) => each.first <= index);
    const local = shard && index - shard.first;
    return shard && local !== undefined && local < shard.log.head().treeSize ? { shard, index: local } : undefined;
  };

  return {
    all: () => list,
    active,
    isFrozen,
    requireRoom(shard = active()) {
      if (isFrozen(shard)) throw frozen();
      (writers.get(shard.number) as Log).requireRoom();
    },
    append: (submission) => appendTo(active, submission),
    appendTo: (shard, submission) => appendTo(() => shard, submission),
    locate,
    async entries(start, end) {
      const found: Leaf[] = [];
      for (const shard of list) {
        const from = start > shard.first ? start - shard.first : 0n;
        if (end > shard.first) found.push(...(await shard.log.entries(from, end - shard.first)));
      }
      return found;
    },
    rotate,
    freeze: (commit) =>
      atRest(() => {
        settle(commit);
        isEnded = true;
      }),
  };
}
