import { afterAll, beforeEach, describe, expect, test } from 'bun:test';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serializeBase64, serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { generateKey } from '../core/crypto/private-key.ts';
import { PUBLIC_GOOD } from '../core/trust/public-good.ts';
import { publishRepository, type RepositoryFiles } from '../core/trust/tuf/repository.ts';
import { main } from './main.ts';
import { fakeCli } from './testing.ts';
import { requireNotOlderThanBuiltIn } from './trust-import.ts';

const base = mkdtempSync(join(tmpdir(), 'hallmark-transfer-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));

const DAY_MS = 86_400_000;
const FIRST = new Date('2026-09-01T00:00:00Z');
const LATER = new Date(FIRST.getTime() + 3 * DAY_MS);
const MUCH_LATER = new Date(FIRST.getTime() + 40 * DAY_MS);
const KEYS = { root: generateKey('p256'), online: generateKey('ed25519') };
const INSTANCE = 'https://lab.test';
const LAB_ROOT = PUBLIC_GOOD.trustedRoot.replace('https://rekor.sigstore.dev', 'https://log.lab.test');
const publish = (before: RepositoryFiles, trustedRoot: string, at: Date, keys = KEYS): RepositoryFiles =>
  publishRepository(before, keys, [{ name: 'trusted_root.json', bytes: serializeUtf8(trustedRoot) }], at).files;
const OLD = publish(new Map(), PUBLIC_GOOD.trustedRoot, FIRST);
const ROTATED = { root: KEYS.root, online: generateKey('ed25519') };
const NEW = publish(OLD, LAB_ROOT, LATER, ROTATED);
const hash = (bytes: Uint8Array): string => `sha256:${serializeHex(sha256(bytes))}`;
const FINGERPRINT = hash(OLD.get('1.root.json') as Uint8Array);

/** A computer: its files, whether it has a network, and its clock. */
interface Computer {
  readonly home: string;
  readonly served: RepositoryFiles | undefined;
  readonly now: Date;
}

let folder = '';
let file = '';
beforeEach(() => {
  folder = mkdtempSync(join(base, 'case-'));
  file = join(folder, 'trust.json');
});
const online = (served: RepositoryFiles, now: Date): Computer => ({ home: join(folder, 'online'), served, now });
const offline = (now = MUCH_LATER): Computer => ({ home: join(folder, 'offline'), served: undefined, now });

async function trust({ home, served, now }: Computer, ...argv: string[]) {
  mkdirSync(home, { recursive: true });
  const cli = fakeCli({
    env: { XDG_DATA_HOME: join(home, 'data'), XDG_CONFIG_HOME: join(home, 'config') },
    now,
    ...(served && {
      fetch: async (url) => {
        const bytes = served.get(url.slice(INSTANCE.length + 1));
        return bytes === undefined ? new Response('', { status: 404 }) : new Response(Uint8Array.from(bytes));
      },
    }),
  });
  const exit = await main(['trust', ...argv], cli);
  return { exit, out: cli.printed.out, err: cli.printed.err.join('\n') };
}

async function failing(computer: Computer, ...argv: string[]): Promise<string> {
  const { out } = await trust(computer, ...argv, '--output', 'json');
  return JSON.parse(out).error?.code;
}

/** Adds the instance where there is a network, and exports it. */
async function exportFrom(served: RepositoryFiles, now: Date): Promise<void> {
  const computer = online(served, now);
  const isNew = !existsSync(computer.home);
  const { exit, err } = isNew
    ? await trust(computer, 'add', INSTANCE, '--fingerprint', FINGERPRINT, '--name', 'lab')
    : await trust(computer, 'update', 'lab');
  expect([exit, err]).toEqual([0, '']);
  expect((await trust(computer, 'export', '-o', file)).exit).toBe(0);
}

const lab = (...path: string[]): string => join(offline().home, 'data/hallmark/trust/lab', ...path);
// biome-ignore lint/suspicious/noExplicitAny: tests reach into the document to break it
function rewrite(change: (instance: any) => void): void {
  const json = JSON.parse(readFileSync(file, 'utf8'));
  change(json.instances[0]);
  writeFileSync(file, JSON.stringify(json));
}
// biome-ignore lint/suspicious/noExplicitAny: the same
function replaceContent(instance: any, name: string, bytes: Uint8Array): void {
  // biome-ignore lint/suspicious/noExplicitAny: the same
  const found = instance.files.find((each: any) => each.name === name);
  found.content = serializeBase64(bytes);
  found.sha256 = serializeHex(sha256(bytes));
}

describe('export and import', () => {
  test('the other computer has the same trust, with its age, and needs no network', async () => {
    await exportFrom(OLD, FIRST);
    const { exit, out, err } = await trust(offline(), 'import', file);
    expect([exit, err]).toEqual([0, '']);
    expect(out).toContain(FINGERPRINT);
    expect(readdirSync(lab()).sort()).toEqual(['meta.json', 'trusted_root.json', 'tuf']);
    expect(readFileSync(lab('trusted_root.json'), 'utf8')).toBe(PUBLIC_GOOD.trustedRoot);
    const shown = JSON.parse((await trust(offline(), 'show', 'lab', '--output', 'json')).out).trust;
    expect(shown).toMatchObject({ fingerprint: FINGERPRINT, url: INSTANCE, fetchedAt: '2026-09-01T00:00:00Z' });
  });

  test('what was imported can be exported again: the same file', async () => {
    await exportFrom(OLD, FIRST);
    await trust(offline(), 'import', file);
    const copy = join(folder, 'copy.json');
    expect((await trust(offline(), 'export', '--out', copy)).exit).toBe(0);
    expect(readFileSync(copy, 'utf8')).toBe(readFileSync(file, 'utf8'));
    expect((await trust(offline(), 'export', '--out', '-')).out).toBe(readFileSync(file, 'utf8'));
  });

  test('newer material goes on from what is stored, over a change of keys', async () => {
    await exportFrom(OLD, FIRST);
    await trust(offline(), 'import', file);
    await exportFrom(NEW, LATER);
    const { out } = await trust(offline(), 'import', file, '--output', 'json');
    expect(JSON.parse(out).trust).toMatchObject([{ name: 'lab', change: 'updated', tufRoot: { version: 2 } }]);
    expect(readFileSync(lab('trusted_root.json'), 'utf8')).toBe(LAB_ROOT);
    expect(readdirSync(lab('tuf'))).toContain('1.root.json');
    expect(JSON.parse((await trust(offline(), 'import', file, '--output', 'json')).out).trust[0].change).toBe(
      'unchanged',
    );
  });

  test('new on the other computer, over a change of keys', async () => {
    await exportFrom(OLD, FIRST);
    await exportFrom(NEW, LATER);
    expect(
      (await trust(offline(), 'import', file, '--fingerprint', FINGERPRINT.toUpperCase().replace('SHA', 'sha'))).exit,
    ).toBe(0);
    expect(readFileSync(lab('trusted_root.json'), 'utf8')).toBe(LAB_ROOT);
  });

  test('trust that came from a file', async () => {
    const source = join(folder, 'root.json');
    writeFileSync(source, LAB_ROOT);
    await trust(online(OLD, FIRST), 'add', source, '--name', 'lab');
    await trust(online(OLD, FIRST), 'export', 'lab', '-o', file);
    expect((await trust(offline(), 'import', file)).exit).toBe(0);
    expect(readFileSync(lab('trusted_root.json'), 'utf8')).toBe(LAB_ROOT);
    expect(JSON.parse((await trust(offline(), 'import', file, '--output', 'json')).out).trust[0].change).toBe(
      'unchanged',
    );
  });
});

describe('import refuses', () => {
  const imported = (...flags: string[]): Promise<string> => failing(offline(), 'import', file, ...flags);
  const nothingStored = (): void => expect(existsSync(lab())).toBe(false);

  test('rollback: an older state than the one stored', async () => {
    await exportFrom(OLD, FIRST);
    const old = readFileSync(file);
    await exportFrom(NEW, LATER);
    await trust(offline(), 'import', file);
    writeFileSync(file, old);
    expect(await imported()).toBe('TUF_SIGNATURE_INVALID');
    expect(readFileSync(lab('trusted_root.json'), 'utf8')).toBe(LAB_ROOT);
    expect((await trust(offline(), 'import', file, '--allow-rollback')).exit).toBe(0);
    expect(readFileSync(lab('trusted_root.json'), 'utf8')).toBe(PUBLIC_GOOD.trustedRoot);
  });

  test('rollback without a change of keys', async () => {
    await exportFrom(OLD, FIRST);
    const old = readFileSync(file);
    await exportFrom(publish(OLD, LAB_ROOT, LATER), LATER);
    await trust(offline(), 'import', file);
    writeFileSync(file, old);
    expect(await imported()).toBe('TUF_ROLLBACK');
  });

  test('--allow-rollback for another instance of the same name', async () => {
    await exportFrom(OLD, FIRST);
    await trust(offline(), 'import', file);
    const other = publish(new Map(), LAB_ROOT, FIRST, { root: generateKey('p256'), online: generateKey('p256') });
    rmSync(online(OLD, FIRST).home, { recursive: true });
    await trust(online(other, FIRST), 'add', INSTANCE, '--yes', '--name', 'lab');
    await trust(online(other, FIRST), 'export', '-o', file);
    expect(await imported()).toBe('TUF_SIGNATURE_INVALID');
    expect(await imported('--allow-rollback')).toBe('TRUST_FINGERPRINT_MISMATCH');
  });

  test('another instance of the same name where the stored root is lost: the export’s root does not take its place', async () => {
    await exportFrom(OLD, FIRST);
    await trust(offline(), 'import', file);
    rmSync(lab('tuf'), { recursive: true });
    const other = publish(new Map(), LAB_ROOT, FIRST, { root: generateKey('p256'), online: generateKey('p256') });
    rmSync(online(OLD, FIRST).home, { recursive: true });
    await trust(online(other, FIRST), 'add', INSTANCE, '--yes', '--name', 'lab');
    await trust(online(other, FIRST), 'export', '-o', file);
    expect(await imported()).toBe('TRUST_FINGERPRINT_MISMATCH');
  });

  test('a first root that is not the one of the fingerprint', async () => {
    await exportFrom(OLD, FIRST);
    rewrite((instance) => (instance.fingerprint = `sha256:${'00'.repeat(32)}`));
    expect(await imported()).toBe('TRUST_FINGERPRINT_MISMATCH');
    nothingStored();
  });

  test('a fingerprint other than the one that was given', async () => {
    await exportFrom(OLD, FIRST);
    expect(await imported('--fingerprint', `sha256:${'00'.repeat(32)}`)).toBe('TRUST_FINGERPRINT_MISMATCH');
    expect(await imported('--fingerprint', FINGERPRINT, '--fingerprint', `sha256:${'00'.repeat(32)}`)).toBe(
      'TRUST_FINGERPRINT_MISMATCH',
    );
    expect(await imported('--fingerprint', 'lab')).toBe('USAGE');
    nothingStored();
  });

  test('a target that was not signed', async () => {
    await exportFrom(OLD, FIRST);
    rewrite((instance) => replaceContent(instance, 'trusted_root.json', serializeUtf8(LAB_ROOT)));
    expect(await imported()).toBe('TUF_TARGET_INVALID');
    nothingStored();
  });

  test.each(['timestamp.json', 'snapshot.json', 'targets.json', '1.root.json'])('%s changed', async (name) => {
    await exportFrom(OLD, FIRST);
    rewrite((instance) => {
      const text = Buffer.from(instance.files.find((each: { name: string }) => each.name === name).content, 'base64');
      replaceContent(instance, name, serializeUtf8(text.toString().replace(/"version": \d+/, '"version": 9')));
    });
    expect(await imported()).toMatch(/^(?:TUF_|TRUST_)/);
    nothingStored();
  });

  test.each(['timestamp.json', 'snapshot.json', 'targets.json', '1.root.json', 'trusted_root.json'])(
    '%s left out',
    async (name) => {
      await exportFrom(OLD, FIRST);
      rewrite((instance) => (instance.files = instance.files.filter((each: { name: string }) => each.name !== name)));
      expect(await imported()).toBe('TRUST_EXPORT_INVALID');
      nothingStored();
    },
  );

  test('a root in between left out', async () => {
    await exportFrom(OLD, FIRST);
    await exportFrom(NEW, LATER);
    rewrite(
      (instance) => (instance.files = instance.files.filter((each: { name: string }) => each.name !== '2.root.json')),
    );
    expect(await imported()).toBe('TUF_SIGNATURE_INVALID');
  });

  test('age made younger: the TUF timestamp had expired then, or it is to come', async () => {
    await exportFrom(OLD, FIRST);
    rewrite((instance) => (instance.fetchedAt = new Date(FIRST.getTime() + 8 * DAY_MS).toISOString()));
    expect(await imported()).toBe('TUF_EXPIRED');
    rewrite((instance) => (instance.fetchedAt = new Date(FIRST.getTime() + 6 * DAY_MS).toISOString()));
    expect(await failing(offline(FIRST), 'import', file)).toBe('TUF_EXPIRED');
    nothingStored();
  });

  test('a file in place of the TUF repository of that name', async () => {
    await exportFrom(OLD, FIRST);
    await trust(offline(), 'import', file);
    const source = serializeUtf8(LAB_ROOT);
    const files = [{ name: 'source.json', sha256: serializeHex(sha256(source)), content: serializeBase64(source) }];
    rewrite((instance) => {
      Object.assign(instance, { files, fingerprint: hash(source), url: undefined });
    });
    expect(await imported()).toBe('TRUST_FINGERPRINT_MISMATCH');
    expect(readFileSync(lab('trusted_root.json'), 'utf8')).toBe(PUBLIC_GOOD.trustedRoot);
  });

  test('a name that is a path', async () => {
    await exportFrom(OLD, FIRST);
    rewrite((instance) => (instance.name = '../../lab'));
    expect(await imported()).toBe('USAGE');
  });

  test('one of two is wrong: nothing is stored', async () => {
    await exportFrom(OLD, FIRST);
    const json = JSON.parse(readFileSync(file, 'utf8'));
    json.instances.push({ ...json.instances[0], name: 'zzz', fingerprint: `sha256:${'00'.repeat(32)}` });
    writeFileSync(file, JSON.stringify(json));
    expect(await imported()).toBe('TRUST_FINGERPRINT_MISMATCH');
    nothingStored();
  });

  test('public-good older than what is built in, with or without --allow-rollback', async () => {
    await exportFrom(OLD, FIRST);
    rewrite((instance) => (instance.name = 'public-good'));
    expect(await imported()).toMatch(/^TUF_/);
    expect(await imported('--allow-rollback')).toBe('TRUST_FINGERPRINT_MISMATCH');
    // Nobody but its keyholders can make an export of it that is refused for its age alone.
    const material = (targetsVersion: number) =>
      ({ meta: { targetsVersion }, files: new Map() }) as unknown as Parameters<typeof requireNotOlderThanBuiltIn>[1];
    const { targetsVersion } = PUBLIC_GOOD;
    const refusal = expect.objectContaining({ code: 'TUF_ROLLBACK' });
    expect(() => requireNotOlderThanBuiltIn('public-good', material(targetsVersion - 1))).toThrow(refusal);
    expect(() => requireNotOlderThanBuiltIn('public-good', material(targetsVersion))).not.toThrow();
    expect(() => requireNotOlderThanBuiltIn('lab', material(1))).not.toThrow();
  });

  test('rollback where the stored metadata is lost, and only its version is known', async () => {
    await exportFrom(OLD, FIRST);
    const old = readFileSync(file);
    await exportFrom(publish(OLD, LAB_ROOT, LATER), LATER);
    await trust(offline(), 'import', file);
    for (const name of ['timestamp', 'snapshot', 'targets']) rmSync(lab(`tuf/${name}.json`));
    writeFileSync(file, old);
    expect(await imported()).toBe('TUF_ROLLBACK');
    expect(readFileSync(lab('trusted_root.json'), 'utf8')).toBe(LAB_ROOT);
  });
});

describe('export refuses', () => {
  test('nothing stored', async () => expect(await failing(online(OLD, FIRST), 'export', '-o', file)).toBe('USAGE'));
  test('what every hallmark has built in', async () => {
    expect(await failing(online(OLD, FIRST), 'export', 'public-good', '-o', file)).toBe('USAGE');
  });
  test('unknown name', async () => {
    expect(await failing(online(OLD, FIRST), 'export', 'none', '-o', file)).toBe('TRUST_UNKNOWN');
  });
  test('stored material that could not be imported', async () => {
    await exportFrom(OLD, FIRST);
    const computer = online(OLD, FIRST);
    rmSync(file);
    writeFileSync(join(computer.home, 'data/hallmark/trust/lab/trusted_root.json'), LAB_ROOT);
    expect(await failing(computer, 'export', '-o', file)).toBe('TUF_TARGET_INVALID');
    rmSync(join(computer.home, 'data/hallmark/trust/lab/tuf/1.root.json'));
    expect(await failing(computer, 'export', '-o', file)).toBe('TRUST_UNKNOWN');
    expect(existsSync(file)).toBe(false);
  });
});
