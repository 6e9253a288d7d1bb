// What somebody who can push, or who can write into a checkout, tries on `hallmark git verify`; against real git, in a home of
// its own, with the program run from its source.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { concat, serializeUtf8 } from '../core/bytes/bytes.ts';
import { serializeTrustedRoot } from '../core/trust/trusted-root.ts';
import { joinObject } from '../gitsign/object.ts';
import { gitStack } from '../gitsign/testing.ts';

const home = mkdtempSync(join(tmpdir(), 'hallmark-git-verify-'));
const env = { PATH: process.env['PATH'] ?? '', HOME: home, GIT_CONFIG_NOSYSTEM: '1', LC_ALL: 'C' };
const stack = await gitStack();
const ISSUER = 'https://issuer.example';
const NONE = '0'.repeat(40);
const slow = 60_000;

interface Options {
  readonly input?: string | Uint8Array;
  readonly env?: Record<string, string>;
}
let repository = '';
function run(argv: readonly string[], options: Options = {}): { code: number; stdout: string; stderr: string } {
  const [program = '', ...args] = argv;
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: repository,
    env: { ...env, ...options.env },
    input: options.input ?? '',
    encoding: 'utf8',
  });
  return { code: status ?? -1, stdout, stderr };
}
function git(args: readonly string[], options?: Options): string {
  const { code, stdout, stderr } = run(['git', ...args], options);
  if (code !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`);
  return stdout.trim();
}
const verify = (args: readonly string[], options?: Options) =>
  run([process.execPath, join(import.meta.dir, 'main.ts'), 'git', 'verify', ...args], options);
const codeOf = (...args: string[]): number => verify(args).code;

const rule = (name: string, who: string, more: object = {}): object => ({
  name,
  identities: [{ issuer: ISSUER, subjectAlternativeName: who }],
  ...more,
});
const policyText = (...rules: object[]): string => JSON.stringify({ version: 1, rules });
/** Of these the signer of every commit here is one alone: a@b.example. */
const ours = rule('team', 'a@b.example');
const anas = (more: object): object => rule('ana', 'ana@example.com', more);

type Files = Readonly<Record<string, string | { readonly mode: string; readonly id: string }>>;
function treeOf(files: Files): string {
  const index = { env: { GIT_INDEX_FILE: join(repository, '.git', 'beside') } };
  git(['read-tree', '--empty'], index);
  for (const [name, file] of Object.entries(files)) {
    const { mode, id } =
      typeof file === 'string' ? { mode: '100644', id: git(['hash-object', '-w', '--stdin'], { input: file }) } : file;
    git(['update-index', '--add', '--cacheinfo', `${mode},${id},${name}`], index);
  }
  return git(['write-tree'], index);
}
let count = 0;
const commit = (files: Files, ...parents: string[]): Promise<string> => commitOfTree(treeOf(files), ...parents);
async function commitOfTree(tree: string, ...parents: string[]): Promise<string> {
  const person = 'A <a@b.example> 1700000000 +0000';
  const headers = [`tree ${tree}`, ...parents.map((parent) => `parent ${parent}`)].join('\n');
  const payload = serializeUtf8(`${headers}\nauthor ${person}\ncommitter ${person}\n\n${count++}\n`);
  const body = joinObject(payload, serializeUtf8((await stack.sign(payload)).armor), 'sha1')?.body as Uint8Array;
  return git(['hash-object', '-t', 'commit', '-w', '--stdin'], { input: body });
}
async function tag(name: string, object: string): Promise<string> {
  const payload = serializeUtf8(
    `object ${object}\ntype commit\ntag ${name}\ntagger A <a@b.example> 1700000000 +0000\n\nrelease\n`,
  );
  const body = joinObject(payload, serializeUtf8((await stack.sign(payload)).armor), 'sha1')?.body as Uint8Array;
  return git(['hash-object', '-t', 'tag', '-w', '--stdin'], { input: body });
}
const ref = (name: string, id: string): string => git(['update-ref', name, id]);

beforeAll(() => {
  repository = home;
  const root = join(home, 'root.json');
  writeFileSync(root, serializeTrustedRoot(stack.trustedRoot));
  const added = run([process.execPath, join(import.meta.dir, 'main.ts'), 'trust', 'add', root, '--name', 'x', '--use']);
  expect(added.code).toBe(0);
}, slow);
beforeEach(() => {
  repository = join(home, 'r');
  mkdirSync(repository);
  git(['init', '-q', '-b', 'main', '.']);
  git(['remote', 'add', 'origin', 'https://git.example/r.git']);
});
afterEach(() => rmSync(repository, { recursive: true }));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const POLICY = '.hallmark/policy.yaml';
/** A history of two commits under a policy; the second is by a@b.example. */
async function history(...rules: object[]): Promise<{ base: string; tip: string; files: Files }> {
  const files = { [POLICY]: policyText(...rules), a: '0' };
  const base = await commit(files);
  const tip = await commit({ ...files, a: '1' }, base);
  return { base, tip, files };
}

describe('names', () => {
  test(
    'a tag that is called as the base of the range is refused, and the whole name is not',
    async () => {
      const { base, tip } = await history(anas({}));
      const lax = await commit({ [POLICY]: policyText(ours) });
      ref('refs/remotes/origin/main', base);
      ref('refs/heads/main', tip);
      ref('refs/tags/origin/main', lax);
      const refused = verify(['origin/main..HEAD', '--ref', 'main']);
      expect([refused.code, refused.stdout]).toEqual([2, '']);
      expect(refused.stderr).toContain('origin/main is ambiguous: refs/remotes/origin/main, refs/tags/origin/main');
      expect(codeOf('origin/main~0..HEAD', '--ref', 'main')).toBe(2);
      expect(codeOf('refs/remotes/origin/main..HEAD', '--ref', 'main')).toBe(12);
      // A name in full stands for nothing else, whatever else is called like it.
      git(['update-ref', '-d', 'refs/remotes/origin/main']);
      ref('refs/tags/refs/remotes/origin/main', lax);
      expect(codeOf('refs/remotes/origin/main..HEAD', '--ref', 'main')).toBe(3);
    },
    slow,
  );
  test(
    'so is whatever else stands for two: a branch and a tag, a file in .git, an ID cut short',
    async () => {
      const { base, tip } = await history(ours);
      ref('refs/heads/main', tip);
      for (const [one, other] of [
        ['refs/tags/x', 'refs/heads/x'],
        ['refs/heads/x', 'refs/remotes/x'],
        ['refs/tags/x', 'refs/remotes/x/HEAD'],
        ['refs/x', 'refs/heads/x'],
      ] as const) {
        ref(one, tip);
        ref(other, tip);
        expect(codeOf('x', '--any-signer')).toBe(2);
        for (const each of [one, other]) git(['update-ref', '-d', each]);
      }
      ref('refs/heads/FETCH_HEAD', tip);
      writeFileSync(join(repository, '.git', 'FETCH_HEAD'), `${base}\n`);
      expect(codeOf('FETCH_HEAD', '--any-signer')).toBe(2);
      ref(`refs/heads/${base.slice(0, 8)}`, tip);
      expect(codeOf(base.slice(0, 8), '--any-signer')).toBe(2);
      expect(codeOf(base, tip, '--any-signer')).toBe(0);
      expect(codeOf(base.slice(0, 9), 'HEAD', '@', '--any-signer')).toBe(0);
    },
    slow,
  );
  test(
    'one object under two names is judged under each',
    async () => {
      const { base, tip } = await history(ours, anas({ branches: ['release/*'] }));
      ref('refs/heads/main', tip);
      ref('refs/heads/release/1', tip);
      ref('refs/tags/lw', tip);
      const policy = join(home, 'policy.json');
      writeFileSync(policy, policyText(ours, anas({ branches: ['release/*'] })));
      expect(codeOf('main', '--policy', policy)).toBe(0);
      expect(codeOf('release/1', 'main', '--policy', policy)).toBe(12);
      expect(codeOf('main', 'release/1', '--policy', policy)).toBe(12);
      // The tag is not signed, its commit is.
      expect(codeOf('lw', 'main', '--any-signer')).toBe(10);
      expect(codeOf(`${base}..main`, `${base}..release/1`)).toBe(12);
      // A commit that no branch is named for is not on the one that is.
      expect(codeOf(`${base}..${tip}`, 'main', '--policy', policy)).toBe(2);

      const old = await tag('v0.9', base);
      ref('refs/tags/v0.9', old);
      ref('refs/tags/v1.0', old);
      expect(codeOf('v0.9', '--any-signer')).toBe(0);
      expect(codeOf('v1.0', 'v0.9', '--any-signer')).toBe(12);
      expect(codeOf('v0.9', 'v1.0', '--any-signer')).toBe(12);
      ref('refs/heads/v1.0', tip);
      expect(codeOf('v1.0', '--any-signer')).toBe(2);
    },
    slow,
  );
});

describe('rules for branches', () => {
  let base = '';
  let tip = '';
  beforeEach(async () => {
    ({ base, tip } = await history(ours, anas({ branches: ['release/*'] })));
    ref('refs/heads/base', base);
    ref('refs/remotes/origin/base', base);
    ref('refs/remotes/origin/release/1', tip);
    git(['symbolic-ref', 'refs/remotes/origin/HEAD', 'refs/remotes/origin/release/1']);
  });
  test(
    'count for a remote-tracking branch as for the branch that it tracks',
    () => {
      expect(codeOf('origin/base..origin/release/1')).toBe(12);
      expect(codeOf(`${base}..refs/remotes/origin/release/1`)).toBe(12);
      expect(codeOf(`${base}..remotes/origin/release/1`)).toBe(12);
      expect(codeOf(`${base}..origin`)).toBe(12);
      ref('refs/remotes/origin/other', tip);
      expect(codeOf('origin/base..origin/other')).toBe(0);
    },
    slow,
  );
  test(
    'count however --ref says it',
    () => {
      const range = `${base}..${tip}`;
      const names = ['release/1', 'heads/release/1', 'origin/release/1', 'remotes/origin/release/1', 'origin/HEAD'];
      for (const name of [...names, 'refs/heads/release/1', 'refs/remotes/origin/release/1', 'origin/release/2']) {
        expect([name, codeOf(range, '--ref', name)]).toEqual([name, 12]);
      }
      git(['checkout', '-q', '--detach', base]);
      for (const name of ['HEAD', '@', '', 'refs/remotes/other/release/1', 'refs/pull/1/head', 'release/1~0', 'a b']) {
        expect([name, codeOf(range, '--ref', name)]).toEqual([name, 2]);
      }
      expect(codeOf(range, '--ref', 'base')).toBe(0);
      // Not the tag that somebody has pushed under the name of a branch.
      ref('refs/tags/release/1', tip);
      expect(codeOf(range, '--ref', 'release/1')).toBe(2);
      expect(codeOf(range, '--ref', 'refs/heads/release/1')).toBe(12);
    },
    slow,
  );
  test(
    'need a branch: the policy has rules for branches, and none is named',
    () => {
      for (const end of [tip, 'origin/release/1~0', 'refs/pull/1/head']) {
        ref('refs/pull/1/head', tip);
        const refused = verify([`${base}..${end}`]);
        expect([end, refused.code]).toEqual([end, 2]);
        expect(refused.stderr).toContain('the policy has rules for branches or tags, and none is named');
      }
    },
    slow,
  );
});

describe('history that is cut off', () => {
  test(
    'is an error, by a shallow clone, a graft and a variable',
    async () => {
      const { base, tip, files } = await history(ours);
      const hidden = await commit({ ...files, evil: '1' }, tip);
      const top = await commit({ ...files, evil: '1', a: '2' }, hidden);
      ref('refs/heads/main', top);
      expect(verify([`${base}..main`]).stdout).toContain('3 objects');

      writeFileSync(join(repository, '.git', 'shallow'), `${top}\n`);
      const cut = verify([`${base}..main`]);
      expect([cut.code, cut.stdout]).toEqual([3, '']);
      expect(cut.stderr).toContain(`the history is cut off at ${top}`);
      expect(cut.stderr).toContain('git fetch --unshallow');
      rmSync(join(repository, '.git', 'shallow'));

      // Grafts count for nothing: all three commits are seen.
      mkdirSync(join(repository, '.git', 'info'), { recursive: true });
      const grafts = join(repository, '.git', 'info', 'grafts');
      for (const graft of [`${top} ${base}\n`, `${top}\n`, `${base} ${hidden}\n`]) {
        writeFileSync(grafts, graft);
        expect(verify([`${base}..main`]).stdout).toContain('3 objects');
      }
      rmSync(grafts);
      writeFileSync(join(home, 'grafts'), `${top} ${base}\n`);
      const env = { GIT_GRAFT_FILE: join(home, 'grafts') };
      expect(verify([`${base}..main`], { env }).stdout).toContain('3 objects');
    },
    slow,
  );
});

describe('rules for paths', () => {
  test(
    'see a submodule that .gitmodules asks to ignore',
    async () => {
      const files: Files = {
        [POLICY]: policyText(ours, anas({ paths: ['vendor/**'] })),
        '.gitmodules': '[submodule "x"]\n\tpath = vendor/x\n\turl = https://x.example/\n\tignore = all\n',
        'vendor/x': { mode: '160000', id: '1'.repeat(40) },
      };
      const base = await commit(files);
      const tip = await commit({ ...files, 'vendor/x': { mode: '160000', id: '2'.repeat(40) } }, base);
      ref('refs/heads/main', tip);
      git(['read-tree', 'main']);
      git(['checkout-index', '-q', '-f', '.gitmodules']);
      expect(codeOf(`${base}..main`)).toBe(12);
      const other = await commit({ ...files, a: '1' }, base);
      expect(codeOf(`${base}..${other}`)).toBe(0);
    },
    slow,
  );
  test(
    'see a link in place of the folder that they are about',
    async () => {
      const files: Files = { [POLICY]: policyText(ours, anas({ paths: ['.github/workflows/**'] })) };
      const base = await commit(files);
      const id = git(['hash-object', '-w', '--stdin'], { input: 'elsewhere' });
      expect(codeOf(`${base}..${await commit({ ...files, '.github': { mode: '120000', id } }, base)}`)).toBe(12);
      const deeper = await commit({ ...files, '.github/workflows': { mode: '120000', id } }, base);
      expect(codeOf(`${base}..${deeper}`)).toBe(12);
      expect(codeOf(`${base}..${await commit({ ...files, '.github/x': '1' }, base)}`)).toBe(0);
    },
    slow,
  );
});

describe('objects that are not what their IDs say', () => {
  const overwrite = (id: string, kind: string, body: string | Uint8Array): void => {
    const path = join(repository, '.git', 'objects', id.slice(0, 2), id.slice(2));
    chmodSync(path, 0o644);
    const bytes = typeof body === 'string' ? serializeUtf8(body) : body;
    writeFileSync(path, deflateSync(concat(serializeUtf8(`${kind} ${bytes.length}\0`), bytes)));
  };
  const refused = (...args: string[]): void => {
    const { code, stdout, stderr } = verify(args);
    expect([code, stdout]).toEqual([3, '']);
    // git itself holds commits to their IDs, where it has to parse them.
    expect(stderr).toMatch(/is not what its ID says: the repository is damaged|hash mismatch/);
  };
  test(
    'the policy, and the folders and the commit that lead to it',
    async () => {
      const { base, tip } = await history(anas({}));
      expect(codeOf(`${base}..${tip}`)).toBe(12);
      const lax = policyText(ours);
      const laxCommit = await commit({ [POLICY]: lax });
      const body = (id: string, kind: string): Uint8Array =>
        spawnSync('git', ['cat-file', kind, id], { cwd: repository, env }).stdout;
      for (const [kind, path] of [
        ['blob', `:${POLICY}`],
        ['tree', ':.hallmark'],
        ['tree', '^{tree}'],
      ] as const) {
        const [strictId, laxId] = [base, laxCommit].map((each) => git(['rev-parse', `${each}${path}`]));
        const strict = body(strictId as string, kind);
        overwrite(strictId as string, kind, body(laxId as string, kind));
        refused(`${base}..${tip}`);
        overwrite(strictId as string, kind, strict);
        expect(codeOf(`${base}..${tip}`)).toBe(12);
      }
      overwrite(base, 'commit', body(laxCommit, 'commit'));
      refused(`${base}..${tip}`);
    },
    slow,
  );
  test(
    'a policy that is a link is none',
    async () => {
      const id = git(['hash-object', '-w', '--stdin'], { input: policyText(ours) });
      const files = { [POLICY]: { mode: '120000', id } };
      const base = await commit(files);
      const tip = await commit({ ...files, a: '1' }, base);
      expect(codeOf(`${base}..${tip}`)).toBe(3);
    },
    slow,
  );
  test(
    'a folder that rules for paths are about',
    async () => {
      const { base, files } = await history(ours, anas({ paths: ['vendor/**'] }));
      const tip = await commit({ ...files, 'vendor/x': '1' }, base);
      expect(codeOf(`${base}..${tip}`)).toBe(12);
      overwrite(git(['rev-parse', `${tip}:vendor`]), 'tree', '');
      const found = verify([`${base}..${tip}`]);
      expect([found.code, found.stdout]).toEqual([12, '']);
      expect(found.stderr).toContain('is not what its ID says');
    },
    slow,
  );
});

describe('merges', () => {
  test(
    'are compared only once their signature is verified, and have no more parents than real ones',
    async () => {
      const { base, files } = await history(ours, anas({ paths: ['vendor/**'] }));
      const policy = join(home, 'paths.json');
      writeFileSync(policy, policyText(ours, anas({ paths: ['vendor/**'] })));
      const missing = Array.from({ length: 101 }, (_, i) => i.toString(16).padStart(40, '0'));
      const many = await commit(files, ...missing);
      const found = verify([many, '--policy', policy]);
      expect([found.code, found.stderr.includes('more than 100 parents')]).toEqual([12, true]);
      const person = 'A <a@b.example> 1700000000 +0000';
      const parents = missing.map((parent) => `parent ${parent}\n`).join('');
      const input = `tree ${treeOf(files)}\n${parents}author ${person}\ncommitter ${person}\n\nx\n`;
      const unsigned = git(['hash-object', '-t', 'commit', '-w', '--stdin'], { input });
      expect(codeOf(unsigned, '--policy', policy, '--allow', 'unsigned')).toBe(0);

      const sides: string[] = [];
      for (let i = 0; i < 20; i++) sides.push(await commit({ ...files, [`f${i}`]: '1' }, base));
      const all = Object.fromEntries(sides.map((_, i) => [`f${i}`, '1']));
      expect(codeOf(await commit({ ...files, ...all }, ...sides), '--policy', policy)).toBe(0);
      expect(codeOf(await commit({ ...files, ...all, 'vendor/x': '1' }, ...sides), '--policy', policy)).toBe(12);
    },
    slow,
  );
  test(
    'and folders that unfold to more than any repository holds are refused',
    async () => {
      const { base, files } = await history(ours, anas({ paths: ['vendor/**'] }));
      let tree = treeOf(files);
      for (let level = 0; level < 9; level++) {
        const entries = Array.from({ length: 16 }, (_, i) => `040000 tree ${tree}\td${i}\n`).join('');
        tree = git(['mktree'], { input: entries });
      }
      const bomb = await commitOfTree(tree, base);
      const found = verify([`${base}..${bomb}`]);
      expect([found.code, found.stderr.includes('more than 1000000 files')]).toEqual([12, true]);
    },
    slow,
  );
});

describe('a hostile .git/config', () => {
  test(
    'runs nothing and fetches nothing',
    async () => {
      const { base, tip, files } = await history(ours, anas({ paths: ['vendor/**'] }));
      const merge = await commit({ ...files, a: '1' }, tip, base);
      ref('refs/heads/main', merge);
      const ran = join(home, 'ran');
      const script = join(home, 'script');
      writeFileSync(script, `#!/bin/sh\necho "$0 $*" >> ${ran}\n`);
      chmodSync(script, 0o755);
      git(['read-tree', 'main']);
      for (const hook of ['post-index-change', 'reference-transaction', 'post-checkout', 'fsmonitor-watchman']) {
        writeFileSync(join(repository, '.git', 'hooks', hook), `#!/bin/sh\n${script} ${hook}\n`, { mode: 0o755 });
      }
      for (const key of [
        'core.fsmonitor',
        'core.alternateRefsCommand',
        'core.pager',
        'core.editor',
        'core.sshCommand',
        'core.gitProxy',
        'core.askPass',
        'credential.helper',
        'diff.external',
        'diff.x.command',
        'diff.x.textconv',
        'filter.x.clean',
        'filter.x.smudge',
        'filter.x.process',
        'merge.x.driver',
        'gpg.program',
        'gpg.x509.program',
        'gpg.ssh.program',
        'pager.cat-file',
        'pager.rev-list',
        'pager.rev-parse',
        'pager.diff-tree',
        'pager.config',
        'uploadpack.packObjectsHook',
        'remote.origin.uploadpack',
      ]) {
        git(['config', key, script]);
      }
      for (const command of [
        'cat-file',
        'rev-list',
        'rev-parse',
        'diff-tree',
        'for-each-ref',
        'config',
        'merge-base',
      ]) {
        git(['config', `alias.${command}`, `!${script} ${command}`]);
      }
      git(['config', 'log.showSignature', 'true']);
      git(['config', 'core.repositoryFormatVersion', '1']);
      git(['config', 'extensions.partialClone', 'origin']);
      git(['config', 'remote.origin.promisor', 'true']);
      mkdirSync(join(repository, '.git', 'info'), { recursive: true });
      writeFileSync(join(repository, '.git', 'info', 'attributes'), '* diff=x filter=x merge=x\n');
      // Each way to where the objects are said to be.
      const bare = join(home, 'elsewhere');
      mkdirSync(bare, { recursive: true });
      for (const url of [bare, `file://${bare}`, `ext::${script} %S`, 'ssh://127.0.0.1:1/x', 'git://127.0.0.1:1/x']) {
        git(['config', 'remote.origin.url', url]);
        expect(codeOf('1'.repeat(40), '--any-signer')).toBe(3);
        const good = verify([`${base}..main`]);
        expect([good.code, good.stderr]).toEqual([0, '']);
      }
      expect(existsSync(ran)).toBe(false);
    },
    slow,
  );
});

