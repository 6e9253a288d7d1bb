// The agent as its neighbours see it: other users of the machine, folders that are not what they should be, sockets from
// elsewhere, systemd. As root, as only root can be two users; without it those tests are skipped, but never in CI.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import {
  chmodSync,
  chownSync,
  cpSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { outputsOf } from '../outputs.ts';

setDefaultTimeout(60_000);
const NOBODY = 65_534;
const built = process.env['HALLMARK_BINARY'] ?? join(import.meta.dir, '../../dist/hallmark');
const base = mkdtempSync(join(tmpdir(), 'hallmark-agents-'));
const binary = join(base, 'hallmark');
const isRoot = process.getuid?.() === 0;
const asRoot = test.skipIf(!isRoot && process.env['CI'] !== 'true');

interface Running {
  readonly pid: number;
  readonly runtime: string;
  readonly directory: string;
  readonly socket: string;
  readonly output: () => string;
  readonly end: () => Promise<void>;
}
const running: Running[] = [];

beforeAll(() => {
  // Where another user may read and execute.
  chmodSync(base, 0o755);
  cpSync(built, binary);
  chmodSync(binary, 0o755);
});
afterAll(async () => {
  for (const agent of running) await agent.end();
  rmSync(base, { recursive: true, force: true });
});

let count = 0;
function runtimeOf(uid: number): string {
  const runtime = join(base, String(count++));
  mkdirSync(runtime, { mode: 0o755 });
  if (isRoot) chownSync(runtime, uid, uid);
  return runtime;
}

const as = (uid: number | undefined, ...argv: string[]): string[] =>
  uid === undefined ? argv : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', ...argv];
const environment = (runtime: string): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  HOME: runtime,
  XDG_RUNTIME_DIR: runtime,
});

/** An agent that listens, as that user. */
async function startAgent(options: { uid?: number; flags?: string[]; argv?: string[] } = {}): Promise<Running> {
  const { uid, flags = [] } = options;
  const runtime = runtimeOf(uid ?? 0);
  const child = Bun.spawn(as(uid, ...(options.argv ?? [binary, 'agent', ...flags])), {
    env: environment(runtime),
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  });
  let output = '';
  const read = (async () => {
    for await (const chunk of child.stderr) {
      output += Buffer.from(chunk).toString();
      if (output.includes(' listening ')) return;
    }
    throw new Error(`the agent ended: ${output}`);
  })();
  await read;
  const directory = join(runtime, 'hallmark');
  const agent: Running = {
    pid: child.pid,
    runtime,
    directory,
    socket: join(directory, 'agent.sock'),
    output: () => output,
    async end() {
      child.kill('SIGTERM');
      await child.exited;
    },
  };
  running.push(agent);
  return agent;
}

