// Against real git, in a home of its own, with the program run from its source. What needs a running stack or other programs
// is in .ci/git.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import { serializeTrustedRoot } from '../core/trust/trusted-root.ts';
import { joinObject } from '../gitsign/object.ts';
import { hasPaths, hasRefs } from '../gitsign/policy.ts';
import { gitStack } from '../gitsign/testing.ts';
import { changedPaths } from './git-paths.ts';
import { parseGitPolicyText } from './git-policy.ts';
import { ObjectStore } from './git-store.ts';

const home = mkdtempSync(join(tmpdir(), 'hallmark-cmd-git-'));
const repository = join(home, 'r');
const env = { PATH: process.env['PATH'] ?? '', HOME: home, GIT_CONFIG_NOSYSTEM: '1', LC_ALL: 'C' };
const stack = await gitStack();
const ISSUER = 'https://issuer.example';

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}
interface Options {
  readonly input?: string | Uint8Array;
  readonly env?: Record<string, string>;
}
function run(argv: readonly string[], options: Options = {}): Ran {
  const [program = '', ...args] = argv;
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: repository,
    env: { ...env, ...options.env },
    input: options.input ?? '',
    encoding: 'utf8',
  });
  return { code: status ?? -1, stdout, stderr };
}
const git = (...args: string[]): string => run(['git', ...args]).stdout.trim();
const main = join(import.meta.dir, 'main.ts');
const hallmark = (args: readonly string[], options?: Options): Ran => run([process.execPath, main, ...args], options);
const json = (args: readonly string[], options?: Options) =>
  JSON.parse(hallmark([...args, '--output', 'json'], options).stdout);

const person = 'A <a@b.example> 1700000000 +0000';
const tree = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';
const payloadOf = (message: string, parent?: string): Uint8Array =>
  serializeUtf8(
    `tree ${tree}\n${parent === undefined ? '' : `parent ${parent}\n`}author ${person}\ncommitter ${person}\n\n${message}\n`,
  );

let armor: string;
let signed: string;
let unsigned: string;
const payload = payloadOf('signed');

beforeAll(async () => {
  mkdirSync(repository);
  git('init', '-q', '-b', 'main', '.');
  git('hash-object', '-t', 'tree', '-w', '/dev/null');
  ({ armor } = await stack.sign(payload));
  const write = (body: Uint8Array): string =>
    run(['git', 'hash-object', '-t', 'commit', '-w', '--stdin'], { input: body }).stdout.trim();
  signed = write(joinObject(payload, serializeUtf8(armor), 'sha1')?.body as Uint8Array);
  unsigned = write(payloadOf('unsigned', signed));
  git('update-ref', 'refs/heads/main', unsigned);
  const root = join(home, 'root.json');
  writeFileSync(root, serializeTrustedRoot(stack.trustedRoot));
  expect(hallmark(['trust', 'add', root, '--name', 'fake', '--use']).code).toBe(0);
  writeFileSync(join(home, 'signature'), armor);
}, 60_000);
afterAll(() => rmSync(home, { recursive: true }));

