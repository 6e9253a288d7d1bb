/** What the thread of the indexes does for the search: the indexes of trees live there, by the ID that `openSearch` gave. */
import { serializeUtf8 } from '../../core/bytes/bytes.ts';
import { type Fingerprint, fingerprintOf } from '../index/rows.ts';
import type { IndexedEntry } from './search-builder.ts';
import type { IndexQuery } from './search-source.ts';
import { entryTerms } from './terms.ts';
import { type Found, TreeIndex, type TreeIndexOptions, type Wanted } from './tree-index.ts';

interface OpenIndex {
  readonly index: TreeIndex;
  /** What was wrong since it was last asked. */
  faults: string[];
}

const indexes = new Map<number, OpenIndex>();
let nextId = 1;

/** Faults that are remembered between two questions. */
const MAX_FAULTS = 20;

export interface OpenedSearch {
  readonly id: number;
  /** Sizes of the tree whose roots `wantedOfSearch` needs to know which files belong to it. */
  readonly ends: number[];
}

export function openSearch(options: Omit<TreeIndexOptions, 'onFault'>): OpenedSearch {
  const id = nextId++;
  const onFault = (message: string): void => {
    const { faults } = opened(id);
    if (faults.length < MAX_FAULTS) faults.push(message);
  };
  const index = new TreeIndex({ ...options, onFault });
  indexes.set(id, { index, faults: [] });
  return { id, ends: index.open() };
}

/** How far the index is. */
export interface SearchState {
  /** Entries that can be found. */
  readonly indexed: number;
  /** The newest of them is the one before this. */
  readonly newest: number;
  /** What to give to `takeIn` next. */
  readonly wanted: Wanted | undefined;
  /** `takeIn` needs the root of the tree of size `wanted.end`. */
  readonly needsRoot: boolean;
  readonly faults: readonly string[];
}

/** Keeps the files whose roots are given, of those that `openSearch` found; to be called once. */
export function wantedOfSearch(id: number, roots: ReadonlyMap<number, string>, size: number, max: number): SearchState {
  opened(id).index.keep(roots);
  return stateOfSearch(id, size, max);
}

export function stateOfSearch(id: number, size: number, max: number): SearchState {
  const open = opened(id);
  const wanted = open.index.wanted(size, max);
  const { faults } = open;
  open.faults = [];
  return {
    indexed: open.index.indexed,
    newest: open.index.newest,
    wanted,
    needsRoot: wanted !== undefined && open.index.isSlotEnd(wanted.end),
    faults,
  };
}

/** Entries end to end, so that they are one message. */
export interface PackedEntries {
  readonly bytes: Uint8Array;
  /** For each entry the length of its body, of what is kept beside it, and when it was logged in seconds. */
  readonly lengths: Uint32Array;
}

/** Takes in the entries that were wanted, and says what is wanted next of a tree of `size`. */
export function takeIn(
  id: number,
  start: number,
  packed: PackedEntries,
  rootHash: string | undefined,
  size: number,
  max: number,
): SearchState {
  opened(id).index.add(start, unpack(packed), rootHash);
  return stateOfSearch(id, size, max);
}

function unpack({ bytes, lengths }: PackedEntries): IndexedEntry[] {
  const entries: IndexedEntry[] = [];
  let at = 0;
  for (let i = 0; i < lengths.length; i += 3) {
    const bodyEnd = at + (lengths[i] as number);
    const extraEnd = bodyEnd + (lengths[i + 1] as number);
    const { keys, names } = entryTerms({ body: bytes.subarray(at, bodyEnd), extra: bytes.subarray(bodyEnd, extraEnd) });
    at = extraEnd;
    entries.push({
      keys: distinct(keys),
      names: names.map((name) => serializeUtf8(name)),
      seconds: lengths[i + 2] as number,
    });
  }
  return entries;
}

function distinct(keys: readonly Uint8Array[]): Fingerprint[] {
  const found = new Map<number, Fingerprint>();
  for (const key of keys) {
    const fingerprint = fingerprintOf(key);
    // Of 64 bits as many as a number holds: which of two keys is left out matters to nobody, as there are none so alike.
    found.set(fingerprint.high * 2 ** 21 + (fingerprint.low >>> 11), fingerprint);
  }
  return [...found.values()];
}

export function searchTree(id: number, query: IndexQuery, before: number, limit: number, seeks: number): Found {
  return opened(id).index.search(query, before, limit, { seeks });
}

export async function closeSearch(id: number): Promise<void> {
  await indexes.get(id)?.index.close();
  indexes.delete(id);
}

function opened(id: number): OpenIndex {
  const open = indexes.get(id);
  if (!open) throw new Error('internal: a search index that is not open');
  return open;
}
