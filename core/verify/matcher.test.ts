import { describe, expect, test } from 'bun:test';
import { errorOf } from '../testing.ts';
import { glob, isMatch } from './matcher.ts';

describe('a glob', () => {
  test.each([
    ['https://github.com/org/*', 'https://github.com/org/repo', true],
    ['https://github.com/org/*', 'https://github.com/org/', true],
    ['https://github.com/org/**', 'https://github.com/org/repo/.github/workflows/x.yml@refs/tags/v1', true],
    ['**@refs/tags/v*', 'https://github.com/org/repo@refs/tags/v1.2', true],
    ['*@example.com', 'me@example.com', true],
    ['a?b[c].d+(e)\\', 'a?b[c].d+(e)\\', true],
    ['exactly', 'exactly', true],
  ])('%s matches %s', (source, text) => {
    expect(isMatch(glob(source), text)).toBe(true);
  });

  test.each([
    ['* across a /', 'https://github.com/org/*', 'https://github.com/org/repo/evil'],
    ['a text before', 'https://github.com/org/**', 'https://evil.example/?https://github.com/org/repo'],
    ['a text after', '*@example.com', 'me@example.com.evil.test'],
    ['a look-alike owner', 'https://github.com/org/*', 'https://github.com/org-evil/repo'],
    ['. for any character', '*@example.com', 'me@exampleXcom'],
    ['another case', 'Exactly', 'exactly'],
    ['a line after', '*@example.com', 'me@example.com\n'],
    ['[ ] for a class', '[ab]', 'a'],
    ['? for any character', 'a?', 'ab'],
  ])('does not take %s', (_, source, text) => {
    expect(isMatch(glob(source), text)).toBe(false);
  });

  test('empty, or with three stars', () => {
    expect(errorOf(() => glob('')).code).toBe('POLICY_INVALID');
    expect(errorOf(() => glob('a***b')).code).toBe('POLICY_INVALID');
  });

  test('too long to be compiled', () => {
    expect(errorOf(() => glob('a'.repeat(2049))).code).toBe('POLICY_INVALID');
  });

  test('takes linear time whatever the text', () => {
    const many = glob(`${'**a'.repeat(200)}b`);
    const started = performance.now();
    expect(isMatch(many, 'a'.repeat(4000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
