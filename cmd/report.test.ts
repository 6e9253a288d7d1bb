import { describe, expect, test } from 'bun:test';
import { printable, reportText, shellWord } from './report.ts';

test('labels and values are aligned; what is absent leaves no line', () => {
  expect(
    reportText('Title', [
      ['a', '1', '2'],
      ['none', undefined],
      ['long', '3'],
    ]),
  ).toBe('Title\n  a     1\n        2\n  long  3\n');
});

describe('text from outside cannot act on the terminal', () => {
  test.each([
    ['colours', '\u001b[31mred'],
    ['a new line that looks like ours', 'a\nVerified: b'],
    ['reversed text', 'a\u202eb'],
    ['line separators', 'a\u2028b'],
    ['8-bit control characters', 'a\u009b31mb'],
  ])('%s', (_, text) => {
    expect(printable(text)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    expect(reportText('t', [['label', text]]).split('\n')).toHaveLength(3);
  });
});

test('words of a shell are quoted where they need to be', () => {
  expect(shellWord('https://github.com/a/b@refs/heads/main')).toBe('https://github.com/a/b@refs/heads/main');
  expect(shellWord("it's $(rm)")).toBe("'it'\\''s $(rm)'");
  expect(shellWord('')).toBe("''");
});
