import { PAGE_BYTES, PAGE_CONTENT_BYTES, type PagedFile, type PagedFileWriter } from './paged-file.ts';
import { PagedWords, PagedWordsWriter } from './paged-words.ts';

/** Bytes of a name that are kept: a prefix cannot be longer. */
export const MAX_NAME_BYTES = 1024;
/** Before each name: its length in two bytes, the number of its first place in four. */
const HEADER_BYTES = 6;

/**
 * Writes names in the order of their bytes, and under each the places of the entries that have it. Names lie in pages that
 * none crosses, so that a binary search over pages finds a prefix; places lie in a section of their own, so that those of
 * all names with one prefix are neighbours.
 */
export class NameRowsWriter {
  readonly #writer: PagedFileWriter;
  readonly #name: string;
  #places = new Uint32Array(1024);
  #count = 0;

  constructor(writer: PagedFileWriter, name: string) {
    this.#writer = writer;
    this.#name = name;
    writer.begin(name);
  }

  /** Names come sorted and once each, none of them empty. What `place` is called with until the next name belongs to it. */
  begin(name: Uint8Array): void {
    if (this.#writer.room < HEADER_BYTES + name.length) this.#writer.skipToPage();
    const record = new Uint8Array(HEADER_BYTES + name.length);
    const view = new DataView(record.buffer);
    view.setUint16(0, name.length);
    view.setUint32(2, this.#count);
    record.set(name, HEADER_BYTES);
    this.#writer.write(record);
  }

  /** Places ascend. */
  place(place: number): void {
    if (this.#count === this.#places.length) {
      const larger = new Uint32Array(this.#count * 2);
      larger.set(this.#places);
      this.#places = larger;
    }
    this.#places[this.#count++] = place;
  }

  end(): void {
    const words = new PagedWordsWriter(this.#writer, `${this.#name} places`);
    for (let i = 0; i < this.#count; i++) words.add(this.#places[i] as number);
    words.end();
  }
}

/** One name and where its places begin. */
interface NameRecord {
  readonly name: Uint8Array;
  readonly first: number;
}

/** Names and places in a file. Errors: DamagedFile. */
export class NameRows {
  readonly places: PagedWords;
  readonly #file: PagedFile;
  readonly #firstPage: number;
  readonly #pages: number;
  readonly #length: number;
  readonly #buffer = new Uint8Array(PAGE_BYTES);

  constructor(file: PagedFile, name: string) {
    const { firstPage, length } = file.section(name);
    this.#file = file;
    this.#firstPage = firstPage;
    this.#length = length;
    this.#pages = Math.ceil(length / PAGE_CONTENT_BYTES);
    this.places = new PagedWords(file, `${name} places`);
  }

  /** From which place to before which one the entries lie whose name begins with `prefix`. */
  range(prefix: Uint8Array): { readonly from: number; readonly to: number } {
    return {
      from: this.#firstPlaceOf((name) => Buffer.compare(name, prefix) >= 0),
      to: this.#firstPlaceOf((name) => Buffer.compare(name.subarray(0, prefix.length), prefix) > 0),
    };
  }

  /** All names in their order. */
  *names(): Generator<NameRecord & { readonly end: number }> {
    let previous: NameRecord | undefined;
    for (let page = 0; page < this.#pages; page++) {
      for (const record of this.#recordsOf(page)) {
        if (previous) yield { ...previous, end: record.first };
        previous = record;
      }
    }
    if (previous) yield { ...previous, end: this.places.count };
  }

  // `isBeyond` is false for the names before a certain one and true from there on.
  #firstPlaceOf(isBeyond: (name: Uint8Array) => boolean): number {
    let low = 0;
    let high = this.#pages;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBeyond(this.#firstNameOf(middle))) high = middle;
      else low = middle + 1;
    }
    // The one that is wanted lies in the page before the first that begins beyond it, or begins that page.
    for (let page = Math.max(0, low - 1); page < Math.min(low + 1, this.#pages); page++) {
      for (const { name, first } of this.#recordsOf(page)) if (isBeyond(name)) return first;
    }
    return this.places.count;
  }

  // Into one buffer, for a search reads many pages for this alone.
  #firstNameOf(page: number): Uint8Array {
    const bytes = this.#file.readPage(this.#firstPage + page, this.#buffer);
    const length = ((bytes[0] as number) << 8) | (bytes[1] as number);
    return bytes.subarray(HEADER_BYTES, HEADER_BYTES + length);
  }

  *#recordsOf(page: number): Generator<NameRecord> {
    const bytes = this.#file.readPage(this.#firstPage + page);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const end = Math.min(bytes.length, this.#length - page * PAGE_CONTENT_BYTES);
    for (let at = 0; at + HEADER_BYTES < end; ) {
      const length = view.getUint16(at);
      if (length === 0) return;
      yield { name: bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length), first: view.getUint32(at + 2) };
      at += HEADER_BYTES + length;
    }
  }
}
