// A server of the compiled binary with a new data directory, and what the fuzzer asks of it beside its routes.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const binary = process.env['HALLMARK_BINARY'] ?? join(import.meta.dir, '../../dist/hallmark');

interface Ready {
  readonly event?: string;
  readonly url: string;
  readonly devIssuer?: string;
  readonly metricsUrl?: string;
}

export interface Server {
  readonly url: string;
  readonly pid: number;
  /** An identity token of the embedded issuer. */
  readonly token: (email: string) => Promise<string>;
  /** The verifier key of the v2 log. */
  readonly vkey: () => Promise<string>;
  /** The paths that its front page lists, but folders. */
  readonly documents: () => Promise<string[]>;
  /** Names of the routes that metrics have seen. */
  readonly routesReached: () => Promise<ReadonlySet<string>>;
  /** Ends it; its exit code, and the lines of errors in its log. */
  readonly stop: () => Promise<{ code: number | string; errors: string[] }>;
}

export async function startServer(args: readonly string[]): Promise<Server> {
  const directory = mkdtempSync(join(tmpdir(), 'hallmark-endpoints-'));
  const child = Bun.spawn(
    [binary, ...args, '--listen', '127.0.0.1:0', '--data', join(directory, 'data'), '--log-format', 'json'],
    { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe', env: { HOME: directory, PATH: process.env['PATH'] ?? '' } },
  );
  // Not left behind by a fuzzer that fails itself.
  process.on('exit', () => child.kill('SIGKILL'));
  const errors: string[] = [];
  const ready = await follow(child.stderr, errors);
  return {
    url: ready.url,
    pid: child.pid,
    token: async (email) => {
      const run = Bun.spawn([binary, 'token', '--issuer', ready.devIssuer ?? '', '--email', email], { stdout: 'pipe' });
      return (await new Response(run.stdout).text()).trim();
    },
    vkey: async () => {
      interface Root {
        readonly tlogs: { publicKey: { rawBytes: string; keyDetails: string }; logId: { keyId: string } }[];
      }
      const root = (await (await fetch(`${ready.url}/trusted_root.json`)).json()) as Root;
      const log = root.tlogs.find(({ publicKey }) => publicKey.keyDetails === 'PKIX_ED25519');
      if (!log) throw new Error('the trusted root has no v2 log');
      const key = Buffer.concat([Buffer.of(1), Buffer.from(log.publicKey.rawBytes, 'base64').subarray(-32)]);
      const keyId = Buffer.from(log.logId.keyId, 'base64').toString('hex').slice(0, 8);
      return `${new URL(ready.url).hostname}+${keyId}+${key.toString('base64')}`;
    },
    documents: async () =>
      (await (await fetch(ready.url)).text()).split('\n').filter((line) => /^\/[^/].*[^/]$/.test(line)),
    routesReached: async () => {
      const text = await fetch(ready.metricsUrl ?? '').then(
        (answer) => answer.text(),
        () => '',
      );
      return new Set(
        [...text.matchAll(/^hallmark_http_requests_total\{route="([^"]*)"/gm)].map(([, route = '']) => route),
      );
    },
    stop: async () => {
      child.kill('SIGTERM');
      await child.exited;
      const code = child.signalCode ?? child.exitCode ?? -1;
      rmSync(directory, { recursive: true, force: true });
      return { code, errors };
    },
  };
}

/** Reads the log to its end, keeps what is an error, and tells when the server is ready. */
function follow(stream: ReadableStream<Uint8Array>, errors: string[]): Promise<Ready> {
  const { promise, resolve, reject } = Promise.withResolvers<Ready>();
  void (async () => {
    let rest = '';
    for await (const chunk of stream) {
      const lines = (rest + Buffer.from(chunk).toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        // What is not JSON is a crash's last words.
        const event = line.startsWith('{') ? (JSON.parse(line) as Ready & { level?: string }) : undefined;
        if (event?.event === 'ready') resolve(event);
        if (event === undefined || event.level === 'error') errors.push(line);
      }
    }
    reject(new Error(`the server ended: ${errors.join('\n')}${rest}`));
  })();
  return promise;
}
