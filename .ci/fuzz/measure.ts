// Runs a command some times and prints what each run took, as JSON: bun measure.ts RUNS FOLDER COMMAND...
// A process of its own, for the system counts the memory of who starts a process as memory of that process.
export interface Run {
  readonly code: number;
  readonly out: string;
  readonly error: string;
  readonly ms: number;
  /** Most memory that it took, bytes. */
  readonly rss: number;
}

const [runs = '1', cwd = '.', ...command] = process.argv.slice(2);
const measured: Run[] = [];
for (let i = 0; i < Number(runs); i++) {
  const started = performance.now();
  const run = Bun.spawnSync(command, { cwd, env: { HOME: cwd, PATH: '/usr/bin:/bin' }, stdin: 'ignore' });
  measured.push({
    code: run.exitCode,
    out: run.stdout.toString(),
    error: run.stderr.toString(),
    ms: performance.now() - started,
    rss: run.resourceUsage.maxRSS,
  });
}
console.log(JSON.stringify(measured));