describe('the program that git calls', () => {
  const verify = (input: Uint8Array, config: readonly string[] = []) =>
    hallmark(['--status-fd=1', '--verify', join(home, 'signature'), '-'], {
      input,
      env: {
        GIT_CONFIG_COUNT: String(config.length),
        ...Object.fromEntries(
          config.flatMap((entry, i) => {
            const at = entry.indexOf('=');
            return [
              [`GIT_CONFIG_KEY_${i}`, entry.slice(0, at)],
              [`GIT_CONFIG_VALUE_${i}`, entry.slice(at + 1)],
            ];
          }),
        ),
      },
    });
  const keywords = (text: string): string[] => text.split('\n').flatMap((line) => line.split(' ')[1] ?? []);

  test('good, without a policy', () => {
    const { code, stdout, stderr } = verify(payload);
    expect(code).toBe(0);
    expect(keywords(stdout)).toEqual(['NEWSIG', 'GOODSIG', 'VALIDSIG', 'TRUST_UNDEFINED']);
    expect(stdout).toContain(` a@b.example (${ISSUER})\n`);
    expect(stderr).toContain('good signature by a@b.example');
  });
  test('good, and named by the policy; valid, and not named', () => {
    const policy = (who: string): string => {
      const path = join(home, `${who}.json`);
      const identities = [{ issuer: ISSUER, subjectAlternativeName: who }];
      writeFileSync(path, JSON.stringify({ version: 1, rules: [{ name: 'me', identities }] }));
      return `hallmark.policy=${path}`;
    };
    const good = verify(payload, [policy('a@b.example')]);
    expect([good.code, keywords(good.stdout).at(-1)]).toEqual([0, 'TRUST_FULLY']);
    const never = verify(payload, [policy('c@d.example')]);
    expect([never.code, keywords(never.stdout)]).toEqual([1, ['NEWSIG', 'GOODSIG', 'VALIDSIG', 'TRUST_NEVER']]);
  });
  test('named by the policy, and committed by somebody else: only where the rule lets anybody commit', async () => {
    const foreign = serializeUtf8(
      `tree ${tree}\nauthor ${person}\ncommitter C <c@d.example> 1700000000 +0000\n\nsigned\n`,
    );
    const signature = join(home, 'foreign-committer');
    writeFileSync(signature, (await stack.sign(foreign)).armor);
    const rule = { name: 'me', identities: [{ issuer: ISSUER, subjectAlternativeName: 'a@b.example' }] };
    const trustOf = (more: object): [number, string | undefined] => {
      const path = join(home, 'committer.json');
      writeFileSync(path, JSON.stringify({ version: 1, rules: [{ ...rule, ...more }] }));
      const set = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'hallmark.policy', GIT_CONFIG_VALUE_0: path };
      const { code, stdout } = hallmark(['--status-fd=1', '--verify', signature, '-'], { input: foreign, env: set });
      return [code, keywords(stdout).at(-1)];
    };
    expect(trustOf({})).toEqual([1, 'TRUST_NEVER']);
    expect(trustOf({ committer: 'anybody' })).toEqual([0, 'TRUST_FULLY']);
  });
  test('another payload is bad, another trust an error', () => {
    const bad = verify(payloadOf('other'));
    expect([bad.code, keywords(bad.stdout)]).toEqual([1, ['NEWSIG', 'BADSIG', 'TRUST_UNDEFINED']]);
    const error = verify(payload, ['hallmark.trust=public-good']);
    expect([error.code, keywords(error.stdout)]).toEqual([1, ['NEWSIG', 'ERRSIG', 'TRUST_UNDEFINED']]);
  });
  test('a policy that cannot be read is an error, never a good signature', () => {
    const { code, stdout } = verify(payload, [`hallmark.policy=${join(home, 'none')}`]);
    expect([code, keywords(stdout)]).toEqual([1, ['NEWSIG', 'ERRSIG', 'TRUST_UNDEFINED']]);
  });
  test('a failure to sign leaves standard output empty, and says why in one line', () => {
    const { code, stdout, stderr } = hallmark(['--status-fd=2', '-bsau', 'A <a@b.example>'], { input: payload });
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^\[GNUPG:\] BEGIN_SIGNING H8\nhallmark: [^\n]+\n$/);
  });
  test('a status that cannot be written is a failure: its reader has left, it is closed, or full', () => {
    const line = (redirected: string): Ran =>
      run(['bash', '-c', `exec 8> >(exit); wait $!; "$0" "$@" ${redirected}`, process.execPath, main, ...verifying], {
        input: payload,
      });
    const verifying = ['--status-fd=7', '--verify', join(home, 'signature'), '-'];
    expect(line('7>&1')).toMatchObject({ code: 0, stdout: expect.stringContaining('GOODSIG') });
    // In place of a closed standard error the runtime opens one that takes anything.
    const toError = ['--status-fd=2', ...verifying.slice(1)];
    const closed = run(['bash', '-c', '"$0" "$@" 2>&-', process.execPath, main, ...toError], { input: payload });
    expect(closed.code).toBe(1);
    for (const redirected of ['7>&-', '7>/dev/full', '7>&8']) {
      const stderr = expect.stringContaining('cannot write to the status, descriptor 7');
      expect(line(redirected)).toMatchObject({ code: 1, stdout: '', stderr });
    }
  });
  test('a closed standard output is found out before anything is signed', () => {
    const sign = (redirected: string): string =>
      run(['bash', '-c', `"$0" "$@" ${redirected}`, process.execPath, main, '--status-fd=2', '-bsau', 'k'], {
        input: payload,
      }).stderr;
    expect(sign('>&-')).toStartWith('hallmark: cannot write to standard output: it is closed');
    expect(sign('>/dev/null')).toContain('BEGIN_SIGNING');
  });
  test("a repository's choice of trust is for signing: whom to trust is the user's to say", () => {
    git('config', 'hallmark.trust', 'public-good');
    expect(keywords(verify(payload).stdout)).toContain('GOODSIG');
    git('config', '--unset', 'hallmark.trust');
  });
  test('what cannot be read at all is an error too', () => {
    const { code, stdout } = hallmark(['--status-fd=1', '--verify', join(home, 'signature'), join(home, 'none')]);
    expect([code, keywords(stdout)]).toEqual([1, ['NEWSIG', 'ERRSIG', 'TRUST_UNDEFINED']]);
  });
  test('a key ID left over from gpg does not matter where git signs with X.509, and is for gpg elsewhere', () => {
    const sign = (format: string) =>
      hallmark(['--status-fd=2', '-bsau', '0123456789ABCDEF'], {
        input: payload,
        env: {
          HALLMARK_PASSED_ON: '1',
          GIT_CONFIG_COUNT: '1',
          GIT_CONFIG_KEY_0: 'gpg.format',
          GIT_CONFIG_VALUE_0: format,
        },
      }).stderr;
    expect(sign('x509')).toContain('so it can only verify');
    expect(sign('openpgp')).toContain('passed on to is Hallmark again');
  });
  test('what is not of Sigstore needs gpg, and says so where there is none', () => {
    writeFileSync(
      join(home, 'foreign'),
      '-----BEGIN PGP SIGNATURE-----\n\niHUEABYKAB0=\n-----END PGP SIGNATURE-----\n',
    );
    const args = ['--keyid-format=long', '--status-fd=1', '--verify', join(home, 'foreign'), '-'];
    const missing = hallmark(args, { env: { PATH: '/nonexistent' } });
    expect([missing.code, missing.stdout]).toEqual([1, '']);
    // There is no git either, and that comes first.
    expect(missing.stderr).toMatch(/^hallmark: (?:git is not installed|this needs gpg)/);
    const again = hallmark(args, { env: { HALLMARK_PASSED_ON: '1' } });
    expect(again.stderr).toContain('the gpg that this was passed on to is Hallmark again');
  });
});

