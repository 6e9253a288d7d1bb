// gitsign, unmodified, and Hallmark, each verifying what the other signed: commits and tags, with the log entry in the
// signature and in the log alone. What gitsign itself cannot do is said where it is left out.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createWorld, documentedScript, trustSigner, type World } from '../git/world.ts';
import { hallmarkBinary, IDENTITY, peers, startServe } from './stack.ts';

const slow = 180_000;
const gitsign = join(peers, 'gitsign-0.16.0', 'gitsign');
const directory = mkdtempSync(join(tmpdir(), 'hallmark-gitsign-'));
let world: World;
let issuer: string;
let stop: () => Promise<number>;

beforeAll(async () => {
  if (!existsSync(gitsign)) throw new Error(`${gitsign} is missing: run .ci/peers gitsign first`);
  const started = await startServe(directory, process.env['PATH'] ?? '');
  const { url, devIssuer, rootFingerprint } = started.ready;
  stop = started.stop;
  issuer = devIssuer;
  world = await createWorld();
  Object.assign(world.env, {
    SIGSTORE_REKOR_PUBLIC_KEY: join(world.home, 'rekor.pub'),
    SIGSTORE_CT_LOG_PUBLIC_KEY_FILE: join(world.home, 'ctfe.pub'),
    GITSIGN_FULCIO_ROOT: join(world.home, 'fulcio.pem'),
  });
  await world.hallmark(['trust', 'add', url, '--name', 'local', '--use', '--fingerprint', `sha256:${rootFingerprint}`]);
  world.env['SIGSTORE_ID_TOKEN'] = (await world.hallmark(['token', '--issuer', issuer, '--email', IDENTITY])).stdout;
  // As docs/git.md has it for a user of gitsign.
  const PATH = `${join(gitsign, '..')}:${world.env['PATH']}`;
  await world.shell(`set -e\n${documentedScript('gitsign initialize')}`, { env: { URL: url, ISSUER: issuer, PATH } });
  await trustSigner(world, IDENTITY, issuer);
}, slow);
afterAll(async () => {
  world.end();
  expect(await stop()).toBe(0);
  rmSync(directory, { recursive: true, force: true });
}, slow);

const PROGRAMS = { gitsign, hallmark: hallmarkBinary } as const;
const by = (program: keyof typeof PROGRAMS): string[] => ['-c', `gpg.x509.program=${PROGRAMS[program]}`];

/** A commit on a commit, and a tag, signed by this program. */
async function sign(program: keyof typeof PROGRAMS, cwd: string, mode: string): Promise<void> {
  const config = [...by(program), '-c', `gitsign.rekorMode=${mode}`];
  await world.git([...config, 'commit', '-q', '-S', '--allow-empty', '-m', 'first'], { cwd });
  await world.git([...config, 'commit', '-q', '-S', '--allow-empty', '-m', 'second'], { cwd });
  await world.git([...config, 'tag', '-s', '-m', 'release', 'v1'], { cwd });
}

const identity = (): string[] => [`--certificate-identity=${IDENTITY}`, `--certificate-oidc-issuer=${issuer}`];

for (const mode of ['offline', 'online'] as const) {
  describe(`${mode} mode`, () => {
    test(
      "gitsign verifies Hallmark's commits and tags",
      async () => {
        const cwd = await world.repository(`hallmark-${mode}`);
        await sign('hallmark', cwd, mode);
        const config = [...by('gitsign'), '-c', `gitsign.rekorMode=${mode}`];
        await world.git(['config', 'gitsign.rekorMode', mode], { cwd });
        for (const rev of ['HEAD', 'HEAD~1']) {
          await world.git([...config, 'verify-commit', rev], { cwd });
          await world.run([gitsign, 'verify', ...identity(), rev], { cwd });
          const wrong = ['--certificate-identity=x@example.com', `--certificate-oidc-issuer=${issuer}`];
          expect((await world.run([gitsign, 'verify', ...wrong, rev], { cwd, mayFail: true })).code).toBe(1);
        }
        await world.git([...config, 'verify-tag', 'v1'], { cwd });
        await world.run([gitsign, 'verify-tag', ...identity(), 'v1'], { cwd });
      },
      slow,
    );
    test(
      "Hallmark verifies gitsign's commits and tags",
      async () => {
        const cwd = await world.repository(`gitsign-${mode}`);
        await sign('gitsign', cwd, mode);
        const args = ['git', 'verify', 'HEAD', 'HEAD~1', 'v1', '--output', 'json'];
        const online = mode === 'online' ? ['--online'] : [];
        const found = JSON.parse((await world.hallmark([...args, ...online], { cwd })).stdout);
        expect(found).toMatchObject({ ok: true, summary: { objects: 3, verified: 3 } });
        if (mode === 'online') {
          const offline = JSON.parse((await world.hallmark(args, { cwd, mayFail: true })).stdout);
          expect(offline).toMatchObject({ ok: false, summary: { unproven: 3 } });
          return;
        }
        expect((await world.git(['log', '--format=%G?'], { cwd })).stdout).toBe('G\nG\n');
        await world.git(['verify-tag', 'v1'], { cwd });
      },
      slow,
    );
    // gitsign's own verify reads SHA-1 repositories alone; through git it does not care.
    test(
      'both ways in a SHA-256 repository, through git verify-commit',
      async () => {
        const cwd = await world.repository(`sha256-${mode}`, 'sha256');
        const config = ['-c', `gitsign.rekorMode=${mode}`];
        for (const [signer, verifier] of [
          ['hallmark', 'gitsign'],
          ['gitsign', 'hallmark'],
        ] as const) {
          await world.git([...by(signer), ...config, 'commit', '-q', '-S', '--allow-empty', '-m', signer], { cwd });
          const lookup = mode === 'online' ? ['-c', 'hallmark.lookup=true'] : [];
          await world.git([...by(verifier), ...config, ...lookup, 'verify-commit', 'HEAD'], { cwd });
        }
      },
      slow,
    );
  });
}

test(
  'a push certificate, which gitsign signs in offline mode alone',
  async () => {
    const cwd = await world.repository('pusher');
    const server = await world.repository('server', 'sha1', true);
    await world.git(['config', 'receive.certNonceSeed', 'seed'], { cwd: server });
    const log = join(world.home, 'push.log');
    writeFileSync(join(server, 'hooks', 'pre-receive'), `#!/bin/sh\necho "$GIT_PUSH_CERT_STATUS" >> ${log}\n`, {
      mode: 0o755,
    });
    await world.git(['commit', '-q', '--allow-empty', '-m', 'x'], { cwd });
    await world.git([...by('gitsign'), '-c', 'gitsign.rekorMode=offline', 'push', '--signed', server, 'main'], { cwd });
    expect(await Bun.file(log).text()).toBe('G\n');
  },
  slow,
);

test(
  'a tampered commit is refused by both',
  async () => {
    const cwd = await world.repository('tampered');
    await sign('hallmark', cwd, 'offline');
    const body = (await world.git(['cat-file', 'commit', 'HEAD'], { cwd })).stdout.replace('second', 'Second');
    const id = (await world.git(['hash-object', '-t', 'commit', '-w', '--stdin'], { cwd, input: body })).stdout.trim();
    for (const program of ['gitsign', 'hallmark'] as const) {
      expect((await world.git([...by(program), 'verify-commit', id], { cwd, mayFail: true })).code).toBe(1);
    }
  },
  slow,
);
