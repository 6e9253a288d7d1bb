import { closeSync, fstatSync, fsyncSync, openSync, readSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { parseUtf8, serializeUtf8 } from '../../core/bytes/bytes.ts';
import { Fields } from '../../core/bytes/fields.ts';
import { type Json, parseJson } from '../../core/bytes/json.ts';

/** A page: content, then its checksum. */
export const PAGE_BYTES = 4096;
const CHECKSUM_BYTES = 4;
export const PAGE_CONTENT_BYTES = PAGE_BYTES - CHECKSUM_BYTES;
const PAGE_CONTENT_WORDS = PAGE_CONTENT_BYTES / 4;
/** Pages that are written at once. */
const WRITE_PAGES = 64;
const FORMAT = 'hallmark-index-1';

/** The file is not what its writer left: cut, altered, mixed with another, or unreadable. */
export class DamagedFile extends Error {
  readonly path: string;
  constructor(path: string, problem: string, cause?: unknown) {
    super(`${path}: ${problem}`, { cause });
    this.path = path;
  }
}

/** A run of pages with one content, the last one filled with zeros. */
export interface Section {
  readonly firstPage: number;
  /** Bytes of content. */
  readonly length: number;
}

/**
 * Writes a file of checksummed pages, once, from its beginning to its end: sections, and at last the first page, which says
 * where they lie and what `meta` the file has. It gets its name when it is complete, and if it is `synced` durable: what a crash
 * makes of another one is noticed when it is read. Throws what the file system
 * says; `abandon` then removes what was written.
 */
export class PagedFileWriter {
  readonly #path: string;
  readonly #temporary: string;
  readonly #fd: number;
  readonly #nonce: number;
  readonly #sections: Record<string, Section> = {};
  readonly #buffer = new Uint8Array(WRITE_PAGES * PAGE_BYTES);
  #buffered = 0;
  #writtenPages = 1;
  #open: { name: string; firstPage: number; length: number } | undefined;
  #inPage = 0;

  constructor(path: string, random: () => number) {
    this.#path = path;
    this.#temporary = `${path}.new`;
    this.#nonce = Math.floor(random() * 2 ** 32);
    this.#fd = openSync(this.#temporary, 'w', 0o600);
  }

  begin(name: string): void {
    this.#endSection();
    this.#open = { name, firstPage: this.#writtenPages + this.#buffered, length: 0 };
  }

  /** Bytes that are left in the current page; content that must not cross a page asks for it. */
  get room(): number {
    return PAGE_CONTENT_BYTES - this.#inPage;
  }

  /** Content of the current section so far, in bytes. */
  get length(): number {
    return this.#open?.length ?? 0;
  }

  write(bytes: Uint8Array): void {
    if (!this.#open) throw new Error('internal: no section is open');
    this.#open.length += bytes.length;
    for (let from = 0; from < bytes.length; ) {
      const take = Math.min(this.room, bytes.length - from);
      this.#buffer.set(bytes.subarray(from, from + take), this.#buffered * PAGE_BYTES + this.#inPage);
      this.#inPage += take;
      from += take;
      if (this.#inPage === PAGE_CONTENT_BYTES) this.#endPage();
    }
  }

  writeWords(words: Uint32Array): void {
    this.write(new Uint8Array(words.buffer, words.byteOffset, words.byteLength));
  }

  /** Fills the current page with zeros, which count as content. */
  skipToPage(): void {
    if (this.#inPage > 0) this.write(new Uint8Array(this.room));
  }

  finish(meta: Json, durable: 'synced' | 'not synced'): void {
    this.#endSection();
    this.#flush();
    const sections = Object.entries(this.#sections).map(([name, { firstPage, length }]) => ({
      name,
      firstPage,
      length,
    }));
    const header = serializeUtf8(
      JSON.stringify({ format: FORMAT, nonce: this.#nonce, pages: this.#writtenPages, sections, meta }),
    );
    if (header.length > PAGE_CONTENT_BYTES) throw new Error('internal: the first page overflows');
    const page = new Uint8Array(PAGE_BYTES);
    page.set(header);
    seal(page, 0, 0);
    writeSync(this.#fd, page, 0, PAGE_BYTES, 0);
    if (durable === 'synced') fsyncSync(this.#fd);
    closeSync(this.#fd);
    renameSync(this.#temporary, this.#path);
  }

  abandon(): void {
    closeSync(this.#fd);
    unlinkSync(this.#temporary);
  }

  #endSection(): void {
    if (this.#inPage > 0) this.#endPage();
    if (!this.#open) return;
    const { name, firstPage, length } = this.#open;
    this.#sections[name] = { firstPage, length };
    this.#open = undefined;
  }

  #endPage(): void {
    const from = this.#buffered * PAGE_BYTES;
    const page = this.#buffer.subarray(from, from + PAGE_BYTES);
    page.fill(0, this.#inPage, PAGE_CONTENT_BYTES);
    seal(page, this.#writtenPages + this.#buffered, this.#nonce);
    this.#buffered++;
    this.#inPage = 0;
    if (this.#buffered === WRITE_PAGES) this.#flush();
  }

  #flush(): void {
    let from = 0;
    const end = this.#buffered * PAGE_BYTES;
    while (from < end) {
      from += writeSync(this.#fd, this.#buffer, from, end - from, this.#writtenPages * PAGE_BYTES + from);
    }
    this.#writtenPages += this.#buffered;
    this.#buffered = 0;
  }
}

/** A file that PagedFileWriter left. Every page is checked when it is read. Errors: DamagedFile. */
export class PagedFile {
  readonly meta: Fields;
  readonly #path: string;
  readonly #fd: number;
  readonly #nonce: number;
  readonly #pages: number;
  readonly #sections = new Map<string, Section>();

  constructor(path: string) {
    this.#path = path;
    try {
      this.#fd = openSync(path, 'r');
    } catch (cause) {
      throw new DamagedFile(path, 'it cannot be opened', cause);
    }
    try {
      const { size } = fstatSync(this.#fd);
      this.#nonce = 0;
      this.#pages = 1;
      const text = parseUtf8(this.readPage(0));
      const header = new Fields(parseJson(text.slice(0, text.indexOf('\0'))), '', 'FIELD_INVALID');
      if (header.string('format') !== FORMAT) throw new DamagedFile(path, 'it has another format');
      this.#nonce = integer(header, 'nonce');
      this.#pages = integer(header, 'pages');
      if (size !== this.#pages * PAGE_BYTES) throw new DamagedFile(path, 'it is cut');
      for (const section of header.objects('sections', 16)) {
        const found = { firstPage: integer(section, 'firstPage'), length: integer(section, 'length') };
        if (found.firstPage + Math.ceil(found.length / PAGE_CONTENT_BYTES) > this.#pages) {
          throw new DamagedFile(path, 'it has a section beyond its end');
        }
        this.#sections.set(section.string('name'), found);
      }
      this.meta = header.object('meta');
    } catch (cause) {
      this.close();
      throw cause instanceof DamagedFile ? cause : new DamagedFile(path, 'its first page cannot be read', cause);
    }
  }

  section(name: string): Section {
    const section = this.#sections.get(name);
    if (!section) throw new DamagedFile(this.#path, `there is no section ${name}`);
    return section;
  }

  /** The content of a page, a copy of its own if no buffer of PAGE_BYTES is given. */
  readPage(page: number, into = new Uint8Array(PAGE_BYTES)): Uint8Array {
    if (!(page >= 0 && page < this.#pages)) throw new DamagedFile(this.#path, `there is no page ${page}`);
    let read: number;
    try {
      read = readSync(this.#fd, into, 0, PAGE_BYTES, page * PAGE_BYTES);
    } catch (cause) {
      throw new DamagedFile(this.#path, `page ${page} cannot be read`, cause);
    }
    if (read !== PAGE_BYTES || checksumIn(into) !== checksumOf(into, page, page === 0 ? 0 : this.#nonce)) {
      throw new DamagedFile(this.#path, `page ${page} is damaged`);
    }
    return into.subarray(0, PAGE_CONTENT_BYTES);
  }

  /** The whole content of a section as 32-bit numbers. */
  readWords(name: string): Uint32Array {
    const { firstPage, length } = this.section(name);
    const words = new Uint32Array(Math.ceil(length / PAGE_CONTENT_BYTES) * PAGE_CONTENT_WORDS);
    const bytes = new Uint8Array(words.buffer);
    const buffer = new Uint8Array(PAGE_BYTES);
    for (let at = 0; at < length; at += PAGE_CONTENT_BYTES) {
      bytes.set(this.readPage(firstPage + at / PAGE_CONTENT_BYTES, buffer), at);
    }
    return words.subarray(0, length / 4);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

// The nonce and the number of the page are in the checksum, so that a page of another file or place does not pass.
function checksumOf(page: Uint8Array, number: number, nonce: number): number {
  return (Bun.hash.crc32(page.subarray(0, PAGE_CONTENT_BYTES)) ^ Math.imul(number + 1, 0x9e3779b1) ^ nonce) >>> 0;
}

function checksumIn(page: Uint8Array): number {
  return new DataView(page.buffer, page.byteOffset).getUint32(PAGE_CONTENT_BYTES, true);
}

function seal(page: Uint8Array, number: number, nonce: number): void {
  new DataView(page.buffer, page.byteOffset).setUint32(PAGE_CONTENT_BYTES, checksumOf(page, number, nonce), true);
}

function integer(fields: Fields, key: string): number {
  const value = fields.optionalInteger(key, 0, Number.MAX_SAFE_INTEGER);
  if (value === undefined) throw fields.fail(key, 'missing');
  return value;
}
