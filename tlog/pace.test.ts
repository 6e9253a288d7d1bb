import { expect, test } from 'bun:test';
import { createPace } from './pace.ts';

const settled = (entries: number, milliseconds: number) => {
  const pace = createPace();
  for (let i = 0; i < 50; i++) pace.measured(entries, milliseconds);
  return pace;
};

test('large commits tell what an entry costs', () => {
  expect(settled(500, 50).timeFor(1000)).toBeWithin(100, 130);
});

test('small commits tell what a commit costs, and not that entries are slow', () => {
  const pace = settled(1, 20);
  expect(pace.timeFor(1)).toBeWithin(19, 21);
  expect(pace.timeFor(100)).toBeLessThan(40);
});

test('a stall is forgotten', () => {
  const pace = settled(1, 1);
  pace.measured(1, 2000);
  expect(pace.timeFor(1)).toBeGreaterThan(300);
  for (let i = 0; i < 20; i++) pace.measured(1, 1);
  expect(pace.timeFor(1)).toBeLessThan(10);
});

test('more entries take longer, and none takes nothing', () => {
  const pace = createPace();
  expect(pace.timeFor(0)).toBe(0);
  expect(pace.timeFor(4000)).toBeGreaterThan(pace.timeFor(3999));
});
