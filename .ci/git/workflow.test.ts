// Work as people do it, with real git against a running stack: every commit and tag that comes of it is signed and verifies.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hallmarkBinary, IDENTITY, startServe } from '../interop/stack.ts';
import { createWorld, documentedScript, trustSigner, type World } from './world.ts';

const slow = 180_000;
const directory = mkdtempSync(join(tmpdir(), 'hallmark-git-serve-'));
let world: World;
let issuer: string;
let url: string;
let stop: () => Promise<number>;

beforeAll(async () => {
  const started = await startServe(directory, process.env['PATH'] ?? '');
  stop = started.stop;
  issuer = started.ready.devIssuer;
  url = started.ready.url;
  world = await createWorld();
  await world.hallmark([
    'trust',
    'add',
    url,
    '--name',
    'local',
    '--use',
    '--fingerprint',
    `sha256:${started.ready.rootFingerprint}`,
  ]);
  await world.git(['config', '--global', 'commit.gpgsign', 'true']);
  await world.git(['config', '--global', 'tag.gpgsign', 'true']);
  world.env['SIGSTORE_ID_TOKEN'] = (await world.hallmark(['token', '--issuer', issuer, '--email', IDENTITY])).stdout;
}, slow);
beforeEach(() => trustSigner(world, IDENTITY, issuer));
afterAll(async () => {
  world.end();
  expect(await stop()).toBe(0);
  rmSync(directory, { recursive: true, force: true });
}, slow);

const commit = async (cwd: string, file: string, text: string): Promise<void> => {
  writeFileSync(join(cwd, file), text);
  await world.git(['add', file], { cwd });
  await world.git(['commit', '-q', '-m', `${file}: ${text}`], { cwd });
};
const letters = async (cwd: string, range: string): Promise<string> =>
  (await world.git(['log', '--format=%G?', range], { cwd })).stdout.replaceAll('\n', '');

for (const format of ['sha1', 'sha256'] as const) {
  test(
    `commit, amend, rebase, merge, cherry-pick, tag, in a ${format} repository, its worktrees and a bare one`,
    async () => {
      const cwd = await world.repository(`work-${format}`, format);
      await commit(cwd, 'a', '1');
      await world.git(['commit', '-q', '--amend', '-m', 'amended'], { cwd });
      await world.git(['checkout', '-q', '-b', 'side'], { cwd });
      for (let i = 0; i < 20; i++) await commit(cwd, 'b', `${i}`);
      await world.git(['checkout', '-q', 'main'], { cwd });
      await commit(cwd, 'c', '1');
      await world.git(['rebase', '-q', 'main', 'side'], { cwd });
      expect(await letters(cwd, 'main..side')).toBe('G'.repeat(20));
      await world.git(['checkout', '-q', 'main'], { cwd });
      await world.git(['merge', '-q', '--no-ff', '--no-edit', 'side'], { cwd });
      await world.git(['checkout', '-q', '-b', 'picked', 'main~1'], { cwd });
      await world.git(['cherry-pick', 'side~19'], { cwd });
      await world.git(['tag', '-m', 'release', 'v1'], { cwd });
      await world.git(['verify-tag', 'v1'], { cwd });
      await world.git(['verify-commit', 'picked', 'main'], { cwd });

      const linked = `${cwd}-linked`;
      await world.git(['worktree', 'add', '-q', '-b', 'linked', linked], { cwd });
      await commit(linked, 'd', 'in a worktree');
      expect(await letters(linked, '-1')).toBe('G');

      // A merge of a signed tag keeps the tag in a header that is signed too.
      await world.git(['checkout', '-q', 'main'], { cwd });
      await world.git(['merge', '-q', '--no-ff', '--no-edit', '-X', 'ours', 'v1'], { cwd });
      const merged = (await world.git(['cat-file', 'commit', 'HEAD'], { cwd })).stdout;
      expect(merged).toContain('mergetag object ');
      await world.git(['verify-commit', 'HEAD'], { cwd });

      const count = Number((await world.git(['rev-list', '--all', '--count'], { cwd })).stdout);
      expect(await letters(cwd, '--all')).toBe('G'.repeat(count));
      const bare = await world.repository(`work-${format}-bare`, format, true);
      await world.git(['push', '-q', bare, 'main', 'v1', 'linked', 'picked'], { cwd });
      expect(await letters(bare, '--all')).toBe('G'.repeat(count));
      const checked = await world.hallmark(['git', 'verify', 'main', 'v1', 'linked', '--output', 'json'], {
        cwd: bare,
      });
      expect(JSON.parse(checked.stdout)).toMatchObject({ ok: true, summary: { objects: 3, verified: 3 } });
    },
    slow,
  );
}