test('what a signature is passed on to is never looked for in the repository', () => {
  for (const name of ['gpg', 'gpgsm']) {
    writeFileSync(join(repository, name), `#!/bin/sh\ntouch ${home}/was-run\n`, { mode: 0o755 });
  }
  const gitAlone = join(home, 'git-alone');
  mkdirSync(gitAlone);
  symlinkSync(Bun.which('git') ?? '', join(gitAlone, 'git'));
  writeFileSync(join(home, 'pgp'), '-----BEGIN PGP SIGNATURE-----\n\niHUE=\n-----END PGP SIGNATURE-----\n');
  const PATH = `.::${gitAlone}:`;
  const passed = hallmark(['--status-fd=1', '--verify', join(home, 'pgp'), '-'], { env: { PATH } });
  expect(passed).toMatchObject({ code: 1, stderr: expect.stringContaining('this needs gpg, which is not installed') });
  expect(existsSync(join(home, 'was-run'))).toBe(false);
});

test("the agent reads the user's own files alone: no repository's, command line's or environment's", () => {
  git('config', '--global', 'gitsign.issuer', 'https://global.test');
  git('config', 'gitsign.fulcio', 'https://local.test');
  const script = `import { readUserGitSettings } from ${JSON.stringify(join(import.meta.dir, 'git-settings.ts'))};
    const { get } = readUserGitSettings();
    console.log(JSON.stringify(['issuer', 'fulcio', 'rekor', 'clientID'].map((name) => get(name)?.value ?? null)));`;
  const command = {
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'gitsign.rekor',
    GIT_CONFIG_VALUE_0: 'https://command.test',
  };
  const { stdout } = run([process.execPath, '-e', script], { env: { ...command, GITSIGN_OIDC_CLIENT_ID: 'other' } });
  expect(JSON.parse(stdout)).toEqual(['https://global.test', null, null, null]);
  git('config', '--unset', 'gitsign.fulcio');
  git('config', '--global', '--remove-section', 'gitsign');
});

