// Verification never reaches the network: the compiled binary verifies in a network namespace without interfaces, under a
// tracer that sees no system call that could make or use a socket, in no thread. Needs root, unshare and strace; their
// absence is a failure, never a skip.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dir, '../..');
const hallmark = process.env['HALLMARK_BINARY'] ?? join(root, 'dist', 'hallmark');
const conformance = join(root, '../shared/corpus/conformance');
const directory = mkdtempSync(join(tmpdir(), 'hallmark-offline-'));

const BEACON = [
  '--certificate-identity',
  'https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main',
  '--certificate-oidc-issuer',
  'https://token.actions.githubusercontent.com',
];

/** Everything that is about sockets, and the one way to use them that goes past those calls. */
const TRACED = 'trace=network,io_uring_setup';

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** System calls about the network, of all threads. */
  readonly calls: string[];
}

/** Runs a program alone in a network namespace, traced. */
function runTraced(program: string, args: readonly string[], stdin = ''): Run {
  const trace = join(directory, 'trace');
  const { exitCode, stdout, stderr } = Bun.spawnSync(
    ['unshare', '--net', '--', 'strace', '-f', '-e', TRACED, '-o', trace, program, ...args],
    {
      cwd: directory,
      env: { HOME: directory, PATH: process.env['PATH'] ?? '' },
      stdin: Buffer.from(stdin),
      timeout: 60_000,
    },
  );
  const lines = readFileSync(trace, 'utf8').trim().split('\n');
  // The tracer has followed the program to its end: an empty trace proves nothing.
  expect(lines.filter((line) => line.includes('+++ exited with '))).not.toBeEmpty();
  return {
    code: exitCode,
    stdout: stdout.toString(),
    stderr: stderr.toString(),
    calls: lines.filter((line) => !/ (?:\+\+\+|---) /.test(line)),
  };
}

const sample = (name: string, to: string): void => copyFileSync(join(conformance, name), join(directory, to));

beforeAll(() => {
  for (const path of [hallmark, conformance]) if (!existsSync(path)) throw new Error(`${path} is missing`);
  for (const tool of ['unshare', 'strace']) if (Bun.which(tool) === null) throw new Error(`${tool} is not installed`);
  sample('a.txt', 'a.txt');
  sample('happy-path-v0.3/bundle.sigstore.json', 'a.txt.sigstore.json');
  sample('managed-key-happy-path/bundle.sigstore.json', 'key.sigstore.json');
  sample('managed-key-happy-path/key.pub', 'key.pub');
  sample('rekor2-dsse-happy-path/bundle.sigstore.json', 'attestation.sigstore.json');
  sample('rekor2-dsse-happy-path/trusted_root.json', 'trusted_root.json');
  mkdirSync(join(directory, 'many'));
  for (let i = 0; i < 40; i++) {
    sample('a.txt', `many/${i}.txt`);
    sample('happy-path-v0.3/bundle.sigstore.json', `many/${i}.txt.sigstore.json`);
  }
  writeFileSync(join(directory, 'changed.txt'), 'changed');
  const stored = Bun.spawnSync([hallmark, 'trust', 'add', 'trusted_root.json', '--name', 'stored', '--yes'], {
    cwd: directory,
    env: { HOME: directory },
  });
  if (!stored.success) throw new Error(stored.stderr.toString());
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('where and how it is watched', () => {
  test('the namespace has no interface but its own loopback', () => {
    const { stdout } = Bun.spawnSync(['unshare', '--net', '--', 'cat', '/proc/net/dev']);
    const interfaces = [...stdout.toString().matchAll(/^\s*([^\s:|]+):/gm)].map(([, name]) => name);
    expect(interfaces).toEqual(['lo']);
  });

  test('a command that does use the network fails there, and is seen', () => {
    const run = runTraced(hallmark, ['trust', 'update', 'public-good']);
    expect(run.code).toBe(5);
    expect(run.calls.filter((call) => call.includes('socket('))).not.toBeEmpty();
  });
});

describe('verification without a network', () => {
  const attestation = ['--bundle', 'attestation.sigstore.json', '--type', 'slsaprovenance1', ...BEACON];
  const list = Array.from({ length: 40 }, (_, i) => `many/${i}.txt`).join('\n');
  const cases: Record<string, { args: string[]; code?: number; prints: RegExp; stdin?: string }> = {
    'keyless, trust built in': { args: ['a.txt', ...BEACON], prints: /^Verified: a.txt/ },
    'with a key': {
      args: ['a.txt', '--bundle', 'key.sigstore.json', '--key', 'key.pub'],
      prints: /^Verified: a.txt/,
    },
    'attestation, trust from a file': {
      args: ['a.txt', ...attestation, '--trusted-root', 'trusted_root.json'],
      prints: /attests +https:\/\/slsa.dev\/provenance\/v1/,
    },
    'attestation, stored trust': { args: ['a.txt', ...attestation, '--trust', 'stored'], prints: /^Verified: a.txt/ },
    'a folder': { args: ['many', '--jobs', '1', ...BEACON], prints: /^40 of 40 verified$/m },
    'a folder, across threads': { args: ['many', '--jobs', '2', ...BEACON], prints: /^40 of 40 verified$/m },
    'a list on standard input': {
      args: ['--files-from', '-', ...BEACON, '--output', 'json'],
      stdin: list,
      prints: /^40 of 40 verified$/m,
    },
    'a changed file': {
      args: ['changed.txt', '--bundle', 'a.txt.sigstore.json', ...BEACON],
      code: 12,
      prints: /the digests differ/,
    },
    'an unknown log': { args: ['a.txt', ...attestation], code: 12, prints: /^hallmark: error: /m },
  };
  for (const [name, { args, code = 0, prints, stdin }] of Object.entries(cases)) {
    test(`${name}: no socket, no connection`, () => {
      const run = runTraced(hallmark, ['verify', ...args], stdin);
      expect(run.stdout + run.stderr).toMatch(prints);
      expect(run.code).toBe(code);
      expect(run.calls).toEqual([]);
    });
  }
});
