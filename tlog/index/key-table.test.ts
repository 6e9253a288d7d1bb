import { describe, expect, test } from 'bun:test';
import { KeyTable } from './key-table.ts';

describe('KeyTable', () => {
  test.each([
    ['different', 2 ** 32],
    ['often equal', 3],
    ['all equal', 1],
  ])('finds keys that are %s as a map does, while it grows', (_, halves) => {
    const table = new KeyTable(20_000, { high: 7, low: 11 });
    const map = new Map<string, number[]>();
    const half = () => Math.floor(Math.random() * halves);
    const count = halves > 3 ? 20_000 : 2_000;
    for (let place = 0; place < count; place++) {
      const key = { high: half(), low: half() };
      const name = `${key.high} ${key.low}`;
      map.set(name, [...(map.get(name) ?? []), place]);
      table.add(key);
    }
    expect(table.size).toBe(count);
    for (const [name, places] of map) {
      const [high, low] = name.split(' ').map(Number) as [number, number];
      expect(table.find({ high, low })).toEqual(places);
      expect(table.find({ high, low: low ^ 0x1000 }).length).toBe(map.get(`${high} ${low ^ 0x1000}`)?.length ?? 0);
    }
  });

  test('refuses more than its capacity', () => {
    const table = new KeyTable(1, { high: 0, low: 0 });
    table.add({ high: 1, low: 1 });
    expect(() => table.add({ high: 2, low: 2 })).toThrow('full');
  });
});
