/**
 * The search index of one tree: segments of `SLOT_ENTRIES` entries and of FANOUT times as many, up to `LEVELS` levels. New
 * entries are gathered in memory; a slot that is full is written to a file, and FANOUT neighbouring files of one level are
 * merged into one of the next. So an entry is written LEVELS times, whatever the size of the log, and there are few files to
 * look into.
 *
 * What is indexed need not be without gaps: a file that is missing, damaged or of another log leaves one, which is filled
 * again from the log beside the newest entries. Everything here is synchronous but merging, which goes on in small steps.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DamagedFile } from '../index/paged-file.ts';
import { createTurn } from '../index/turn.ts';
import { mergeSegments } from './merge-segments.ts';
import { type IndexedEntry, SearchBuilder } from './search-builder.ts';
import { SearchSegment } from './search-segment.ts';
import type { IndexQuery, SearchSource } from './search-source.ts';
import { type Budget, intersect } from './seek.ts';

export interface TreeIndexOptions {
  /** Undefined: nothing is written, all stays in memory. */
  readonly directory: string | undefined;
  readonly tree: string;
  /** Tests take fewer of each. */
  readonly slotEntries?: number;
  readonly fanout?: number;
  readonly levels?: number;
  /** Gets what is wrong with a file, or why none could be written. Nothing is lost by it. */
  readonly onFault: (message: string) => void;
}

/** Entries that are read again after a restart at most. */
const SLOT_ENTRIES = 4096;
const FANOUT = 16;
/** 4096, 65,536 and a million entries in a file. */
const LEVELS = 3;

/** The entries that the index wants next. */
export interface Wanted {
  readonly start: number;
  readonly end: number;
  /** They are no news, but missing among what is older. */
  readonly isGap: boolean;
}

export interface Found {
  /** Indexes in the tree, descending, and when each was logged in seconds since 1970. */
  readonly indexes: number[];
  readonly seconds: number[];
  /** Below which index to go on; undefined if all that is indexed was looked through. */
  readonly next: number | undefined;
}

export class TreeIndex {
  readonly #options: TreeIndexOptions;
  readonly #slot: number;
  readonly #fanout: number;
  readonly #levels: number;
  /** Disjoint, in any order. */
  #segments: SearchSegment[] = [];
  /** The newest slot. */
  #tail: SearchBuilder | undefined;
  /** One that is missing below it. */
  #gap: SearchBuilder | undefined;
  #merging: Promise<void> | undefined;
  #closed = false;

  constructor(options: TreeIndexOptions) {
    this.#options = options;
    this.#slot = options.directory === undefined ? Number.MAX_SAFE_INTEGER : (options.slotEntries ?? SLOT_ENTRIES);
    this.#fanout = options.fanout ?? FANOUT;
    this.#levels = options.levels ?? LEVELS;
  }