describe('git setup and unset', () => {
  const config = (): string => git('config', '--global', '--list');
  test('writes what it shows, and undoes exactly that', () => {
    git('config', '--global', 'gpg.format', 'openpgp');
    git('config', '--global', 'hallmark.lookup', 'false');
    const before = config();
    const args = ['git', 'setup', '--program', '/opt/hallmark', '--sign-commits'];
    const shown = hallmark([...args, '--dry-run']);
    expect(shown.stdout).toContain('git config --global gpg.format x509   # was openpgp\n');
    expect(config()).toBe(before);
    expect(json(args)).toMatchObject({ ok: true, written: true, scope: 'global' });
    expect(config()).toContain('gpg.x509.program=/opt/hallmark\ncommit.gpgsign=true');
    // Once more, with another program: what was there before the first is what is restored.
    expect(hallmark(['git', 'setup', '--program', '/opt/other/hallmark', '--sign-tags']).code).toBe(0);
    git('config', '--global', 'tag.gpgsign', 'false');
    const undone = json(['git', 'unset']);
    expect(undone.kept).toEqual(['tag.gpgsign']);
    git('config', '--global', '--unset', 'tag.gpgsign');
    expect(config()).toBe(before);
    expect(hallmark(['git', 'unset']).code).toBe(2);
    git('config', '--global', '--unset', 'gpg.format');
    git('config', '--global', '--remove-section', 'hallmark');
  });
  test('a key without value, which means true, is true again', () => {
    const path = join(home, '.gitconfig');
    git('config', '--global', 'user.name', 'A');
    const before = readFileSync(path, 'utf8');
    writeFileSync(path, `${before}[commit]\n\tgpgsign\n[tag]\n\tgpgsign =\n`);
    const isOn = (key: string): string => git('config', '--global', '--type=bool', key);
    expect([isOn('commit.gpgsign'), isOn('tag.gpgsign')]).toEqual(['true', 'false']);
    hallmark(['git', 'setup', '--program', '/opt/hallmark', '--sign-commits', '--sign-tags']);
    expect(json(['git', 'unset']).kept).toEqual([]);
    expect([isOn('commit.gpgsign'), isOn('tag.gpgsign')]).toEqual(['true', 'false']);
    writeFileSync(path, before);
  });
  test('a program that is not named by its whole path is refused', () => {
    expect(hallmark(['git', 'setup', '--program', 'hallmark']).code).toBe(2);
    expect(hallmark(['git', 'setup']).stderr).toContain('this runs from its source');
    expect(hallmark(['git', 'setup', '--global', '--local', '--program', '/x']).code).toBe(2);
  });
});

