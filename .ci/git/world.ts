// A user with a home of their own, git set up by `hallmark git setup`, and repositories; git is the real one.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hallmarkBinary, IDENTITY } from '../interop/stack.ts';
import { outputsOf } from '../outputs.ts';

export interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string | undefined>;
  readonly input?: string | Uint8Array;
  /** Any exit code is as good; else it has to be 0. */
  readonly mayFail?: true;
}

export interface World {
  readonly home: string;
  readonly env: Record<string, string>;
  readonly run: (argv: readonly string[], options?: RunOptions) => Promise<Run>;
  /** The same of a line of shell. */
  readonly shell: (line: string, options?: RunOptions) => Promise<Run>;
  readonly git: (args: readonly string[], options?: RunOptions) => Promise<Run>;
  readonly hallmark: (args: readonly string[], options?: RunOptions) => Promise<Run>;
  /** A new repository with this object format; its folder. */
  readonly repository: (name: string, format?: 'sha1' | 'sha256', bare?: true) => Promise<string>;
  readonly folder: (name: string) => string;
  readonly end: () => void;
}

/** A home in which git signs with Hallmark, without an agent unless a test turns it on. */
export async function createWorld(extra: Record<string, string> = {}): Promise<World> {
  const home = mkdtempSync(join(tmpdir(), 'hallmark-git-'));
  const env: Record<string, string> = {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    GIT_CONFIG_NOSYSTEM: '1',
    NO_PROXY: '127.0.0.1,localhost',
    GIT_EDITOR: 'true',
    LC_ALL: 'C',
    ...extra,
  };
  const run = async (argv: readonly string[], options: RunOptions = {}): Promise<Run> => {
    const child = Bun.spawn([...argv], {
      cwd: options.cwd ?? home,
      env: { ...env, ...options.env },
      stdin: options.input === undefined ? 'ignore' : Buffer.from(options.input),
      stdout: 'pipe',
      stderr: 'pipe',
    });
    const { stdout, stderr, code } = await outputsOf(child);
    if (code !== 0 && !options.mayFail) throw new Error(`ended with ${code}: ${argv.join(' ')}\n${stdout}${stderr}`);
    return { code, stdout, stderr };
  };
  const git: World['git'] = (args, options) => run(['git', ...args], options);
  const hallmark: World['hallmark'] = (args, options) => run([hallmarkBinary, ...args], options);
  for (const [key, value] of [
    ['user.name', 'You'],
    ['user.email', IDENTITY],
    ['init.defaultBranch', 'main'],
    ['advice.detachedHead', 'false'],
    ['hallmark.agent', 'false'],
  ] as const) {
    await git(['config', '--global', key, value]);
  }
  await hallmark(['git', 'setup', '--global']);
  const folder = (name: string): string => {
    const path = join(home, name);
    mkdirSync(path, { recursive: true });
    return path;
  };
  return {
    home,
    env,
    run,
    shell: (line, options) => run(['bash', '-c', line], options),
    git,
    hallmark,
    folder,
    repository: async (name, format = 'sha1', bare) => {
      const path = folder(name);
      await git(['init', '-q', `--object-format=${format}`, ...(bare ? ['--bare'] : []), path]);
      return path;
    },
    end: () => rmSync(home, { recursive: true, force: true }),
  };
}

/** Writes a policy that names this identity, in the form that docs/git.md has, and has git use it. */
export async function trustSigner(world: World, identity: string, issuer: string): Promise<string> {
  const path = join(world.home, `policy-${identity.replaceAll(/\W/g, '-')}.json`);
  const rule = { name: 'me', identities: [{ issuer, subjectAlternativeName: identity }] };
  writeFileSync(path, JSON.stringify({ version: 1, rules: [rule] }));
  await world.git(['config', '--global', 'hallmark.policy', path]);
  return path;
}

/** The block of shell in docs/git.md that has this in it. */
export const documentedScript = (part: string): string =>
  [...readFileSync(join(import.meta.dir, '../../docs/git.md'), 'utf8').matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
    .map((block) => block[1] ?? '')
    .find((block) => block.includes(part)) ?? '';
