// 50 times kill -9 at a random moment under load, each followed by a start on the same data. CRASH_SEED=n repeats the moments.
// As in crash.test.ts the kernel's cache survives: this shows that the order of writing and acknowledging is right.
import { afterAll, expect, test } from 'bun:test';
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBrokenPromises, readKeys } from './checker.ts';
import { generator } from './random.ts';
import { startServer } from './server.ts';
import { appendUntilGone, noPromises, watch } from './signing.ts';

const KILLS = 50;
const CLIENTS = 24;
/** All promises are checked after so many kills: a check reads the logs whole. */
const CHECK_EVERY = 10;
const TIMEOUT_MS = 180_000;

const seed = Number(process.env['CRASH_SEED'] ?? randomInt(2 ** 31));
const random = generator(seed);
const directory = mkdtempSync(join(tmpdir(), 'hallmark-kills-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test(
  `${KILLS} times kill -9 under load (CRASH_SEED=${seed})`,
  async () => {
    const data = join(directory, 'data');
    const made = noPromises();
    let server = await startServer(data, '127.0.0.1:0');
    const listen = new URL(server.url).host;
    const keys = await readKeys(server.url);
    const count = (): number => made.v1.length + made.v2.length;
    for (let kill = 1; kill <= KILLS; kill++) {
      const before = count();
      const clients = Array.from({ length: CLIENTS }, () => appendUntilGone(server.url, made));
      const watching = watch({ url: server.url, tokenEndpoint: '' }, made);
      await Bun.sleep(5 + random() * 250);
      await server.kill();
      await Promise.all([...clients, watching]);
      const answered = count() - before;
      server = await startServer(data, listen);
      if (kill % CHECK_EVERY > 0) continue;
      expect(await findBrokenPromises(server.url, keys, made)).toEqual([]);
      console.log(`${kill} kills, the last one after ${answered} answers: ${count()} promises are kept`);
    }
    expect(count()).toBeGreaterThan(KILLS);
    expect(await server.stop()).toBe(0);
  },
  TIMEOUT_MS,
);
