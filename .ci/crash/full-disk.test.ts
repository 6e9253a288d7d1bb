// A disk that is full: nothing that was acknowledged is lost, what cannot be stored is refused with 503, readers are served, and
// the server goes on by itself once there is room. On a small file system of its own where this user may mount one; and with
// a limit on the size of files, which any user may set and which the server cannot outlive without a restart.
import { afterAll, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBrokenPromises, readKeys } from './checker.ts';
import { ask } from './http.ts';
import { startServer } from './server.ts';
import { appendUntilGone, noPromises, type Promises } from './signing.ts';

const CLIENTS = 16;
const TIMEOUT_MS = 60_000;

const directory = mkdtempSync(join(tmpdir(), 'hallmark-full-'));
const mounted = join(directory, 'disk');
mkdirSync(mounted);
const mount = Bun.spawnSync(['mount', '-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', mounted]);
afterAll(() => {
  if (mount.success) Bun.spawnSync(['umount', mounted]);
  rmSync(directory, { recursive: true, force: true });
});

/** Appends until so many entries in a row were refused. */
async function appendUntilFull(url: string, made: Promises): Promise<void> {
  let refusedInARow = 0;
  const clients = Array.from({ length: CLIENTS }, async () => {
    while (refusedInARow < 3 * CLIENTS) {
      let asked = 0;
      const { refused } = await appendUntilGone(url, made, () => asked++ > 0);
      refusedInARow = refused > 0 ? refusedInARow + 1 : 0;
    }
  });
  await Promise.all(clients);
}

async function expectReadable(url: string): Promise<void> {
  for (const path of ['/api/v1/log', '/api/v1/log/entries?logIndex=0', '/api/v2/checkpoint', '/healthz']) {
    expect((await ask(`${url}${path}`)).status).toBe(200);
  }
}

describe('a disk that is full', () => {
  test.skipIf(!mount.success && process.env['CI'] !== 'true')(
    'is survived, and used again when there is room',
    async () => {
      // In CI this fails instead of being skipped; and what is not a disk of its own must not be filled.
      expect(mount.success).toBe(true);
      const data = join(mounted, 'data');
      const made = noPromises();
      let server = await startServer(data, '127.0.0.1:0');
      const keys = await readKeys(server.url);
      const ballast = join(mounted, 'ballast');
      const { bavail, bsize } = statfsSync(mounted);
      writeFileSync(ballast, Buffer.alloc(bavail * bsize - 2_000_000));
      await appendUntilFull(server.url, made);
      const acknowledged = made.v2.length;
      expect(acknowledged).toBeGreaterThan(0);
      await expectReadable(server.url);
      expect(await findBrokenPromises(server.url, keys, made)).toEqual([]);

      rmSync(ballast);
      let rounds = 0;
      await appendUntilGone(server.url, made, () => rounds++ >= 20);
      expect(made.v2.length).toBeGreaterThanOrEqual(acknowledged + 10);
      expect(await findBrokenPromises(server.url, keys, made)).toEqual([]);
      await server.kill();
      server = await startServer(data, new URL(server.url).host);
      expect(await findBrokenPromises(server.url, keys, made)).toEqual([]);
      expect(await server.stop()).toBe(0);
    },
    TIMEOUT_MS,
  );

  test(
    'to one file, as a limit has it, loses nothing over a restart',
    async () => {
      const data = join(directory, 'limited');
      const made = noPromises();
      // In blocks of 512 or 1024 bytes: the write-ahead log reaches it after some hundred commits.
      let server = await startServer(data, '127.0.0.1:0', { fileBlocks: 2048 });
      const keys = await readKeys(server.url);
      await appendUntilFull(server.url, made);
      expect(made.v2.length).toBeGreaterThan(0);
      await expectReadable(server.url);
      await server.kill();
      server = await startServer(data, new URL(server.url).host);
      expect(await findBrokenPromises(server.url, keys, made)).toEqual([]);
      const before = made.v2.length;
      let rounds = 0;
      await appendUntilGone(server.url, made, () => rounds++ >= 10);
      expect(made.v2.length).toBe(before + 10);
      expect(await findBrokenPromises(server.url, keys, made)).toEqual([]);
      expect(await server.stop()).toBe(0);
    },
    TIMEOUT_MS,
  );
});
