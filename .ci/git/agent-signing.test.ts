// Real git, a real stack and the compiled binary: how often one logs in, and what is left of commits when the agent dies.
// Logins are counted where they happen: at the browser, and certificates in the CT log of the stack.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { outputsOf } from '../outputs.ts';

setDefaultTimeout(60_000);
const binary = process.env['HALLMARK_BINARY'] ?? join(import.meta.dir, '../../dist/hallmark');
const base = mkdtempSync(join(tmpdir(), 'hallmark-signing-'));
const bin = join(base, 'bin');
const EMAIL = 'you@example.com';

interface Stack {
  readonly url: string;
  readonly name: string;
  readonly issuer: string;
  readonly fingerprint: string;
  readonly process: Bun.Subprocess;
}

async function startStack(name: string): Promise<Stack> {
  const child = Bun.spawn(
    [binary, 'serve', '--listen', '127.0.0.1:0', '--data', join(base, name), '--log-format', 'json'],
    { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe', env: { PATH: process.env['PATH'] ?? '', HOME: base } },
  );
  let text = '';
  const ready = Promise.withResolvers<string>();
  void (async () => {
    // All of it is read, or the server would stand still before a full pipe.
    for await (const chunk of child.stderr) {
      text += Buffer.from(chunk).toString();
      const line = text.split('\n').find((each) => each.includes('"event":"ready"') && each.endsWith('}'));
      if (line !== undefined) ready.resolve(line);
    }
    ready.reject(new Error(`serve ended: ${text}`));
  })();
  const { url, devIssuer, rootFingerprint } = JSON.parse(await ready.promise) as Record<string, string>;
  return { url: url!, name, issuer: devIssuer!, fingerprint: rootFingerprint!, process: child };
}

interface Run {
  readonly code: number;
  readonly output: string;
}

let one: Stack;
let two: Stack;
let home: string;
let count = 0;
/** As a person at a terminal with a browser; without both there is nobody to ask. */
type Where = 'terminal' | 'script';

beforeAll(async () => {
  mkdirSync(bin);
  // The browser: it fills in the form of the issuer and follows it back, and writes down that it did.
  writeFileSync(
    join(bin, 'xdg-open'),
    `#!/bin/sh\necho "$1" >> "$HOME/logins"\nexec curl -sSL --noproxy '*' --data "\${1#*\\?}&email=you%40example.com" "\${1%%\\?*}" > /dev/null 2>> "$HOME/browser-errors"\n`,
    { mode: 0o755 },
  );
  [one, two] = await Promise.all([startStack('one'), startStack('two')]);
});
afterAll(async () => {
  for (const { process } of [one, two]) {
    process.kill('SIGTERM');
    await process.exited;
  }
  rmSync(base, { recursive: true, force: true });
});

const environment = (): Record<string, string> => ({
  PATH: `${bin}:${process.env['PATH'] ?? ''}`,
  HOME: home,
  XDG_RUNTIME_DIR: join(home, 'run'),
  NO_PROXY: '127.0.0.1,localhost',
  no_proxy: '127.0.0.1,localhost',
  GIT_AUTHOR_NAME: 'You',
  GIT_AUTHOR_EMAIL: EMAIL,
  GIT_COMMITTER_NAME: 'You',
  GIT_COMMITTER_EMAIL: EMAIL,
});

/** Runs a shell line; `terminal` gives it one, to which git and its programs write. */
async function run(cwd: string, line: string, where: Where, env: Record<string, string> = {}): Promise<Run> {
  const argv = where === 'terminal' ? ['script', '-qec', line, '/dev/null'] : ['setsid', '-w', 'bash', '-c', line];
  const child = Bun.spawn(argv, {
    cwd,
    env: { ...environment(), SHELL: '/bin/bash', ...(where === 'terminal' && { DISPLAY: ':0' }), ...env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const { stdout, stderr, code } = await outputsOf(child);
  return { code, output: stdout + stderr };
}

async function ok(
  cwd: string,
  line: string,
  where: Where = 'script',
  env: Record<string, string> = {},
): Promise<string> {
  const { code, output } = await run(cwd, line, where, env);
  if (code !== 0) throw new Error(`ended with ${code}: ${line}\n${output}`);
  return output;
}

/** A home with its own agent, and a repository in it that signs with stack `one`. */
async function newHome(): Promise<string> {
  home = join(base, `home-${count++}`);
  mkdirSync(join(home, 'run'), { recursive: true, mode: 0o700 });
  for (const { url, name, fingerprint } of [one, two]) {
    await ok(
      home,
      `${binary} trust add ${url} --name ${name} --fingerprint sha256:${fingerprint.replace('sha256:', '')}`,
    );
  }
  await ok(home, `${binary} trust use one`);
  await ok(home, `git config --global gpg.format x509; git config --global gpg.x509.program ${binary}`);
  return newRepository('repository');
}

async function newRepository(name: string): Promise<string> {
  const repository = join(home, name);
  await ok(home, `git init -q -b main ${name}`);
  return repository;
}
const addCommits = (repository: string, n: number): Promise<string> =>
  ok(repository, `for i in $(seq ${n}); do git commit -q --allow-empty -m "commit $i" || exit 1; done`);

afterEach(async () => {
  await run(home, `${binary} agent stop`, 'script');
});

const logins = (): number => {
  try {
    return readFileSync(join(home, 'logins'), 'utf8').trim().split('\n').length;
  } catch {
    return 0;
  }
};
async function certificates(stack: Stack = one): Promise<number> {
  const head = (await (await fetch(`${stack.url}/ct/v1/get-sth`)).json()) as { tree_size: number };
  return head.tree_size;
}
const tokenOf = (stack: Stack): Promise<string> =>
  ok(home, `${binary} token --issuer ${stack.issuer} --email ${EMAIL}`);
async function agentPid(): Promise<number | undefined> {
  const text = await ok(home, `${binary} agent status --output json`);
  return (JSON.parse(text) as { pid?: number }).pid;
}
/** The commits that have a signature, and all. */
async function signed(repository: string, range = 'HEAD'): Promise<[number, number]> {
  const text = await ok(
    repository,
    `git rev-list ${range} | while read c; do git cat-file commit $c | grep -c ^gpgsig; done; true`,
  );
  const marks = text
    .trim()
    .split('\n')
    .filter((line) => line !== '');
  return [marks.filter((mark) => mark === '1').length, marks.length];
}

describe('one login', () => {
  test('for a rebase of 20 commits with a fresh agent', async () => {
    const repository = await newHome();
    await addCommits(repository, 21);
    const before = await certificates();
    await ok(repository, 'git -c commit.gpgsign=true rebase -q --force-rebase --root', 'terminal');
    expect(await signed(repository)).toEqual([21, 21]);
    expect([logins(), (await certificates()) - before]).toEqual([1, 1]);
  });

  test('for all repositories and worktrees, and those that sign at the same time', async () => {
    const repository = await newHome();
    await addCommits(repository, 1);
    const other = await newRepository('other');
    for (const name of ['a', 'b', 'c']) await ok(repository, `git worktree add -q ../${name}`);
    const before = await certificates();
    const places = [repository, other, ...['a', 'b', 'c'].map((name) => join(home, name))];
    await Promise.all(places.map((place) => ok(place, 'git commit -q -S --allow-empty -m signed', 'terminal')));
    for (const place of places) expect(await signed(place, '-1 HEAD')).toEqual([1, 1]);
    expect([logins(), (await certificates()) - before]).toEqual([1, 1]);
  });

  test('again after a lock, and none while it is locked', async () => {
    const repository = await newHome();
    const commit = 'git commit -q -S --allow-empty -m signed';
    await ok(repository, commit, 'terminal');
    await ok(home, `${binary} agent lock`);
    const { code, output } = await run(repository, commit, 'terminal');
    expect([code === 0, output]).toEqual([
      false,
      expect.stringContaining('the agent is locked (hallmark agent unlock)'),
    ]);
    expect(await signed(repository)).toEqual([1, 1]);
    await ok(home, `${binary} agent unlock`);
    await ok(repository, commit, 'terminal');
    expect([logins(), await signed(repository)]).toEqual([2, [2, 2]]);
  });

  test('for each signature without an agent', async () => {
    const repository = await newHome();
    await ok(repository, 'git config --global hallmark.agent false');
    for (let i = 0; i < 2; i++) await ok(repository, 'git commit -q -S --allow-empty -m signed', 'terminal');
    expect([logins(), await signed(repository), await agentPid()]).toEqual([2, [2, 2], undefined]);
  });
});

describe('when the agent dies', () => {
  test('half-way through a rebase, a second login goes on with it', async () => {
    const repository = await newHome();
    await addCommits(repository, 21);
    const kill = `test $(git rev-list --count HEAD) != 10 || ${binary} agent status --output json | sed "s/.*pid.:\\([0-9]*\\).*/\\1/" | xargs kill -9`;
    await ok(repository, `git -c commit.gpgsign=true rebase -q --force-rebase --root --exec '${kill}'`, 'terminal');
    expect(await signed(repository)).toEqual([21, 21]);
    expect(logins()).toBe(2);
  });

  test('where nobody can log in, the rebase stops with a message, and what is there is signed', async () => {
    const repository = await newHome();
    await addCommits(repository, 21);
    // A fresh agent, logged in by a person, who then leaves.
    await ok(repository, 'git commit -q -S --allow-empty -m signed', 'terminal');
    const kill = `test $(git rev-list --count HEAD) != 10 || kill -9 ${await agentPid()}`;
    const { code, output } = await run(
      repository,
      `git -c commit.gpgsign=true rebase --force-rebase --root --exec '${kill}'`,
      'script',
    );
    expect([code === 0, await signed(repository), output]).toEqual([false, [10, 10], expect.any(String)]);
    if (await hasStandardError()) expect(output).toContain('nobody can log in here');
  });

  test('while it signs, another takes its place', async () => {
    const repository = await newHome();
    const env = { SIGSTORE_ID_TOKEN: await tokenOf(one) };
    await ok(repository, 'git commit -q -S --allow-empty -m first', 'script', env);
    const first = await agentPid();
    if (first === undefined) throw new Error('no agent');
    // The stack stands still, so the agent is in the middle of it.
    one.process.kill('SIGSTOP');
    const committing = run(repository, 'git commit -q -S --allow-empty -m second', 'script', env);
    await until(() => isConnected(first, one));
    process.kill(first, 'SIGKILL');
    one.process.kill('SIGCONT');
    expect((await committing).code).toBe(0);
    expect(await signed(repository)).toEqual([2, 2]);
    expect(await agentPid()).not.toBe(first);
  });
});

// Git before 2.40 keeps to itself what a signing program says.
async function hasStandardError(): Promise<boolean> {
  const [, major, minor] = /(\d+)\.(\d+)/.exec(await ok(home, 'git --version')) ?? [];
  return Number(major) > 2 || Number(minor) >= 40;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 2000; i++) {
    if (await condition()) return;
    await Bun.sleep(5);
  }
  throw new Error('it never came to this');
}

/** Whether a process has asked the stack something that it has not been answered: data that waits at the server's socket. */
async function isConnected(pid: number, stack: Stack): Promise<boolean> {
  const port = Number(new URL(stack.url).port).toString(16).toUpperCase().padStart(4, '0');
  const sockets = readFileSync(`/proc/${pid}/net/tcp`, 'utf8').split('\n').slice(1);
  return sockets.some((line) => {
    const [, local, , , queues = ''] = line.trim().split(/\s+/);
    return local?.endsWith(`:${port}`) === true && Number.parseInt(queues.split(':')[1] ?? '0', 16) > 0;
  });
}

describe('an agent that git started', () => {
  test('holds nothing of it: no descriptor, folder, terminal or token', async () => {
    const repository = await newHome();
    const token = await tokenOf(one);
    // Descriptors 4 and 5 as git leaks them, and one more.
    await ok(repository, 'git commit -q -S --allow-empty -m signed 4>&1 5>&2 9>&1 | cat', 'terminal', {
      SIGSTORE_ID_TOKEN: token,
    });
    const pid = await agentPid();
    const links = readdirSync(`/proc/${pid}/fd`).map((fd) => [fd, link(`/proc/${pid}/fd/${fd}`)] as const);
    expect(links.filter(([, target]) => target.startsWith('pipe:') || target.startsWith('/dev/pts'))).toEqual([]);
    for (const [fd, target] of links) if (Number(fd) < 3) expect(target).toBe('/dev/null');
    expect(readlinkSync(`/proc/${pid}/cwd`)).toBe('/');
    const [, session, terminal] = /\) \S+ \d+ \d+ (\d+) (-?\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
    expect([Number(session), terminal]).toEqual([pid as number, '0']);
    const environ = readFileSync(`/proc/${pid}/environ`, 'latin1');
    expect(environ).toContain(`HOME=${home}`);
    expect(environ).not.toContain('TOKEN');
    expect(environ).not.toContain('GIT_');
  });
});

const link = (path: string): string => {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
};

describe('stacks', () => {
  test('each has its own login, and certificates of its own authority', async () => {
    const first = await newHome();
    const second = await newRepository('second');
    await ok(second, 'git config hallmark.trust two');
    const before = [await certificates(one), await certificates(two)];
    for (let i = 0; i < 3; i++) {
      for (const repository of [first, second]) {
        await ok(repository, 'git commit -q -S --allow-empty -m signed', 'terminal');
      }
    }
    const after = [await certificates(one), await certificates(two)];
    expect(after.map((size, i) => size - (before[i] as number))).toEqual([1, 1]);
    const text = await ok(home, `${binary} agent status --output json`);
    const { identities } = JSON.parse(text) as { identities: { certificateAuthority: string; signatures: number }[] };
    expect(identities.map(({ certificateAuthority, signatures }) => [certificateAuthority, signatures])).toEqual(
      expect.arrayContaining([
        [one.url, 3],
        [two.url, 3],
      ]),
    );
  });

  test('what the user configured for git is one as well', async () => {
    const repository = await newHome();
    await ok(home, `git config --global gitsign.fulcio ${one.url}; git config --global gitsign.issuer ${two.issuer}`);
    await ok(home, `git config --global gitsign.rekor ${one.url}`);
    const { code } = await run(repository, 'git commit -q -S --allow-empty -m signed', 'terminal');
    // The authority of the one does not believe the issuer of the other: nothing is signed, and the agent took part in it.
    expect([code === 0, logins()]).toEqual([false, 1]);
    await ok(home, `git config --global gitsign.issuer ${one.issuer}`);
    for (let i = 0; i < 2; i++) await ok(repository, 'git commit -q -S --allow-empty -m signed', 'terminal');
    expect([logins(), await signed(repository)]).toEqual([2, [2, 2]]);
  });

  test('what the environment names is signed for without the agent', async () => {
    const repository = await newHome();
    await ok(repository, 'git commit -q -S --allow-empty -m signed', 'terminal');
    // The same service by another name, which no file of the user's knows.
    const alias = one.url.replace('127.0.0.1', 'localhost');
    const commit = 'git commit -q -S --allow-empty -m signed';
    await ok(repository, commit, 'terminal', { GITSIGN_FULCIO_URL: alias });
    await ok(repository, `git -c gitsign.fulcio=${alias} ${commit.slice(4)}`, 'terminal');
    expect([logins(), await signed(repository)]).toEqual([3, [3, 3]]);
    const text = await ok(home, `${binary} agent status --output json`);
    const { identities } = JSON.parse(text) as { identities: { stack: string; signatures: number }[] };
    expect(identities.map(({ stack, signatures }) => [stack, signatures])).toEqual([['one', 1]]);
  });
});

describe('a hostile repository', () => {
  test('has no token of one stack sent to the other, with or without the agent', async () => {
    const repository = await newHome();
    const ambient = { SIGSTORE_ID_TOKEN: await tokenOf(one) };
    const before = await certificates(two);
    const choices = [
      `gitsign.fulcio=${two.url} gitsign.issuer=${one.issuer}`,
      `hallmark.trust=one gitsign.fulcio=${two.url}`,
      `gitsign.fulcio=${two.url}`,
      'hallmark.trust=two',
    ];
    for (const agent of ['true', 'false']) {
      await ok(home, `git config --global hallmark.agent ${agent}`);
      for (const choice of choices) {
        const local = choice.split(' ').map((each) => each.replace('=', ' '));
        for (const each of local) await ok(repository, `git config ${each}`);
        const { code, output } = await run(
          repository,
          `echo x | ${binary} --status-fd=2 -bsau k; git commit -q -S --allow-empty -m x`,
          'script',
          ambient,
        );
        expect([agent, choice, code === 0, output]).toEqual([
          agent,
          choice,
          false,
          expect.stringMatching(/mixes services of two stacks|not to get an identity token of/),
        ]);
        for (const each of local) await ok(repository, `git config --unset ${each.split(' ')[0]}`);
      }
    }
    expect(await certificates(two)).toBe(before);
    // The user may say so.
    const { output } = await run(
      repository,
      'git -c hallmark.trust=two commit -q -S --allow-empty -m x',
      'script',
      ambient,
    );
    expect(output).not.toContain('not to get an identity token');
  });

  test('has nothing sent to services of its own', async () => {
    const repository = await newHome();
    await ok(repository, 'git commit -q -S --allow-empty -m signed', 'terminal');
    const asked: string[] = [];
    const evil = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch(request) {
        asked.push(request.url);
        return new Response('');
      },
    });
    const url = `http://127.0.0.1:${evil.port}`;
    const settings = [
      ['fulcio', url],
      ['rekor', url],
      ['issuer', url],
      ['timestampServerURL', `${url}/api/v1/timestamp`],
    ] as const;
    try {
      for (const prefix of ['hallmark', 'gitsign']) {
        for (const [name, value] of settings) {
          await ok(repository, `git config ${prefix}.${name} ${value}`);
          const { code } = await run(repository, 'git commit -q -S --allow-empty -m signed', 'terminal');
          expect([prefix, name, code === 0]).toEqual([prefix, name, false]);
          await ok(repository, `git config --unset ${prefix}.${name}`);
        }
      }
      expect(asked).toEqual([]);
      // What only the user may say is passed over, and the agent signs as before.
      await ok(
        repository,
        'git config hallmark.clientID other; git config gitsign.clientID other; git config hallmark.agent false',
      );
      await ok(repository, 'git commit -q -S --allow-empty -m signed', 'terminal');
      expect([logins(), await signed(repository), asked]).toEqual([1, [2, 2], []]);
    } finally {
      evil.stop(true);
    }
  });
});
