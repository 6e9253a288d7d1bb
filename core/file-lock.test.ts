import { afterAll, beforeEach, expect, setDefaultTimeout, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { acquireLock, withLock } from './file-lock.ts';
import { errorOf } from './testing.ts';

// Some of these start processes, which a busy machine may keep waiting.
setDefaultTimeout(60_000);

const base = mkdtempSync(join(tmpdir(), 'hallmark-locks-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));
let dir = base;
beforeEach(() => {
  dir = mkdtempSync(join(base, 'case-'));
});

const script = (then: string): string =>
  `import { acquireLock } from ${JSON.stringify(join(import.meta.dir, 'file-lock.ts'))};
   try { acquireLock(process.argv[1]); ${then} } catch (error) { console.log(error.code); }`;
const other = (path: string): string =>
  spawnSync(process.execPath, ['-e', script(`console.log('taken')`), path], { encoding: 'utf8' }).stdout.trim();

test('held by this process: another process gets LOCK_HELD, and the lock once it is released', async () => {
  const path = join(dir, '.lock');
  const seen = await withLock(path, () => other(path));
  expect(seen).toBe('LOCK_HELD');
  expect(other(path)).toBe('taken');
});

test('held twice in one process: LOCK_HELD with a remedy', () => {
  const path = join(dir, '.lock');
  const lock = acquireLock(path);
  const error = errorOf(() => acquireLock(path));
  expect([error.code, error.hint?.includes(path)]).toEqual(['LOCK_HELD', true]);
  lock.release();
  acquireLock(path).release();
});

test('killed holder: the lock is free at once', async () => {
  const path = join(dir, '.lock');
  const holder = Bun.spawn(
    [process.execPath, '-e', script(`console.log('taken'); setInterval(() => {}, 1e6);`), path],
    {
      stdout: 'pipe',
      stderr: 'ignore',
    },
  );
  const { value } = await holder.stdout.getReader().read();
  expect(new TextDecoder().decode(value).trim()).toBe('taken');
  expect(errorOf(() => acquireLock(path)).code).toBe('LOCK_HELD');
  holder.kill('SIGKILL');
  await holder.exited;
  acquireLock(path).release();
});

test('held by nothing but the process: garbage collection does not let go', () => {
  const path = join(dir, '.lock');
  const code = script(
    `console.log('taken'); Bun.gc(true); Bun.gc(true); try { acquireLock(process.argv[1]); } catch (error) { console.log(error.code); }`,
  );
  const { stdout } = spawnSync(process.execPath, ['-e', code, path], { encoding: 'utf8' });
  expect(stdout.trim().split('\n')).toEqual(['taken', 'LOCK_HELD']);
});

test('a failing task releases the lock', async () => {
  const path = join(dir, '.lock');
  await expect(withLock(path, () => Promise.reject(new Error('task')))).rejects.toThrow('task');
  acquireLock(path).release();
});

test('only the owner may open the file', () => {
  const path = join(dir, '.lock');
  acquireLock(path).release();
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('folder missing: FILE_UNWRITABLE', () => {
  expect(errorOf(() => acquireLock(join(dir, 'no', '.lock'))).code).toBe('FILE_UNWRITABLE');
});

test('a file in place of the folder: FILE_UNWRITABLE that names it', () => {
  const file = join(dir, 'f');
  writeFileSync(file, '');
  const { code, message, hint } = errorOf(() => acquireLock(join(file, '.lock')));
  expect([code, hint]).toEqual(['FILE_UNWRITABLE', `ls -l ${file}`]);
  expect(message).toEndWith(`: ${file} is a file, not a folder`);
});