test(
  'a message in Latin-1, without final newline, with CRLF, and of a megabyte',
  async () => {
    const cwd = await world.repository('messages');
    for (const message of [
      Buffer.from('\xe4\xf6\xfc', 'latin1'),
      Buffer.from('a\r\nb\r\n'),
      Buffer.alloc(1_000_000, 'x'),
    ]) {
      await world.git(
        ['-c', 'i18n.commitEncoding=ISO-8859-1', 'commit', '-q', '--allow-empty', '--cleanup=verbatim', '-F', '-'],
        {
          cwd,
          input: message,
        },
      );
    }
    expect(await letters(cwd, 'HEAD')).toBe('GGG');
  },
  slow,
);

describe('push --signed to a repository that verifies', () => {
  const policy = (who: string): string =>
    JSON.stringify({ version: 1, rules: [{ name: 'team', identities: [{ issuer, subjectAlternativeName: who }] }] });

  test(
    'takes what the policy allows and refuses the rest, whatever the push says of the policy',
    async () => {
      const server = await world.repository('server', 'sha1', true);
      const first = join(world.home, 'first.yaml');
      writeFileSync(first, policy(IDENTITY));
      await world.git(['config', 'receive.certNonceSeed', 'seed'], { cwd: server });
      const hook = join(server, 'hooks', 'pre-receive');
      // The user's own policy is none here: the server's user has none.
      const log = join(world.home, 'push.log');
      // The hook of docs/git.md, with a line that keeps what git says of the push.
      const script = (flags: string): void => {
        const documented = documentedScript('--pre-receive')
          .trimEnd()
          .replace('exec hallmark', `exec ${hallmarkBinary}`);
        const noted = documented.replace('\n', `\necho "$GIT_PUSH_CERT_STATUS|$GIT_PUSH_CERT_SIGNER" >> ${log}\n`);
        writeFileSync(hook, `${noted} ${flags}\n`);
        chmodSync(hook, 0o755);
      };
      const cwd = await world.repository('pusher');
      await world.git(['remote', 'add', 'origin', server], { cwd });
      mkdirSync(join(cwd, '.hallmark'));
      writeFileSync(join(cwd, '.hallmark', 'policy.yaml'), policy(IDENTITY));
      await world.git(['add', '.'], { cwd });
      await world.git(['commit', '-q', '-m', 'policy'], { cwd });
      await world.git(['config', '--global', '--unset', 'hallmark.policy']);

      script('');
      const refused = await world.git(['push', '--signed', 'origin', 'main'], { cwd, mayFail: true });
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain('a first push needs --policy FILE');
      script(`--policy ${first}`);
      await world.git(['push', '--signed', 'origin', 'main'], { cwd });
      script('');
      await commit(cwd, 'a', '1');
      await world.git(['tag', '-m', 'v1', 'v1'], { cwd });
      await world.git(['push', '--signed', 'origin', 'main'], { cwd });
      const certificate = readFileSync(log, 'utf8').trim().split('\n').at(-1);
      // git's letter here is that of the signature alone: it does not look at the level of trust.
      expect(certificate).toBe(`G|${IDENTITY} (${issuer})`);

      const refuses = async (what: string, ref = 'main'): Promise<void> => {
        const push = await world.git(['push', '--signed', 'origin', ref], { cwd, mayFail: true });
        expect(push.code).toBe(1);
        expect(push.stderr).toContain(what);
        if (ref === 'main') await world.git(['reset', '-q', '--hard', 'origin/main'], { cwd });
      };
      await world.git(['commit', '-q', '--no-gpg-sign', '--allow-empty', '-m', 'unsigned'], { cwd });
      await refuses('unsigned');

      // Another signer who lets themselves in, in the same push.
      const other = (await world.hallmark(['token', '--issuer', issuer, '--email', 'eve@example.com'])).stdout;
      writeFileSync(join(cwd, '.hallmark', 'policy.yaml'), policy('eve@example.com'));
      const eve = { SIGSTORE_ID_TOKEN: other, GIT_COMMITTER_EMAIL: 'eve@example.com' };
      await world.git(['commit', '-q', '-a', '-m', 'let me in'], { cwd, env: eve });
      await refuses('eve@example.com');

      // Whose commit it is not.
      await world.git(['commit', '-q', '--allow-empty', '-m', 'not mine'], {
        cwd,
        env: { GIT_COMMITTER_EMAIL: 'x@example.com' },
      });
      await refuses('is not the signer');

      // A tag is a new ref, so the hook has no policy of its own for it; and the name has to be the tag's own.
      await refuses('a first push needs --policy FILE', 'v1');
      script(`--policy ${first}`);
      await world.git(['push', 'origin', 'v1'], { cwd });
      const renamed = await world.git(['push', 'origin', 'v1:refs/tags/v2'], { cwd, mayFail: true });
      expect(renamed.stderr).toContain('a signed tag of another name');
      await world.git(['push', 'origin', ':refs/tags/v1'], { cwd });
    },
    slow,
  );
});