async function run(argv: string[], runtime: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = Bun.spawn(argv, { env: environment(runtime), stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
  return outputsOf(child);
}
const status = (runtime: string, uid?: number) => run(as(uid, binary, 'agent', 'status', '--output', 'json'), runtime);

/** A program that asks for the status with nothing of the client's care, and prints what comes. */
const ASK = `
const header = '{"version":2,"type":"status"}';
const request = Buffer.concat([Buffer.from([0, 0, 0, header.length, 0, 0, 0, 0]), Buffer.from(header)]);
await Bun.connect({ unix: process.argv[2], socket: {
  open: (socket) => void socket.write(request),
  data: (_, chunk) => void process.stdout.write(chunk.subarray(8)),
}});
`;
const bun = (): string => {
  const path = join(base, 'bun');
  cpSync(process.execPath, path);
  chmodSync(path, 0o755);
  return path;
};
const script = (name: string, text: string): string => {
  const path = join(base, name);
  writeFileSync(path, text, { mode: 0o644 });
  return path;
};

describe('another user', () => {
  asRoot('cannot reach the socket, and is refused where the folder is open', async () => {
    const agent = await startAgent();
    const [program, ask] = [bun(), script('ask.ts', ASK)];
    expect((await run([program, ask, agent.socket], agent.runtime)).stdout).toContain('"type":"status"');
    const shut = await run(as(NOBODY, program, ask, agent.socket), agent.runtime);
    expect([shut.code === 0, shut.stdout]).toEqual([false, '']);
    // As if the folder had been opened after the agent looked at it: now only the kernel tells them apart.
    chmodSync(agent.directory, 0o755);
    chmodSync(agent.socket, 0o666);
    const { stdout } = await run(as(NOBODY, program, ask, agent.socket), agent.runtime);
    expect(JSON.parse(stdout)).toMatchObject({ type: 'refused', code: 'AGENT_UNSAFE' });
  });

  asRoot('is refused even if it is root', async () => {
    const agent = await startAgent({ uid: NOBODY });
    const { stdout } = await run([bun(), script('ask.ts', ASK), agent.socket], agent.runtime);
    expect(JSON.parse(stdout)).toMatchObject({ type: 'refused', code: 'AGENT_UNSAFE' });
  });

  asRoot('has no agent that one would ask', async () => {
    const agent = await startAgent({ uid: NOBODY });
    expect(JSON.parse((await status(agent.runtime, NOBODY)).stdout)).toMatchObject({ running: true });
    const { code, stdout } = await status(agent.runtime);
    expect([code, JSON.parse(stdout).error.code]).toEqual([6, 'AGENT_UNSAFE']);
  });

  asRoot('who listens in one’s own folder is found out by the kernel', async () => {
    const runtime = runtimeOf(0);
    const directory = join(runtime, 'hallmark');
    mkdirSync(directory, { mode: 0o700 });
    // An impostor with a socket that was given to root: owner and mode of everything on disk are as they should be.
    const impostor = join(base, 'impostor');
    mkdirSync(impostor);
    chownSync(impostor, NOBODY, NOBODY);
    const listen = script(
      'listen.ts',
      `Bun.listen({ unix: process.argv[2], socket: { data(socket) { socket.write('x'); } } }); console.log('ready');`,
    );
    const child = Bun.spawn(as(NOBODY, bun(), listen, join(impostor, 'agent.sock')), { stdout: 'pipe' });
    await child.stdout.getReader().read();
    linkSync(join(impostor, 'agent.sock'), join(directory, 'agent.sock'));
    chownSync(join(directory, 'agent.sock'), 0, 0);
    try {
      const { code, stdout } = await status(runtime);
      expect([code, JSON.parse(stdout).error]).toEqual([
        6,
        expect.objectContaining({ code: 'AGENT_UNSAFE', message: expect.stringContaining('belongs to another user') }),
      ]);
    } finally {
      child.kill();
      await child.exited;
    }
  });

  asRoot('cannot read what the agent has in memory; neither can a process of the same user', async () => {
    const agent = await startAgent({ uid: NOBODY });
    // setpriv became the agent: the process is the same.
    for (const file of ['mem', 'environ', 'maps']) {
      const { code, stderr } = await run(as(NOBODY, 'head', '-c', '1', `/proc/${agent.pid}/${file}`), agent.runtime);
      expect([file, code === 0, stderr]).toEqual([file, false, expect.stringContaining('Permission denied')]);
    }
  });
});

describe('the folder', () => {
  const refusedByBoth = async (runtime: string): Promise<void> => {
    for (const args of [['agent'], ['agent', 'status']]) {
      const { code, stderr } = await run([binary, ...args], runtime);
      expect([args, code, stderr]).toEqual([args, 6, expect.stringContaining("the agent's directory")]);
    }
  };
  test.each([0o755, 0o750, 0o777])('with mode %o is refused by both ends', async (mode) => {
    const runtime = runtimeOf(0);
    mkdirSync(join(runtime, 'hallmark'));
    chmodSync(join(runtime, 'hallmark'), mode);
    await refusedByBoth(runtime);
  });

  asRoot('of another owner is refused by both ends', async () => {
    const runtime = runtimeOf(0);
    mkdirSync(join(runtime, 'hallmark'), { mode: 0o700 });
    chownSync(join(runtime, 'hallmark'), NOBODY, NOBODY);
    await refusedByBoth(runtime);
  });

  test('that is a link is refused by both ends', async () => {
    const runtime = runtimeOf(0);
    mkdirSync(join(runtime, 'elsewhere'), { mode: 0o700 });
    symlinkSync('elsewhere', join(runtime, 'hallmark'));
    await refusedByBoth(runtime);
  });
});

describe('a forwarded socket', () => {
  // What `ssh -R` is to the agent: a process of that name which carries bytes.
  const RELAY = `
const [, , from, to] = process.argv;
Bun.listen({ unix: from, socket: {
  open(client) {
    client.data = Bun.connect({ unix: to, socket: {
      data: (_, chunk) => void client.write(chunk),
      // Not the other half: to close while something is unread would lose the answer.
      close: () => void client.shutdown(),
    }});
  },
  async data(client, chunk) { (await client.data).write(chunk.slice()); },
}});
console.log('ready');
`;
  async function throughRelay(agent: Running): Promise<string> {
    const ssh = join(base, `relay-${count++}`, 'ssh');
    mkdirSync(join(ssh, '..'));
    cpSync(process.execPath, ssh);
    chmodSync(ssh, 0o755);
    const socket = join(ssh, '..', 'remote.sock');
    const relay = Bun.spawn([ssh, script('relay.ts', RELAY), socket, agent.socket], { stdout: 'pipe' });
    try {
      await relay.stdout.getReader().read();
      return (await run([bun(), script('ask.ts', ASK), socket], agent.runtime)).stdout;
    } finally {
      relay.kill();
      await relay.exited;
    }
  }

  test('is refused', async () => {
    const answer = await throughRelay(await startAgent());
    expect(JSON.parse(answer)).toMatchObject({ type: 'refused', code: 'AGENT_REFUSED' });
  });

  test('is served by an agent that was told to', async () => {
    const answer = await throughRelay(await startAgent({ flags: ['--allow-forwarded'] }));
    expect(JSON.parse(answer)).toMatchObject({ type: 'status' });
  });
});

describe('systemd', () => {
  // What systemd-socket-activate does, with any shell: the socket as descriptor 3, and variables that say so.
  test('passes a socket', async () => {
    const runtime = runtimeOf(0);
    const directory = join(runtime, 'hallmark');
    mkdirSync(directory, { mode: 0o700 });
    const listener = Bun.listen({ unix: join(directory, 'agent.sock'), socket: { data() {} } });
    const child = Bun.spawn(['sh', '-c', `LISTEN_PID=$$ LISTEN_FDS=1 exec ${binary} agent`], {
      env: environment(runtime),
      stdio: ['ignore', 'ignore', 'pipe', (listener as unknown as { fd: number }).fd],
    });
    try {
      await child.stderr.getReader().read();
      // From here on only the agent listens. The one who stops takes the path away, which systemd does not.
      linkSync(join(directory, 'agent.sock'), join(directory, 'kept'));
      listener.stop();
      renameSync(join(directory, 'kept'), join(directory, 'agent.sock'));
      expect(JSON.parse((await status(runtime)).stdout)).toMatchObject({ running: true });
      expect((await run([binary, 'agent', 'stop'], runtime)).code).toBe(0);
      expect(await child.exited).toBe(0);
    } finally {
      child.kill();
    }
  });

  test('passes a socket in a folder that is open to others: refused', async () => {
    const runtime = runtimeOf(0);
    const directory = join(runtime, 'hallmark');
    mkdirSync(directory, { mode: 0o755 });
    const listener = Bun.listen({ unix: join(directory, 'agent.sock'), socket: { data() {} } });
    const child = Bun.spawn(['sh', '-c', `LISTEN_PID=$$ LISTEN_FDS=1 exec ${binary} agent`], {
      env: environment(runtime),
      stdio: ['ignore', 'ignore', 'pipe', (listener as unknown as { fd: number }).fd],
    });
    const killing = setTimeout(() => child.kill('SIGKILL'), 20_000);
    const stderr = await new Response(child.stderr).text();
    clearTimeout(killing);
    listener.stop();
    expect([await child.exited, stderr]).toEqual([6, expect.stringContaining('has mode 0755, not 0700')]);
  });

  test('is told by units that systemd accepts', async () => {
    const runtime = runtimeOf(0);
    expect((await run([binary, 'agent', 'install'], runtime)).code).toBe(0);
    const units = ['socket', 'service'].map((kind) => join(runtime, `.config/systemd/user/hallmark-agent.${kind}`));
    if (Bun.which('systemd-analyze') === null) return;
    const { code, stderr } = await run(['systemd-analyze', 'verify', '--man=no', ...units], runtime);
    expect([code, stderr]).toEqual([0, '']);
  });
});

test('two that are started at the same time leave one', async () => {
  const runtime = runtimeOf(0);
  const children = Array.from({ length: 5 }, () =>
    Bun.spawn([binary, 'agent', '--on-demand'], { env: environment(runtime), stdio: ['ignore', 'ignore', 'ignore'] }),
  );
  const ends = children.map(async (child) => [child.pid, await child.exited] as const);
  const first = await Promise.race([Promise.all(ends.slice(0)).then(() => undefined), waitForAgent(runtime)]);
  expect(first).toBeDefined();
  // All but the one that answers end, with success.
  const others = await Promise.all(ends.filter((_, i) => children[i]?.pid !== first));
  expect(others).toHaveLength(4);
  expect(others.every(([, code]) => code === 0)).toBe(true);
  await run([binary, 'agent', 'stop'], runtime);
  await Promise.all(ends);
});

async function waitForAgent(runtime: string): Promise<number> {
  for (;;) {
    const { running: isRunning, pid } = JSON.parse((await status(runtime)).stdout) as { running: boolean; pid: number };
    if (isRunning) return pid;
    await Bun.sleep(20);
  }
}
