// What every interop test begins with: the compiled binary serving on a free port with a new data directory, a client
// home of its own, and the real clients from the cache. NO_PROXY keeps clients from sending loopback to a proxy.
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { outputsOf } from '../outputs.ts';

export const root = join(import.meta.dir, '../..');
export const hallmarkBinary = join(root, 'dist', 'hallmark');
export const IDENTITY = 'you@example.com';

/** Folders of the peers, installed by .ci/peers; absence is a failure, never a skip. */
export const peers = process.env['HALLMARK_PEERS'] ?? join(process.env['HOME'] ?? '', '.cache', 'hallmark-peers');
const PEER_BINARIES = {
  cosign: 'cosign-3.1.3',
  gitsign: 'gitsign-0.16.0',
  'rekor-cli': 'rekor-cli-1.5.4',
  'read-log': 'read-log-torchwood-0.9.0',
  sigstore: 'sigstore-python-4.5.1/venv/bin',
};
export const jsPeer = join(peers, 'sigstore-js-4.1.1');

export interface Run {
  code: number;
  stdout: string;
  stderr: string;
}

export interface Stack {
  readonly url: string;
  readonly issuer: string;
  /** The server's data directory. */
  readonly data: string;
  /** The lines that serve prints for a client. */
  readonly guide: (client: string) => string[];
  /** A new directory for one client. */
  readonly workspace: (name: string) => string;
  /** Runs a shell line in a directory with an environment of its own; must end with 0 unless `fails`. */
  readonly run: (
    cwd: string,
    line: string,
    options?: { fails?: boolean; env?: Record<string, string> },
  ) => Promise<Run>;
  readonly token: (email?: string) => Promise<string>;
  readonly stop: () => Promise<void>;
}

export async function startStack(...flags: string[]): Promise<Stack> {
  for (const folder of [hallmarkBinary, jsPeer, ...Object.values(PEER_BINARIES).map((name) => join(peers, name))]) {
    if (!existsSync(folder)) throw new Error(`${folder} is missing: run npm run build and .ci/peers first`);
  }
  const directory = mkdtempSync(join(tmpdir(), 'hallmark-interop-'));
  const path = [
    join(root, 'dist'),
    ...Object.values(PEER_BINARIES).map((name) => join(peers, name)),
    process.env['PATH'] ?? '',
  ].join(':');
  const { ready, stop } = await startServe(directory, path, flags);

  const workspace = (name: string): string => {
    const folder = join(directory, name);
    mkdirSync(folder, { recursive: true });
    return folder;
  };
  const run: Stack['run'] = async (cwd, line, options = {}) => {
    const env = {
      PATH: path,
      HOME: cwd,
      NODE_PATH: join(jsPeer, 'node_modules'),
      NO_PROXY: '127.0.0.1,localhost',
      no_proxy: '127.0.0.1,localhost',
      GIT_AUTHOR_NAME: 'You',
      GIT_AUTHOR_EMAIL: IDENTITY,
      GIT_COMMITTER_NAME: 'You',
      GIT_COMMITTER_EMAIL: IDENTITY,
      ...options.env,
    };
    const child = Bun.spawn(['bash', '-c', line], { cwd, env, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
    const { stdout, stderr, code } = await outputsOf(child);
    if ((code !== 0) !== (options.fails ?? false)) throw new Error(`ended with ${code}: ${line}\n${stdout}${stderr}`);
    return { code, stdout, stderr };
  };
  return {
    url: ready.url,
    issuer: ready.devIssuer,
    data: join(directory, 'data'),
    guide: (client) => ready.clients.find((entry) => entry.client === client)?.lines ?? [],
    workspace,
    run,
    token: async (email = IDENTITY) =>
      (await run(workspace('token'), `hallmark token --issuer ${ready.devIssuer} --email ${email}`)).stdout,
    stop: async () => {
      const code = await stop();
      rmSync(directory, { recursive: true, force: true });
      if (code !== 0) throw new Error(`serve ended with ${code}`);
    },
  };
}

/** The compiled binary serving on a free port, with its data and its home in a directory. */
export async function startServe(
  directory: string,
  path: string,
  flags: readonly string[] = [],
): Promise<{ ready: Ready; stop: () => Promise<number> }> {
  const data = join(directory, 'data');
  const server = Bun.spawn(
    [hallmarkBinary, 'serve', '--listen', '127.0.0.1:0', '--data', data, '--log-format', 'json', ...flags],
    { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe', env: { PATH: path, HOME: directory } },
  );
  const stop = (): Promise<number> => {
    server.kill('SIGTERM');
    return server.exited;
  };
  return { ready: await readReady(server.stderr), stop };
}

interface Ready {
  url: string;
  devIssuer: string;
  rootFingerprint: string;
  clients: { client: string; lines: string[] }[];
}

async function readReady(stream: ReadableStream<Uint8Array>): Promise<Ready> {
  const reader = stream.getReader();
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`serve ended before it was ready: ${text}`);
    text += Buffer.from(value).toString();
    for (const line of text.split('\n').slice(0, -1)) {
      const event = JSON.parse(line) as Ready & { event?: string };
      if (event.event === 'ready') {
        // Keep draining, or the server blocks on a full pipe.
        void (async () => {
          while (!(await reader.read()).done);
        })();
        return event;
      }
    }
  }
}
