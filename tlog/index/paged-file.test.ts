import { afterAll, describe, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DamagedFile, PAGE_CONTENT_BYTES, PagedFile, PagedFileWriter } from './paged-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'hallmark-paged-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'file.idx');

function writeTwoSections(at = path, numbers = 3000): Uint32Array {
  const words = Uint32Array.from({ length: numbers }, (_, i) => i * 2_654_435_761);
  const writer = new PagedFileWriter(at, Math.random);
  writer.begin('text');
  writer.write(Buffer.from('hello'));
  writer.skipToPage();
  writer.write(Buffer.from('world'));
  writer.begin('words');
  writer.writeWords(words);
  writer.finish({ name: 'a' }, 'synced');
  return words;
}

/** Opens and reads all there is. */
function readAll(at = path): void {
  const file = new PagedFile(at);
  try {
    file.readWords('words');
    const { firstPage, length } = file.section('text');
    for (let page = 0; page * PAGE_CONTENT_BYTES < length; page++) file.readPage(firstPage + page);
  } finally {
    file.close();
  }
}

describe('a paged file', () => {
  test('gives back what was written', () => {
    const words = writeTwoSections();
    const file = new PagedFile(path);
    expect(file.meta.string('name')).toBe('a');
    expect(file.readWords('words')).toEqual(words);
    const { firstPage, length } = file.section('text');
    expect(length).toBe(PAGE_CONTENT_BYTES + 5);
    expect(Buffer.from(file.readPage(firstPage)).toString('latin1', 0, 6)).toBe('hello\0');
    expect(Buffer.from(file.readPage(firstPage + 1)).toString('latin1', 0, 6)).toBe('world\0');
    expect(() => file.section('other')).toThrow(DamagedFile);
    expect(() => file.readPage(99)).toThrow(DamagedFile);
    file.close();
  });

  test('has no name before it is complete, and leaves nothing when it is abandoned', () => {
    const other = join(folder, 'other.idx');
    const writer = new PagedFileWriter(other, Math.random);
    writer.begin('text');
    writer.write(new Uint8Array(300_000));
    expect(existsSync(other)).toBe(false);
    writer.abandon();
    expect(existsSync(`${other}.new`)).toBe(false);
  });

  test('takes the place of what a crash left half written', () => {
    const other = join(folder, 'crashed.idx');
    writeFileSync(`${other}.new`, 'half');
    writeTwoSections(other);
    readAll(other);
  });

  test('a flipped bit anywhere is noticed', () => {
    writeTwoSections();
    const good = readFileSync(path);
    // The rest of the first page is beyond what is read of it, but under its checksum.
    for (let at = 0; at < good.length; at += 61) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] as number) ^ (1 << (at & 7));
      writeFileSync(path, bad);
      expect(() => readAll()).toThrow(DamagedFile);
    }
    writeFileSync(path, good);
    readAll();
  });

  test('a file that is cut, longer, empty or missing is noticed', () => {
    writeTwoSections();
    const good = readFileSync(path);
    for (const length of [0, 1, 4095, 4096, 8192, good.length - 4096, good.length - 1]) {
      writeFileSync(path, good.subarray(0, length));
      expect(() => readAll()).toThrow(DamagedFile);
    }
    writeFileSync(path, Buffer.concat([good, Buffer.alloc(4096)]));
    expect(() => readAll()).toThrow(DamagedFile);
    rmSync(path);
    expect(() => readAll()).toThrow(DamagedFile);
  });

  test('a page in another place, or of another file, is noticed', () => {
    writeTwoSections();
    const good = readFileSync(path);
    const swapped = Buffer.from(good);
    good.copy(swapped, 4096, 8192, 12_288);
    good.copy(swapped, 8192, 4096, 8192);
    writeFileSync(path, swapped);
    expect(() => readAll()).toThrow(DamagedFile);
    writeTwoSections();
    const foreign = readFileSync(path);
    good.copy(foreign, 4096, 4096, 8192);
    writeFileSync(path, foreign);
    expect(() => readAll()).toThrow(DamagedFile);
  });
});
