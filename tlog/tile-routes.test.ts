import { expect, test } from 'bun:test';
import { createBudget } from '../core/http/admission.ts';
import { MAX_TILE_ENTRY_BYTES } from '../core/limits.ts';
import { parseEntryBundle } from '../core/merkle/tile.ts';
import type { LogReader } from './log-reader.ts';
import { tileRoutes } from './tile-routes.ts';

test('a bundle whose reader does not read is neither read from the store nor in memory whole', async () => {
  const asked: bigint[] = [];
  const body = new Uint8Array(MAX_TILE_ENTRY_BYTES);
  const log = {
    head: () => ({ treeSize: 256n }),
    entries: async (start: bigint, end: bigint) => {
      asked.push(start);
      return Array.from({ length: Number(end - start) }, () => ({ body }));
    },
  } as unknown as LogReader;
  const budget = createBudget(64 * 1024 * 1024);
  const route = tileRoutes(log).find(({ name }) => name === '/tile/{path}');
  const request = new Request('http://log.example/tile/entries/000');
  const peer = {
    address: '192.0.2.7',
    loopback: false,
    reserveAnswer: (bytes: number) => budget.reserve(bytes, undefined),
  };
  const answer = await route?.answer(request, new URL(request.url), ['tile/entries/000'], peer);
  await Bun.sleep(0);
  expect(asked).toEqual([0n]);
  expect(budget.reserved()).toBe(8 * (2 + MAX_TILE_ENTRY_BYTES));
  expect(answer?.headers.get('cache-control')).toContain('immutable');
  expect(parseEntryBundle(new Uint8Array((await answer?.arrayBuffer()) as ArrayBuffer))).toHaveLength(256);
  expect(budget.reserved()).toBe(0);
});
