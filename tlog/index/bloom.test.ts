import { describe, expect, test } from 'bun:test';
import { BloomFilter } from './bloom.ts';

const randomKey = () => ({ high: Math.floor(Math.random() * 2 ** 32), low: Math.floor(Math.random() * 2 ** 32) });

describe('BloomFilter', () => {
  test('knows every key that it was given, also after it was stored', () => {
    const keys = Array.from({ length: 5000 }, randomKey);
    const filter = BloomFilter.forKeys(keys.length);
    for (const key of keys) filter.add(key);
    const again = new BloomFilter(filter.words.slice());
    expect(keys.filter((key) => !again.mayHave(key))).toEqual([]);
  });

  test('takes less than one absent key in 50 for present', () => {
    const filter = BloomFilter.forKeys(20_000);
    for (let i = 0; i < 20_000; i++) filter.add(randomKey());
    let taken = 0;
    for (let i = 0; i < 20_000; i++) if (filter.mayHave(randomKey())) taken++;
    // Expected are 130.
    expect(taken).toBeLessThan(400);
    expect(taken).toBeGreaterThan(0);
  });

  test('has room for no key at all', () => {
    expect(BloomFilter.forKeys(0).mayHave({ high: 2 ** 32 - 1, low: 0 })).toBe(false);
  });

  test('refuses words that are no filter', () => {
    expect(() => new BloomFilter(new Uint32Array(0))).toThrow('odd size');
    expect(() => new BloomFilter(new Uint32Array(17))).toThrow('odd size');
  });
});
