// The logs that are measured beside each other, each as a process of its own on loopback.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateKey, serializePrivateKey } from '../core/crypto/private-key.ts';
import { hallmark } from './report.ts';
import { environment, peer } from './run.ts';
import { freePort } from './server.ts';

export interface RunningLog {
  readonly url: string;
  readonly pid: number;
  readonly metricsUrl: string | undefined;
  readonly stop: () => Promise<void>;
}

export interface LogSystem {
  readonly name: string;
  /** Entries of a run with so many clients: enough to tell, and not more than a minute of a slow one. */
  readonly entries: (clients: number) => number;
  readonly start: (directory: string) => Promise<RunningLog>;
}

const START_MS = 120_000;

async function run(argv: string[], directory: string, healthUrl: string, metricsUrl?: string): Promise<RunningLog> {
  const child = Bun.spawn(argv, {
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: Bun.file(join(directory, 'stderr')),
    env: environment(directory),
  });
  const url = new URL(healthUrl);
  const deadline = performance.now() + START_MS;
  for (;;) {
    const status = await fetch(url).then(
      (response) => response.status,
      () => 0,
    );
    if (status === 200 || status === 404) break;
    if (child.exitCode !== null || performance.now() > deadline) {
      throw new Error(
        `${argv.join(' ')} did not start:\n${readFileSync(join(directory, 'stderr'), 'utf8').slice(-2000)}`,
      );
    }
    await Bun.sleep(20);
  }
  return {
    url: url.origin,
    pid: child.pid,
    metricsUrl,
    stop: async () => {
      child.kill('SIGTERM');
      await child.exited;
    },
  };
}

export const hallmarkLog: LogSystem = {
  name: 'hallmark',
  entries: (clients) => ({ 1: 1500, 16: 10_000 })[clients] ?? 30_000,
  start: (directory) => {
    const port = freePort();
    return startHallmark(join(directory, 'data'), port, directory);
  },
};

/** The URL of a data directory is fixed: one that exists is started on the port of its first start. */
export function startHallmark(data: string, port: number, directory: string): Promise<RunningLog> {
  const metrics = freePort();
  const flags = ['--listen', `127.0.0.1:${port}`, '--metrics', `127.0.0.1:${metrics}`, '--data', data];
  return run(
    [hallmark, 'serve', 'log', ...flags, '--log-format', 'json'],
    directory,
    `http://127.0.0.1:${port}/healthz`,
    `http://127.0.0.1:${metrics}/metrics`,
  );
}

export const bareServer: LogSystem = {
  name: 'bare server, stores nothing',
  entries: hallmarkLog.entries,
  start: (directory) => {
    const port = freePort();
    const program = join(import.meta.dir, 'log-bare.ts');
    return run([process.execPath, program, `${port}`], directory, `http://127.0.0.1:${port}/none`);
  },
};

/** rekor-tiles' POSIX server with its defaults, and with the fastest settings that it takes. */
export function rekorTiles(): LogSystem[] {
  const binary = peer('rekor-tiles-2.3.0/posix');
  if (binary === undefined) return [];
  const start =
    (...flags: string[]) =>
    (directory: string): Promise<RunningLog> => {
      const [http, grpc, metrics] = [freePort(), freePort(), freePort()];
      const key = join(directory, 'key.pem');
      const storage = join(directory, 'storage');
      mkdirSync(storage, { recursive: true });
      writeFileSync(key, serializePrivateKey(generateKey('ed25519')), { mode: 0o600 });
      const ports = ['--http-port', `${http}`, '--grpc-port', `${grpc}`, '--http-metrics-port', `${metrics}`];
      const files = ['--storage-dir', storage, '--signer-filepath', key, '--hostname', 'log.example'];
      return run(
        [binary, 'serve', ...ports, ...files, '--persistent-antispam', '--log-level', 'error', ...flags],
        directory,
        `http://127.0.0.1:${http}/healthz`,
      );
    };
  const tuned = ['--checkpoint-interval=100ms', '--batch-max-age=10ms', '--batch-max-size=1024'];
  return [
    {
      name: 'rekor-tiles, as shipped',
      entries: (clients) => ({ 1: 3, 16: 32 })[clients] ?? 512,
      start: start(),
    },
    { name: 'rekor-tiles, tuned', entries: (clients) => ({ 1: 20, 16: 320 })[clients] ?? 5000, start: start(...tuned) },
  ];
}

/** CPU time of a process so far, all its threads, in seconds. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const TICKS_PER_SECOND = 100;
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Resident memory in MB: now, and the most so far. */
export function memoryOf(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (name: string): number =>
    (Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024) / 1e6;
  return { now: of('VmRSS'), peak: of('VmHWM') };
}
