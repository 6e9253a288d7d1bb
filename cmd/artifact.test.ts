import { describe, expect, test } from 'bun:test';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { concat } from '../core/bytes/bytes.ts';
import { digest } from '../core/crypto/hash.ts';
import { parseDigestReference, readArtifact } from './artifact.ts';

const ABC = new TextEncoder().encode('abc');

function inFolder<T>(use: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'hallmark-artifact-'));
  try {
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('digest references', () => {
  test('each hash by its name', () => {
    for (const hash of ['sha256', 'sha384', 'sha512'] as const) {
      const reference = `${hash}:${Buffer.from(digest(hash, ABC)).toString('hex')}`;
      expect(parseDigestReference(reference)).toEqual({ hash, digest: digest(hash, ABC) });
      expect(readArtifact(reference, ['sha256'])).toEqual({ digests: { [hash]: digest(hash, ABC) } });
    }
  });

  test('file names are none', () => {
    for (const name of ['a.txt', '-', './sha256:00', 'sha1:00', 'SHA256:00', 'C:\\sha256:00']) {
      expect(parseDigestReference(name)).toBeUndefined();
    }
  });

  test.each([
    'sha256:',
    'sha256:zz',
    `sha256:${'0'.repeat(63)}`,
    `sha256:${'A'.repeat(64)}`,
    `sha512:${'0'.repeat(64)}`,
  ])('malformed: %s', (reference) => {
    expect(() => parseDigestReference(reference)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});

describe('files', () => {
  test('all hashes in one pass, and the bytes again when they are asked for', () => {
    inFolder((folder) => {
      const path = join(folder, 'abc');
      writeFileSync(path, ABC);
      const artifact = readArtifact(path, ['sha256', 'sha512']);
      expect(artifact.digests).toEqual({ sha256: digest('sha256', ABC), sha512: digest('sha512', ABC) });
      expect(concat(...[...(artifact.chunks?.() ?? [])].map((chunk) => chunk.slice()))).toEqual(ABC);
    });
  });

  test('a large file in constant memory', () => {
    inFolder((folder) => {
      const path = join(folder, 'large');
      const fd = openSync(path, 'w');
      ftruncateSync(fd, 256 * 1024 * 1024);
      closeSync(fd);
      const before = process.memoryUsage().rss;
      readArtifact(path, ['sha256']);
      expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
    });
  });

  test('missing, or a folder', () => {
    inFolder((folder) => {
      const missing = join(folder, 'missing');
      expect(() => readArtifact(missing, ['sha256'])).toThrow(expect.objectContaining({ code: 'INPUT_MISSING' }));
      expect(() => readArtifact(folder, ['sha256'])).toThrow(expect.objectContaining({ code: 'INPUT_UNREADABLE' }));
    });
  });
});
