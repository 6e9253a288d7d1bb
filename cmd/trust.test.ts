import { afterAll, beforeEach, describe, expect, test } from 'bun:test';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { generateKey } from '../core/crypto/private-key.ts';
import { acquireLock } from '../core/file-lock.ts';
import { serializeClientTrustConfig } from '../core/trust/client-trust-config.ts';
import { PUBLIC_GOOD } from '../core/trust/public-good.ts';
import { parseSigningConfig } from '../core/trust/signing-config.ts';
import { parseTrustedRoot } from '../core/trust/trusted-root.ts';
import { publishRepository, type RepositoryFiles } from '../core/trust/tuf/repository.ts';
import type { Cli } from './cli.ts';
import { main } from './main.ts';
import { trustCommand } from './trust.ts';

const base = mkdtempSync(join(tmpdir(), 'hallmark-trust-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));

const NOW = new Date('2026-09-01T00:00:00Z');
const KEYS = { root: generateKey('p256'), online: generateKey('p256') };
const INSTANCE = 'http://127.0.0.1:8080';
const targetsWith = (trustedRoot: string): { name: string; bytes: Uint8Array }[] => [
  { name: 'trusted_root.json', bytes: serializeUtf8(trustedRoot) },
  { name: 'signing_config.v0.2.json', bytes: serializeUtf8(PUBLIC_GOOD.signingConfig) },
];
const { files: REPOSITORY } = publishRepository(new Map(), KEYS, targetsWith(PUBLIC_GOOD.trustedRoot), NOW);
const hash = (bytes: Uint8Array | string): string =>
  `sha256:${serializeHex(sha256(typeof bytes === 'string' ? serializeUtf8(bytes) : bytes))}`;
const FINGERPRINT = hash(REPOSITORY.get('1.root.json') as Uint8Array);

let home = '';
let served: RepositoryFiles = REPOSITORY;
let now = NOW;
let requests: string[] = [];
beforeEach(() => {
  home = mkdtempSync(join(base, 'home-'));
  served = REPOSITORY;
  now = NOW;
  requests = [];
});

interface Said {
  out: string;
  err: string;
}

function fakeCli(said: Said, interactive = false): Cli {
  const env: Record<string, string> = { XDG_DATA_HOME: join(home, 'data'), XDG_CONFIG_HOME: join(home, 'config') };
  const say = (text: string): void => {
    said.err += `${text}\n`;
  };
  return {
    env: (name) => env[name],
    now: () => now,
    interactive,
    outIsTerminal: false,
    colour: false,
    out: (text) => {
      said.out += text;
    },
    say,
    warn: say,
    fetch: async (url) => {
      requests.push(url);
      const path = url.startsWith(`${INSTANCE}/tuf/`) ? url.slice(INSTANCE.length + 5) : '';
      const bytes = served.get(path);
      return bytes === undefined ? new Response('', { status: 404 }) : new Response(Uint8Array.from(bytes));
    },
  };
}

async function trust(...argv: string[]): Promise<Said & { exit: number }> {
  const said: Said = { out: '', err: '' };
  const exit = await main(['trust', ...argv], fakeCli(said));
  return { ...said, exit };
}
const json = async (...argv: string[]): Promise<Record<string, never>> =>
  JSON.parse((await trust(...argv, '--output', 'json')).out);
const addInstance = (...argv: string[]): ReturnType<typeof trust> =>
  trust('add', INSTANCE, '--fingerprint', FINGERPRINT, '--name', 'lab', ...argv);
const stored = (...path: string[]): string => join(home, 'data', 'hallmark', 'trust', ...path);

describe('trust add URL', () => {
  test('with the fingerprint: stored, not in use', async () => {
    const { exit, out } = await addInstance();
    expect(exit).toBe(0);
    expect(out).toContain(FINGERPRINT);
    expect(readFileSync(stored('lab', 'trusted_root.json'), 'utf8')).toBe(PUBLIC_GOOD.trustedRoot);
    expect(readdirSync(stored('lab', 'tuf')).sort()).toEqual([
      '1.root.json',
      'root.json',
      'snapshot.json',
      'targets.json',
      'timestamp.json',
    ]);
    expect((await json('list'))['trust']).toMatchObject([
      { name: 'public-good', inUse: true, builtIn: true },
      { name: 'lab', inUse: false, builtIn: false, url: `${INSTANCE}/tuf`, fingerprint: FINGERPRINT },
    ]);
  });

  test('named after its host, in use with --use', async () => {
    const { exit } = await trust('add', `${INSTANCE}/tuf/`, '--fingerprint', FINGERPRINT, '--use');
    expect(exit).toBe(0);
    expect((await json('show'))['trust']).toMatchObject({ name: '127.0.0.1-8080', inUse: true });
  });

  test('fingerprint in capitals is the same', async () => {
    const given = `sha256:${FINGERPRINT.slice(7).toUpperCase()}`;
    expect((await trust('add', INSTANCE, '--fingerprint', given)).exit).toBe(0);
  });

  test('fingerprint mismatch: exit 7, nothing stored, no further request', async () => {
    const { exit, err } = await trust('add', INSTANCE, '--fingerprint', `sha256:${'0'.repeat(64)}`, '--name', 'lab');
    expect([exit, err.includes(FINGERPRINT)]).toEqual([7, true]);
    expect(existsSync(stored('lab'))).toBe(false);
    expect(requests.some((url) => url.endsWith('timestamp.json'))).toBe(false);
  });

  test('fingerprint that is none: exit 2', async () => {
    expect((await trust('add', INSTANCE, '--fingerprint', 'abc')).exit).toBe(2);
    expect(requests).toEqual([]);
  });

  test('no fingerprint and nobody to ask: exit 7, the fingerprint shown', async () => {
    const { exit, out, err } = await trust('add', INSTANCE, '--name', 'lab');
    expect([exit, out, err.includes(FINGERPRINT)]).toEqual([7, '', true]);
    expect(existsSync(stored('lab'))).toBe(false);
  });

  test('--yes: trust on first use, the fingerprint shown', async () => {
    const { exit, err } = await trust('add', INSTANCE, '--yes');
    expect([exit, err.includes(FINGERPRINT)]).toEqual([0, true]);
  });

  test.each([
    [true, 'stored'],
    [false, 'refused'],
  ])('asked and answered %p: %s', async (answer) => {
    const said: Said = { out: '', err: '' };
    const command = trustCommand(fakeCli(said, true), async () => answer);
    const run = command.parseAsync(['add', INSTANCE, '--name', 'lab'], { from: 'user' });
    if (answer) await run;
    else await expect(run).rejects.toThrow(expect.objectContaining({ code: 'TRUST_FINGERPRINT_MISMATCH' }));
    expect(existsSync(stored('lab', 'meta.json'))).toBe(answer);
  });

  test('a name that is taken: exit 6, the old one kept', async () => {
    await addInstance();
    const meta = readFileSync(stored('lab', 'meta.json'), 'utf8');
    now = new Date('2026-09-02T00:00:00Z');
    expect((await addInstance()).exit).toBe(6);
    expect(readFileSync(stored('lab', 'meta.json'), 'utf8')).toBe(meta);
  });

  test('the name of the built-in instance: exit 6', async () => {
    expect((await trust('add', INSTANCE, '--yes', '--name', 'public-good')).exit).toBe(6);
  });

  test.each(['../x', '.hidden', 'a/b', 'A', '', '-x', 'a'.repeat(65)])('name %j: exit 2', async (name) => {
    expect((await trust('add', INSTANCE, '--yes', `--name=${name}`)).exit).toBe(2);
    expect(existsSync(join(home, 'data'))).toBe(false);
  });

  test.each(['ftp://host/', 'http://user:pass@host/', 'http://host/?q', 'file:///etc'])(
    'URL %s: exit 2',
    async (url) => {
      expect((await trust('add', url, '--yes')).exit).toBe(2);
    },
  );

  test('no repository there: exit 7', async () => {
    served = new Map();
    expect((await trust('add', INSTANCE, '--yes')).exit).toBe(7);
  });

  test('expired repository: exit 7, nothing stored', async () => {
    now = new Date('2026-12-01T00:00:00Z');
    const { exit, err } = await addInstance();
    expect([exit, err.includes('expired')]).toEqual([7, true]);
    expect(readdirSync(stored()).filter((name) => name !== '.lock')).toEqual([]);
  });

  test('trusted root that cannot be used: nothing stored', async () => {
    const broken = JSON.parse(PUBLIC_GOOD.trustedRoot);
    broken.tlogs[0].publicKey.rawBytes = 'AAAA';
    served = publishRepository(new Map(), KEYS, targetsWith(JSON.stringify(broken)), NOW).files;
    expect((await trust('add', INSTANCE, '--yes', '--name', 'lab')).exit).toBe(3);
    expect(existsSync(stored('lab'))).toBe(false);
  });

  test('repository without a trusted root: exit 7', async () => {
    served = publishRepository(new Map(), KEYS, [{ name: 'x', bytes: new Uint8Array(1) }], NOW).files;
    expect((await trust('add', INSTANCE, '--yes')).exit).toBe(7);
  });
});

describe('trust add FILE', () => {
  const file = (name: string, content: string | Uint8Array): string => {
    writeFileSync(join(home, name), content);
    return join(home, name);
  };

  test('trusted root: verifies only', async () => {
    const { exit } = await trust('add', file('Lab Root.json', PUBLIC_GOOD.trustedRoot));
    expect(exit).toBe(0);
    expect((await trust('show', 'lab-root')).out).toContain('verifies only');
  });

  test('client trust config: trusted root and signing config', async () => {
    const config = serializeClientTrustConfig({
      trustedRoot: parseTrustedRoot(serializeUtf8(PUBLIC_GOOD.trustedRoot)),
      signingConfig: parseSigningConfig(serializeUtf8(PUBLIC_GOOD.signingConfig)),
    });
    expect((await trust('add', file('config.json', config), '--name', 'lab')).exit).toBe(0);
    expect(readdirSync(stored('lab')).sort()).toContain('signing_config.v0.2.json');
    expect((await trust('show', 'lab')).out).toContain('signs with:      https://fulcio.sigstore.dev');
  });

  test('TUF root with its mirror', async () => {
    const path = file('root.json', REPOSITORY.get('1.root.json') as Uint8Array);
    expect((await trust('add', path)).exit).toBe(2);
    expect((await trust('add', path, '--mirror', `${INSTANCE}/tuf`, '--name', 'lab')).exit).toBe(0);
    expect(existsSync(stored('lab', 'trusted_root.json'))).toBe(true);
  });

  test('fingerprint mismatch: exit 7', async () => {
    const path = file('root.json', PUBLIC_GOOD.trustedRoot);
    expect((await trust('add', path, '--fingerprint', FINGERPRINT)).exit).toBe(7);
    expect((await trust('add', path, '--fingerprint', hash(PUBLIC_GOOD.trustedRoot))).exit).toBe(0);
  });

  test('missing file: exit 3', async () => expect((await trust('add', join(home, 'none'))).exit).toBe(3));
  test('several trusted roots: exit 2, what to do with them', async () => {
    const line = JSON.stringify(JSON.parse(PUBLIC_GOOD.trustedRoot));
    const { exit, err } = await trust('add', file('roots.jsonl', `${line}\n${line}\n`), '--name', 'lab');
    expect(exit).toBe(2);
    expect(err).toContain('--trusted-root');
    expect(existsSync(stored('lab'))).toBe(false);
  });
  test('something else: exit 3, the file named', async () => {
    const path = file('other.json', '{"mediaType":"application/json"}');
    const { exit, err } = await trust('add', path);
    expect([exit, err.includes(path)]).toEqual([3, true]);
  });
});

describe('trust update', () => {
  test('nothing new, then new material', async () => {
    await addInstance();
    expect(await json('update', 'lab')).toMatchObject({ changed: false });
    const changed = PUBLIC_GOOD.trustedRoot.replace('https://rekor.sigstore.dev', 'https://log.test');
    served = publishRepository(served, KEYS, targetsWith(changed), NOW).files;
    expect(await json('update', 'lab')).toMatchObject({ changed: true });
    expect(readFileSync(stored('lab', 'trusted_root.json'), 'utf8')).toBe(changed);
  });

  test('a file that the repository no longer lists goes', async () => {
    await addInstance();
    served = publishRepository(served, KEYS, targetsWith(PUBLIC_GOOD.trustedRoot).slice(0, 1), NOW).files;
    await trust('update', 'lab');
    expect(existsSync(stored('lab', 'signing_config.v0.2.json'))).toBe(false);
  });

  test('rollback: exit 7, the material kept', async () => {
    await addInstance();
    const old = served;
    const changed = PUBLIC_GOOD.trustedRoot.replace('https://rekor.sigstore.dev', 'https://log.test');
    served = publishRepository(served, KEYS, targetsWith(changed), NOW).files;
    await trust('update', 'lab');
    served = old;
    expect((await trust('update', 'lab')).exit).toBe(7);
    expect(readFileSync(stored('lab', 'trusted_root.json'), 'utf8')).toBe(changed);
  });

  test('another instance at the same URL: exit 7, the material kept', async () => {
    await addInstance();
    const keys = { root: generateKey('p256'), online: generateKey('p256') };
    served = publishRepository(new Map(), keys, targetsWith(PUBLIC_GOOD.trustedRoot), NOW).files;
    const { exit, err } = await trust('update', 'lab');
    expect([exit, err.includes('set up anew')]).toEqual([7, true]);
    expect(existsSync(stored('lab', 'trusted_root.json'))).toBe(true);
  });

  test('unreachable: exit 5, the material kept', async () => {
    await addInstance();
    const before = readFileSync(stored('lab', 'meta.json'), 'utf8');
    served = new Map();
    expect((await trust('update', 'lab')).exit).toBe(5);
    expect(readFileSync(stored('lab', 'meta.json'), 'utf8')).toBe(before);
  });

  test('added from a file: exit 2', async () => {
    writeFileSync(join(home, 'root.json'), PUBLIC_GOOD.trustedRoot);
    await trust('add', join(home, 'root.json'), '--name', 'lab');
    expect((await trust('update', 'lab')).exit).toBe(2);
  });

  test('unknown name: exit 7', async () => expect((await trust('update', 'none')).exit).toBe(7));

  test('another command holds the lock: exit 6', async () => {
    await addInstance();
    const lock = acquireLock(stored('.lock'));
    expect((await trust('update', 'lab')).exit).toBe(6);
    lock.release();
    expect((await trust('update', 'lab')).exit).toBe(0);
  });
});

describe('trust use and remove', () => {
  test('use', async () => {
    await addInstance();
    expect((await trust('use', 'lab')).exit).toBe(0);
    expect((await trust('list')).out).toContain('* lab');
  });
  test('use of an unknown name: exit 7, the one in use kept', async () => {
    expect((await trust('use', 'none')).exit).toBe(7);
    expect((await trust('list')).out).toContain('* public-good');
  });
  test('remove of the one in use falls back to public-good and says so', async () => {
    await addInstance('--use');
    const { exit, out } = await trust('remove', 'lab');
    expect([exit, out]).toEqual([0, 'removed lab; public-good is in use now\n']);
    expect(existsSync(stored('lab'))).toBe(false);
    expect((await trust('list')).out).toContain('* public-good');
  });
  test('remove of the built-in one: exit 2', async () => expect((await trust('remove', 'public-good')).exit).toBe(2));
  test('remove of an unknown name: exit 7', async () => expect((await trust('remove', 'none')).exit).toBe(7));
  test('remove of a path: exit 2', async () => expect((await trust('remove', '..')).exit).toBe(2));
});

describe('what is in the store and cannot be used', () => {
  const outside = (): string => join(home, 'outside');
  beforeEach(async () => {
    await addInstance();
    mkdirSync(outside());
    writeFileSync(join(outside(), 'kept'), 'kept');
    mkdirSync(stored('corrupt'));
    writeFileSync(join(stored('corrupt'), 'meta.json'), '{');
    mkdirSync(stored('empty'));
    symlinkSync(outside(), stored('link'));
    symlinkSync(join(home, 'nowhere'), stored('dangling'));
    writeFileSync(stored('Some file'), '');
  });
  const NAMES = ['Some file', 'corrupt', 'dangling', 'empty', 'link'];

  test('list tells it from what can', async () => {
    const { out } = await trust('list', '--output', 'json');
    const result = JSON.parse(out) as { ok: boolean; trust: { name: string }[]; unusable: { name: string }[] };
    expect(result.ok).toBe(true);
    expect(result.trust.map(({ name }) => name)).toEqual(['public-good', 'lab']);
    expect(result.unusable.map(({ name }) => name)).toEqual(NAMES);
    const { out: text, err } = await trust('list');
    expect(text).toMatch(/^! corrupt +unusable: .*meta.json/m);
    expect(err).toContain("hallmark trust remove 'Some file'");
  });

  test('remove removes it, and follows no link', async () => {
    for (const name of NAMES) expect(await trust('remove', name)).toMatchObject({ exit: 0 });
    expect(readdirSync(stored()).filter((name) => name !== '.lock')).toEqual(['lab']);
    expect(existsSync(join(outside(), 'kept'))).toBe(true);
  });

  test('the store itself is not for removal: exit 2', async () => {
    for (const name of ['.lock', '../trust', '.', '']) expect((await trust('remove', name)).exit).toBe(2);
  });

  test('hints name files that are there', async () => {
    writeFileSync(join(stored('lab'), 'trusted_root.json'), '{');
    const { err } = await trust('show', 'lab');
    expect(err).toContain(join(stored('lab'), 'trusted_root.json'));
  });
});

describe('trust show', () => {
  test('age and expiry of the built-in instance', async () => {
    now = new Date('2026-12-01T00:00:00Z');
    const { out } = await trust('show');
    expect(out).toContain('version 15, expired 2026-11-20');
    expect(out).toContain('(101 days ago)');
  });
  test('JSON has the schema version, logs and services', async () => {
    expect(await json('show')).toMatchObject({
      schemaVersion: 1,
      trust: {
        name: 'public-good',
        tufRoot: { version: 15 },
        services: { ca: [{ url: 'https://fulcio.sigstore.dev' }] },
      },
    });
  });
  test('escape sequences in stored material do not reach the terminal', async () => {
    const path = join(home, 'r.json');
    writeFileSync(path, PUBLIC_GOOD.trustedRoot.replace('https://rekor.sigstore.dev', '\\u001b[31mred'));
    await trust('add', path, '--name', 'lab');
    expect((await trust('show', 'lab')).out).not.toContain('\u001b');
  });
});
