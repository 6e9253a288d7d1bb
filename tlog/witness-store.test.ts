import { afterEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorOf } from '../core/testing.ts';
import { openWitnessStore } from './witness-store.ts';

const directories: string[] = [];
const newDirectory = (): string => {
  const directory = mkdtempSync(join(tmpdir(), 'hallmark-witness-'));
  directories.push(directory);
  return directory;
};
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

describe('a witness store', () => {
  test('changes only what is as expected, and keeps it', async () => {
    const directory = newDirectory();
    const store = openWitnessStore(directory, false);
    expect(await store.latest('a')).toBeUndefined();
    expect(await store.replace('a', 'something', 'one')).toBe(false);
    expect(await store.replace('a', undefined, 'one')).toBe(true);
    expect(await store.replace('a', undefined, 'two')).toBe(false);
    expect(await store.replace('a', 'two', 'three')).toBe(false);
    expect(await store.replace('a', 'one', 'two')).toBe(true);
    expect(await store.latest('a')).toBe('two');
    expect(await store.latest('b')).toBeUndefined();
    await store.close();
    const again = openWitnessStore(directory, true);
    expect(await again.latest('a')).toBe('two');
    await again.close();
  });
  test('is readable by its owner alone', async () => {
    const directory = newDirectory();
    const store = openWitnessStore(directory, false);
    await store.replace('a', undefined, 'one');
    for (const file of ['witness.db', 'witness.db-wal'])
      expect(statSync(join(directory, file)).mode & 0o777).toBe(0o600);
    await store.close();
  });
  test('is not made anew where it was before', () => {
    const directory = newDirectory();
    expect(errorOf(() => openWitnessStore(directory, true)).code).toBe('DATABASE_CORRUPT');
    writeFileSync(join(directory, 'witness.db'), '');
    expect(errorOf(() => openWitnessStore(directory, true)).code).toBe('DATABASE_CORRUPT');
  });
  test('that holds checkpoints is not given to a new key; an empty one is', async () => {
    const directory = newDirectory();
    await openWitnessStore(directory, false).close();
    const store = openWitnessStore(directory, false);
    await store.replace('a', undefined, 'one');
    await store.close();
    expect(errorOf(() => openWitnessStore(directory, false)).code).toBe('DATABASE_CORRUPT');
    await openWitnessStore(directory, true).close();
  });
  test('does not take another file for itself', () => {
    const directory = newDirectory();
    writeFileSync(join(directory, 'witness.db'), 'x'.repeat(8192));
    expect(errorOf(() => openWitnessStore(directory, true)).code).toBe('DATABASE_CORRUPT');
  });
});