test('git config explains what is in force, what is passed over, and why', () => {
  git('config', 'hallmark.policy', '/tmp/evil.yaml');
  git('config', 'gitsign.rekorMode', 'online');
  git('config', 'gitsign.fulcioRoot', 'x');
  const shown = json(['git', 'config'], { env: { GITSIGN_FULCIO_URL: 'https://f.example' } });
  expect(shown.settings).toEqual([
    { name: 'fulcio', value: 'https://f.example', source: 'environment variable GITSIGN_FULCIO_URL' },
    { name: 'rekorMode', value: 'online', source: 'local configuration, .git/config' },
  ]);
  expect(shown.ignored.map((each: { key: string }) => each.key)).toEqual(['hallmark.policy', 'gitsign.fulcioroot']);
  expect(shown.notes).toEqual(['git does not call Hallmark; hallmark git setup changes that']);
  for (const key of ['hallmark.policy', 'gitsign.rekorMode', 'gitsign.fulcioRoot']) git('config', '--unset', key);
});

test('a repository may turn matchCommitter on, never off', () => {
  const inForce = (): string[] =>
    json(['git', 'config'])
      .settings.filter(({ name }: { name: string }) => name === 'matchCommitter')
      .map(({ value }: { value: string }) => value);
  git('config', '--global', 'gitsign.matchCommitter', 'true');
  git('config', 'hallmark.matchCommitter', 'no');
  git('config', 'gitsign.matchCommitter', '');
  expect(inForce()).toEqual(['true']);
  const reason = 'a repository may not turn it off';
  expect(json(['git', 'config']).ignored).toMatchObject([{ reason }, { reason }]);
  git('config', '--unset', 'hallmark.matchCommitter');
  git('config', '--global', 'gitsign.matchCommitter', 'false');
  git('config', 'gitsign.matchCommitter', 'true');
  expect(inForce().at(-1)).toBe('true');
  git('config', '--unset', 'gitsign.matchCommitter');
  git('config', '--global', '--remove-section', 'gitsign');
});

