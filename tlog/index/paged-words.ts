import { PAGE_CONTENT_BYTES, type PagedFile, type PagedFileWriter } from './paged-file.ts';

export const PAGE_WORDS = PAGE_CONTENT_BYTES / 4;

/** Writes 32-bit numbers as a section, one after the other. */
export class PagedWordsWriter {
  readonly #writer: PagedFileWriter;
  readonly #page = new Uint32Array(PAGE_WORDS);
  #filled = 0;

  constructor(writer: PagedFileWriter, name: string) {
    this.#writer = writer;
    writer.begin(name);
  }

  add(word: number): void {
    this.#page[this.#filled++] = word;
    if (this.#filled === PAGE_WORDS) this.end();
  }

  end(): void {
    this.#writer.writeWords(this.#page.subarray(0, this.#filled));
    this.#filled = 0;
  }
}

/** 32-bit numbers in a section of a file. The page that was read last is kept. Errors: DamagedFile. */
export class PagedWords {
  readonly count: number;
  readonly #file: PagedFile;
  readonly #firstPage: number;
  readonly #page = new Uint32Array(PAGE_WORDS + 1);
  readonly #buffer = new Uint8Array(this.#page.buffer);
  #pageNumber = -1;

  constructor(file: PagedFile, name: string) {
    const { firstPage, length } = file.section(name);
    this.#file = file;
    this.#firstPage = firstPage;
    this.count = length / 4;
  }

  at(index: number): number {
    const page = Math.floor(index / PAGE_WORDS);
    this.#load(page);
    return this.#page[index - page * PAGE_WORDS] as number;
  }

  /** Sets the bits that the numbers from .. to-1 are the positions of. */
  setBits(from: number, to: number, bits: Uint32Array): void {
    for (let index = from; index < to; ) {
      const page = Math.floor(index / PAGE_WORDS);
      this.#load(page);
      const first = page * PAGE_WORDS;
      const end = Math.min(PAGE_WORDS, to - first);
      for (let i = index - first; i < end; i++) {
        const bit = this.#page[i] as number;
        bits[bit >>> 5] = (bits[bit >>> 5] as number) | (1 << (bit & 31));
      }
      index = first + end;
    }
  }

  #load(page: number): void {
    if (page === this.#pageNumber) return;
    this.#pageNumber = -1;
    this.#file.readPage(this.#firstPage + page, this.#buffer);
    this.#pageNumber = page;
  }
}