  /** Opens the files there are and answers where their segments end, for `keep` to be told the roots. */
  open(): number[] {
    const { directory, tree, onFault } = this.#options;
    if (directory === undefined || !existsSync(directory)) return [];
    const found: SearchSegment[] = [];
    for (const file of readdirSync(directory)) {
      if (!file.startsWith(`${tree}-search-`)) continue;
      const path = join(directory, file);
      try {
        const segment = new SearchSegment(path);
        if (segment.name.tree === tree && this.#pathOf(segment.start, segment.end) === path) found.push(segment);
        else throw new DamagedFile(path, 'it is of another log');
      } catch (error) {
        if (!(error instanceof DamagedFile)) throw error;
        onFault(error.message);
        rmSync(path, { force: true, recursive: true });
      }
    }
    // Larger ones first: what they were merged from may still be there.
    for (const segment of found.toSorted((a, b) => b.end - b.start - (a.end - a.start))) {
      if (this.#segments.some(({ start, end }) => start <= segment.start && segment.end <= end)) this.#remove(segment);
      else this.#segments.push(segment);
    }
    return this.#segments.map(({ end }) => end);
  }

  /** Keeps the files whose log has this root at their end; the others are of another one. */
  keep(roots: ReadonlyMap<number, string>): void {
    for (const segment of [...this.#segments]) {
      if (roots.get(segment.end) === segment.name.rootHash) continue;
      this.#options.onFault(`${segment.path}: it is of another log`);
      this.#drop(segment);
    }
    this.#merge();
  }

  /** Entries that are indexed. */
  get indexed(): number {
    return [...this.#segments, ...this.#builders()].reduce((sum, { start, end }) => sum + end - start, 0);
  }

  /** The newest entry that is indexed is the one before this. */
  get newest(): number {
    return Math.max(0, ...[...this.#segments, ...this.#builders()].map(({ end }) => end));
  }

  /**
   * What to add next, of a log of this size: the newest entries, and when they are there, gaps. At most `max`; undefined if
   * all is indexed. If `end` is that of a slot, `add` needs the root of the tree of that size.
   */
  wanted(size: number, max: number): Wanted | undefined {
    this.#tail ??= this.#nextTail(size);
    this.#gap ??= this.#nextGap(this.#tail.start);
    for (const builder of [this.#tail, this.#gap]) {
      if (!builder) continue;
      const end = Math.min(builder.end + max, builder.start + this.#slot, size);
      if (builder.end < end) return { start: builder.end, end, isGap: builder === this.#gap };
    }
    return undefined;
  }

  isSlotEnd(end: number): boolean {
    return end % this.#slot === 0;
  }

  /** Takes in entries that `wanted` named. */
  add(start: number, entries: readonly IndexedEntry[], rootHash: string | undefined): void {
    const builder = this.#builders().find(({ end }) => end === start);
    if (!builder) throw new Error('internal: entries that were not wanted');
    for (const entry of entries) builder.add(entry);
    if (builder.end < builder.start + this.#slot) return;
    if (builder === this.#tail) this.#tail = undefined;
    else this.#gap = undefined;
    this.#seal(builder, rootHash);
  }

  /**
   * Entries below index `before` that fit the query, the newest first, at most `limit`. Ends early when the budget is used
   * up. A file that turns out to be damaged is left out and becomes a gap.
   */
  search(query: IndexQuery, before: number, limit: number, budget: Budget): Found {
    const indexes: number[] = [];
    const seconds: number[] = [];
    const sources: SearchSource[] = [...this.#segments, ...this.#builders()];
    for (const source of sources.sort((a, b) => b.start - a.start)) {
      if (source.start >= before) continue;
      const taken = indexes.length;
      try {
        const rest = this.#searchOne(
          source,
          query,
          Math.min(before, source.end) - 1 - source.start,
          budget,
          (place) => {
            indexes.push(source.start + place);
            seconds.push(source.secondsAt(place));
            return indexes.length < limit;
          },
        );
        if (rest >= 0) return { indexes, seconds, next: source.start + rest + 1 };
        if (indexes.length >= limit) return { indexes, seconds, next: source.start === 0 ? undefined : source.start };
      } catch (error) {
        if (!(error instanceof DamagedFile) || !(source instanceof SearchSegment)) throw error;
        indexes.length = taken;
        seconds.length = taken;
        this.#options.onFault(error.message);
        this.#drop(source);
      }
    }
    return { indexes, seconds, next: undefined };
  }

  /** Waits for a merge that is under way, which is given up. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#merging;
    for (const segment of this.#segments) segment.close();
    this.#segments = [];
    this.#tail = undefined;
    this.#gap = undefined;
  }

  /** For tests: waits until nothing more can be merged. */
  async settled(): Promise<void> {
    while (this.#merging) await this.#merging;
  }

  #searchOne(
    source: SearchSource,
    query: IndexQuery,
    max: number,
    budget: Budget,
    found: (place: number) => boolean,
  ): number {
    const seekers = source.seekers(query);
    if (!seekers) return -1;
    return intersect(seekers.length === 0 ? [{ seek: (place) => place }] : seekers, max, budget, found);
  }

  #builders(): SearchBuilder[] {
    return [this.#tail, this.#gap].filter((builder) => builder !== undefined);
  }

  // Goes on where the newest file ends, unless the log is far ahead of it: then with the newest slot, and leaves a gap.
  #nextTail(size: number): SearchBuilder {
    const sealed = Math.max(0, ...this.#segments.map(({ end }) => end));
    const newest = Math.floor(size / this.#slot) * this.#slot;
    return new SearchBuilder(newest - sealed <= 2 * this.#slot ? sealed : newest);
  }

  // The highest one below `before`, for newer entries are searched more.
  #nextGap(before: number): SearchBuilder | undefined {
    let covered = before;
    for (const { start, end } of this.#segments.toSorted((a, b) => b.end - a.end)) {
      if (end < covered) break;
      covered = Math.min(covered, start);
    }
    return covered === 0 ? undefined : new SearchBuilder(covered - this.#slot);
  }

  #pathOf(start: number, end: number): string {
    return join(this.#options.directory ?? '', `${this.#options.tree}-search-${start}-${end}.idx`);
  }

  #seal(builder: SearchBuilder, rootHash: string | undefined): void {
    const { directory, tree, onFault } = this.#options;
    if (directory === undefined) return;
    if (rootHash === undefined) throw new Error('internal: a slot is full and its root is not known');
    const { start, end } = builder;
    const path = this.#pathOf(start, end);
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      builder.seal(path, { tree, start, end, rootHash });
      this.#segments.push(new SearchSegment(path));
      this.#merge();
    } catch (error) {
      // The entries become a gap, so that what cannot be written does not fill the memory.
      onFault(`${path} cannot be written: ${String(error)}`);
    }
  }

  #drop(segment: SearchSegment): void {
    this.#segments = this.#segments.filter((other) => other !== segment);
    this.#remove(segment);
  }

  #remove(segment: SearchSegment): void {
    segment.close();
    rmSync(segment.path, { force: true });
  }

  #merge(): void {
    const group = this.#merging || this.#closed ? undefined : this.#nextGroup();
    if (!group) return;
    this.#merging = this.#mergeGroup(group).then((isDone) => {
      this.#merging = undefined;
      // After a failure not before the next file, so that a full disk is not tried in a loop.
      if (isDone) this.#merge();
    });
  }

  async #mergeGroup(group: readonly SearchSegment[]): Promise<boolean> {
    const first = group[0] as SearchSegment;
    const last = group.at(-1) as SearchSegment;
    const name = { ...last.name, start: first.start };
    const path = this.#pathOf(name.start, name.end);
    const turn = createTurn();
    try {
      const paths = group.map((segment) => segment.path);
      for (const _ of mergeSegments(paths, path, name)) {
        if (this.#closed) return false;
        if (turn.isDue()) await turn.next();
      }
      const merged = new SearchSegment(path);
      // One that a search found damaged meanwhile is being made again.
      if (group.some((segment) => !this.#segments.includes(segment))) {
        this.#remove(merged);
        return true;
      }
      this.#segments = [...this.#segments.filter((segment) => !group.includes(segment)), merged];
      for (const segment of group) this.#remove(segment);
      return true;
    } catch (error) {
      this.#options.onFault(`${path} cannot be merged: ${String(error)}`);
      const damaged = group.find((segment) => error instanceof DamagedFile && segment.path === error.path);
      if (!damaged) return false;
      this.#drop(damaged);
      return true;
    }
  }

  /** FANOUT neighbours of one size that make up a segment of the next. */
  #nextGroup(): SearchSegment[] | undefined {
    let size = this.#slot;
    for (let level = 1; level < this.#levels; level++, size *= this.#fanout) {
      const groups = new Map<number, SearchSegment[]>();
      for (const segment of this.#segments) {
        if (segment.end - segment.start !== size) continue;
        const number = Math.floor(segment.start / (size * this.#fanout));
        groups.set(number, [...(groups.get(number) ?? []), segment]);
      }
      for (const group of groups.values()) {
        if (group.length === this.#fanout) return group.sort((a, b) => a.start - b.start);
      }
    }
    return undefined;
  }
}
