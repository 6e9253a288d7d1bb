import { describe, expect, test } from 'bun:test';
import { main } from './main.ts';
import { fakeCli } from './testing.ts';

// A colour, DEL, an 8-bit colour, reversed text, a line separator, a format character of two UTF-16 units.
const HOSTILE = 'a\u001b[31m\u007f\u009b31m\u202e\u2028\ud834\udd73';
const ACTS_ON_TERMINALS = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

describe('what an error repeats cannot act on the terminal', () => {
  test('message and hints', async () => {
    const cli = fakeCli({});
    expect(await main(['inspect', `${HOSTILE}.json`], cli)).toBe(3);
    expect(cli.printed.err.join('\n')).toMatch(/^hallmark: error: .*\nhint: .*a .*31m/);
    for (const line of cli.printed.err) expect(line).not.toMatch(ACTS_ON_TERMINALS);
  });

  test('the result for machines, which says all the same', async () => {
    const cli = fakeCli({});
    await main(['inspect', `${HOSTILE}.json`, '--output', 'json'], cli);
    expect(cli.printed.out.trimEnd()).not.toMatch(ACTS_ON_TERMINALS);
    expect((JSON.parse(cli.printed.out) as { error: { message: string } }).error.message).toContain(HOSTILE);
  });
});