describe('what is not ours', () => {
  let gpgKey: string;
  const gnupg = join(directory, 'gnupg');
  beforeAll(async () => {
    mkdirSync(gnupg, { mode: 0o700 });
    world.env['GNUPGHOME'] = gnupg;
    await world.run([
      'gpg',
      '--batch',
      '--passphrase',
      '',
      '--quick-gen-key',
      'G <g@example.com>',
      'ed25519',
      'sign',
      '0',
    ]);
    const keys = (await world.run(['gpg', '--list-keys', '--with-colons'])).stdout;
    gpgKey = /^fpr:+([0-9A-F]{40}):/m.exec(keys)?.[1] ?? '';
    expect(gpgKey).not.toBe('');
  }, slow);
  afterAll(async () => {
    await world.run(['gpgconf', '--kill', 'all'], { mayFail: true });
    delete world.env['GNUPGHOME'];
  });

  test(
    'gpg signs and is verified as before, with Hallmark as gpg.program and as gpg.x509.program',
    async () => {
      const cwd = await world.repository('gpg');
      const openpgp = ['-c', 'gpg.format=openpgp', '-c', `user.signingkey=${gpgKey}`];
      const asGpg = ['-c', `gpg.program=${hallmarkBinary}`];
      await world.git([...openpgp, 'commit', '-q', '--allow-empty', '-m', 'by gpg'], { cwd });
      await world.git([...openpgp, ...asGpg, 'commit', '-q', '--allow-empty', '-m', 'by gpg through Hallmark'], {
        cwd,
      });
      for (const extra of [[], asGpg]) {
        const shown = await world.git([...extra, 'log', '--format=%G?|%GS|%GK|%GT'], { cwd });
        const line = `G|G <g@example.com>|${gpgKey.slice(-16)}|ultimate`;
        expect(shown.stdout.trim().split('\n')).toEqual([line, line]);
      }
      const raw = await world.git(['verify-commit', '--raw', 'HEAD'], { cwd });
      const through = await world.git([...asGpg, 'verify-commit', '--raw', 'HEAD'], { cwd });
      expect(through.stderr).toBe(raw.stderr);
      const classes = await world.hallmark(['git', 'verify', 'HEAD', '--any-signer', '--output', 'json'], {
        cwd,
        mayFail: true,
      });
      expect(classes.code).toBe(10);
      expect(JSON.parse(classes.stdout)).toMatchObject({ ok: false, objects: [{ status: 'openpgp' }] });
      await world.hallmark(['git', 'verify', 'HEAD', '--any-signer', '--allow', 'openpgp'], { cwd });
    },
    slow,
  );

  test(
    "gpg.program alone signs with PGP's label and verifies only there",
    async () => {
      const cwd = await world.repository('alone');
      const alone = ['-c', 'gpg.format=openpgp', '-c', 'gpg.x509.program=', '-c', `gpg.program=${hallmarkBinary}`];
      await world.git([...alone, 'commit', '-q', '--allow-empty', '-m', 'alone'], { cwd });
      expect((await world.git(['cat-file', 'commit', 'HEAD'], { cwd })).stdout).toContain('BEGIN PGP SIGNATURE');
      expect((await world.git([...alone, 'log', '--format=%G?'], { cwd })).stdout.trim()).toBe('G');
      expect((await world.git(['log', '--format=%G?'], { cwd })).stdout.trim()).not.toBe('G');
      const note = await world.hallmark(['git', 'config', '--output', 'json'], {
        cwd,
        env: {
          GIT_CONFIG_COUNT: '3',
          GIT_CONFIG_KEY_0: 'gpg.format',
          GIT_CONFIG_VALUE_0: 'openpgp',
          GIT_CONFIG_KEY_1: 'gpg.x509.program',
          GIT_CONFIG_VALUE_1: '',
          GIT_CONFIG_KEY_2: 'gpg.program',
          GIT_CONFIG_VALUE_2: hallmarkBinary,
        },
      });
      expect(JSON.parse(note.stdout).notes[0]).toContain('gitsign does not read them');
      expect(JSON.parse((await world.hallmark(['git', 'verify', 'HEAD', '--output', 'json'], { cwd })).stdout).ok).toBe(
        true,
      );
    },
    slow,
  );

  test(
    'an X.509 signature of another authority goes to gpgsm: arguments, input, output and exit code unchanged',
    async () => {
      const cwd = await world.repository('x509');
      const bin = world.folder('bin');
      const seen = join(world.home, 'gpgsm.log');
      writeFileSync(
        join(bin, 'gpgsm'),
        `#!/bin/sh\nprintf '%s\\n' "$@" > ${seen}\nsha256sum >> ${seen}\nprintf '\\n[GNUPG:] GOODSIG 00 Somebody\\n[GNUPG:] TRUST_FULLY 0 shell\\n'\nexit 0\n`,
      );
      chmodSync(join(bin, 'gpgsm'), 0o755);
      const pem = await world.shell(
        `openssl req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -subj /CN=x -days 2 2>/dev/null &&
         printf hello | openssl cms -sign -binary -signer c.pem -inkey k.pem -outform DER | base64 -w64`,
      );
      const armor = `-----BEGIN SIGNED MESSAGE-----\n${pem.stdout}-----END SIGNED MESSAGE-----\n`;
      const tree = (await world.git(['mktree'], { cwd, input: '' })).stdout.trim();
      const body = `tree ${tree}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\ngpgsig ${armor.trimEnd().replaceAll('\n', '\n ')}\n\nx\n`;
      const id = (
        await world.git(['hash-object', '-t', 'commit', '-w', '--stdin'], { cwd, input: body })
      ).stdout.trim();
      const PATH = `${bin}:${world.env['PATH']}`;
      const shown = await world.git(['log', '--format=%G?|%GS|%GT', id], { cwd, env: { PATH } });
      expect(shown.stdout.trim()).toBe('G|Somebody|fully');
      const [status, verify, file, dash, digest] = readFileSync(seen, 'utf8').split('\n');
      expect([status, verify, dash]).toEqual(['--status-fd=1', '--verify', '-']);
      expect(file).toContain('.git_vtag_tmp');
      const payload = body.replace(/gpgsig [\s\S]*?-----END SIGNED MESSAGE-----\n/, '');
      expect(digest).toStartWith(new Bun.CryptoHasher('sha256').update(payload).digest('hex'));

      // Whatever stands for gpgsm on PATH, it is never this program again.
      for (const [name, place] of [
        ['link', (path: string) => symlinkSync(hallmarkBinary, path)],
        ['copy', (path: string) => copyFileSync(hallmarkBinary, path)],
        ['script', (path: string) => writeFileSync(path, `#!/bin/sh\nexec ${hallmarkBinary} "$@"\n`, { mode: 0o755 })],
      ] as const) {
        const folder = world.folder(`self-${name}`);
        place(join(folder, 'gpgsm'));
        const loop = await world.git(['verify-commit', id], {
          cwd,
          env: { PATH: `${folder}:/usr/bin:/bin` },
          mayFail: true,
        });
        expect([name, loop.code]).toEqual([name, 1]);
      }
      const classes = await world.hallmark(['git', 'verify', id, '--any-signer', '--output', 'json'], {
        cwd,
        mayFail: true,
      });
      expect(JSON.parse(classes.stdout).objects[0].status).toBe('x509');
    },
    slow,
  );

  test.skipIf(Bun.which('gpgsm') === null && process.env['CI'] !== 'true')(
    'a commit that the real gpgsm signed is shown as by gpgsm itself, good and tampered',
    async () => {
      const cwd = await world.repository('gpgsm');
      const home = world.folder('gpgsm-home');
      chmodSync(home, 0o700);
      const pinentry = join(home, 'pinentry');
      writeFileSync(
        pinentry,
        `#!/bin/sh\necho OK\nwhile read -r line; do case "$line" in GETPIN*) echo D x; echo OK;; BYE*) echo OK; exit;; *) echo OK;; esac; done\n`,
        { mode: 0o755 },
      );
      writeFileSync(join(home, 'gpg-agent.conf'), `pinentry-program ${pinentry}\n`);
      writeFileSync(join(home, 'gpgsm.conf'), 'disable-crl-checks\n');
      const env = { GNUPGHOME: home };
      const made = await world.shell(
        `openssl req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -subj /CN=S -days 2 \
           -addext keyUsage=critical,digitalSignature,keyCertSign -addext subjectAltName=email:s@example.com 2>/dev/null &&
         openssl pkcs12 -export -legacy -inkey k.pem -in c.pem -out s.p12 -passout pass:x &&
         openssl x509 -in c.pem -noout -fingerprint -sha1 | sed s/.*=//`,
        { cwd: home },
      );
      const key = made.stdout.trim();
      writeFileSync(join(home, 'trustlist.txt'), `${key} S relax\n`);
      try {
        await world.run(['gpgsm', '--batch', '--import', join(home, 's.p12')], { env });
        const bare = key.replaceAll(':', '');
        const asGpgsm = ['-c', 'gpg.x509.program=gpgsm', '-c', `user.signingkey=${bare}`];
        await world.git([...asGpgsm, 'commit', '-q', '-S', '--allow-empty', '-m', 'by gpgsm'], { cwd, env });
        const body = (await world.git(['cat-file', 'commit', 'HEAD'], { cwd })).stdout;
        const bad = await world.git(['hash-object', '-t', 'commit', '-w', '--stdin'], {
          cwd,
          input: body.replace('by gpgsm', 'by nobody'),
        });
        for (const [rev, letter, code] of [
          ['HEAD', 'G', 0],
          [bad.stdout.trim(), 'B', 1],
        ] as const) {
          const shown = async (extra: readonly string[]) => {
            const raw = await world.git([...extra, 'verify-commit', '--raw', rev], { cwd, env, mayFail: true });
            const format = await world.git([...extra, 'log', '-1', '--format=%G?|%GS|%GK', rev], { cwd, env });
            return [raw.code, raw.stderr, format.stdout];
          };
          const ours = await shown([]);
          expect(ours).toEqual(await shown(asGpgsm));
          expect(ours[0]).toBe(code);
          // Without %GT, at which some versions of git give up: gpgsm says nothing of trust in a bad signature.
          expect(ours[2]).toBe(`${letter}|/CN=S|${bare}\n`);
        }
      } finally {
        await world.run(['gpgconf', '--kill', 'all'], { env, mayFail: true });
      }
    },
    slow,
  );
});

