import { NameRows } from '../index/name-rows.ts';
import { DamagedFile, PagedFile } from '../index/paged-file.ts';
import { PAGE_WORDS, PagedWords } from '../index/paged-words.ts';
import type { Fingerprint } from '../index/rows.ts';
import { SortedRows } from '../index/sorted-rows.ts';
import type { SearchSegmentName } from './search-builder.ts';
import { type IndexQuery, isWithin, type SearchSource } from './search-source.ts';
import { type Seeker, seekAny, seekBits } from './seek.ts';

/** A file of search rows. Every method throws DamagedFile once the file turns out not to be as it was written. */
export class SearchSegment implements SearchSource {
  readonly path: string;
  readonly name: SearchSegmentName;
  readonly rows: SortedRows;
  readonly names: NameRows;
  readonly times: PagedWords;
  readonly #timeRanges: Uint32Array;
  readonly #file: PagedFile;

  constructor(path: string) {
    this.path = path;
    this.#file = new PagedFile(path);
    try {
      const { meta } = this.#file;
      this.name = {
        tree: meta.string('tree'),
        start: meta.optionalInteger('start', 0, Number.MAX_SAFE_INTEGER) ?? 0,
        end: meta.optionalInteger('end', 0, Number.MAX_SAFE_INTEGER) ?? 0,
        rootHash: meta.string('rootHash'),
      };
      this.rows = new SortedRows(this.#file, 'rows');
      this.names = new NameRows(this.#file, 'names');
      this.times = new PagedWords(this.#file, 'times');
      this.#timeRanges = this.#file.readWords('time ranges');
      if (this.times.count !== this.end - this.start) throw new DamagedFile(path, 'it is not complete');
    } catch (error) {
      this.#file.close();
      throw error instanceof DamagedFile ? error : new DamagedFile(path, 'its first page cannot be read', error);
    }
  }

  get start(): number {
    return this.name.start;
  }

  get end(): number {
    return this.name.end;
  }

  secondsAt(place: number): number {
    return this.times.at(place);
  }

  seekers(query: IndexQuery): Seeker[] | undefined {
    const seekers: Seeker[] = [];
    for (const group of query.groups) {
      const found = group.map((key) => this.#seekKey(key)).filter((seeker) => seeker !== undefined);
      if (found.length === 0) return undefined;
      seekers.push(seekAny(found));
    }
    if (query.since !== undefined || query.until !== undefined) {
      const seeker = this.#seekTime(query);
      if (!seeker) return undefined;
      seekers.push(seeker);
    }
    if (query.prefix) {
      const seeker = this.#seekPrefix(query.prefix);
      if (!seeker) return undefined;
      seekers.push(seeker);
    }
    return seekers;
  }

  #seekKey({ high, low }: Fingerprint): Seeker | undefined {
    if (this.rows.placeIf(this.rows.lowerBound(high, low, 0), high, low) < 0) return undefined;
    const rows = this.rows.cursor();
    return { seek: (max) => rows.placeIf(rows.lowerBound(high, low, max + 1) - 1, high, low) };
  }

  // The places of one prefix are those of many names, so they do not ascend; as bits they do.
  #seekPrefix(prefix: Uint8Array): Seeker | undefined {
    const { from, to } = this.names.range(prefix);
    if (from >= to) return undefined;
    const bits = new Uint32Array(Math.ceil((this.end - this.start) / 32));
    this.names.places.setBits(from, to, bits);
    return seekBits(bits);
  }

  #seekTime(query: IndexQuery): Seeker | undefined {
    const ranges = this.#timeRanges;
    const overlaps = (page: number): boolean =>
      (query.since === undefined || (ranges[page * 2 + 1] as number) >= query.since) &&
      (query.until === undefined || (ranges[page * 2] as number) < query.until);
    let any = false;
    for (let page = 0; page < ranges.length / 2 && !any; page++) any = overlaps(page);
    if (!any) return undefined;
    return {
      seek: (max) => {
        let place = max;
        while (place >= 0) {
          const page = Math.floor(place / PAGE_WORDS);
          if (!overlaps(page)) place = page * PAGE_WORDS - 1;
          else if (isWithin(this.times.at(place), query)) return place;
          else place--;
        }
        return -1;
      },
    };
  }

  close(): void {
    this.#file.close();
  }
}
