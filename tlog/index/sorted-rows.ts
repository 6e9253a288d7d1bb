import { PAGE_CONTENT_BYTES, type PagedFile, type PagedFileWriter } from './paged-file.ts';
import { compareRow, lowerBoundRow, ROW_WORDS } from './rows.ts';

const ROW_BYTES = ROW_WORDS * 4;
/** Rows fill a page without rest. */
const PAGE_ROWS = PAGE_CONTENT_BYTES / ROW_BYTES;

/** Writes rows, which come sorted, as a section, and the first row of each page as another one. */
export class SortedRowsWriter {
  readonly #writer: PagedFileWriter;
  readonly #name: string;
  readonly #page = new Uint32Array(PAGE_ROWS * ROW_WORDS);
  #filled = 0;
  readonly #fences: number[] = [];

  constructor(writer: PagedFileWriter, name: string) {
    this.#writer = writer;
    this.#name = name;
    writer.begin(name);
  }

  add(high: number, low: number, place: number): void {
    if (this.#filled === 0) this.#fences.push(high, low, place);
    this.#page[this.#filled] = high;
    this.#page[this.#filled + 1] = low;
    this.#page[this.#filled + 2] = place;
    this.#filled += ROW_WORDS;
    if (this.#filled === this.#page.length) this.#flush();
  }

  end(): void {
    this.#flush();
    this.#writer.begin(`${this.#name} fences`);
    this.#writer.writeWords(Uint32Array.from(this.#fences));
  }

  #flush(): void {
    this.#writer.writeWords(this.#page.subarray(0, this.#filled));
    this.#filled = 0;
  }
}

/** Sorted rows in a file: one read of a page finds any of them. The page that was read last is kept. Errors: DamagedFile. */
export class SortedRows {
  readonly count: number;
  readonly #file: PagedFile;
  readonly #name: string;
  readonly #firstPage: number;
  readonly #fences: Uint32Array;
  readonly #page = new Uint32Array(PAGE_CONTENT_BYTES / 4 + 1);
  readonly #buffer = new Uint8Array(this.#page.buffer);
  #pageNumber = -1;

  constructor(file: PagedFile, name: string, fences = file.readWords(`${name} fences`)) {
    const { firstPage, length } = file.section(name);
    this.#file = file;
    this.#name = name;
    this.#firstPage = firstPage;
    this.count = length / ROW_BYTES;
    this.#fences = fences;
  }

  /** The same rows for one more reader, who keeps a page of its own. */
  cursor(): SortedRows {
    return new SortedRows(this.#file, this.#name, this.#fences);
  }

  /** Number of the first row that is not before these three numbers; `count` if all are. */
  lowerBound(high: number, low: number, place: number): number {
    const pages = this.#fences.length / ROW_WORDS;
    const next = lowerBoundRow(this.#fences, 0, pages, high, low, place);
    if (next < pages && compareRow(this.#fences, next * ROW_WORDS, high, low, place) === 0) return next * PAGE_ROWS;
    if (next === 0) return 0;
    const first = (next - 1) * PAGE_ROWS;
    this.#load(next - 1);
    return first + lowerBoundRow(this.#page, 0, Math.min(PAGE_ROWS, this.count - first), high, low, place);
  }

  /** The place in row `row` if that row is of this fingerprint; -1 if not. */
  placeIf(row: number, high: number, low: number): number {
    if (row < 0 || row >= this.count) return -1;
    const at = this.#seek(row);
    return this.#page[at] === high && this.#page[at + 1] === low ? (this.#page[at + 2] as number) : -1;
  }

  /** Copies the row's three numbers. */
  copy(row: number, into: Uint32Array): void {
    const at = this.#seek(row);
    into[0] = this.#page[at] as number;
    into[1] = this.#page[at + 1] as number;
    into[2] = this.#page[at + 2] as number;
  }

  #seek(row: number): number {
    const page = Math.floor(row / PAGE_ROWS);
    this.#load(page);
    return (row - page * PAGE_ROWS) * ROW_WORDS;
  }

  #load(page: number): void {
    if (page === this.#pageNumber) return;
    this.#pageNumber = -1;
    this.#file.readPage(this.#firstPage + page, this.#buffer);
    this.#pageNumber = page;
  }
}
