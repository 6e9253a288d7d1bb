// Every byte of genuine bundles changed, every field left out, repeated or taken from another bundle, and logs that lie: all
// of it is rejected with an error of ours, but for a list of what nobody signs.
import { beforeAll, describe, expect, test } from 'bun:test';
import { sharedPath } from '../../core/bytes/shared-data.ts';
import type { Report } from './mutate.ts';
import { UNCOVERED } from './uncovered.ts';

const SHARES = 2;
/** The work is bounded, its time is not: a loaded machine takes many times as long. */
const HOUR_MS = 3_600_000;

async function runShare(share: number): Promise<Report> {
  const script = new URL('./mutate.ts', import.meta.url).pathname;
  const run = Bun.spawn([process.execPath, script, `${share}/${SHARES}`], { stdout: 'pipe', stderr: 'inherit' });
  const text = await new Response(run.stdout).text();
  if ((await run.exited) !== 0) throw new Error(`share ${share} ended with ${run.exitCode}`);
  return JSON.parse(text) as Report;
}

function sum(counts: readonly Record<string, number>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const each of counts) for (const [name, n] of Object.entries(each)) total[name] = (total[name] ?? 0) + n;
  return total;
}

const total = (counts: Record<string, number>): number => Object.values(counts).reduce((a, b) => a + b, 0);

describe.if(sharedPath('corpus') !== undefined)('changed bundles', () => {
  let reports: Report[] = [];
  let tried: Record<string, number> = {};
  beforeAll(async () => {
    const started = performance.now();
    reports = await Promise.all(Array.from({ length: SHARES }, (_, share) => runShare(share)));
    tried = sum(reports.map((report) => report.tried));
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    console.log(
      `figures: ${total(tried)} changes in ${seconds} s: ${Object.entries(tried)
        .map(([kind, n]) => `${n} ${kind}`)
        .join(', ')}`,
    );
    const passed = sum(reports.map(({ uncovered }) => uncovered));
    const each = Object.entries(passed).map(([what, n]) => `${n} ${what}`);
    console.log(
      `figures: ${total(tried) - total(passed)} rejected, ${total(passed)} accepted under ${each.length} exemptions: ${each.join(', ')}`,
    );
  }, HOUR_MS);

  test('are rejected, with an error of ours', () => {
    expect(reports.flatMap(({ faults }) => faults)).toEqual([]);
  });

  test('pass only where nobody signs, and each line of that list is needed', () => {
    const passed = sum(reports.map(({ uncovered }) => uncovered));
    expect(Object.keys(passed).sort()).toEqual(UNCOVERED.map(({ what }) => what).sort());
  });

  test('are of every version, kind of content, dialect and kind of signer', () => {
    const subjects = new Set(reports.flatMap((report) => report.subjects));
    const expected = ['0.1', '0.2', '0.3'].flatMap((version) =>
      ['message', 'dsse'].flatMap((kind) =>
        // A bundle of version 0.1 has an inclusion promise, which Rekor v2 does not give.
        (version === '0.1' ? ['v1'] : ['v1', 'v2']).flatMap((dialect) =>
          ['certificate', 'key'].map((signer) => `${version} ${kind} ${dialect} ${signer}`),
        ),
      ),
    );
    expect([...subjects].sort()).toEqual(expected.sort());
  });

  test('are changed in every way, at every byte', () => {
    expect(Object.keys(tried).sort()).toEqual(
      [
        'double',
        'drop',
        'duplicate member',
        'flip',
        'sealed body',
        'sealed checkpoint',
        'swap',
        'unknown member',
      ].sort(),
    );
    expect(tried['flip']).toBeGreaterThan(150_000);
    expect(tried['swap']).toBeGreaterThan(10_000);
    expect(tried['sealed body']).toBeGreaterThan(10_000);
    expect(tried['sealed checkpoint']).toBeGreaterThan(5000);
    // Fewer are fewer bundles, or fields that are no longer reached.
    expect(total(tried)).toBeGreaterThan(200_000);
  });
});
