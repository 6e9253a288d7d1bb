import { afterAll, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sharedPath } from '../core/bytes/shared-data.ts';
import { main } from './main.ts';
import { fakeCli } from './testing.ts';
import { expandFolders, readFileList } from './verify-list.ts';

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
  expect(expandFolders([at('f'), 'other'], false)).toEqual({ artifacts: [...signed, 'other'], passedOver: 1 });
  expect(expandFolders([at('f')], true)).toEqual({ artifacts: [...signed, at('f/unsigned')], passedOver: 0 });
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
