import { describe, expect, test } from 'bun:test';
import { concat, serializeUtf8 } from '../core/bytes/bytes.ts';
import { errorOf } from '../core/testing.ts';
import { isFolder, isRegularFile, parseCommitLinks, parseTree } from './snapshot.ts';

const [tree, parent] = ['1'.repeat(40), '2'.repeat(40)];
const person = 'author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n';

describe('what a commit points to', () => {
  const links = (text: string) => parseCommitLinks(serializeUtf8(text));
  test('its tree and its parents', () => {
    expect(links(`tree ${tree}\n${person}\nparent ${parent}\n`)).toEqual({ tree, parents: [] });
    expect(links(`tree ${tree}\nparent ${parent}\nparent ${tree}\n${person}\n`).parents).toEqual([parent, tree]);
    const wide = '3'.repeat(64);
    expect(links(`tree ${wide}\nparent ${wide}\n${person}\n`)).toEqual({ tree: wide, parents: [wide] });
  });
  for (const [flaw, text, code = 'GIT_OBJECT_INVALID'] of [
    ['no tree', `parent ${parent}\n${person}\n`],
    ['two trees', `tree ${tree}\ntree ${tree}\n${person}\n`],
    ['a parent where git does not look', `tree ${tree}\n${person}parent ${parent}\n\n`],
    ['a parent that is no ID', `tree ${tree}\nparent x\n${person}\n`],
    ['a parent of the other format', `tree ${tree}\nparent ${'2'.repeat(64)}\n${person}\n`],
    [
      'more parents than any merge has',
      `tree ${tree}\n${`parent ${parent}\n`.repeat(101)}${person}\n`,
      'INPUT_TOO_LARGE',
    ],
  ]) {
    test(flaw as string, () =>
      expect([errorOf(() => links(text as string)).code]).toEqual([code as 'INPUT_TOO_LARGE']),
    );
  }
});

describe('what a folder holds', () => {
  const entry = (text: string, bytes = 20): Uint8Array =>
    concat(serializeUtf8(`${text}\0`), new Uint8Array(bytes).fill(1));
  test('by name, with its kind', () => {
    const found = parseTree(concat(entry('100644 a'), entry('40000 b'), entry('120000 c'), entry('160000 d')), 'sha1');
    expect([...found.keys()]).toEqual(['a', 'b', 'c', 'd']);
    expect([...found.values()].map(isFolder)).toEqual([false, true, false, false]);
    expect([...found.values()].map(isRegularFile)).toEqual([true, false, false, false]);
    expect(found.get('a')?.id).toBe('01'.repeat(20));
    expect(parseTree(entry('100644 a', 32), 'sha256').get('a')?.id).toBe('01'.repeat(32));
    expect(parseTree(new Uint8Array(), 'sha1').size).toBe(0);
  });
  for (const [flaw, body] of [
    ['two entries under one name', concat(entry('100644 a'), entry('40000 a'))],
    ['a name with a slash', entry('100644 a/b')],
    ['a name that is a step up', entry('40000 ..')],
    ['no name', entry('100644 ')],
    ['a mode that is none', entry('99 a')],
    ['an ID cut short', entry('100644 a', 19)],
    ['no ID', serializeUtf8('100644 a')],
  ] as const) {
    test(flaw, () => expect(errorOf(() => parseTree(body, 'sha1')).code).toBe('GIT_OBJECT_INVALID'));
  }
});
