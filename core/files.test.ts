import { afterAll, beforeEach, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { InputError } from './errors.ts';

import { createFileAtomic, makeFolder, readFileBounded, requireWritableFile, writeFileAtomic } from './files.ts';

import { errorOf } from './testing.ts';

const base = mkdtempSync(join(tmpdir(), 'hallmark-files-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));
let dir = base;
beforeEach(() => {
  dir = mkdtempSync(join(base, 'case-'));
});
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('createFileAtomic', () => {
  test('makes a private file of what was written, and leaves nothing beside it', () => {
    createFileAtomic(join(dir, 'f'), (temporary) => {
      expect(existsSync(join(dir, 'f'))).toBe(false);
      writeFileSync(temporary, 'content');
    });
    expect(readFileSync(join(dir, 'f'), 'utf8')).toBe('content');
    expect(statSync(join(dir, 'f')).mode & 0o777).toBe(0o600);
    expect(readdirSync(dir)).toEqual(['f']);
  });

  test('leaves what is there, and what failed halfway away', () => {
    writeFileSync(join(dir, 'f'), 'old');
    expect(errorOf(() => createFileAtomic(join(dir, 'f'), () => {}))?.code).toBe('FILE_EXISTS');
    const failing = () =>
      createFileAtomic(join(dir, 'g'), (temporary) => {
        writeFileSync(temporary, 'half');
        throw new Error('disk full');
      });
    expect(errorOf(failing)?.code).toBe('FILE_UNWRITABLE');
    expect(readdirSync(dir)).toEqual(['f']);
  });
});

describe('readFileBounded', () => {
  test('shows the beginning of a large file before it reads on', () => {
    const content = new Uint8Array(5 * 1024 * 1024).map((_, i) => i % 251);
    writeFileSync(join(dir, 'large'), content);
    const beginnings: Uint8Array[] = [];
    const see = (shown: Uint8Array): void => {
      beginnings.push(shown.slice());
    };
    const read = readFileBounded(join(dir, 'large'), content.length, 'bundle', undefined, see);
    expect(Buffer.compare(read, content)).toBe(0);
    expect(beginnings.map(({ length }) => length)).toEqual([2 * 1024 * 1024]);
    expect(Buffer.compare(beginnings[0] ?? bytes(''), content.subarray(0, 2 * 1024 * 1024))).toBe(0);
    const refuse = (): never => {
      throw new InputError('INPUT_TOO_LARGE', 'seen enough');
    };
    expect(() => readFileBounded(join(dir, 'large'), content.length, 'bundle', undefined, refuse)).toThrow(
      'seen enough',
    );
    writeFileSync(join(dir, 'small'), 'abc');
    expect(readFileBounded(join(dir, 'small'), 10, 'bundle', undefined, refuse)).toEqual(bytes('abc'));
  });

  test('reads a file of exactly the allowed size', () => {
    writeFileSync(join(dir, 'f'), 'abc');
    expect(readFileBounded(join(dir, 'f'), 3, 'bundle')).toEqual(bytes('abc'));
  });

  test('reads a file larger than one chunk', () => {
    const content = new Uint8Array(200_000).map((_, i) => i % 251);
    writeFileSync(join(dir, 'f'), content);
    expect(Buffer.compare(readFileBounded(join(dir, 'f'), 1_000_000, 'bundle'), content)).toBe(0);
  });

  test('reads a pipe, whose size is unknown', () => {
    const pipe = join(dir, 'pipe');
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
    const writer = Bun.spawn(['sh', '-c', `printf abc > '${pipe}'`]);
    expect(readFileBounded(pipe, 10, 'bundle')).toEqual(bytes('abc'));
    writer.kill();
  });

  test('missing file: INPUT_MISSING with a remedy', () => {
    const error = errorOf(() => readFileBounded(join(dir, 'none'), 10, 'bundle'));
    expect(error.code).toBe('INPUT_MISSING');
    expect(error.message).toContain('bundle');
    expect(error.hint).toBe(`there is no none in ${realpathSync(dir)}`);
    expect(errorOf(() => readFileBounded(join(dir, 'none'), 10, 'key', 'make one')).hint).toEndWith('\nmake one');
    expect(errorOf(() => readFileBounded(join(dir, 'none', 'f'), 10, 'key')).hint).toContain('there is no folder');
  });

  test.each([
    ['release.key', 'release.kez'],
    ['release.key', 'relase.key'],
    ['release.key', 'releaase.key'],
    ['Release.key', 'release.key'],
    ['release.pem', 'release.key'],
  ])('missing file with a name much like that of %s: it is named', (there, wanted) => {
    writeFileSync(join(dir, there), '');
    const error = errorOf(() => readFileBounded(join(dir, wanted), 10, 'key'));
    expect(error.hint).toBe(`did you mean ${join(dir, there)}?`);
  });
  test.each([
    ['release.key', 'test.key'],
    ['a.txt', 'b.txt'],
  ])('missing file with a name unlike that of %s', (there, wanted) => {
    writeFileSync(join(dir, there), '');
    expect(errorOf(() => readFileBounded(join(dir, wanted), 10, 'key')).hint).not.toContain(there);
  });

  test('a folder in place of a file: INPUT_UNREADABLE', () => {
    expect(errorOf(() => readFileBounded(dir, 10, 'bundle')).code).toBe('INPUT_UNREADABLE');
  });

  test('one byte too many: INPUT_TOO_LARGE', () => {
    writeFileSync(join(dir, 'f'), 'abcd');
    expect(errorOf(() => readFileBounded(join(dir, 'f'), 3, 'bundle')).code).toBe('INPUT_TOO_LARGE');
  });

  test('endless device: INPUT_TOO_LARGE instead of memory without end', () => {
    expect(errorOf(() => readFileBounded('/dev/zero', 100_000, 'bundle')).code).toBe('INPUT_TOO_LARGE');
  });
});

describe('writeFileAtomic', () => {
  test('writes with the mode, replaces, and leaves no temporary file', () => {
    const path = join(dir, 'f');
    writeFileAtomic(path, 'old', 0o600);
    writeFileAtomic(path, bytes('new'), 0o600);
    expect(readFileSync(path, 'utf8')).toBe('new');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(dir)).toEqual(['f']);
  });

  test('follows a symbolic link and keeps it', () => {
    writeFileSync(join(dir, 'real'), 'old');
    symlinkSync('real', join(dir, 'link'));
    writeFileAtomic(join(dir, 'link'), 'new', 0o644);
    expect(readFileSync(join(dir, 'real'), 'utf8')).toBe('new');
  });

  test('writes to a device without replacing it', () => {
    symlinkSync('/dev/null', join(dir, 'null'));
    writeFileAtomic(join(dir, 'null'), 'x', 0o644);
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
    expect(statSync(join(dir, 'null')).isCharacterDevice()).toBe(true);
  });

  test('existing file when refused: FILE_EXISTS, content kept', () => {
    const path = join(dir, 'f');
    writeFileAtomic(path, 'old', 0o644, 'refuse');
    expect(errorOf(() => writeFileAtomic(path, 'new', 0o644, 'refuse')).code).toBe('FILE_EXISTS');
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(readdirSync(dir)).toEqual(['f']);
  });

  test('missing folder: FILE_UNWRITABLE names mkdir', () => {
    const error = errorOf(() => writeFileAtomic(join(dir, 'no', 'f'), 'x', 0o644));
    expect(error.code).toBe('FILE_UNWRITABLE');
    expect(error.hint).toContain('mkdir -p');
  });

  test('a file in place of the folder: FILE_UNWRITABLE', () => {
    writeFileSync(join(dir, 'f'), '');
    const file = join(dir, 'f');
    for (const attempt of [
      () => writeFileAtomic(join(file, 'g'), 'x', 0o644),
      () => writeFileAtomic(join(file, 'g', 'h'), 'x', 0o644),
      () => requireWritableFile(join(file, 'g')),
      () => makeFolder(file, 0o755),
      () => makeFolder(join(file, 'g'), 0o755),
    ]) {
      const error = errorOf(attempt);
      expect(error.code).toBe('FILE_UNWRITABLE');
      expect(error.message).toEndWith(`: ${file} is a file, not a folder`);
      expect(error.hint).toBe(`ls -l ${file}`);
    }
  });

  test.if(process.platform === 'linux')(
    'a folder that takes no files: FILE_UNWRITABLE does not call it missing',
    () => {
      for (const path of ['/proc/x.json', '/proc/version']) {
        for (const attempt of [() => writeFileAtomic(path, 'x', 0o644), () => requireWritableFile(path)]) {
          expect(errorOf(attempt).message).not.toMatch(/does not exist|is a file/);
          expect(errorOf(attempt).hint).not.toContain('mkdir');
        }
      }
    },
  );

  test('a folder in place of the file: FILE_UNWRITABLE', () => {
    mkdirSync(join(dir, 'folder'));
    for (const attempt of [
      () => writeFileAtomic(join(dir, 'folder'), 'x', 0o644),
      () => requireWritableFile(join(dir, 'folder')),
    ]) {
      expect(errorOf(attempt).message).toEndWith(': it is a folder');
    }
  });

  test('what can be written leaves nothing behind when it is only looked at', () => {
    writeFileSync(join(dir, 'old'), 'old');
    requireWritableFile(join(dir, 'old'));
    requireWritableFile(join(dir, 'new'));
    expect(readdirSync(dir)).toEqual(['old']);
    expect(() => requireWritableFile('/dev/null')).not.toThrow();
  });
});

describe('makeFolder', () => {
  test('makes parents, and a private folder private even if it was not', () => {
    mkdirSync(join(dir, 'a'), { mode: 0o755 });
    makeFolder(join(dir, 'a'), 0o700);
    makeFolder(join(dir, 'b', 'c'), 0o755);
    expect(statSync(join(dir, 'a')).mode & 0o777).toBe(0o700);
    expect(existsSync(join(dir, 'b', 'c'))).toBe(true);
  });
});
