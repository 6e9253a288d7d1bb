import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NO_HISTORY } from '../core/instance/shard-history.ts';
import { createMetrics } from '../core/metrics.ts';
import { LOG_KEYS, NOW, testShardKey } from './testing.ts';
import { createTransparencyLog } from './transparency-log.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hallmark-logs-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const start = async (established: readonly ('v1' | 'v2' | 'ct')[], keys: Partial<typeof LOG_KEYS> = LOG_KEYS) => {
  const log = await createTransparencyLog({
    directory,
    established,
    keys: { v1: undefined, v2: undefined, ct: undefined, ...keys },
    ctRoots: [],
    publicUrl: 'http://log.example:8080',
    clock: () => NOW,
    random: (bytes) => new Uint8Array(bytes).fill(0x5a),
    metrics: createMetrics(),
    entryRate: { perMinute: 60, burst: 2 },
    history: NO_HISTORY,
    shardKey: testShardKey,
    onFault: () => {},
    onIndexFault: () => {},
  });
  await log.close();
};
const all = ['v1', 'v2', 'ct'] as const;

test('logs that were opened before are found again', async () => {
  await start([]);
  await start(all);
});

test('a log is not begun a second time: zero-length database', async () => {
  await start([]);
  truncateSync(join(directory, 'log.db'));
  await expect(start(all)).rejects.toMatchObject({ code: 'DATABASE_CORRUPT' });
});

test('a log is not begun a second time: no database', async () => {
  await start([]);
  rmSync(join(directory, 'log.db'));
  await expect(start(all)).rejects.toMatchObject({ code: 'DATABASE_CORRUPT' });
  expect(readdirSync(directory)).toEqual(['log.db-heads']);
});

test('a log is not begun a second time: a database that never held it', async () => {
  await start([], { v1: LOG_KEYS.v1, ct: LOG_KEYS.ct });
  await expect(start(all)).rejects.toMatchObject({
    code: 'DATABASE_CORRUPT',
    message: expect.stringContaining('the log v2'),
  });
  await start(['v1', 'ct']);
});
