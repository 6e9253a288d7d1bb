import { describe, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createIndexThread } from './thread.ts';

const segment = { name: 'v1', start: 0, end: 2, rootHash: '00' };

describe('the thread of the indexes', () => {
  test('does what it is asked for, says what failed, and ends after what was asked', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hallmark-thread-'));
    const thread = createIndexThread();
    const path = join(folder, 'a.idx');
    const keys = new Uint32Array(4);
    await expect(
      thread.run('sealDuplicates', [{ path: join(folder, 'none', 'a.idx'), segment, keys }]),
    ).rejects.toThrow('ENOENT');
    const sealed = thread.run('sealDuplicates', [{ path, segment, keys }]);
    await thread.close();
    await sealed;
    expect(existsSync(path)).toBe(true);
    expect(thread.starts).toBe(1);
    await thread.run('sealDuplicates', [{ path, segment, keys }]);
    expect(thread.starts).toBe(2);
    await thread.close();
    rmSync(folder, { recursive: true });
  });

  test('is not started for nothing', async () => {
    const thread = createIndexThread();
    await thread.close();
    expect(thread.starts).toBe(0);
  });
});
