// Every route of the compiled server, 15 seconds. The seed is printed: the same one gives the same requests.
import { expect, test } from 'bun:test';

const SECONDS = 15;

test(
  'every route of the server withstands changed requests',
  async () => {
    const script = new URL('./fuzz.ts', import.meta.url).pathname;
    const run = Bun.spawn([process.execPath, script, '--seconds', String(SECONDS)], {
      stdout: 'inherit',
      stderr: 'inherit',
    });
    expect(await run.exited).toBe(0);
  },
  5 * 60_000,
);