describe('failures', () => {
  test(
    'nobody can log in: no commit, one line that says why',
    async () => {
      const cwd = await world.repository('nobody');
      const failed = await world.git(['commit', '-q', '--allow-empty', '-m', 'x'], {
        cwd,
        env: { SIGSTORE_ID_TOKEN: '', CI: 'true' },
        mayFail: true,
      });
      expect(failed.code).toBe(128);
      expect((await world.git(['rev-parse', '-q', '--verify', 'HEAD'], { cwd, mayFail: true })).code).toBe(1);
      const direct = await world.run([hallmarkBinary, '--status-fd=2', '-bsau', 'x'], {
        cwd,
        input: 'tree 1\n\n',
        env: { SIGSTORE_ID_TOKEN: '', CI: 'true' },
        mayFail: true,
      });
      expect(direct).toMatchObject({ code: 1, stdout: '' });
      expect(direct.stderr).toStartWith('[GNUPG:] BEGIN_SIGNING H8\nhallmark: nobody can log in here');
      expect(direct.stderr.trim().split('\n')).toHaveLength(2);
    },
    slow,
  );
  test(
    'the log is gone: no commit, and git says so on a terminal',
    async () => {
      const cwd = await world.repository('gone');
      await world.git(['config', '--global', 'gitsign.rekor', 'http://127.0.0.1:9']);
      const script = `script -qec "git commit -q --allow-empty -m x" /dev/null`;
      const failed = await world.shell(script, { cwd, mayFail: true });
      await world.git(['config', '--global', '--unset', 'gitsign.rekor']);
      expect(failed.code).toBe(128);
      expect(failed.stdout).toContain('hallmark: ');
      expect((await world.git(['rev-parse', '-q', '--verify', 'HEAD'], { cwd, mayFail: true })).code).toBe(1);
    },
    slow,
  );
  test(
    'another committer than the signer, where that is refused: no commit, nothing in the log',
    async () => {
      const cwd = await world.repository('committer');
      const size = async (): Promise<number> =>
        ((await (await fetch(`${url}/api/v1/log`)).json()) as { treeSize: number }).treeSize;
      const before = await size();
      const strict = ['-c', 'gitsign.matchCommitter=true', 'commit', '-q', '--allow-empty', '-m', 'x'];
      const failed = await world.git(strict, { cwd, env: { GIT_COMMITTER_EMAIL: 'x@example.com' }, mayFail: true });
      expect(failed.code).toBe(128);
      expect(await size()).toBe(before);
      await world.git(strict, { cwd });
      const after = await size();
      expect(after).toBeGreaterThan(before);
      // The same of the agent, and where the repository would turn it off.
      await world.git(['config', '--global', 'hallmark.agent', 'true']);
      await world.git(['config', '--global', 'gitsign.matchCommitter', 'true']);
      await world.git(['config', 'hallmark.matchCommitter', 'false'], { cwd });
      const env = { GIT_COMMITTER_EMAIL: 'x@example.com', XDG_RUNTIME_DIR: world.folder('run') };
      const lax = ['commit', '-q', '--allow-empty', '-m', 'x'];
      try {
        expect((await world.git(lax, { cwd, env, mayFail: true })).code).toBe(128);
        expect(await size()).toBe(after);
        const { identities } = JSON.parse(
          (await world.hallmark(['agent', 'status', '--output', 'json'], { env })).stdout,
        );
        expect(identities).toMatchObject([{ signatures: 0 }]);
        await world.git(lax, { cwd, env: { ...env, GIT_COMMITTER_EMAIL: IDENTITY } });
        expect(await size()).toBeGreaterThan(after);
      } finally {
        await world.hallmark(['agent', 'stop'], { env, mayFail: true });
        await world.git(['config', '--global', 'hallmark.agent', 'false']);
        await world.git(['config', '--global', '--unset', 'gitsign.matchCommitter']);
      }
    },
    slow,
  );
  test(
    "a repository's own configuration cannot add a service, choose whom to trust, or say who may sign",
    async () => {
      const cwd = await world.repository('hostile');
      await world.git(['config', 'gitsign.fulcio', 'http://127.0.0.1:9'], { cwd });
      const failed = await world.git(['commit', '-q', '--allow-empty', '-m', 'x'], { cwd, mayFail: true });
      expect(failed.code).toBe(128);
      await world.git(['config', 'gitsign.fulcio', url], { cwd });
      await world.git(['commit', '-q', '--allow-empty', '-m', 'x'], { cwd });
      await world.git(['config', '--global', '--unset', 'hallmark.policy']);
      await world.git(
        ['config', 'hallmark.policy', join(world.home, `policy-${IDENTITY.replaceAll(/\W/g, '-')}.json`)],
        { cwd },
      );
      await world.git(['config', 'hallmark.trust', 'public-good'], { cwd });
      expect(await letters(cwd, 'HEAD')).toBe('U');
      const config = JSON.parse((await world.hallmark(['git', 'config', '--output', 'json'], { cwd })).stdout);
      expect(config.ignored.map(({ key }: { key: string }) => key)).toEqual(['hallmark.policy']);
    },
    slow,
  );
});

