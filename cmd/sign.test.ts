import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseBundle } from '../core/bundle/bundle.ts';
import { generateKey, serializePrivateKey } from '../core/crypto/private-key.ts';
import { serializePublicKeyPem } from '../core/crypto/public-key.ts';
import { HallmarkError } from '../core/errors.ts';
import type { FetchLike } from '../core/http/client.ts';
import { rejectionOf } from '../core/testing.ts';
import { createStack, type Stack } from '../server.ts';
import { attestCommand } from './attest.ts';
import { PartialFailure } from './exit.ts';
import { httpOf } from './http.ts';
import { signCommand } from './sign.ts';
import { fakeCli } from './testing.ts';
import { fetchDevelopmentToken } from './token.ts';
import { verifyCommand } from './verify.ts';

const URL_BASE = 'http://127.0.0.1:18080';
const EMAIL = 'a@b.example';
const directory = mkdtempSync(join(tmpdir(), 'hallmark-sign-'));
const at = (name: string): string => join(directory, name);
let stack: Stack;
let token = '';

const peer = { address: '127.0.0.1', loopback: true };
const calls: string[] = [];
const fetch: FetchLike = async (url, init) => {
  calls.push(`${init?.method ?? 'GET'} ${new URL(url).pathname}`);
  return stack.handle(new Request(url, init), peer);
};

beforeAll(async () => {
  stack = await createStack(
    { data: at('data'), publicUrl: URL_BASE, part: 'all', issuers: undefined, exposeDevIssuer: false },
    {
      clock: () => new Date(),
      random: (n) => crypto.getRandomValues(new Uint8Array(n)),
      fetch,
      log: () => {},
    },
  );
  for (const name of ['client_trust_config.json', 'client_trust_config_rekor_v2.json', 'trusted_root.json']) {
    writeFileSync(at(name), await (await fetch(`${URL_BASE}/${name}`)).text());
  }
  token = await fetchDevelopmentToken(httpOf(fakeCli({ fetch })), stack.devIssuer ?? '', EMAIL);
});
afterAll(async () => {
  await stack.close();
  rmSync(directory, { recursive: true });
});

let count = 0;
function file(content = 'hello\n'): string {
  const path = at(`file${count++}`);
  writeFileSync(path, content);
  return path;
}

const trust = (version: 1 | 2 = 1): string[] => [
  '--trust-config',
  at(version === 1 ? 'client_trust_config.json' : 'client_trust_config_rekor_v2.json'),
];

async function run(make: typeof signCommand, ...args: string[]): Promise<{ out: string; err: string[] }> {
  const cli = fakeCli({ fetch, env: { HOME: directory } });
  try {
    await make(cli).parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof HallmarkError) Object.assign(error, { printed: cli.printed });
    throw error;
  }
  return cli.printed;
}

const sign = (...args: string[]) => run(signCommand, ...args);
const attest = (...args: string[]) => run(attestCommand, ...args);

const failure = async (promise: Promise<unknown>) =>
  (await rejectionOf(promise)) as HallmarkError & { printed: { out: string; err: string[] } };

const verify = (path: string, ...more: string[]) =>
  run(
    verifyCommand,
    path,
    '--certificate-identity',
    EMAIL,
    '--certificate-oidc-issuer',
    stack.devIssuer ?? '',
    ...more,
    '--trusted-root',
    at('trusted_root.json'),
  );

