// The compiled binary inside a hostile checkout does what it does in an empty directory, to the byte. The traps are real:
// a program built without the build's switches falls into them.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sharedPath } from '../../core/bytes/shared-data.ts';
import { type HostileDirectory, writeHostileDirectory } from './directory.ts';

const root = join(import.meta.dir, '../..');
const binary = process.env['HALLMARK_BINARY'] ?? join(root, 'dist/hallmark');
const directory = mkdtempSync(join(tmpdir(), 'hallmark-hostile-'));
const home = join(directory, 'home');
const clean = join(directory, 'clean');
const hostile = join(directory, 'hostile');
// What names a directory by its contents looks upwards too.
const below = join(hostile, 'below', 'deeper');
let traps: HostileDirectory;

const IDENTITY =
  'https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main';
const ISSUER = 'https://token.actions.githubusercontent.com';
const verify = (identity: string): string[] => [
  'verify',
  'artifact',
  '--certificate-identity',
  identity,
  '--certificate-oidc-issuer',
  ISSUER,
];

/** Each is run in both directories. A password is given by the caller or by nobody. */
const COMMANDS: { args: string[]; code: number; needsBundle?: boolean; env?: Record<string, string> }[] = [
  { args: ['--version'], code: 0 },
  { args: ['--help'], code: 0 },
  { args: verify(IDENTITY), code: 0, needsBundle: true },
  { args: [...verify(IDENTITY), '--output', 'json'], code: 0, needsBundle: true },
  { args: verify('other@example.com'), code: 12, needsBundle: true },
  { args: ['inspect', 'artifact.sigstore.json'], code: 0, needsBundle: true },
  { args: ['trust', 'list'], code: 0 },
  { args: ['trust', 'show'], code: 0 },
  // Neither a password nor an identity is there to be had.
  { args: ['key', 'generate', '--output-key-prefix', 'nobody'], code: 3 },
  { args: ['sign', 'artifact'], code: 4 },
  { args: ['key', 'generate', '--output-key-prefix', 'own'], code: 0, env: { HALLMARK_PASSWORD: 'own' } },
];

beforeAll(() => {
  for (const folder of [clean, below]) mkdirSync(folder, { recursive: true });
  traps = writeHostileDirectory(hostile);
  const bundle = sharedPath('corpus/conformance/happy-path-v0.3/bundle.sigstore.json');
  const artifact = sharedPath('corpus/conformance/a.txt');
  for (const folder of [clean, hostile, below]) {
    if (bundle !== undefined) copyFileSync(bundle, join(folder, 'artifact.sigstore.json'));
    if (artifact !== undefined) copyFileSync(artifact, join(folder, 'artifact'));
  }
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('in a hostile directory', () => {
  for (const { args, code, needsBundle, env } of COMMANDS) {
    const name = args.filter((word) => !word.startsWith('--certificate') && word !== IDENTITY && word !== ISSUER);
    test(`hallmark ${name.join(' ')} ends with ${code}`, () => {
      if (needsBundle && sharedPath('corpus') === undefined)
        return console.warn('skipped: no corpus beside the checkout');
      const expected = run(binary, args, clean, env);
      expect(expected.code).toBe(code);
      for (const cwd of [hostile, below]) {
        const before = readdirSync(cwd);
        expect(run(binary, args, cwd, env)).toEqual(expected);
        expect(traps.sprung()).toEqual([]);
        const made = readdirSync(cwd).filter((name) => !before.includes(name));
        expect(made).toEqual(args.includes('own') ? ['own.key', 'own.pub'] : []);
      }
    });
  }

  test("the generated key has the caller's password, not the directory's", () => {
    for (const cwd of [hostile, below]) {
      const show = ['key', 'public', '--key', 'own.key'];
      expect(run(binary, show, cwd, { HALLMARK_PASSWORD: 'own' }).stdout).toBe(
        readFileSync(join(cwd, 'own.pub'), 'utf8'),
      );
      expect(run(binary, show, cwd).code).not.toBe(0);
      expect(statSync(join(cwd, 'own.key')).mode & 0o777).toBe(0o600);
    }
  });
});

describe('the traps are real', () => {
  const KINDS = ['dotenv', 'bunfig', 'tsconfig', 'package-json'];
  const compile = (source: string, flags: string[]): string => {
    const outfile = join(directory, `control-${flags.length}-${flags[0]}`);
    const { success, stderr } = Bun.spawnSync(
      [process.execPath, 'build', '--compile', ...flags, '--outfile', outfile, source],
      { cwd: clean, stdout: 'ignore', stderr: 'pipe' },
    );
    if (!success) throw new Error(stderr.toString());
    return outfile;
  };
  const probe = new URL('./probe.ts', import.meta.url).pathname;
  const loading = KINDS.map((kind) => `--compile-autoload-${kind}`);
  const notLoading = KINDS.map((kind) => `--no-compile-autoload-${kind}`);

  test('a program built by default is run by the directory', () => {
    const { stdout } = run(compile(probe, []), [], hostile);
    expect(JSON.parse(stdout)).toMatchObject({ environment: 'sprung' });
    expect(traps.sprung()).toEqual(['preload']);
  });
  test('a program that loads all four files falls into every trap', () => {
    const { stdout } = run(compile(probe, loading), [], hostile);
    expect(JSON.parse(stdout)).toEqual({ environment: 'sprung', imports: true, paths: true });
    expect(traps.sprung()).toEqual(['imports', 'paths', 'preload']);
  });
  test('the same program with the switches of the build falls into none', () => {
    const { stdout } = run(compile(probe, notLoading), [], hostile);
    expect(JSON.parse(stdout)).toEqual({ environment: null, imports: false, paths: false });
    expect(traps.sprung()).toEqual([]);
  });
  test('the build has every switch', () => {
    const build = readFileSync(join(root, '.ci/build.ts'), 'utf8');
    for (const flag of notLoading) expect(build).toContain(`'${flag}'`);
  });
  test('Hallmark itself, built without the switches, takes its password from the directory', () => {
    const careless = compile(join(root, 'cmd/main.ts'), ['--minify', ...loading]);
    expect(run(careless, ['key', 'generate', '--output-key-prefix', 'stolen'], hostile).code).toBe(0);
    expect(traps.sprung()).toContain('preload');
  });
});

interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

/** A run with a new home directory and nothing else in the environment. */
function run(program: string, args: string[], cwd: string, env: Record<string, string> = {}): Result {
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home);
  const { exitCode, stdout, stderr } = Bun.spawnSync([program, ...args], {
    cwd,
    stdin: 'ignore',
    env: { HOME: home, PATH: process.env['PATH'] ?? '', ...env },
  });
  return { code: exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}