describe('a signature that cannot be handed over is no signature', () => {
  const payload = `tree ${'1'.repeat(40)}\nauthor Y <${IDENTITY}> 1 +0000\ncommitter Y <${IDENTITY}> 1 +0000\n\nx\n`;
  const sign = (redirected: string) =>
    world.shell(`exec 8> >(exit); wait $!; ${hallmarkBinary} --status-fd=7 -bsau k 7>status ${redirected}`, {
      input: payload,
      mayFail: true,
    });
  const status = (): string => readFileSync(join(world.home, 'status'), 'utf8');
  const logged = async (): Promise<number> =>
    ((await (await fetch(`${url}/api/v1/log`)).json()) as { treeSize: number }).treeSize;
  test(
    'standard output',
    async () => {
      expect(await sign('')).toMatchObject({ code: 0, stdout: expect.stringContaining('END SIGNED MESSAGE') });
      expect(status()).toContain('SIG_CREATED');
      for (const [what, redirected] of [
        ['full', '>/dev/full'],
        ['without a reader', '>&8'],
        ['closed', '>&-'],
      ] as const) {
        const before = await logged();
        const { code, stderr } = await sign(redirected);
        expect([what, code, status().includes('SIG_CREATED'), stderr]).toEqual([
          what,
          1,
          false,
          expect.stringContaining('cannot write to standard output'),
        ]);
        if (what === 'closed') expect(await logged()).toBe(before);
      }
    },
    slow,
  );
  test(
    'the status',
    async () => {
      for (const [what, redirected] of [
        ['full', '7>/dev/full'],
        ['without a reader', '7>&8'],
        ['closed', '7>&-'],
      ] as const) {
        const { code, stdout } = await sign(redirected);
        expect([what, code, stdout]).toEqual([what, 1, '']);
      }
      const { code, stdout } = await world.shell(`${hallmarkBinary} --status-fd=2 -bsau k 2>&-`, {
        input: payload,
        mayFail: true,
      });
      expect([code, stdout]).toEqual([1, '']);
    },
    slow,
  );
});

