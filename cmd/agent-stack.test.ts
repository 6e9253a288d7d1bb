import { afterAll, beforeEach, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorOf } from '../core/testing.ts';
import { PUBLIC_GOOD } from '../core/trust/public-good.ts';
import type { SignRequest } from '../gitsign/agent-protocol.ts';
import { agentStacks, stackDigest } from './agent-stack.ts';
import type { Cli } from './cli.ts';
import type { GitSettingName, GitSettings } from './git-settings.ts';
import { openGitStack } from './git-stack.ts';
import { fakeCli } from './testing.ts';

const base = mkdtempSync(join(tmpdir(), 'hallmark-stacks-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));
let cli: Cli;
beforeEach(() => {
  cli = newHome();
});

const CA = 'https://ca.lab.test';
const LAB: Record<string, string> = {
  'meta.json': JSON.stringify({ fingerprint: 'sha256:00', fetchedAt: '2026-08-01T00:00:00Z' }),
  'trusted_root.json': PUBLIC_GOOD.trustedRoot,
  'signing_config.v0.2.json': PUBLIC_GOOD.signingConfig.replace('https://fulcio.sigstore.dev', CA),
};

/** Somebody whose trust store holds an instance `lab` of these files. */
function newHome(files: Record<string, string> = LAB): Cli {
  const home = mkdtempSync(join(base, 'home-'));
  const folder = join(home, '.local/share/hallmark/trust/lab');
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return fakeCli({ env: { HOME: home }, now: new Date('2026-09-01T00:00:00Z') });
}

const settingsOf = (values: Partial<Record<GitSettingName, string>>): GitSettings => {
  const get: GitSettings['get'] = (name) => {
    const value = values[name];
    return value === undefined ? undefined : { value, source: 'here', isUsers: true };
  };
  return { get, users: get, all: () => [], ignored: [], git: () => undefined };
};
const digestOf = (seen: Cli, values: Partial<Record<GitSettingName, string>> = {}): string =>
  stackDigest(openGitStack(seen, settingsOf({ trust: 'lab', ...values }), 'SIGNED MESSAGE'));
const ask = ({ digest = digestOf(cli), ...change }: Partial<SignRequest> = {}) =>
  agentStacks(cli)({
    stack: { kind: 'trust', name: 'lab' },
    digest,
    services: { rekorVersion: 1, timestamp: false },
    ...change,
  });

describe('a stack of the trust store', () => {
  test('is read by the agent itself', () => {
    const { name, certificateAuthority, issuer, clientId, context } = ask();
    expect([name, certificateAuthority, clientId]).toEqual(['lab', CA, 'sigstore']);
    expect(issuer).toStartWith('https://');
    expect(context.services.timestampAuthorities).toEqual([]);
    expect(context.trustedRoot.tlogs.length).toBeGreaterThan(0);
  });

  test('with a timestamp where it is asked for', () => {
    const { context } = ask({ services: { rekorVersion: 1, timestamp: true } });
    expect(context.services.timestampAuthorities).toHaveLength(1);
  });

  test('is parsed once', () => {
    const stacks = agentStacks(cli);
    const request = { stack: { kind: 'trust', name: 'lab' }, digest: digestOf(cli) } as const;
    const services = { rekorVersion: 1, timestamp: false } as const;
    expect(stacks({ ...request, services })).toBe(stacks({ ...request, services }));
    expect(stacks({ ...request, services: { ...services, timestamp: true } })).not.toBe(
      stacks({ ...request, services }),
    );
  });

  test('is refused where it reads differently at the two ends', () => {
    const other = newHome({ ...LAB, 'signing_config.v0.2.json': PUBLIC_GOOD.signingConfig });
    expect(errorOf(() => ask({ digest: digestOf(other) })).code).toBe('AGENT_STACK_UNKNOWN');
  });

  test.each([
    ['fulcio', 'https://evil.test'],
    ['rekor', 'https://evil.test'],
    ['issuer', 'https://evil.test'],
    ['clientID', 'other'],
    ['timestampServerURL', 'https://evil.test/api/v1/timestamp'],
  ] as const)('is another one with a %s of its own', (name, value) => {
    const digest = digestOf(cli, { [name]: value });
    expect(digest).not.toBe(digestOf(cli));
    expect(errorOf(() => ask({ digest })).code).toBe('AGENT_STACK_UNKNOWN');
  });

  test('is the same where a setting repeats what it says', () => {
    expect(digestOf(cli, { fulcio: `${CA}/`, clientID: 'sigstore' })).toBe(digestOf(cli));
  });
});

describe('refused as unknown', () => {
  test.each([
    ['one that is not stored', 'other'],
    ['one whose name leads elsewhere', '../lab'],
    ['an empty name', ''],
  ])('%s', (_, name) => {
    expect(errorOf(() => ask({ stack: { kind: 'trust', name } })).code).toBe('AGENT_STACK_UNKNOWN');
  });

  test('one that is damaged, or can only verify', () => {
    const digest = digestOf(cli);
    for (const file of ['trusted_root.json', 'signing_config.v0.2.json']) {
      cli = newHome({ ...LAB, [file]: '{' });
      expect(errorOf(() => ask({ digest })).code).toBe('AGENT_STACK_UNKNOWN');
    }
    const { 'signing_config.v0.2.json': _, ...rest } = LAB;
    cli = newHome(rest);
    expect(errorOf(() => ask({ digest })).code).toBe('AGENT_STACK_UNKNOWN');
  });
});
