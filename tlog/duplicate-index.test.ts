import { afterAll, describe, expect, test } from 'bun:test';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { concat, serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { createDuplicateIndex, type DuplicateIndex, type DuplicateIndexOptions } from './duplicate-index.ts';
import { DuplicateSegment, type SealJob, sealDuplicates } from './index/duplicate-segment.ts';
import { fingerprintOf } from './index/rows.ts';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hallmark-duplicates-'));
  folders.push(folder);
  return folder;
}

const SEGMENT = 16;
const hashOf = (text: string | number): Uint8Array => sha256(serializeUtf8(`${text}`));
/** Six bits, so that every key is that of many entries. */
const weak = (hash: Uint8Array) => ({ high: (hash[0] as number) & 7, low: (hash[1] as number) & 7 });

/** A log of hashes, and an index over it. */
function openIndex(log: Uint8Array[], directory: string | undefined, options: Partial<DuplicateIndexOptions> = {}) {
  const faults: unknown[] = [];
  const counts = { sealed: 0, read: 0 };
  const index = createDuplicateIndex({
    name: 'v1',
    read: async (start, end) => {
      counts.read += Number(end - start);
      return concat(...log.slice(Number(start), Number(end)));
    },
    rootAt: async (size) => sha256(concat(...log.slice(0, Number(size)))),
    files: directory
      ? {
          directory,
          seal: async (job) => {
            await new Promise((resolve) => setImmediate(resolve));
            counts.sealed++;
            sealDuplicates(job);
          },
          onFault: (error) => faults.push(error),
        }
      : undefined,
    segmentEntries: SEGMENT,
    ...options,
  });
  return { index, faults, counts };
}

function grow(log: Uint8Array[], index: DuplicateIndex, count: number, salt = ''): void {
  const first = log.length;
  const hashes = Array.from({ length: count }, (_, i) => hashOf(salt + (first + i)));
  log.push(...hashes);
  index.add(BigInt(first), hashes);
}

async function expectExact(log: readonly Uint8Array[], index: DuplicateIndex): Promise<void> {
  expect(await index.find(log)).toEqual(log.map((_, i) => BigInt(i)));
  const absent = Array.from({ length: 50 }, (_, i) => hashOf(`absent ${i}`));
  expect(await index.find(absent)).toEqual(absent.map(() => undefined));
}

/** The log of `size` entries with all full segments sealed and closed. */
async function sealedLog(size: number): Promise<{ log: Uint8Array[]; directory: string }> {
  const log: Uint8Array[] = [];
  const directory = join(newFolder(), 'index');
  const { index } = openIndex(log, directory);
  await index.catchUp(0n);
  grow(log, index, size);
  await index.close();
  return { log, directory };
}

