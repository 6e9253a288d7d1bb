// Runs programs from start to exit, one at a time, and measures each.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export interface Program {
  readonly name: string;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

const GNU_TIME = '/usr/bin/time';

/** Wall time of one run in milliseconds; a run that fails fails the benchmark. */
export function timeOf({ argv, cwd, env }: Program): number {
  const start = performance.now();
  const { exitCode, stderr } = Bun.spawnSync([...argv], {
    cwd,
    env,
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  });
  const time = performance.now() - start;
  if (exitCode !== 0) throw new Error(`${argv.join(' ')} ended with ${exitCode}:\n${stderr}`);
  return time;
}

/**
 * The most memory that one run had resident, in MB; null where GNU time is not installed. The resource usage that this
 * process itself could ask for is never below its own: a child inherits the mark until it runs its program.
 */
export function memoryOf({ argv, cwd, env }: Program): number | null {
  if (!existsSync(GNU_TIME)) return null;
  const { stderr } = Bun.spawnSync([GNU_TIME, '-f', '%M', ...argv], { cwd, env, stdin: 'ignore', stdout: 'ignore' });
  return (Number(stderr.toString().trim().split('\n').at(-1)) * 1024) / 1e6;
}

/** The times of all programs, taken in turns, so that a busy moment of the machine touches all of them. */
export function timeInTurns(programs: readonly Program[], runs: number, warmUps = 2): number[][] {
  for (let i = 0; i < warmUps; i++) for (const program of programs) timeOf(program);
  const times: number[][] = programs.map(() => []);
  for (let i = 0; i < runs; i++) for (const [j, program] of programs.entries()) times[j]?.push(timeOf(program));
  return times;
}

/** A real client that .ci/peers installed; undefined where it is absent. */
export function peer(path: string): string | undefined {
  const cache =
    process.env['HALLMARK_PEERS'] ??
    join(process.env['XDG_CACHE_HOME'] ?? join(process.env['HOME'] ?? '', '.cache'), 'hallmark-peers');
  const binary = join(cache, path);
  return existsSync(binary) ? binary : undefined;
}

/** The environment of what is measured: a home of its own, and loopback without a proxy. */
export const environment = (home: string): Record<string, string> => ({
  HOME: home,
  PATH: process.env['PATH'] ?? '',
  NO_PROXY: '127.0.0.1,localhost',
});
