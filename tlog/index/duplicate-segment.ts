import { BloomFilter } from './bloom.ts';
import { DamagedFile, PagedFile, PagedFileWriter } from './paged-file.ts';
import { type Fingerprint, ROW_WORDS, sortRows } from './rows.ts';
import { SortedRows, SortedRowsWriter } from './sorted-rows.ts';

/** What a file of sealed keys holds, so that a file of another log or range is not taken for it. */
export interface SegmentName {
  /** Tree and kind of key. */
  readonly name: string;
  /** The entries start .. end-1. */
  readonly start: number;
  readonly end: number;
  /** Root of the tree of size `end`, in hexadecimal: the file belongs to the log that has it, and to no fork of it. */
  readonly rootHash: string;
}

/** Keys that are to be written to a file. Can be sent to a thread. */
export interface SealJob {
  readonly path: string;
  readonly segment: SegmentName;
  /** Fingerprints in the order of the entries, two words each. */
  readonly keys: Uint32Array;
}

/** Writes a file of sealed keys. Takes 100 ms for a million, so not on a thread that answers. Throws what the file system says. */
export function sealDuplicates({ path, segment, keys }: SealJob): void {
  const count = keys.length / 2;
  const unsorted = new Uint32Array(count * ROW_WORDS);
  for (let place = 0; place < count; place++) {
    unsorted[place * ROW_WORDS] = keys[place * 2] as number;
    unsorted[place * ROW_WORDS + 1] = keys[place * 2 + 1] as number;
    unsorted[place * ROW_WORDS + 2] = place;
  }
  const rows = sortRows(unsorted);
  const filter = BloomFilter.forKeys(count);
  const writer = new PagedFileWriter(path, Math.random);
  try {
    const sorted = new SortedRowsWriter(writer, 'rows');
    for (let at = 0; at < rows.length; at += ROW_WORDS) {
      const high = rows[at] as number;
      const low = rows[at + 1] as number;
      sorted.add(high, low, rows[at + 2] as number);
      filter.add({ high, low });
    }
    sorted.end();
    writer.begin('filter');
    writer.writeWords(filter.words);
    writer.finish({ ...segment }, 'synced');
  } catch (error) {
    writer.abandon();
    throw error;
  }
}

/** A file of sealed keys. Every method throws DamagedFile once the file turns out not to be as it was written. */
export class DuplicateSegment {
  readonly #file: PagedFile;
  readonly #rows: SortedRows;
  readonly #filter: BloomFilter;

  /** Opens the file that `sealDuplicates` wrote for `segment`. */
  constructor(path: string, segment: SegmentName) {
    this.#file = new PagedFile(path);
    try {
      for (const key of ['name', 'start', 'end', 'rootHash'] as const) {
        if (this.#file.meta.json(key) !== segment[key])
          throw new DamagedFile(path, `it is of another log: ${key} differs`);
      }
      this.#rows = new SortedRows(this.#file, 'rows');
      if (this.#rows.count !== segment.end - segment.start) throw new DamagedFile(path, 'it is not complete');
      this.#filter = new BloomFilter(this.#file.readWords('filter'));
    } catch (error) {
      this.#file.close();
      throw error;
    }
  }

  /** The places of a key, ascending, relative to the segment's start. */
  find(key: Fingerprint): number[] {
    if (!this.#filter.mayHave(key)) return [];
    const { high, low } = key;
    const places: number[] = [];
    for (let row = this.#rows.lowerBound(high, low, 0); ; row++) {
      const place = this.#rows.placeIf(row, high, low);
      if (place < 0) return places;
      places.push(place);
    }
  }

  close(): void {
    this.#file.close();
  }
}
