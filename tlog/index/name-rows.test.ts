import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAX_NAME_BYTES, NameRows, NameRowsWriter } from './name-rows.ts';
import { PagedFile, PagedFileWriter } from './paged-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'hallmark-names-'));
afterAll(() => rmSync(folder, { recursive: true }));

type Named = { name: Buffer; places: number[] };

function write(names: readonly Named[]): NameRows {
  const path = join(folder, `${Math.random()}.idx`);
  const writer = new PagedFileWriter(path, Math.random);
  const rows = new NameRowsWriter(writer, 'names');
  for (const { name, places } of names.toSorted((a, b) => Buffer.compare(a.name, b.name))) {
    rows.begin(name);
    for (const place of places) rows.place(place);
  }
  rows.end();
  writer.finish({}, 'not synced');
  return new NameRows(new PagedFile(path), 'names');
}

function randomNames(count: number, longest: number): Named[] {
  const names = new Map<string, Named>();
  for (let i = 0; i < count; i++) {
    const length = 1 + Math.floor(Math.random() * longest);
    const name = Buffer.from(Array.from({ length }, () => (Math.random() < 0.8 ? 0x61 : 0x62 + (i % 3))));
    names.set(name.toString(), { name, places: Array.from({ length: 1 + (i % 3) }, (_, p) => i * 3 + p) });
  }
  return [...names.values()];
}

describe('names in a file', () => {
  test.each([
    [0, 10],
    [1, MAX_NAME_BYTES],
    [2000, 12],
    [60, MAX_NAME_BYTES],
  ])('the places under a prefix are those that a scan finds, of %d names of up to %d bytes', (count, longest) => {
    const names = randomNames(count, longest);
    const rows = write(names);
    const prefixes = ['', 'a', 'b', 'aa', 'aaab', 'ab', 'c', 'd', '\0', '\u00ff', ...names.map(({ name }) => name)];
    for (const prefix of [...prefixes, ...names.map(({ name }) => name.subarray(0, 3))]) {
      const wanted = Buffer.from(prefix);
      const { from, to } = rows.range(wanted);
      const found = Array.from({ length: Math.max(0, to - from) }, (_, i) => rows.places.at(from + i));
      const scanned = names.filter(({ name }) => name.subarray(0, wanted.length).equals(wanted));
      expect(found.toSorted((a, b) => a - b)).toEqual(scanned.flatMap(({ places }) => places).sort((a, b) => a - b));
    }
  });

  test('all names come back in their order with their places', () => {
    const names = randomNames(1000, 300);
    const rows = write(names);
    const read = [...rows.names()].map(({ name, first, end }) => ({
      name: Buffer.from(name) as Buffer,
      places: Array.from({ length: end - first }, (_, i) => rows.places.at(first + i)),
    }));
    expect(read).toEqual(names.toSorted((a, b) => Buffer.compare(a.name, b.name)));
  });
});