describe('git verify', () => {
  const me = ['--certificate-identity', 'a@b.example', '--certificate-oidc-issuer', ISSUER];
  test('a signed commit, by whom it says and by somebody else', () => {
    const found = json(['git', 'verify', signed, ...me]);
    expect(found).toMatchObject({ ok: true, summary: { objects: 1, verified: 1 } });
    expect(found.objects[0]).toMatchObject({
      id: signed,
      kind: 'commit',
      status: 'verified',
      rules: ['the command line'],
    });
    const other = hallmark(['git', 'verify', signed, '--from', 'email:c@d.example']);
    expect([other.code, other.stdout]).toEqual([12, '']);
    expect(other.stderr).toContain('POLICY_MISMATCH');
  });
  test('an unsigned one is classified', () => {
    const found = hallmark(['git', 'verify', 'main', '--any-signer']);
    expect([found.code, found.stdout]).toEqual([10, '']);
    expect(hallmark(['git', 'verify', 'main', '--any-signer', '--allow', 'unsigned']).code).toBe(0);
  });
  test('so is what somebody else signs with: ssh, gpg, another authority', () => {
    for (const [label, status] of [
      ['SSH SIGNATURE', 'ssh'],
      ['PGP SIGNATURE', 'openpgp'],
      ['SIGNED MESSAGE', 'x509'],
    ] as const) {
      const foreign = serializeUtf8(`-----BEGIN ${label}-----\nU1NIU0lH\n-----END ${label}-----\n`);
      const body = joinObject(payloadOf(label), foreign, 'sha1')?.body as Uint8Array;
      const id = run(['git', 'hash-object', '-t', 'commit', '-w', '--stdin'], { input: body }).stdout.trim();
      const found = json(['git', 'verify', id, '--any-signer', '--allow', status]);
      expect(found).toMatchObject({ ok: true, objects: [{ id, status, accepted: true }] });
      expect(hallmark(['git', 'verify', id, '--any-signer', '--allow', 'unsigned']).code).toBe(10);
    }
  });
  test('without a policy it is not clear who may have signed', () => {
    const refused = hallmark(['git', 'verify', signed]);
    expect([refused.code, refused.stderr.includes('--any-signer')]).toEqual([2, true]);
  });
  test('what names nothing, or is no commit, is unusable', () => {
    expect(hallmark(['git', 'verify', 'nothing', '--any-signer']).code).toBe(3);
    expect(hallmark(['git', 'verify', tree, '--any-signer']).code).toBe(2);
    expect(hallmark(['git', 'verify', '--any-signer', '--policy', 'x']).code).toBe(2);
    expect(hallmark(['git', 'verify', signed, '--key', 'x']).code).toBe(2);
    expect(hallmark(['git', 'verify', signed, '--any-signer', '--allow', 'rejected']).code).toBe(2);
  });
  test('a hook without input, a deletion, and nonsense', () => {
    const hook = (input: string) => hallmark(['git', 'verify', '--pre-receive', '--any-signer'], { input }).code;
    expect(hook('')).toBe(0);
    expect(hook(`${signed} ${'0'.repeat(40)} refs/heads/x\n`)).toBe(0);
    expect(hook(`${'0'.repeat(40)} ${signed} refs/heads/x\n`)).toBe(0);
    expect(hook(`${signed} ${unsigned} refs/heads/x\n`)).toBe(10);
    // Its commit is signed and there already; that it has this name is not.
    expect(hook(`${'0'.repeat(40)} ${signed} refs/tags/x\n`)).toBe(10);
    expect(hook('x y z\n')).toBe(2);
  });
  test('a replacement does not stand for what it replaces', () => {
    git('replace', unsigned, signed);
    const found = hallmark(['git', 'verify', unsigned, '--any-signer']);
    git('replace', '-d', unsigned);
    expect(found.code).toBe(10);
  });
  test('a signed tag under another name', async () => {
    const body = serializeUtf8(`object ${unsigned}\ntype commit\ntag v1\ntagger ${person}\n\nrelease\n`);
    const armored = serializeUtf8((await stack.sign(body)).armor);
    const input = joinObject(body, armored, 'sha1')?.body as Uint8Array;
    const id = run(['git', 'hash-object', '-t', 'tag', '-w', '--stdin'], { input }).stdout.trim();
    for (const [name, code] of [
      ['v1', 0],
      ['v2', 12],
    ] as const) {
      git('update-ref', `refs/tags/${name}`, id);
      expect([name, hallmark(['git', 'verify', name, '--any-signer']).code]).toEqual([name, code]);
      git('update-ref', '-d', `refs/tags/${name}`);
    }
  });
  test('an object that is not what its ID says', () => {
    const path = (id: string): string => join(repository, '.git', 'objects', id.slice(0, 2), id.slice(2));
    const good = readFileSync(path(signed));
    run(['chmod', 'u+w', path(signed)]);
    writeFileSync(path(signed), readFileSync(path(unsigned)));
    const damaged = hallmark(['git', 'verify', signed, '--any-signer']);
    writeFileSync(path(signed), good);
    expect(damaged.code).toBe(3);
    expect(hallmark(['git', 'verify', signed, '--any-signer']).code).toBe(0);
  });
});

