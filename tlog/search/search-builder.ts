import { MAX_NAME_BYTES, NameRowsWriter } from '../index/name-rows.ts';
import { PagedFileWriter } from '../index/paged-file.ts';
import { PAGE_WORDS, PagedWordsWriter } from '../index/paged-words.ts';
import { type Fingerprint, ROW_WORDS, sortRows } from '../index/rows.ts';
import { SortedRowsWriter } from '../index/sorted-rows.ts';
import { type IndexQuery, isWithin, type SearchSource } from './search-source.ts';
import { type Seeker, seekPlaces } from './seek.ts';

/** One entry as the index takes it in. */
export interface IndexedEntry {
  readonly keys: readonly Fingerprint[];
  /** Its names in UTF-8, each once. */
  readonly names: readonly Uint8Array[];
  /** When it was logged, in seconds since 1970. */
  readonly seconds: number;
}

/** What a file of search rows holds. */
export interface SearchSegmentName {
  readonly tree: string;
  readonly start: number;
  readonly end: number;
  /** Root of the tree of size `end`, in hexadecimal. */
  readonly rootHash: string;
}

/** The newest entries, in memory and in the order in which they came: few enough to be looked through one by one. */
export class SearchBuilder implements SearchSource {
  readonly start: number;
  #rows = new Uint32Array(1024 * ROW_WORDS);
  #rowCount = 0;
  readonly #names: { readonly name: Uint8Array; readonly place: number }[] = [];
  readonly #seconds: number[] = [];

  constructor(start: number) {
    this.start = start;
  }

  get end(): number {
    return this.start + this.#seconds.length;
  }

  add({ keys, names, seconds }: IndexedEntry): void {
    const place = this.#seconds.length;
    this.#seconds.push(seconds);
    for (const { high, low } of keys) {
      const at = this.#rowCount++ * ROW_WORDS;
      if (at === this.#rows.length) {
        const larger = new Uint32Array(this.#rows.length * 2);
        larger.set(this.#rows);
        this.#rows = larger;
      }
      this.#rows[at] = high;
      this.#rows[at + 1] = low;
      this.#rows[at + 2] = place;
    }
    for (const name of names) this.#names.push({ name: name.slice(0, MAX_NAME_BYTES), place });
  }

  secondsAt(place: number): number {
    return this.#seconds[place] as number;
  }

  seekers(query: IndexQuery): Seeker[] | undefined {
    const lists: number[][] = query.groups.map((group) => this.#placesOf(group));
    const { prefix } = query;
    if (prefix) {
      const found = this.#names.filter(({ name }) => Buffer.compare(name.subarray(0, prefix.length), prefix) === 0);
      lists.push(found.map(({ place }) => place));
    }
    if (query.since !== undefined || query.until !== undefined) {
      lists.push([...this.#seconds.keys()].filter((place) => isWithin(this.secondsAt(place), query)));
    }
    if (lists.some((list) => list.length === 0)) return undefined;
    return lists.map(seekPlaces);
  }

  #placesOf(group: readonly Fingerprint[]): number[] {
    const places: number[] = [];
    const end = this.#rowCount * ROW_WORDS;
    for (let at = 0; at < end; at += ROW_WORDS) {
      for (const { high, low } of group) {
        if (this.#rows[at] === high && this.#rows[at + 1] === low) places.push(this.#rows[at + 2] as number);
      }
    }
    return places;
  }

  /** Writes what was taken in to a file that `SearchSegment` opens. Throws what the file system says. */
  seal(path: string, segment: SearchSegmentName): void {
    const writer = new PagedFileWriter(path, Math.random);
    try {
      const rows = sortRows(this.#rows.slice(0, this.#rowCount * ROW_WORDS));
      const sorted = new SortedRowsWriter(writer, 'rows');
      for (let at = 0; at < rows.length; at += ROW_WORDS) {
        sorted.add(rows[at] as number, rows[at + 1] as number, rows[at + 2] as number);
      }
      sorted.end();
      const names = new NameRowsWriter(writer, 'names');
      let last: Uint8Array | undefined;
      for (const { name, place } of this.#names.toSorted(
        (a, b) => Buffer.compare(a.name, b.name) || a.place - b.place,
      )) {
        if (!last || Buffer.compare(last, name) !== 0) names.begin(name);
        last = name;
        names.place(place);
      }
      names.end();
      const times = new TimesWriter(writer);
      for (const seconds of this.#seconds) times.add(seconds);
      times.end();
      writer.finish({ ...segment }, 'not synced');
    } catch (error) {
      writer.abandon();
      throw error;
    }
  }
}

/** Writes when entries were logged, in their order, and the earliest and latest of each page. */
export class TimesWriter {
  readonly #writer: PagedFileWriter;
  readonly #words: PagedWordsWriter;
  readonly #ranges: number[] = [];
  #count = 0;

  constructor(writer: PagedFileWriter) {
    this.#writer = writer;
    this.#words = new PagedWordsWriter(writer, 'times');
  }

  add(seconds: number): void {
    if (this.#count++ % PAGE_WORDS === 0) this.#ranges.push(seconds, seconds);
    const at = this.#ranges.length - 2;
    this.#ranges[at] = Math.min(this.#ranges[at] as number, seconds);
    this.#ranges[at + 1] = Math.max(this.#ranges[at + 1] as number, seconds);
    this.#words.add(seconds);
  }

  end(): void {
    this.#words.end();
    this.#writer.begin('time ranges');
    this.#writer.writeWords(Uint32Array.from(this.#ranges));
  }
}
