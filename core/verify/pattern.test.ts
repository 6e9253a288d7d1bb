import { describe, expect, test } from 'bun:test';
import { InputError } from '../errors.ts';
import { parsePattern } from './pattern.ts';

describe('a pattern matches whole texts only', () => {
  test.each([
    ['https://github.com/org/.*', 'https://github.com/org/repo', true],
    ['https://github.com/org/.*', 'https://evil.example/?https://github.com/org/repo', false],
    ['github.com/org', 'https://github.com/org', false],
    ['a|b', 'ab', false],
    ['a|b', 'b', true],
    ['^https://x/.*$', 'https://x/y', true],
    ['.*@example\\.com', 'me@example.com', true],
    ['.*@example\\.com', 'me@example.com.evil.test', false],
    ['.*@example\\.com', 'me@exampleXcom', false],
    ['.*@example\\.com$', 'me@example.com\nevil', false],
    ['a.c', 'a\nc', false],
    ['', '', true],
    ['', 'a', false],
  ])('%j on %j: %p', (source, text, expected) => {
    expect(parsePattern(source).matches(text)).toBe(expected);
  });
});

describe('agrees with the regular expressions of the runtime', () => {
  const SOURCES = [
    'a*b+c?',
    '(a|bc)*d',
    '[a-c]{2,3}',
    '[^a-c]+',
    '(?:ab){2}',
    '(a*)*b',
    'a{0}b',
    'a{1,}',
    '(|a)b',
    '\\d+\\.\\d+',
    '\\w+-\\s?',
    '[\\D-]b',
    'a??b',
    '(^a|b)c$',
    'x[a\\]-]y',
    '(a?){3}a{3}',
  ];
  const TEXTS = [
    '',
    'a',
    'b',
    'ab',
    'abc',
    'aab',
    'bcd',
    'abab',
    'ac',
    'bc',
    'aaa',
    'aaaa',
    'abcabc',
    '1.25',
    'xay',
    'x]y',
    'x-y',
    'foo-',
    'foo- ',
    '-b',
    'xb',
    'd',
  ];
  test.each(SOURCES)('%s', (source) => {
    const pattern = parsePattern(source);
    const reference = new RegExp(`^(?:${source})$`);
    for (const text of TEXTS) expect([text, pattern.matches(text)]).toEqual([text, reference.test(text)]);
  });
});

describe('a pattern that cannot be honoured is refused', () => {
  test.each([
    ['back-reference', '(a)\\1'],
    ['look-ahead', 'a(?=b)'],
    ['flags', '(?i)a'],
    ['named group', '(?P<n>a)'],
    ['unmatched (', '(a'],
    ['unmatched )', 'a)'],
    ['unterminated class', '[a'],
    ['empty class', '[]a]'],
    ['POSIX class', '[[:alpha:]]'],
    ['nothing to repeat', '*a'],
    ['repetition of a repetition', 'a**'],
    ['bounds out of order', 'a{3,2}'],
    ['repetition too large', 'a{1001}'],
    ['unfinished repetition', 'a{2'],
    ['trailing backslash', 'a\\'],
    ['class range out of order', '[b-a]'],
    ['word boundary', '\\ba'],
    ['too long', 'a'.repeat(2049)],
    ['too many states', '((a{100}){100}){100}'],
    ['too deep', `${'('.repeat(60)}a${')'.repeat(60)}`],
  ])('%s', (_, source) => {
    expect(() => parsePattern(source)).toThrow(expect.objectContaining({ code: 'POLICY_INVALID' }));
    expect(() => parsePattern(source)).toThrow(InputError);
  });
});

test('a pattern that makes a backtracking matcher run away takes linear time', () => {
  const pattern = parsePattern('(a+)+(a|a)*(a*)*b');
  const start = performance.now();
  expect(pattern.matches('a'.repeat(4096))).toBe(false);
  expect(performance.now() - start).toBeLessThan(500);
});

test('a text above the bound does not match', () => {
  expect(parsePattern('a*').matches('a'.repeat(4096))).toBe(true);
  expect(parsePattern('a*').matches('a'.repeat(4097))).toBe(false);
});
