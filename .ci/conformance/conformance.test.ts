// The client of the sigstore-conformance suite, as the suite would call it: over the corpus of bundles, and signing against
// a stack of our own. On the compiled binary (HALLMARK_BINARY, else dist/hallmark).
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { sharedPath } from '../../core/bytes/shared-data.ts';
import { outputsOf } from '../outputs.ts';

const client = join(import.meta.dir, 'client');
const binary = resolve(process.env['HALLMARK_BINARY'] ?? join(import.meta.dir, '../../dist/hallmark'));
const home = mkdtempSync(join(tmpdir(), 'hallmark-conformance-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

interface Run {
  readonly code: number;
  readonly stderr: string;
}

async function run(command: string[], env: Record<string, string> = {}): Promise<Run & { stdout: string }> {
  const child = Bun.spawn(command, {
    cwd: home,
    env: { PATH: process.env['PATH'] ?? '', HOME: home, HALLMARK_BINARY: binary, NO_PROXY: '127.0.0.1', ...env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  return outputsOf(child);
}

const protocol = (args: string[], env?: Record<string, string>): Promise<Run> => run([client, ...args], env);
const digestOf = (path: string): string => `sha256:${createHash('sha256').update(readFileSync(path)).digest('hex')}`;

/** A verdict or an unusable input; a crash (1) or a wrong command line (2) is no rejection. */
const REJECTIONS = [3, 10, 12];

const corpus = sharedPath('corpus/conformance');
if (corpus === undefined) test.skip('skipped: the conformance cases are not beside the checkout', () => {});

describe.if(corpus !== undefined)('cases of the suite', () => {
  const folder = corpus ?? '';
  const cases = readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? [entry.name] : [],
  );

  test('all are here', () => {
    expect(cases).toHaveLength(43);
    expect(cases.filter((name) => name.endsWith('_fail'))).toHaveLength(31);
  });

  const BEACON =
    'https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main';

  describe.each(cases.map((name) => [name]))('%s', (name) => {
    const file = (part: string): string | undefined => {
      const path = join(folder, name, part);
      return existsSync(path) ? path : undefined;
    };
    const text = (part: string, otherwise: string): string => {
      const path = file(part);
      return path === undefined ? otherwise : readFileSync(path, 'utf8').trim();
    };
    const root = file('trusted_root.json');
    const key = file('key.pub');
    const artifact = file('artifact') ?? join(folder, 'a.txt');
    const policy =
      key === undefined
        ? [
            ['--certificate-identity', text('identity', BEACON)],
            ['--certificate-oidc-issuer', text('issuer', 'https://token.actions.githubusercontent.com')],
          ].flat()
        : ['--key', key];
    const flags = [
      ...['--bundle', join(folder, name, 'bundle.sigstore.json')],
      ...policy,
      ...(root === undefined ? [] : ['--trusted-root', root]),
    ];

    test.each([
      ['path', artifact],
      ['digest', digestOf(artifact)],
    ])('by %s', async (_, reference) => {
      const { code, stderr } = await protocol(['verify-bundle', ...flags, reference]);
      if (name.endsWith('_fail')) expect(REJECTIONS, stderr).toContain(code);
      else expect(code, stderr).toBe(0);
    });
  });

  test('a file whose name is a digest is a file', async () => {
    const bundle = join(folder, 'happy-path-v0.3/bundle.sigstore.json');
    const flags = ['--certificate-identity', BEACON];
    flags.push('--certificate-oidc-issuer', 'https://token.actions.githubusercontent.com');
    const digest = digestOf(join(folder, 'a.txt'));
    writeFileSync(join(home, digest), 'something else');
    const verify = ['verify-bundle', '--bundle', bundle, ...flags];
    expect(await protocol([...verify, digest])).toMatchObject({ code: 12 });
    copyFileSync(join(folder, 'a.txt'), join(home, digest));
    expect(await protocol([...verify, digest])).toMatchObject({ code: 0 });
    rmSync(join(home, digest));
    // Neither a digest nor a file.
    expect(await protocol([...verify, 'sha256:abc'])).toMatchObject({ code: 3 });
  });
});

test.each([
  ['no subcommand', []],
  ['an unknown subcommand', ['sign', 'a.txt']],
  ['no artifact', ['verify-bundle', '--bundle', 'b.json']],
  ['two artifacts', ['verify-bundle', '--bundle', 'b.json', 'a', 'b']],
  ['an unknown option', ['verify-bundle', '--offline', 'a']],
])('refuses %s', async (_, args) => {
  expect(await protocol(args)).toMatchObject({ code: 2 });
});

test('refuses --staging without the files of the staging instance', async () => {
  const { code, stderr } = await protocol(['verify-bundle', '--staging', '--bundle', 'b.json', 'a']);
  expect(code).not.toBe(0);
  expect(stderr).toContain('HALLMARK_STAGING');
});

describe('signing against a stack of our own', () => {
  const EMAIL = 'you@example.com';
  const files = join(home, 'stack');
  let server: Bun.Subprocess<'ignore', 'ignore', 'pipe'>;
  let issuer = '';

  beforeAll(async () => {
    mkdirSync(files);
    const data = join(home, 'data');
    server = Bun.spawn([binary, 'serve', '--listen', '127.0.0.1:0', '--data', data, '--log-format', 'json'], {
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'pipe',
      env: { PATH: process.env['PATH'] ?? '', HOME: home },
    });
    const ready = await readyEvent(server.stderr);
    issuer = ready.devIssuer;
    for (const name of ['trusted_root.json', 'signing_config.v0.2.json', 'signing_config_rekor_v2.v0.2.json']) {
      writeFileSync(join(files, name), await (await fetch(`${ready.url}/${name}`)).text());
    }
    writeFileSync(join(home, 'artifact'), 'artifact\n');
    writeFileSync(join(home, 'other'), 'other\n');
  }, 20_000);

  afterAll(async () => {
    server.kill('SIGTERM');
    expect(await server.exited).toBe(0);
  }, 20_000);

  const token = async (): Promise<string> => {
    const { code, stdout, stderr } = await run([binary, 'token', '--issuer', issuer, '--email', EMAIL]);
    expect(code, stderr).toBe(0);
    return stdout.trim();
  };
  const sign = async (...args: string[]): Promise<Run> =>
    protocol(
      [
        'sign-bundle',
        ...args.slice(0, -1),
        '--identity-token',
        await token(),
        '--bundle',
        'bundle.json',
        ...args.slice(-1),
      ],
      {
        HALLMARK_STAGING: files,
      },
    );
  const verify = (args: string[], reference: string, identity = EMAIL): Promise<Run> =>
    protocol(
      [
        ...['verify-bundle', ...args, '--bundle', 'bundle.json'],
        ...['--certificate-identity', identity, '--certificate-oidc-issuer', issuer, reference],
      ],
      { HALLMARK_STAGING: files },
    );
  const root = ['--trusted-root', join(files, 'trusted_root.json')];

  async function expectVerified(args: string[]): Promise<void> {
    for (const reference of ['artifact', digestOf(join(home, 'artifact'))]) {
      const { code, stderr } = await verify(args, reference);
      expect(code, stderr).toBe(0);
    }
    expect(await verify(args, 'other')).toMatchObject({ code: 12 });
    expect(await verify(args, digestOf(join(home, 'other')))).toMatchObject({ code: 12 });
    expect(await verify(args, 'artifact', 'someone@example.com')).toMatchObject({ code: 12 });
  }

  test.each(['signing_config.v0.2.json', 'signing_config_rekor_v2.v0.2.json'])(
    'signs with %s, verifies',
    async (config) => {
      const { code, stderr } = await sign(...root, '--signing-config', join(files, config), 'artifact');
      expect(code, stderr).toBe(0);
      await expectVerified(root);
      // Not by the public-good instance, which is what no flag means.
      expect(await verify([], 'artifact')).toMatchObject({ code: 12 });
    },
    20_000,
  );

  test('signs a statement, verifies its subject', async () => {
    const [hash, digest] = digestOf(join(home, 'artifact')).split(':') as [string, string];
    const statement = {
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ name: 'artifact', digest: { [hash]: digest } }],
      predicateType: 'https://slsa.dev/provenance/v1',
      predicate: {},
    };
    writeFileSync(join(home, 'statement.json'), JSON.stringify(statement));
    const { code, stderr } = await sign(
      '--in-toto',
      ...root,
      '--signing-config',
      join(files, 'signing_config.v0.2.json'),
      'statement.json',
    );
    expect(code, stderr).toBe(0);
    const bundle = JSON.parse(readFileSync(join(home, 'bundle.json'), 'utf8')) as { dsseEnvelope: { payload: string } };
    expect(JSON.parse(Buffer.from(bundle.dsseEnvelope.payload, 'base64').toString())).toEqual(statement);
    await expectVerified(root);
  }, 20_000);

  test('takes the staging instance from its folder', async () => {
    const { code, stderr } = await sign('--staging', 'artifact');
    expect(code, stderr).toBe(0);
    await expectVerified(['--staging']);
  }, 20_000);

  test('does not sign with a token that the issuer did not sign', async () => {
    rmSync(join(home, 'bundle.json'));
    const config = ['--signing-config', join(files, 'signing_config.v0.2.json')];
    const [header, claims] = (await token()).split('.');
    const forged = `${header}.${claims}.${'A'.repeat(86)}`;
    const flags = ['--identity-token', forged, '--bundle', 'bundle.json', ...root, ...config];
    const { code, stderr } = await protocol(['sign-bundle', ...flags, 'artifact']);
    expect(code, stderr).toBe(4);
    expect(existsSync(join(home, 'bundle.json'))).toBe(false);
  });
});

interface Ready {
  url: string;
  devIssuer: string;
}

async function readyEvent(stream: ReadableStream<Uint8Array>): Promise<Ready> {
  let text = '';
  const reader = stream.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`serve ended before it was ready:\n${text}`);
    text += Buffer.from(value).toString();
    for (const line of text.split('\n').slice(0, -1)) {
      const event = JSON.parse(line) as Ready & { event?: string };
      if (event.event !== 'ready') continue;
      // Drained from here on, or the server blocks on a full pipe.
      void (async () => {
        while (!(await reader.read()).done);
      })();
      return event;
    }
  }
}
