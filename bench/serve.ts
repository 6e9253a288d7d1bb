// `hallmark serve`: from start to ready, on a new data directory and on an existing one, and its memory at rest.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { percentile, printReport, type Row, readFlags } from './report.ts';
import { freePort, startServer } from './server.ts';

const { json, runs } = readFlags(10);
const REST_MS = 5000;

/** Milliseconds until the ready line, and until the first 200 of /healthz; ready is the later of the two. */
async function startToReady(
  directory: string,
  port: number,
  restMs = 0,
): Promise<{ ready: number; line: number; resident: number | null }> {
  const start = performance.now();
  const starting = startServer(directory, port);
  const healthy = await firstAnswer(`http://127.0.0.1:${port}/healthz`, start);
  const server = await starting;
  await Bun.sleep(restMs);
  const resident = restMs > 0 ? residentOf(server.pid) : null;
  await server.kill();
  return { ready: Math.max(healthy, server.readyAfter), line: server.readyAfter, resident };
}

async function firstAnswer(url: string, start: number): Promise<number> {
  for (;;) {
    const status = await fetch(url).then(
      (response) => response.status,
      () => 0,
    );
    if (status === 200) return performance.now() - start;
    await Bun.sleep(1);
  }
}

/** Resident memory in MB, the pages of the executable included. */
function residentOf(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return (Number(kilobytes) * 1024) / 1e6;
}

async function measure(name: string, directoryOf: (run: number) => { directory: string; port: number }): Promise<Row> {
  const taken: Awaited<ReturnType<typeof startToReady>>[] = [];
  for (let run = 0; run < runs; run++) {
    const { directory, port } = directoryOf(run);
    taken.push(await startToReady(directory, port, run === runs - 1 ? REST_MS : 0));
  }
  const ready = taken.map((each) => each.ready);
  return {
    'data directory': name,
    'ready median ms': percentile(ready, 0.5),
    'ready min ms': Math.min(...ready),
    'ready max ms': Math.max(...ready),
    'ready line median ms': percentile(
      taken.map((each) => each.line),
      0.5,
    ),
    'resident MB': taken.at(-1)?.resident ?? null,
  };
}

const parent = mkdtempSync(join(tmpdir(), 'hallmark-bench-'));
const existing = { directory: join(parent, 'existing'), port: freePort() };
await startToReady(existing.directory, existing.port);
const rows = [
  await measure('new', (run) => ({ directory: join(parent, `new-${run}`), port: freePort() })),
  await measure('existing', () => existing),
];
rmSync(parent, { recursive: true, force: true });
printReport(json, 'serve', runs, rows, [`memory is that at rest, ${REST_MS / 1000} s after the last start`]);
