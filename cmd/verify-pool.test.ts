// Workers that do not do their part, each by a program in which they are the wrong ones.
import { afterAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKey } from '../core/crypto/private-key.ts';
import { serializePublicKeyPem } from '../core/crypto/public-key.ts';

const folder = mkdtempSync(join(tmpdir(), 'hallmark-pool-'));
afterAll(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, 'key.pub'), serializePublicKeyPem(generateKey('p256').publicKey));

/** Verifies 40 files with two workers that do this with each list of files. */
function verifyWith(worker: string) {
  const program = join(folder, 'program.ts');
  writeFileSync(
    program,
    `import { isMainThread, parentPort } from 'node:worker_threads';
const { main } = isMainThread ? await import(${JSON.stringify(join(import.meta.dir, 'main.ts'))}) : {};
const { processCli } = isMainThread ? await import(${JSON.stringify(join(import.meta.dir, 'cli.ts'))}) : {};
const verified = (name) => ({ exitCode: 0, text: 'verified: ' + name + '\\n' });
if (isMainThread) process.exitCode = await main(process.argv.slice(2), processCli());
else parentPort.on('message', (names) => { ${worker} });
`,
  );
  const files = Array.from({ length: 40 }, (_, i) => `file-${i}`);
  const words = ['verify', ...files, '--key', 'key.pub', '--jobs', '2'];
  const run = Bun.spawnSync([process.execPath, program, ...words], {
    cwd: folder,
    env: { HOME: folder, PATH: process.env['PATH'] },
    timeout: 60_000,
  });
  return { code: run.exitCode, out: run.stdout.toString(), error: run.stderr.toString() };
}

const ANSWER = 'parentPort.postMessage(names.map(verified))';

test('workers that do their part, to show that the others fail for what they do', () => {
  const { code, out, error } = verifyWith(ANSWER);
  expect([code, out.split('\n').length]).toEqual([0, 41]);
  expect(error).toContain('40 of 40 verified');
}, 120_000);

test.each([
  ['ends without an answer', 'process.exit(0)', 'a worker ended before its work'],
  ['ends after its first answer', `${ANSWER}; process.exit(0)`, 'a worker ended before its work'],
  ['fails', "throw new Error('broken')", 'broken'],
  ['leaves verdicts out', 'parentPort.postMessage(names.slice(1).map(verified))', 'an artifact without a verdict'],
  ['makes verdicts up', 'parentPort.postMessage([...names, "more"].map(verified))', 'an artifact without a verdict'],
])(
  'a worker that %s is an internal error, never a verdict',
  (_, worker, message) => {
    const { code, error } = verifyWith(worker);
    expect(error).toContain(`internal error: ${message === 'broken' ? '' : 'internal: '}${message}`);
    expect(error).not.toContain('of 40 verified');
    expect(code).toBe(1);
  },
  120_000,
);