describe('the duplicate index', () => {
  test.each([
    ['with real fingerprints', fingerprintOf],
    ['with fingerprints that collide', weak],
    ['with one fingerprint for all', () => ({ high: 1, low: 2 })],
  ])('answers as a map does while it grows, %s', async (_, fingerprint) => {
    for (const directory of [undefined, newFolder()]) {
      const log: Uint8Array[] = [];
      const { index, faults } = openIndex(log, directory, { fingerprint });
      await index.catchUp(0n);
      for (const count of [0, 1, 2, 14, 15, 16, 17, 40, 3]) {
        grow(log, index, count);
        await expectExact(log, index);
      }
      expect(faults).toEqual([]);
      await index.close();
    }
  });

  test('answers with the lowest of several entries with one hash', async () => {
    const log: Uint8Array[] = [];
    const { index } = openIndex(log, newFolder());
    await index.catchUp(0n);
    grow(log, index, 20);
    index.add(20n, [hashOf(3), hashOf(19)]);
    log.push(hashOf(3), hashOf(19));
    expect(await index.find([hashOf(3), hashOf(19)])).toEqual([3n, 19n]);
    await index.close();
  });

  test('finds entries while their segment is being sealed, and those that come meanwhile', async () => {
    const log: Uint8Array[] = [];
    const directory = newFolder();
    const gate = Promise.withResolvers<void>();
    const { index } = openIndex(log, undefined, {
      files: {
        directory,
        seal: async (job: SealJob) => {
          await gate.promise;
          sealDuplicates(job);
        },
        onFault: (error) => {
          throw error;
        },
      },
    });
    await index.catchUp(0n);
    grow(log, index, 3 * SEGMENT + 5);
    await expectExact(log, index);
    const asked = expectExact([...log], index);
    gate.resolve();
    grow(log, index, 30);
    await asked;
    await expectExact(log, index);
    await index.close();
    expect(readdirSync(directory).sort()).toEqual([0, 1, 2, 3, 4].map((n) => `v1-${n}.idx`));
  });

  test('reads only the newest entries again after a restart', async () => {
    const { log, directory } = await sealedLog(5 * SEGMENT + 3);
    const { index, faults, counts } = openIndex(log, directory);
    await index.catchUp(BigInt(log.length));
    expect(counts).toEqual({ sealed: 0, read: 3 });
    await expectExact(log, index);
    grow(log, index, 40);
    await expectExact(log, index);
    expect(faults).toEqual([]);
    await index.close();
  });

  test('a log that grew without the index is caught up with', async () => {
    const { log, directory } = await sealedLog(2 * SEGMENT);
    for (let i = 0; i < 50; i++) log.push(hashOf(`more ${i}`));
    const { index } = openIndex(log, directory);
    await index.catchUp(BigInt(log.length));
    await expectExact(log, index);
    log.push(hashOf('one more'));
    await index.catchUp(BigInt(log.length));
    await expectExact(log, index);
    await index.close();
  });

  test('refuses entries out of order', async () => {
    const { index } = openIndex([], undefined);
    await index.catchUp(0n);
    expect(() => index.add(1n, [hashOf(1)])).toThrow('out of order');
  });

  test('files that are lost are made again', async () => {
    const { log, directory } = await sealedLog(4 * SEGMENT + 1);
    const before = readdirSync(directory);
    rmSync(directory, { recursive: true });
    const { index, faults } = openIndex(log, directory);
    await index.catchUp(BigInt(log.length));
    await expectExact(log, index);
    await index.close();
    expect(faults.length).toBe(4);
    expect(readdirSync(directory)).toEqual(before);
    const again = openIndex(log, directory);
    await again.index.catchUp(BigInt(log.length));
    expect(again.faults).toEqual([]);
    await again.index.close();
  });

  test('what a crash leaves at each step of sealing is noticed and made again', async () => {
    const { log, directory } = await sealedLog(3 * SEGMENT);
    const path = join(directory, 'v1-1.idx');
    const good = readFileSync(path);
    const flip = (at: number) => {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] as number) ^ 4;
      return bad;
    };
    const crashes: [string, () => void][] = [
      ['nothing was written', () => rmSync(path)],
      ['an empty file', () => writeFileSync(path, '')],
      ['not yet renamed', () => renameSync(path, `${path}.new`)],
      [
        'half written, not renamed',
        () => {
          rmSync(path);
          writeFileSync(`${path}.new`, good.subarray(0, 5000));
        },
      ],
      ['renamed, but its end was lost', () => writeFileSync(path, good.subarray(0, good.length - 4096))],
      [
        'renamed, but a page holds zeros',
        () => {
          const bad = Buffer.from(good);
          bad.fill(0, 4096, 8192);
          writeFileSync(path, bad);
        },
      ],
      ['a flipped bit in the first page', () => writeFileSync(path, flip(20))],
      ['a flipped bit in the rows', () => writeFileSync(path, flip(4100))],
      ['a flipped bit in the filter', () => writeFileSync(path, flip(good.length - 200))],
      ['the file of another segment', () => writeFileSync(path, readFileSync(join(directory, 'v1-2.idx')))],
      [
        'a folder in its place',
        () => {
          rmSync(path);
          mkdirSync(path);
        },
      ],
    ];
    for (const [name, crash] of crashes) {
      rmSync(path, { recursive: true, force: true });
      writeFileSync(path, good);
      crash();
      const { index, faults } = openIndex(log, directory);
      await index.catchUp(BigInt(log.length));
      await expectExact(log, index);
      expect([name, faults.length]).toEqual([name, name.startsWith('a folder') ? 2 : 1]);
      await index.close();
      if (!name.startsWith('a folder')) expect(existsSync(path)).toBe(true);
    }
  });

  test('damage that shows while the index is in use is repaired before the answer', async () => {
    const { log, directory } = await sealedLog(3 * SEGMENT);
    const { index, faults, counts } = openIndex(log, directory);
    await index.catchUp(BigInt(log.length));
    const path = join(directory, 'v1-1.idx');
    // In place, as the index holds the file open; twice at once, as several may notice it.
    const bytes = readFileSync(path);
    bytes[4200] = (bytes[4200] as number) ^ 1;
    writeFileSync(path, bytes);
    await Promise.all([expectExact(log, index), expectExact(log, index)]);
    expect(faults.length).toBe(1);
    await index.close();
    expect(counts.sealed).toBe(1);
    const again = openIndex(log, directory);
    await again.index.catchUp(BigInt(log.length));
    expect(again.faults).toEqual([]);
    await again.index.close();
  });

  test('the files of a fork, or of a longer log than a restored one, are not trusted', async () => {
    const { log, directory } = await sealedLog(4 * SEGMENT);
    const shorter = log.slice(0, 2 * SEGMENT + 3);
    shorter.push(...Array.from({ length: 2 * SEGMENT }, (_, i) => hashOf(`fork ${i}`)));
    const { index, faults } = openIndex(shorter, directory);
    await index.catchUp(BigInt(shorter.length));
    await expectExact(shorter, index);
    expect(await index.find([log[3 * SEGMENT] as Uint8Array])).toEqual([undefined]);
    expect(faults.length).toBe(2);
    await index.close();
  });

  test('a disk that takes no file costs memory and no answer', async () => {
    const log: Uint8Array[] = [];
    const faults: unknown[] = [];
    const { index } = openIndex(log, undefined, {
      files: {
        directory: newFolder(),
        seal: async () => {
          throw new Error('no space left');
        },
        onFault: (error) => faults.push(error),
      },
    });
    await index.catchUp(0n);
    grow(log, index, 3 * SEGMENT);
    await expectExact(log, index);
    await index.close();
    expect(faults.length).toBeGreaterThan(0);
  });

  test('an error of the log reaches the one who asks', async () => {
    const log: Uint8Array[] = [];
    let broken = false;
    const { index } = openIndex(log, undefined, {
      read: async (start, end) => {
        if (broken) throw new Error('the disk is gone');
        return concat(...log.slice(Number(start), Number(end)));
      },
    });
    await index.catchUp(0n);
    grow(log, index, 3);
    broken = true;
    await expect(index.find([hashOf(1)])).rejects.toThrow('the disk is gone');
    expect(await index.find([hashOf('absent')])).toEqual([undefined]);
    broken = false;
    expect(await index.find([hashOf(1)])).toEqual([1n]);
  });
});

describe('DuplicateSegment', () => {
  test('finds every key and, of 20,000 that are absent, none', () => {
    const path = join(newFolder(), 'v1-0.idx');
    const hashes = Array.from({ length: 5000 }, (_, i) => hashOf(i));
    const keys = Uint32Array.from(
      hashes.flatMap((hash) => {
        const { high, low } = fingerprintOf(hash);
        return [high, low];
      }),
    );
    const segment = { name: 'v1', start: 0, end: 5000, rootHash: serializeHex(hashOf('root')) };
    sealDuplicates({ path, segment, keys });
    const file = new DuplicateSegment(path, segment);
    for (const [place, hash] of hashes.entries()) expect(file.find(fingerprintOf(hash))).toEqual([place]);
    for (let i = 0; i < 20_000; i++) expect(file.find(fingerprintOf(hashOf(`absent ${i}`)))).toEqual([]);
    file.close();
    expect(() => new DuplicateSegment(path, { ...segment, start: 1, end: 5001 })).toThrow('another log');
  });
});
