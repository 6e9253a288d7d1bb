// Ten seconds for every parser. The seed is printed: the same one gives the same inputs.
import { expect, test } from 'bun:test';
import { sharedPath } from '../../core/bytes/shared-data.ts';

const SECONDS = 10;

test.skipIf(sharedPath('corpus') === undefined)(
  'every parser withstands changed inputs',
  async () => {
    const script = new URL('./fuzz.ts', import.meta.url).pathname;
    const run = Bun.spawn([process.execPath, script, '--seconds', String(SECONDS)], {
      stdout: 'inherit',
      stderr: 'inherit',
    });
    expect(await run.exited).toBe(0);
  },
  10 * 60_000,
);