describe('hallmark sign', () => {
  for (const version of [1, 2] as const) {
    test(`writes a bundle beside the file that verifies (Rekor v${version})`, async () => {
      const path = file();
      const { out } = await sign(path, '--identity-token', token, ...trust(version));
      expect(out).toContain(`signed by       ${EMAIL}`);
      expect(statSync(`${path}.sigstore.json`).mode & 0o777).toBe(0o644);
      const bundle = parseBundle(readFileSync(`${path}.sigstore.json`));
      expect(bundle.tlogEntries[0]?.kindVersion.version).toBe(`0.0.${version}`);
      await verify(path);
    });
  }

  test('signs several files with one certificate, and says so to machines', async () => {
    const paths = [file('a'), file('b'), file('c'), file('d'), file('e')];
    calls.length = 0;
    const { out } = await sign(...paths, '--identity-token', token, ...trust(), '--output', 'json');
    expect(calls.filter((call) => call === 'POST /api/v2/signingCert').length).toBe(1);
    const result = JSON.parse(out) as { signatures: { file: string; bundle: string; digest: string }[] };
    expect(result).toMatchObject({ schemaVersion: 1, ok: true });
    expect(result.signatures.map((signature) => signature.file)).toEqual(paths);
    for (const path of paths) await verify(path);
  });

  test('signs nothing if one of the files is missing', async () => {
    const good = file('good');
    calls.length = 0;
    const error = await failure(sign(good, at('none'), '--identity-token', token, ...trust()));
    expect(error.code).toBe('INPUT_MISSING');
    expect(error.printed.out).toBe('');
    expect(error.printed.err.join('\n')).toContain(`not signed: ${at('none')}`);
    expect(error.printed.err.at(-1)).toBe('0 of 2 files signed');
    expect(existsSync(`${good}.sigstore.json`)).toBe(false);
    expect(calls).toEqual([]);
  });

  test('what fails later leaves the others signed, and both are told to machines', async () => {
    const [good, bad] = [file('good'), file('bad')];
    // It can be read and written while all are looked at, and is gone when it is its turn.
    const vanishing: FetchLike = async (url, init) => {
      rmSync(bad, { force: true });
      return fetch(url, init);
    };
    const cli = fakeCli({ fetch: vanishing, env: { HOME: directory } });
    const words = [good, bad, '--identity-token', token, ...trust()];
    const error = (await rejectionOf(signCommand(cli).parseAsync(words, { from: 'user' }))) as PartialFailure;
    expect(error).toBeInstanceOf(PartialFailure);
    expect(error.result).toMatchObject({
      signatures: [{ file: good, bundle: `${good}.sigstore.json` }],
      failed: [{ file: bad, bundle: `${bad}.sigstore.json`, error: { code: 'INPUT_MISSING' } }],
    });
    expect(cli.printed.err.at(-1)).toBe('1 of 2 files signed');
    await verify(good);
  });

  test('replaces an older bundle', async () => {
    const path = file();
    writeFileSync(`${path}.sigstore.json`, 'old');
    await sign(path, '--identity-token', token, ...trust());
    await verify(path);
  });

  test('writes to --bundle, or to standard output', async () => {
    const path = file();
    await sign(path, '--identity-token', token, ...trust(), '--bundle', at('out.json'));
    expect(existsSync(`${path}.sigstore.json`)).toBe(false);
    await verify(path, '--bundle', at('out.json'));
    const { out } = await sign(path, '--identity-token', token, ...trust(), '--bundle', '-');
    expect(parseBundle(Buffer.from(out)).version).toBe('0.3');
  });

  test('signs with a key and asks no certificate authority', async () => {
    const key = generateKey('p256');
    writeFileSync(at('key.pem'), serializePrivateKey(key), { mode: 0o600 });
    writeFileSync(at('key.pub'), serializePublicKeyPem(key.publicKey));
    const path = file();
    calls.length = 0;
    await sign(path, '--key', at('key.pem'), ...trust());
    expect(calls).not.toContain('POST /api/v2/signingCert');
    await run(verifyCommand, path, '--key', at('key.pub'), '--trusted-root', at('trusted_root.json'));
  });

  test.if(process.platform !== 'win32')('warns of a private key that others can read', async () => {
    const key = at('shared.key');
    writeFileSync(key, serializePrivateKey(generateKey('p256')));
    for (const [mode, expected] of [
      [0o600, []],
      [0o640, [`warning: others can read the private key ${key}: chmod 600 ${key}`]],
      [0o604, [`warning: others can read the private key ${key}: chmod 600 ${key}`]],
    ] as const) {
      chmodSync(key, mode);
      const { err } = await sign(file(), '--key', key, ...trust());
      expect(err.filter((line) => line.includes('private key'))).toEqual([...expected]);
    }
  });

  test('finds what cannot be read or written before anything is asked or logged', async () => {
    calls.length = 0;
    expect((await failure(sign(at('none'), ...trust()))).code).toBe('INPUT_MISSING');
    expect((await failure(sign(directory, '--bundle', at('x'), ...trust()))).code).toBe('INPUT_UNREADABLE');
    const nowhere = await failure(sign(file(), '--bundle', at('none/x'), '--identity-token', token, ...trust()));
    expect(nowhere.code).toBe('FILE_UNWRITABLE');
    expect(calls).toEqual([]);
  });

  const refused: Record<string, [string, () => string[]]> = {
    'a key and a token': ['USAGE', () => [file(), '--key', 'k', '--identity-token', token]],
    'one bundle for two files': ['USAGE', () => [file(), file(), '--bundle', at('x'), '--identity-token', token]],
    'standard input without a bundle name': ['USAGE', () => ['-', '--identity-token', token]],
    'nobody to sign': ['IDENTITY_TOKEN_MISSING', () => [file()]],
    'a token file that is missing': ['INPUT_MISSING', () => [file(), '--identity-token', at('none')]],
    'a bundle in a folder that is missing': [
      'FILE_UNWRITABLE',
      () => [file(), '--identity-token', token, '--bundle', at('none/x')],
    ],
  };
  for (const [flaw, [code, args]] of Object.entries(refused)) {
    test(`refuses ${flaw}`, async () => {
      const error = await failure(sign(...args(), ...trust()));
      expect(error.code).toBe(code as never);
      expect(error.printed.out).toBe('');
      expect(error.hint).toBeDefined();
    });
  }

  test('writes no bundle that its trust refuses', async () => {
    const config = JSON.parse(readFileSync(at('client_trust_config.json'), 'utf8')) as { signingConfig: object };
    writeFileSync(at('signing_config.json'), JSON.stringify(config.signingConfig));
    const path = file();
    const elsewhere = ['--trust', 'public-good', '--signing-config', at('signing_config.json')];
    const error = await failure(sign(path, '--key', at('key.pem'), ...elsewhere));
    expect(error.kind).toBe('verification');
    expect(existsSync(`${path}.sigstore.json`)).toBe(false);
  });

  test('without a signing config names the remedy', async () => {
    const error = await failure(sign(file(), '--trusted-root', at('trusted_root.json'), '--identity-token', token));
    expect(error.code).toBe('NO_SERVICE_CONFIGURED');
  });
});

