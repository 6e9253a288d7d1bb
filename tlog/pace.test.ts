import { expect, test } from 'bun:test';
import { createPace, type Pace } from './pace.ts';

const settled = (...commits: readonly [entries: number, milliseconds: number][]): Pace => {
  const pace = createPace();
  for (let i = 0; i < 200; i++) for (const [entries, milliseconds] of commits) pace.measured(entries, milliseconds);
  return pace;
};

test('commits of different sizes tell what a commit costs and what an entry costs', () => {
  const pace = settled([10, 12], [200, 50], [500, 110]);
  expect(pace.timeFor(100)).toBeWithin(29, 31);
  // Two commits: 2 x 10 ms, and 1000 x 0.2 ms.
  expect(pace.timeFor(1000)).toBeWithin(218, 222);
});

test('small commits tell what a commit costs, and not that entries are slow', () => {
  const pace = settled([1, 20]);
  expect(pace.timeFor(1)).toBeWithin(19, 21);
  expect(pace.timeFor(100)).toBeLessThan(40);
});

test('stalls of the disk are not taken for the cost of entries', () => {
  const pace = settled([120, 10], [140, 12], [100, 9], [130, 250], [110, 11]);
  expect(pace.timeFor(256)).toBeLessThan(300);
});

test('a disk that needs longer for every entry is noticed', () => {
  expect(settled([400, 800], [500, 1000], [450, 900]).timeFor(300)).toBeGreaterThan(500);
  expect(settled([500, 1000]).timeFor(500)).toBeGreaterThan(500);
});

test('a stall is forgotten', () => {
  const pace = settled([1, 1]);
  pace.measured(1, 5000);
  expect(pace.timeFor(1)).toBeGreaterThan(400);
  for (let i = 0; i < 40; i++) pace.measured(1, 1);
  expect(pace.timeFor(1)).toBeLessThan(10);
});

test('more entries take longer, and none takes nothing', () => {
  const pace = createPace();
  expect(pace.timeFor(0)).toBe(0);
  expect(pace.timeFor(4000)).toBeGreaterThan(pace.timeFor(3999));
});