describe('the pre-receive hook', () => {
  const push = (before: string, after: string, name: string, ...args: string[]) =>
    verify(['--pre-receive', ...args], { input: `${before} ${after} ${name}\n` });
  test(
    'refuses to roll a branch back, and with it the policy; to move a tag; to delete',
    async () => {
      const files = { [POLICY]: policyText(ours) };
      const lax = await commit(files);
      const strict = await commit({ [POLICY]: policyText(anas({})) }, lax);
      const aside = await commit({ ...files, a: '1' }, lax);
      ref('refs/heads/main', strict);
      for (const [what, after] of [
        ['rewind', lax],
        ['another history', aside],
        ['deletion', NONE],
      ] as const) {
        for (const name of ['refs/heads/main', 'refs/tags/v1']) {
          const refused = push(strict, after, name);
          expect([what, name, refused.code, refused.stdout]).toEqual([what, name, 12, '']);
          expect(refused.stderr).toContain('is deleted or leaves its history');
        }
      }
      const outside = join(home, 'outside.json');
      writeFileSync(outside, policyText(ours));
      expect(push(strict, lax, 'refs/heads/main', '--policy', outside).code).toBe(0);
      expect(push(strict, NONE, 'refs/heads/main', '--policy', outside).code).toBe(0);
      expect(push(lax, aside, 'refs/heads/main').code).toBe(0);
    },
    slow,
  );
  test(
    'refuses refs of other kinds where the policy has rules for branches',
    async () => {
      const { base, tip } = await history(ours, anas({ branches: ['release/*'] }));
      ref('refs/heads/main', base);
      expect(push(base, tip, 'refs/heads/main').code).toBe(0);
      expect(push(base, tip, 'refs/heads/release/1').code).toBe(12);
      expect(push(base, tip, 'refs/for/release/1').code).toBe(12);
    },
    slow,
  );
});
