// Logs beside each other: entries per second and time to acknowledged inclusion at 1, 16 and 256 clients, once with one key and
// once with a certificate for each entry. One system at a time, the same client and the same kind of entries for all.
//   bench/log.ts                          the table
//   bench/log.ts --sustained 200000       that many entries at 256 clients, and the memory on the way
//   bench/log.ts --grown DATA             a data directory that log-import.ts filled, beside one of 10,000 entries
import { closeSync, fdatasyncSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { LoadResult } from './log-load.ts';
import {
  bareServer,
  cpuSeconds,
  hallmarkLog,
  type LogSystem,
  memoryOf,
  type RunningLog,
  rekorTiles,
  startHallmark,
} from './log-systems.ts';
import { percentile, printReport, type Row } from './report.ts';

const { values: flags } = parseArgs({
  options: {
    json: { type: 'boolean' },
    sustained: { type: 'string' },
    grown: { type: 'string' },
    own: { type: 'boolean' },
  },
});
const CLIENTS = [1, 16, 256];
const directory = mkdtempSync(join(process.env['BENCH_DIR'] ?? tmpdir(), 'hallmark-bench-log-'));
const notes = [fdatasyncNote(), 'CPU is that of the server, all threads; memory is its most resident so far'];

const rows =
  flags.grown !== undefined
    ? await measureGrowth(flags.grown)
    : flags.sustained !== undefined
      ? await measureSustained(Number(flags.sustained))
      : await measureTable();
rmSync(directory, { recursive: true, force: true });
printReport(flags.json ?? false, 'log', 1, rows, notes);

async function measureTable(): Promise<Row[]> {
  const table: Row[] = [];
  const systems = [hallmarkLog, bareServer, ...(flags.own ? [] : rekorTiles())];
  for (const [i, system] of systems.entries()) {
    await withSystem(system, `${i}`, async (log) => {
      // Code that has not run yet is compiled; that is no part of what is compared.
      if (system.entries(256) > 10_000) await load(log.url, 64, 3000, false);
      for (const certificates of [false, true]) {
        for (const clients of CLIENTS) {
          table.push(await measure(system.name, log, clients, system.entries(clients), certificates));
        }
      }
    });
  }
  return table;
}

async function measureSustained(entries: number): Promise<Row[]> {
  const table: Row[] = [];
  await withSystem(hallmarkLog, 'sustained', async (log) => {
    await load(log.url, 64, 3000, false);
    const step = Math.ceil(entries / 10);
    for (let done = 0; done < entries; done += step) {
      const row = await measure(`hallmark, from ${done} on`, log, 256, step, true);
      table.push({ ...row, 'memory now MB': memoryOf(log.pid).now });
    }
  });
  return table;
}

async function measureGrowth(grown: string): Promise<Row[]> {
  const table: Row[] = [];
  await withSystem(hallmarkLog, 'small', async (log) => {
    await load(log.url, 64, 10_000, true);
    table.push(...(await measureSize('10,000 entries', log)));
  });
  const { publicUrl } = JSON.parse(readFileSync(join(grown, 'instance.json'), 'utf8')) as { publicUrl: string };
  const started = performance.now();
  const log = await startHallmark(grown, Number(new URL(publicUrl).port), directory);
  notes.push(`the grown log was ready after ${((performance.now() - started) / 1000).toFixed(1)} s`);
  try {
    await untilIndexed(log);
    notes.push(`and its search index was complete after ${((performance.now() - started) / 1000).toFixed(0)} s`);
    await load(log.url, 64, 3000, true);
    const metrics = await readMetrics(log);
    table.push(...(await measureSize(`${metrics('hallmark_log_entries{tree="v2"}')} entries`, log)));
  } finally {
    await log.stop();
  }
  return table;
}

/** Rows for 16 and 256 clients and one of searches. The index takes in what was logged before the CPU time is read. */
async function measureSize(name: string, log: RunningLog): Promise<Row[]> {
  const table: Row[] = [];
  for (const clients of [16, 256]) {
    const before = { cpu: cpuSeconds(log.pid), metrics: await readMetrics(log) };
    const entries = 20_000;
    const row = await measure(name, log, clients, entries, true);
    await untilIndexed(log);
    const after = await readMetrics(log);
    const storage = after('hallmark_log_commit_seconds_sum') - before.metrics('hallmark_log_commit_seconds_sum');
    table.push({
      ...row,
      'CPU µs': ((cpuSeconds(log.pid) - before.cpu) / entries) * 1e6,
      'storage µs': (storage / entries) * 1e6,
    });
  }
  const times: number[] = [];
  for (let i = 0; i < 500; i++) {
    // Entries of the import and of the load have such identities.
    const email = `user${`${Math.floor(Math.random() * 10_000)}`.padStart(10, '0')}@example.com`;
    const started = performance.now();
    const answer = await fetch(`${log.url}/api/search?identity=${encodeURIComponent(email)}`);
    const { entries } = (await answer.json()) as { entries: unknown[] };
    times.push(performance.now() - started);
    if (answer.status !== 200 || entries.length === 0) throw new Error(`nothing was found for ${email}`);
  }
  table.push({
    log: `${name}, search by identity`,
    signer: null,
    clients: 1,
    entries: times.length,
    failed: 0,
    'per second': null,
    'p50 ms': percentile(times, 0.5),
    'p99 ms': percentile(times, 0.99),
    'max ms': Math.max(...times),
  });
  return table;
}

async function untilIndexed(log: RunningLog): Promise<void> {
  for (;;) {
    const answer = await fetch(`${log.url}/api/search?identity=nobody@example.com`);
    const { index } = (await answer.json()) as { index: { behind: number } };
    if (index.behind === 0) return;
    await Bun.sleep(200);
  }
}

async function readMetrics(log: RunningLog): Promise<(sample: string) => number> {
  const text = await (await fetch(log.metricsUrl ?? '')).text();
  return (sample) => {
    const line = text.split('\n').find((each) => each.startsWith(`${sample} `));
    if (line === undefined) throw new Error(`the server has no metric ${sample}`);
    return Number(line.slice(sample.length + 1));
  };
}

async function measure(
  name: string,
  log: RunningLog,
  clients: number,
  entries: number,
  certificates: boolean,
): Promise<Row> {
  const cpu = cpuSeconds(log.pid);
  const result = await load(log.url, clients, entries, certificates);
  return {
    log: name,
    signer: certificates ? 'certificates' : 'one key',
    clients,
    entries,
    failed: result.failed,
    'per second': result.perSecond,
    'p50 ms': result.p50,
    'p99 ms': result.p99,
    'max ms': result.max,
    'CPU µs': ((cpuSeconds(log.pid) - cpu) / entries) * 1e6,
    'memory MB': memoryOf(log.pid).peak,
  };
}

async function load(url: string, clients: number, entries: number, certificates: boolean): Promise<LoadResult> {
  const program = join(import.meta.dir, 'log-load.ts');
  const kind = certificates ? ['certificates'] : [];
  const child = Bun.spawn([process.execPath, program, url, 'v2', `${clients}`, `${entries}`, ...kind], {
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error('the load generator failed');
  const result = JSON.parse(text) as LoadResult;
  if (result.failed > 0) notes.push(`${result.failed} of ${entries} failed, the first with ${result.firstFailure}`);
  return result;
}

async function withSystem(system: LogSystem, name: string, task: (log: RunningLog) => Promise<void>): Promise<void> {
  const own = join(directory, name);
  mkdirSync(own);
  const log = await system.start(own);
  try {
    await task(log);
  } finally {
    await log.stop();
    rmSync(own, { recursive: true, force: true });
  }
}

/** What the disk needs for a durable write of 4 KiB, appended to a file. */
function fdatasyncNote(): string {
  const file = openSync(join(directory, 'disk'), 'w');
  const block = new Uint8Array(4096);
  const times = Array.from({ length: 500 }, () => {
    writeSync(file, block);
    const started = performance.now();
    fdatasyncSync(file);
    return performance.now() - started;
  });
  closeSync(file);
  return `fdatasync of 4 KiB: p50 ${percentile(times, 0.5).toFixed(2)} ms, p99 ${percentile(times, 0.99).toFixed(2)} ms`;
}
