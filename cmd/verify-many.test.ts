import { afterAll, describe, expect, test } from 'bun:test';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sharedPath } from '../core/bytes/shared-data.ts';
import { main } from './main.ts';
import { fakeCli } from './testing.ts';
import { expandFolders, readFileList } from './verify-list.ts';
import { readableOnce } from './verify-pool.ts';

const directory = mkdtempSync(join(tmpdir(), 'hallmark-many-'));
afterAll(() => rmSync(directory, { recursive: true }));

const at = (name: string): string => join(directory, name);
const put = (name: string, content: string | Uint8Array = name): string => {
  mkdirSync(join(at(name), '..'), { recursive: true });
  writeFileSync(at(name), content);
  return at(name);
};

test('a line for each: verified ones on standard output, the others on standard error, rejection decides', async () => {
  const corpus = sharedPath('corpus/conformance');
  if (corpus === undefined) return console.warn('skipped: the conformance bundles are not beside the checkout');
  const bundle = readFileSync(join(corpus, 'managed-key-happy-path/bundle.sigstore.json'));
  const good = put('good.txt', readFileSync(join(corpus, 'a.txt')));
  const changed = put('changed\u001b[31m.txt');
  for (const file of [good, changed]) writeFileSync(`${file}.sigstore.json`, bundle);
  const cli = fakeCli({ env: { HOME: directory } });
  const key = join(corpus, 'managed-key-happy-path/key.pub');
  const code = await main(['verify', at('missing.txt'), changed, good, '--key', key], cli);
  expect(code).toBe(12);
  expect(cli.printed.out).toBe(`verified: ${good} (the given key)\n`);
  expect(cli.printed.err.filter((line) => !line.startsWith('warning'))).toEqual([
    `not verified: ${at('missing.txt')} (INPUT_MISSING: ${at('missing.txt')} does not exist)`,
    expect.stringMatching(/^not verified: \S+changed \[31m.txt \(DIGEST_MISMATCH: /),
    '1 of 3 verified',
  ]);
});

test('a folder stands for its files that have a bundle, at any depth, and not for what links lead to', () => {
  for (const name of ['f/b', 'f/b.sigstore.json', 'f/a/c', 'f/a/c.sigstore.json', 'f/unsigned', 'f/gone.sigstore.json'])
    put(name);
  symlinkSync(at('f'), at('f/circle'));
  symlinkSync(at('f/b'), at('f/link'));
  put('f/link.sigstore.json');
  const signed = [at('f/a/c'), at('f/b'), at('f/link')];
  expect(expandFolders([at('f'), 'other'], false)).toEqual({
    artifacts: [...signed, 'other'],
    unverifiable: [],
    passedOver: 2,
  });
  const all = expandFolders([at('f')], true);
  expect(all).toMatchObject({ artifacts: [...signed, at('f/unsigned')], passedOver: 0 });
  expect(all.unverifiable.map(({ reference, error }) => [reference, error.code])).toEqual([
    [at('f/circle'), 'INPUT_UNREADABLE'],
    [at('f/gone.sigstore.json'), 'INPUT_MISSING'],
  ]);
});

test('--all takes a bundle of a bundle for what it is: a file that nobody signed', () => {
  for (const name of ['twice/a', 'twice/a.sigstore.json', 'twice/a.sigstore.json.sigstore.json']) put(name);
  const { artifacts, unverifiable } = expandFolders([at('twice')], true);
  expect(artifacts).toEqual([at('twice/a')]);
  expect(unverifiable.map(({ reference }) => reference)).toEqual([at('twice/a.sigstore.json.sigstore.json')]);
});

test('a pipe or a device is no artifact and no bundle of a folder, whatever links to it', async () => {
  for (const name of ['odd/a', 'odd/a.sigstore.json', 'odd/b', 'odd/pipe.sigstore.json', 'odd/zero.sigstore.json'])
    put(name);
  Bun.spawnSync(['mkfifo', at('odd/pipe')]);
  symlinkSync('/dev/zero', at('odd/zero'));
  symlinkSync('pipe', at('odd/b.sigstore.json'));
  symlinkSync('nowhere', at('odd/broken'));
  const odd = [at('odd/pipe'), at('odd/zero')];
  const some = expandFolders([at('odd')], false);
  expect(some.artifacts).toEqual([at('odd/a'), at('odd/b')]);
  expect(some.unverifiable.map(({ reference }) => reference).sort()).toEqual(odd);
  const all = expandFolders([at('odd')], true);
  expect(all.unverifiable.map(({ error }) => error.message).sort()).toEqual([
    `${at('odd/b.sigstore.json')} is a pipe, not a file`,
    `${at('odd/broken')} is a link that leads nowhere, not a file`,
    expect.stringContaining('odd/pipe is a pipe'),
    `${at('odd/pipe.sigstore.json')} is no signature of a file that is verified here`,
    expect.stringContaining('odd/zero is a device'),
    `${at('odd/zero.sigstore.json')} is no signature of a file that is verified here`,
  ]);
  const cli = fakeCli({ env: { HOME: directory } });
  expect(await main(['verify', at('odd/b'), '--from', 'github:a/b'], cli)).toBe(3);
  expect(cli.printed.err.join('\n')).toContain(`bundle ${at('odd/b.sigstore.json')} is not a regular file`);
});

test('a file in a folder may be called - or sha256:abc; what is typed like that is none', () => {
  for (const name of ['-', 'sha256:abc']) {
    put(`names/${name}`);
    put(`names/${name}.sigstore.json`);
  }
  const before = process.cwd();
  try {
    process.chdir(at('names'));
    expect(expandFolders(['.'], false).artifacts).toEqual(['./-', './sha256:abc']);
    for (const typed of ['-', 'sha256:abc'])
      expect(() => expandFolders([typed, 'x'], false)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  } finally {
    process.chdir(before);
  }
});

describe.if(existsSync('/proc/self/cmdline'))('a name that is not UTF-8 stands for no other file', () => {
  const program = [process.execPath, join(import.meta.dir, 'main.ts')];
  const shell = (script: string) =>
    Bun.spawnSync(['sh', '-c', script, 'sh', ...program], { cwd: directory, env: { ...process.env, HOME: directory } });

  test('in a folder', () => {
    put('u8/x\uFFFD');
    put('u8/x\uFFFD.sigstore.json');
    expect(shell(`printf evil > "$(printf 'u8/x\\377')"`).exitCode).toBe(0);
    for (const all of [false, true]) {
      const { artifacts, unverifiable } = expandFolders([at('u8')], all);
      expect(artifacts).toEqual([at('u8/x\uFFFD')]);
      expect(unverifiable.map(({ reference, error }) => [reference, error.code])).toEqual([
        [`${at('u8')}/x\\xff`, 'INPUT_UNREADABLE'],
      ]);
    }
  });

  test('on the command line', () => {
    const refused = shell(`"$@" verify "$(printf 'u8/x\\377')" --from github:a/b`);
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr.toString()).toStartWith('hallmark: error: an argument is not UTF-8: u8/x\uFFFD');
    expect(shell(`"$@" verify a --key "$(printf 'K\\377')"`).exitCode).toBe(2);
    // The character itself is one like any other.
    const named = shell(`"$@" verify "$(printf 'u8/x\\357\\277\\275')" --from github:a/b`);
    expect(named.stderr.toString()).not.toContain('UTF-8');
    expect(named.exitCode).toBe(3);
  });
});

test('a folder without a signature is NO_SIGNATURE, with --all too', () => {
  put('none/file');
  for (const all of [false, true])
    expect(() => expandFolders([at('none')], all)).toThrow(expect.objectContaining({ code: 'NO_SIGNATURE' }));
});

test('a list has a name a line, or names that end in NUL; an empty one is refused', () => {
  expect(readFileList(put('lines', 'a b\n\nc\n'))).toEqual(['a b', 'c']);
  expect(readFileList(put('nul', 'a\nb\0c\0'))).toEqual(['a\nb', 'c']);
  expect(() => readFileList(put('empty', '\n'))).toThrow(expect.objectContaining({ code: 'USAGE' }));
  expect(() => readFileList(put('bytes', Uint8Array.of(0xff)))).toThrow(expect.objectContaining({ kind: 'input' }));
});

describe('what can be read only once', () => {
  const flags = { output: 'json' } as const;

  test('is a flag that names a pipe, and nothing else that happens to be there', () => {
    Bun.spawnSync(['mkfifo', at('policy-pipe')]);
    expect(readableOnce({ ...flags, policy: at('policy-pipe') })).toBe(at('policy-pipe'));
    expect(readableOnce({ ...flags, trustedRoot: ['none', at('policy-pipe')] })).toBe(at('policy-pipe'));
    mkdirSync(at('json'), { recursive: true });
    expect(readableOnce({ ...flags, type: at('json'), require: [at('json')] })).toBeUndefined();
  });

  test('is not a name that no file can have', () => {
    const long = 'x'.repeat(300);
    expect(
      readableOnce({ ...flags, require: [`issuer=${long}`], policy: long, key: `${put('a-file')}/below` }),
    ).toBeUndefined();
  });
});
