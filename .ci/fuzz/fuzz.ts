// Fuzzes every parser, two at a time: bun .ci/fuzz/fuzz.ts [--seconds 10] [--parser NAME] [--seed N] [--jobs 2]
// Only errors of ours, bounded time and memory, and the same again after writing and reading. The long run before a release
// is --seconds 300.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { FuzzReport } from './fuzz-one.ts';
import { PARSERS } from './parsers.ts';

/** Most memory that fuzzing one parser may ever take, bytes: the runtime, the seeds, and inputs of half a megabyte. */
const MAX_RSS = 640 * 1024 * 1024;
/** How much longer than asked for a run may take before it counts as stuck, ms. */
const GRACE_MS = 60_000;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    parser: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    jobs: { type: 'string', default: '2' },
  },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed);
const names = values.parser === undefined ? Object.keys(PARSERS) : [values.parser];
const folder = mkdtempSync(join(tmpdir(), 'hallmark-fuzz-'));
console.log(`figures: seed ${seed}, ${seconds} s each`);

const faults: string[] = [];
let iterations = 0;
const waiting = [...names];
await Promise.all(
  Array.from({ length: Number(values.jobs) }, async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) await fuzz(name);
  }),
);
rmSync(folder, { recursive: true });
console.log(`figures: ${iterations} inputs, ${names.length} parsers, ${faults.length} faults`);
for (const fault of faults) console.error(fault);
process.exitCode = faults.length === 0 ? 0 : 1;

async function fuzz(name: string): Promise<void> {
  const progress = join(folder, name);
  writeFileSync(progress, new Uint8Array(4));
  const script = new URL('./fuzz-one.ts', import.meta.url).pathname;
  const child = Bun.spawn([process.execPath, script, name, String(seed), String(seconds), progress], {
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: seconds * 1000 + GRACE_MS,
    killSignal: 'SIGKILL',
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const code = await child.exited;
  if (code !== 0) {
    const [at] = new Uint32Array(new Uint8Array(readFileSync(progress)).buffer);
    faults.push(`${name} ended with ${child.signalCode ?? code} at iteration ${at} of seed ${seed}: ${err.slice(-2000)}
again: bun .ci/fuzz/fuzz-one.ts ${name} ${seed} =${at}`);
    return;
  }
  const report = JSON.parse(out) as FuzzReport;
  const rss = child.resourceUsage()?.maxRSS ?? 0;
  iterations += report.iterations;
  if (report.fault !== undefined) faults.push(`${name}: ${report.fault}`);
  if (rss > MAX_RSS) faults.push(`${name}: ${Math.round(rss / 2 ** 20)} MiB of memory`);
  const figures = `${report.iterations} inputs, ${report.accepted} accepted, ${report.slowestMs} ms at most, ${Math.round(rss / 2 ** 20)} MiB`;
  console.log(`${report.fault === undefined ? 'ok  ' : 'FAIL'} ${name}: ${figures}`);
}
