import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PagedFile, PagedFileWriter } from './paged-file.ts';
import { SortedRows, SortedRowsWriter } from './sorted-rows.ts';

const folder = mkdtempSync(join(tmpdir(), 'hallmark-rows-'));
afterAll(() => rmSync(folder, { recursive: true }));

type Row = readonly [number, number, number];
const compare = (a: Row, b: Row) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2];

function write(rows: readonly Row[]): SortedRows {
  const path = join(folder, `${Math.random()}.idx`);
  const writer = new PagedFileWriter(path, Math.random);
  const sorted = new SortedRowsWriter(writer, 'rows');
  for (const row of rows) sorted.add(...row);
  sorted.end();
  writer.finish({}, 'not synced');
  return new SortedRows(new PagedFile(path), 'rows');
}

describe('sorted rows in a file', () => {
  test.each([
    [0, 10],
    [1, 10],
    [341, 4],
    [342, 4],
    [5000, 3],
    [5000, 2 ** 32],
  ])('finds in %d rows of %d different halves what a scan finds', (count, halves) => {
    const half = () => Math.floor(Math.random() * halves);
    const rows = Array.from({ length: count }, (_, place): Row => [half(), half(), place]).sort(compare);
    const file = write(rows);
    expect(file.count).toBe(count);
    const wanted = [...rows.filter((_, i) => i % 17 === 0), [half(), half(), 4] as const, [2 ** 32 - 1, 0, 0] as const];
    for (const row of wanted) {
      for (const place of [0, row[2], row[2] + 1, 2 ** 32 - 1]) {
        const scanned = rows.findIndex((other) => compare(other, [row[0], row[1], place]) >= 0);
        const found = file.lowerBound(row[0], row[1], place);
        expect(found).toBe(scanned < 0 ? count : scanned);
        const there = rows[found];
        const same = there?.[0] === row[0] && there[1] === row[1];
        expect(file.placeIf(found, row[0], row[1])).toBe(same ? there[2] : -1);
      }
    }
    expect(file.placeIf(-1, 0, 0)).toBe(-1);
    expect(file.placeIf(count, 0, 0)).toBe(-1);
    const copied = new Uint32Array(3);
    for (const [i, row] of rows.entries()) {
      if (i % 100 !== 0) continue;
      file.copy(i, copied);
      expect([...copied]).toEqual([...row]);
    }
  });
});