describe('the paths that a commit answers for', () => {
  // Each step writes files and commits them; all unsigned, as only paths are asked for.
  const work = join(home, 'paths');
  const at = (...args: string[]): string =>
    run(['git', '-C', work, '-c', 'user.name=A', '-c', 'user.email=a@b.example', ...args]).stdout.trim();
  const commit = (files: Record<string, string>): string => {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(work, name)), { recursive: true });
      writeFileSync(join(work, name), text);
    }
    at('add', '-A');
    at('commit', '-q', '--allow-empty', '-m', 'x');
    return at('rev-parse', 'HEAD');
  };
  const pathsOf = async (...ids: string[]): Promise<Map<string, readonly string[]>> => {
    const before = process.cwd();
    process.chdir(work);
    const store = new ObjectStore('sha1');
    try {
      const found = new Map<string, readonly string[]>();
      for (const id of ids) found.set(id, await changedPaths(store, await store.read(id, 'commit')));
      return found;
    } finally {
      await store.close();
      process.chdir(before);
    }
  };
  // A commit of a tree with these files, beside the working tree.
  const mergeOf = (files: Record<string, string>, ...parents: string[]): string => {
    const index = { env: { GIT_INDEX_FILE: join(home, 'index') } };
    const beside = (...args: string[]): string =>
      run(['git', '-C', work, '-c', 'user.name=A', '-c', 'user.email=a@b.example', ...args], index).stdout.trim();
    beside('read-tree', '--empty');
    for (const [name, text] of Object.entries(files)) {
      const blob = run(['git', '-C', work, 'hash-object', '-w', '--stdin'], { input: text }).stdout.trim();
      beside('update-index', '--add', '--cacheinfo', `100644,${blob},${name}`);
    }
    return beside('commit-tree', beside('write-tree'), ...parents.flatMap((parent) => ['-p', parent]), '-m', 'merge');
  };
  let base = '';
  let ours = '';
  let theirs = '';
  beforeAll(() => {
    mkdirSync(work);
    at('init', '-q', '-b', 'main', '.');
    base = commit({ a: '0', b: '0', c: '0' });
    ours = commit({ a: '1' });
    at('checkout', '-q', '-b', 'side', base);
    theirs = commit({ b: '1' });
  });

  test('all that it changes, the first one too; a file named as another commit hides nothing', async () => {
    const named = commit({ [base]: 'x', z: 'y' });
    expect(Object.fromEntries(await pathsOf(named, ours, base))).toEqual({
      [named]: [base, 'z'],
      [ours]: ['a'],
      [base]: ['a', 'b', 'c'],
    });
    expect((await pathsOf()).size).toBe(0);
  });
  test('of a merge nothing that its sides did', async () => {
    expect((await pathsOf(mergeOf({ a: '1', b: '1', c: '0' }, ours, theirs))).size).toBe(1);
    const clean = mergeOf({ a: '1', b: '1', c: '0' }, ours, theirs);
    expect((await pathsOf(clean)).get(clean)).toEqual([]);
  });
  test('of a merge what it makes up', async () => {
    const evil = mergeOf({ a: '1', b: '1', c: '2' }, ours, theirs);
    expect((await pathsOf(evil)).get(evil)).toEqual(['c']);
  });
  test('of a merge what it drops of one side', async () => {
    const dropped = mergeOf({ a: '0', b: '1', c: '0' }, ours, theirs);
    expect((await pathsOf(dropped)).get(dropped)).toEqual(['a']);
  });
  test('of a merge of histories without an ancestor all in which it differs from a side', async () => {
    const other = mergeOf({ d: '1' });
    const joined = mergeOf({ a: '1', b: '0', c: '0' }, ours, other);
    expect((await pathsOf(joined)).get(joined)).toEqual(['d']);
  });
});

test('git show prints the statement', () => {
  git('remote', 'add', 'origin', 'https://git.example/r.git');
  const statement = JSON.parse(hallmark(['git', 'show', signed]).stdout);
  expect(statement).toMatchObject({
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'https://git.example/r.git', digest: { sha1: signed } }],
    predicateType: 'https://gitsign.sigstore.dev/predicate/git/v0.1',
    predicate: {
      source: {
        tree,
        parents: [],
        author: { name: 'A', email: 'a@b.example', date: '2023-11-14T22:13:20Z' },
        message: 'signed\n',
      },
      signature: armor,
    },
  });
  expect(statement.predicate.signer_info[0].certificate).toStartWith('-----BEGIN CERTIFICATE-----');
  expect(JSON.parse(hallmark(['git', 'show', unsigned]).stdout).predicate.signer_info).toEqual([]);
});

test('the policy of docs/git.md is one', () => {
  const [, yaml = ''] =
    /^```yaml\n([\s\S]*?)^```$/m.exec(readFileSync(join(import.meta.dir, '../docs/git.md'), 'utf8')) ?? [];
  const policy = parseGitPolicyText('policy.yaml', serializeUtf8(yaml));
  expect(policy.rules.map(({ rule }) => rule.name)).toEqual(['team', 'bots', 'owners', 'releases']);
  expect([hasPaths(policy), hasRefs(policy)]).toEqual([true, true]);
  expect(() => parseGitPolicyText('policy.yaml', serializeUtf8(`${yaml}version: 1\n`))).toThrow('unique');
});