describe('hallmark git verify', () => {
  test(
    'a range under the policy before it; branches, paths and merges',
    async () => {
      const cwd = await world.repository('ranges');
      const rules = [
        { name: 'team', identities: [{ issuer, subjectAlternativeName: { glob: '**@example.com' } }] },
        {
          name: 'owners',
          identities: [{ issuer, subjectAlternativeName: 'eve@example.com' }],
          paths: ['.hallmark/**', 'keys/**'],
        },
        {
          name: 'releases',
          identities: [{ issuer, subjectAlternativeName: 'eve@example.com' }],
          branches: ['release/*'],
        },
      ];
      mkdirSync(join(cwd, '.hallmark'));
      mkdirSync(join(cwd, 'keys'));
      writeFileSync(join(cwd, '.hallmark', 'policy.yaml'), JSON.stringify({ version: 1, rules }));
      await world.git(['add', '.'], { cwd });
      await world.git(['commit', '-q', '-m', 'policy'], { cwd });
      const base = (await world.git(['rev-parse', 'HEAD'], { cwd })).stdout.trim();
      for (const n of ['1', '2', '3']) await commit(cwd, 'a', n);
      const verify = async (...args: string[]) => {
        const { code, stdout, stderr } = await world.hallmark(['git', 'verify', '--output', 'json', ...args], {
          cwd,
          mayFail: true,
        });
        if (stdout === '') throw new Error(stderr);
        return { code, ...JSON.parse(stdout) };
      };
      expect(await verify(`${base}..HEAD`)).toMatchObject({ code: 0, summary: { verified: 3 } });
      expect(await verify(`${base}..main`, '--ref', 'release/1')).toMatchObject({ code: 12, summary: { rejected: 3 } });

      await commit(cwd, 'keys/k', '1');
      const rejected = await verify(`${base}..main`);
      expect(rejected).toMatchObject({ code: 12, summary: { verified: 3, rejected: 1 } });
      expect(rejected.objects[0].error).toMatchObject({ code: 'POLICY_MISMATCH' });
      expect(rejected.objects[0].error.message).toContain('keys/k');

      // A merge answers for what it does itself, not for what it brings together.
      const eve = {
        SIGSTORE_ID_TOKEN: (await world.hallmark(['token', '--issuer', issuer, '--email', 'eve@example.com'])).stdout,
        GIT_COMMITTER_EMAIL: 'eve@example.com',
      };
      await world.git(['reset', '-q', '--hard', 'HEAD~1'], { cwd });
      await world.git(['checkout', '-q', '-b', 'keys', base], { cwd });
      mkdirSync(join(cwd, 'keys'), { recursive: true });
      writeFileSync(join(cwd, 'keys', 'k'), '2');
      await world.git(['add', '.'], { cwd });
      await world.git(['commit', '-q', '-m', 'by eve'], { cwd, env: eve });
      await world.git(['checkout', '-q', 'main'], { cwd });
      await world.git(['merge', '-q', '--no-edit', 'keys'], { cwd });
      expect(await verify(`${base}..main`)).toMatchObject({ code: 0, summary: { verified: 5 } });

      // The line of docs/git.md for CI, in a clone with a detached HEAD.
      const clone = join(world.home, 'clone');
      await world.git(['clone', '-q', cwd, clone]);
      await world.git(['update-ref', 'refs/remotes/origin/main', base], { cwd: clone });
      await world.git(['checkout', '-q', '--detach', 'HEAD'], { cwd: clone });
      const ci = documentedScript('$BASE').replace('hallmark', hallmarkBinary);
      expect(JSON.parse((await world.shell(ci, { cwd: clone, env: { BASE: 'main' } })).stdout)).toMatchObject({
        ok: true,
        summary: { verified: 5 },
      });

      // Against the wrong base there is no policy, and the user's own counts.
      expect(await verify('main', '--any-signer')).toMatchObject({ code: 0 });
      expect(
        await verify('main', '--certificate-identity', 'x@example.com', '--certificate-oidc-issuer', issuer),
      ).toMatchObject({
        code: 12,
        objects: [{ error: { code: 'POLICY_MISMATCH' } }],
      });
      for (const args of [['nothing'], ['--any-signer', '--policy', 'x'], ['--key', 'x'], ['-x']]) {
        const wrong = await world.hallmark(['git', 'verify', ...args], { cwd, mayFail: true });
        expect([args, [2, 3].includes(wrong.code), wrong.stdout]).toEqual([args, true, '']);
      }
    },
    slow,
  );

  test(
    'a replaced object does not stand for the one that is named',
    async () => {
      const cwd = await world.repository('replaced');
      await commit(cwd, 'a', '1');
      const signed = (await world.git(['rev-parse', 'HEAD'], { cwd })).stdout.trim();
      await world.git(['commit', '-q', '--no-gpg-sign', '--amend', '-m', 'unsigned'], { cwd });
      const unsigned = (await world.git(['rev-parse', 'HEAD'], { cwd })).stdout.trim();
      await world.git(['replace', unsigned, signed], { cwd });
      const found = await world.hallmark(['git', 'verify', unsigned, '--any-signer', '--output', 'json'], {
        cwd,
        mayFail: true,
      });
      expect(JSON.parse(found.stdout)).toMatchObject({ ok: false, objects: [{ id: unsigned, status: 'unsigned' }] });
    },
    slow,
  );

  test(
    'online mode: not proven without a look-up, verified with one, commits and tags',
    async () => {
      for (const format of ['sha1', 'sha256'] as const) {
        const cwd = await world.repository(`online-${format}`, format);
        await world.git(['config', 'gitsign.rekorMode', 'online'], { cwd });
        await commit(cwd, 'a', '1');
        await world.git(['tag', '-m', 'v1', 'v1'], { cwd });
        const offline = await world.hallmark(['git', 'verify', 'HEAD', 'v1', '--output', 'json'], {
          cwd,
          mayFail: true,
        });
        expect(offline.code).toBe(12);
        expect(JSON.parse(offline.stdout)).toMatchObject({ summary: { unproven: 2 } });
        expect(JSON.parse(offline.stdout).objects[0].error.hint).toContain('--online');
        const online = await world.hallmark(['git', 'verify', 'HEAD', 'v1', '--online', '--output', 'json'], { cwd });
        expect(JSON.parse(online.stdout)).toMatchObject({ ok: true, summary: { verified: 2 } });
        expect(await letters(cwd, 'HEAD')).toBe('E');
        await world.git(['config', '--global', 'hallmark.lookup', 'true']);
        expect(await letters(cwd, 'HEAD')).toBe('G');
        await world.git(['config', '--global', '--unset', 'hallmark.lookup']);
      }
    },
    slow,
  );

  test(
    'with a timestamp, and with an entry of Rekor v2',
    async () => {
      const cwd = await world.repository('kinds');
      await world.git(['-c', 'hallmark.timestamp=true', 'commit', '-q', '--allow-empty', '-m', 'stamped'], { cwd });
      await world.git(['-c', 'hallmark.rekorVersion=2', 'commit', '-q', '--allow-empty', '-m', 'tiles'], { cwd });
      expect(await letters(cwd, 'HEAD')).toBe('GG');
      const found = await world.hallmark(['git', 'verify', 'HEAD', 'HEAD~1', '--output', 'json'], { cwd });
      expect(
        JSON.parse(found.stdout).objects.map((each: { times: { source: string }[] }) =>
          each.times.map(({ source }) => source),
        ),
      ).toEqual([['timestamp authority'], ['timestamp authority', 'log']]);
    },
    slow,
  );
});