describe('hallmark attest', () => {
  const provenance = (): string => {
    writeFileSync(at('predicate.json'), '{"big": 12345678901234567890, "unknown": [1.0]}');
    return at('predicate.json');
  };

  for (const version of [1, 2] as const) {
    test(`signs a predicate about a file (Rekor v${version})`, async () => {
      const path = file();
      const flags = ['--predicate', provenance(), '--type', 'slsaprovenance1', '--identity-token', token];
      const { out } = await attest(path, ...flags, ...trust(version));
      expect(out).toContain('https://slsa.dev/provenance/v1');
      await verify(path, '--type', 'slsaprovenance1');
      expect((await failure(verify(path, '--type', 'spdxjson'))).code).toBe('PREDICATE_TYPE_UNEXPECTED');
    });
  }

  test('signs a complete statement as it is', async () => {
    const path = file('stated');
    const sha256 = new Bun.CryptoHasher('sha256').update('stated').digest('hex');
    const statement = JSON.stringify({
      _type: 'https://in-toto.io/Statement/v0.1',
      subject: [{ name: 'x', digest: { sha256 } }],
      predicateType: 'https://example.com/p',
      predicate: { a: 1 },
    });
    writeFileSync(at('statement.json'), statement);
    await attest(
      '--statement',
      at('statement.json'),
      '--bundle',
      `${path}.sigstore.json`,
      '--identity-token',
      token,
      ...trust(),
    );
    await verify(path, '--type', 'https://example.com/p');
    const { content } = parseBundle(readFileSync(`${path}.sigstore.json`));
    expect(content.kind === 'dsse' && Buffer.from(content.envelope.payload).toString()).toBe(statement);
  });

  test('a statement about another file is refused and nothing is written', async () => {
    const path = file('other');
    const error = await failure(
      attest(path, '--statement', at('statement.json'), '--identity-token', token, ...trust()),
    );
    expect(error.code).toBe('STATEMENT_INVALID');
    expect(existsSync(`${path}.sigstore.json`)).toBe(false);
  });

  const refused: Record<string, [string, () => string[]]> = {
    'no predicate': ['USAGE', () => [file()]],
    'predicate and statement': ['USAGE', () => [file(), '--predicate', provenance(), '--statement', 's']],
    'a predicate without type': ['USAGE', () => [file(), '--predicate', provenance()]],
    'a type that is none': ['PREDICATE_INVALID', () => [file(), '--predicate', provenance(), '--type', 'nonsense']],
    'no file': ['USAGE', () => ['--predicate', provenance(), '--type', 'custom', '--bundle', at('x')]],
  };
  for (const [flaw, [code, args]] of Object.entries(refused)) {
    test(`refuses ${flaw}`, async () => {
      expect((await failure(attest(...args(), '--identity-token', token, ...trust()))).code).toBe(code as never);
    });
  }
});
