import { join } from 'node:path';
import { hallmark } from './report.ts';
import { environment } from './run.ts';

export interface Server {
  readonly url: string;
  readonly devIssuer: string;
  readonly pid: number;
  /** Milliseconds from the start of the process to its ready line. */
  readonly readyAfter: number;
  readonly kill: () => Promise<void>;
}

/** `hallmark serve`, once it says that it is ready. `port` 0 takes a free one. */
export async function startServer(directory: string, port = 0): Promise<Server> {
  const start = performance.now();
  const child = Bun.spawn(
    [hallmark, 'serve', '--listen', `127.0.0.1:${port}`, '--data', join(directory, 'data'), '--log-format', 'json'],
    { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe', env: environment(directory) },
  );
  const ready = Promise.withResolvers<{ url: string; devIssuer: string; readyAfter: number }>();
  void (async () => {
    let said = '';
    for await (const chunk of child.stderr) {
      said += Buffer.from(chunk).toString();
      const line = said.split('\n').find((text) => text.includes('"event":"ready"') && text.endsWith('}'));
      if (line !== undefined) ready.resolve({ readyAfter: performance.now() - start, ...JSON.parse(line) });
    }
    ready.reject(new Error(`serve ended before it was ready:\n${said}`));
  })();
  const { url, devIssuer, readyAfter } = await ready.promise;
  return {
    url,
    devIssuer,
    pid: child.pid,
    readyAfter,
    kill: async () => {
      child.kill('SIGKILL');
      await child.exited;
    },
  };
}

export function freePort(): number {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => {} } });
  listener.stop();
  return listener.port;
}
