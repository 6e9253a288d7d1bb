import { describe, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
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

describe.if(existsSync('/dev/full'))('a full disk behind standard output', () => {
  for (const words of ['--version', '--help', 'trust list', 'trust list --output json', 'inspect none --output json']) {
    test(words, () => {
      const program = [process.execPath, join(import.meta.dir, 'main.ts'), ...words.split(' ')];
      const { exitCode, stderr } = Bun.spawnSync(['sh', '-c', 'exec "$@" > /dev/full', 'sh', ...program]);
      expect(stderr.toString()).toBe(
        'hallmark: error: cannot write to standard output: no space is left\nhint: send the output to where it can be written\n',
      );
      expect(exitCode).toBe(6);
    });
  }

  test('a reader that has left is no error', () => {
    const program = [process.execPath, join(import.meta.dir, 'main.ts'), '--help'];
    const { stderr } = Bun.spawnSync(['sh', '-c', '"$@" | true', 'sh', ...program]);
    expect(stderr.toString()).toBe('');
  });
});
