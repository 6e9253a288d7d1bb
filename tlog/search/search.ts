import { serializeHex, serializeUtf8 } from '../../core/bytes/bytes.ts';
import { leafHash } from '../../core/merkle/tree.ts';
import { fingerprintOf } from '../index/rows.ts';
import type { LogReader } from '../log-reader.ts';
import type { Leaf } from '../store.ts';
import { createStretches } from '../stretches.ts';
import type { EntryFacts } from './entry-facts.ts';
import type { Follower } from './follower.ts';
import { entryTerms } from './terms.ts';

/** What is asked of entries. All of it has to hold. */
export interface SearchQuery {
  /** Of each group one key at least (terms.ts). */
  readonly groups: readonly (readonly Uint8Array[])[];
  /** How an identity begins, in lower case; undefined: any. */
  readonly prefix: string | undefined;
  /** Seconds since 1970, from and before which an entry was logged. */
  readonly since: number | undefined;
  readonly until: number | undefined;
}

/** A log that can be searched. */
export interface SearchableLog {
  /** Name of its tree: the same for ever. */
  readonly name: string;
  readonly log: LogReader;
  readonly follower: Follower;
  /** How its interface names an entry; undefined: by index alone. */
  readonly entryId: ((leafHash: Uint8Array) => string) | undefined;
  /** Where the tree is one shard of a log: which, and the index in that log of its first entry. */
  readonly shard?: { readonly of: string; readonly number: number; readonly first: bigint };
}

/** An entry that fits a query. Nothing in it is verified. */
export interface SearchHit {
  readonly log: SearchableLog;
  readonly index: number;
  readonly leafHash: Uint8Array;
  readonly time: Date;
  readonly facts: EntryFacts;
}

/** Below which index of each log a search goes on. A log that is not named is exhausted. */
export type SearchPosition = ReadonlyMap<string, number>;

interface SearchPage {
  readonly hits: readonly SearchHit[];
  /** Undefined if there is no more. */
  readonly next: SearchPosition | undefined;
}

/** Steps of an index in one look: less than 10 ms. */
const LOOK_SEEKS = 4_000;
/** Looks for one page: a page may then be short or empty, and yet another one follow. */
const MAX_LOOKS = 3;
/** Entries that are read from the log at the same time. */
const READ_AT_ONCE = 64;

/**
 * The next `limit` entries that fit, the newest first: of each log by index, between logs by time. Costs the same at any size
 * of the logs. Errors: those of the logs, and an Error if the thread of the indexes failed.
 */
export async function searchPage(
  logs: readonly SearchableLog[],
  query: SearchQuery,
  position: SearchPosition | undefined,
  limit: number,
): Promise<SearchPage> {
  const looked = await Promise.all(
    logs.map(async (log) => {
      const before = position ? (position.get(log.name) ?? 0) : Number(log.log.head().treeSize);
      return { log, ...(await candidatesOf(log, query, before, limit)) };
    }),
  );
  const heads = looked.map(({ log, indexes, seconds }) => ({ log, indexes, seconds, at: 0 }));
  const taken: { log: SearchableLog; index: number }[] = [];
  while (taken.length < limit) {
    let newest: (typeof heads)[number] | undefined;
    for (const head of heads) {
      const seconds = head.seconds[head.at];
      if (seconds !== undefined && seconds > (newest?.seconds[newest.at] ?? -1)) newest = head;
    }
    if (!newest) break;
    taken.push({ log: newest.log, index: newest.indexes[newest.at++] as number });
  }
  const next = new Map<string, number>();
  for (const [i, { log, next: below }] of looked.entries()) {
    const left = heads[i]?.indexes[heads[i].at];
    const before = left === undefined ? below : left + 1;
    if (before !== undefined && before > 0) next.set(log.name, before);
  }
  const hits = await readHits(taken, query);
  return { hits, next: next.size > 0 ? next : undefined };
}

/** All entries of a log that fit, by ascending index; of more than `limit` the newest. Errors: as searchPage. */
export async function searchAll(log: SearchableLog, query: SearchQuery, limit: number): Promise<SearchHit[]> {
  const hits: SearchHit[] = [];
  let before: number | undefined = Number(log.log.head().treeSize);
  while (before !== undefined && before > 0 && hits.length < limit) {
    const found = await candidatesOf(log, query, before, limit - hits.length);
    hits.push(
      ...(await readHits(
        found.indexes.map((index) => ({ log, index })),
        query,
      )),
    );
    before = found.next;
  }
  return hits.reverse();
}

interface Candidates {
  readonly indexes: number[];
  readonly seconds: number[];
  readonly next: number | undefined;
}

async function candidatesOf(
  log: SearchableLog,
  query: SearchQuery,
  before: number,
  limit: number,
): Promise<Candidates> {
  const indexes: number[] = [];
  const seconds: number[] = [];
  let next: number | undefined = before;
  const { groups, prefix, since, until } = query;
  const asked = {
    groups: groups.map((group) => group.map(fingerprintOf)),
    prefix: prefix === undefined ? undefined : serializeUtf8(prefix),
    since,
    until,
  };
  for (let look = 0; look < MAX_LOOKS && next !== undefined && next > 0 && indexes.length < limit; look++) {
    const found = await log.follower.search(asked, next, limit - indexes.length, LOOK_SEEKS);
    indexes.push(...found.indexes);
    seconds.push(...found.seconds);
    next = found.next;
  }
  return { indexes, seconds, next };
}

const inStretches = createStretches(() => performance.now());

// The index compares 64 bits of each term; the entry itself decides.
async function readHits(
  candidates: readonly { log: SearchableLog; index: number }[],
  query: SearchQuery,
): Promise<SearchHit[]> {
  const hits: SearchHit[] = [];
  for (let at = 0; at < candidates.length; at += READ_AT_ONCE) {
    const some = candidates.slice(at, at + READ_AT_ONCE);
    const read = await Promise.all(some.map(({ log, index }) => inStretches(() => readHit(log, index, query))));
    for (const hit of read) if (hit) hits.push(hit);
  }
  return hits;
}

async function readHit(log: SearchableLog, index: number, query: SearchQuery): Promise<SearchHit | undefined> {
  const leaf = await log.log.entry(BigInt(index));
  const facts = leaf && factsIfFits(leaf, query);
  return leaf && facts && { log, index, leafHash: leafHash(leaf.body), time: leaf.time, facts };
}

function factsIfFits(leaf: Leaf, { groups, prefix, since, until }: SearchQuery): EntryFacts | undefined {
  const { facts, keys, names } = entryTerms(leaf);
  const has = new Set(keys.map(serializeHex));
  const seconds = Math.floor(leaf.time.getTime() / 1000);
  const fits =
    groups.every((group) => group.some((key) => has.has(serializeHex(key)))) &&
    (prefix === undefined || names.some((name) => name.startsWith(prefix))) &&
    (since === undefined || seconds >= since) &&
    (until === undefined || seconds < until);
  return fits ? facts : undefined;
}
