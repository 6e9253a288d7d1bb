import { join } from 'node:path';

const binary = process.env['HALLMARK_BINARY'] ?? join(import.meta.dir, '../../dist/hallmark');

export interface Server {
  readonly url: string;
  readonly devIssuer: string;
  readonly pid: number;
  /** Undefined unless `--metrics` was given. */
  readonly metricsUrl: string | undefined;
  /** kill -9: no handler runs, nothing is flushed by the process. */
  readonly kill: () => Promise<void>;
  /** SIGTERM; the exit code. */
  readonly stop: () => Promise<number>;
}

interface Spawning {
  /** No file can grow beyond so many blocks (ulimit -f). */
  readonly fileBlocks?: number;
  readonly flags?: readonly string[];
}

/** The compiled binary, serving; resolves once it says that it is ready, rejects with what it said if it ends before. */
export async function startServer(data: string, listen: string, spawning: Spawning = {}): Promise<Server> {
  const child = spawnServer(data, listen, spawning);
  let said = '';
  const ready = Promise.withResolvers<Pick<Server, 'url' | 'devIssuer' | 'metricsUrl'>>();
  void (async () => {
    for await (const chunk of child.stderr) {
      said += Buffer.from(chunk).toString();
      const line = said.split('\n').find((text) => text.includes('"event":"ready"') && text.endsWith('}'));
      if (line !== undefined) ready.resolve(JSON.parse(line));
    }
    ready.reject(new Error(`serve ended before it was ready:\n${said}`));
  })();
  const { url, devIssuer, metricsUrl } = await ready.promise;
  return {
    url,
    devIssuer,
    metricsUrl,
    pid: child.pid,
    kill: async () => {
      child.kill('SIGKILL');
      await child.exited;
    },
    stop: () => {
      child.kill('SIGTERM');
      return child.exited;
    },
  };
}

/** A start that is killed after so many milliseconds, ready or not. */
export async function startAndKill(data: string, listen: string, afterMs: number): Promise<void> {
  const child = spawnServer(data, listen);
  await Bun.sleep(afterMs);
  child.kill('SIGKILL');
  await child.exited;
}

function spawnServer(
  data: string,
  listen: string,
  { fileBlocks, flags = [] }: Spawning = {},
): Bun.Subprocess<'ignore', 'ignore', 'pipe'> {
  const serve = [binary, 'serve', '--listen', listen, '--data', data, '--log-format', 'json', ...flags];
  // The signal of the limit would end the process; without it a write fails, as on a full disk.
  const limited = ['sh', '-c', `trap '' XFSZ; ulimit -f ${fileBlocks}; exec "$@"`, 'sh', ...serve];
  return Bun.spawn(fileBlocks === undefined ? serve : limited, {
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
    env: { HOME: data, PATH: process.env['PATH'] ?? '' },
  });
}
