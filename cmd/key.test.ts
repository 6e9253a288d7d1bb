import { afterAll, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKey, parsePrivateKey, serializePrivateKey } from '../core/crypto/private-key.ts';
import { parsePublicKeyPem, serializePublicKeyPem } from '../core/crypto/public-key.ts';
import { rejectionOf } from '../core/testing.ts';
import { keyCommand } from './key.ts';
import { fakeCli } from './testing.ts';

// A password is made into a key on purpose slowly, and more slowly where the machine is busy.
setDefaultTimeout(60_000);

const directory = mkdtempSync(join(tmpdir(), 'hallmark-key-'));
const before = process.env['HALLMARK_PASSWORD'];
let count = 0;
let prefix = '';
beforeEach(() => {
  prefix = join(directory, `key${count++}`);
  process.env['HALLMARK_PASSWORD'] = 'secret';
});
afterAll(() => {
  rmSync(directory, { recursive: true });
  if (before === undefined) delete process.env['HALLMARK_PASSWORD'];
  else process.env['HALLMARK_PASSWORD'] = before;
});

async function run(...args: string[]): Promise<string> {
  const cli = fakeCli({});
  await keyCommand(cli).parseAsync(args, { from: 'user' });
  return cli.printed.out;
}

const code = async (promise: Promise<unknown>): Promise<string> => (await rejectionOf(promise)).code;

const read = (path: string): string => readFileSync(path, 'utf8');

describe('key generate', () => {
  test('writes an encrypted private key for its owner alone, and the public key', async () => {
    await run('generate', '--output-key-prefix', prefix);
    expect(statSync(`${prefix}.key`).mode & 0o777).toBe(0o600);
    expect(read(`${prefix}.key`)).toStartWith('-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----');
    const key = parsePrivateKey(read(`${prefix}.key`), () => 'secret');
    expect(key.publicKey.kind).toBe('p256');
    expect(parsePublicKeyPem(read(`${prefix}.pub`)).spki).toEqual(key.publicKey.spki);
  });

  test('makes other kinds', async () => {
    const printed = await run('generate', '--type', 'ed25519', '--output-key-prefix', prefix, '--output', 'json');
    expect(JSON.parse(printed)).toMatchObject({ ok: true, type: 'ed25519', privateKey: `${prefix}.key` });
  });

  test('overwrites neither file', async () => {
    for (const suffix of ['.key', '.pub']) {
      const mine = `${prefix}${suffix}`;
      writeFileSync(mine, 'mine');
      expect(await code(run('generate', '--output-key-prefix', prefix))).toBe('FILE_EXISTS');
      expect(read(mine)).toBe('mine');
      rmSync(mine);
    }
  });

  test('takes the empty password of the environment, and asks nobody without a terminal', async () => {
    process.env['HALLMARK_PASSWORD'] = '';
    await run('generate', '--output-key-prefix', prefix);
    expect(parsePrivateKey(read(`${prefix}.key`), () => '').publicKey.kind).toBe('p256');
    delete process.env['HALLMARK_PASSWORD'];
    expect(await code(run('generate', '--output-key-prefix', `${prefix}x`))).toBe('KEY_PASSWORD_REQUIRED');
  });
});

describe('key import and key public', () => {
  test('a plain key is encrypted and stays the same key', async () => {
    const key = generateKey('p384');
    writeFileSync(`${prefix}.pem`, serializePrivateKey(key));
    await run('import', '--key', `${prefix}.pem`, '--output-key-prefix', prefix);
    expect(await run('public', '--key', `${prefix}.key`)).toBe(serializePublicKeyPem(key.publicKey));
  });

  test('a key in a variable', async () => {
    const key = generateKey('p256');
    process.env['HALLMARK_TEST_KEY'] = serializePrivateKey(key);
    expect(await run('public', '--key', 'env://HALLMARK_TEST_KEY')).toBe(serializePublicKeyPem(key.publicKey));
    delete process.env['HALLMARK_TEST_KEY'];
    expect(await code(run('public', '--key', 'env://HALLMARK_TEST_KEY'))).toBe('INPUT_MISSING');
  });

  test('a wrong password is said to be wrong', async () => {
    await run('generate', '--output-key-prefix', prefix);
    process.env['HALLMARK_PASSWORD'] = 'other';
    expect(await code(run('public', '--key', `${prefix}.key`))).toBe('KEY_PASSWORD_WRONG');
  });

  test('a text that is no key', async () => {
    writeFileSync(`${prefix}.txt`, 'hello');
    expect(await code(run('public', '--key', `${prefix}.txt`))).toBe('PEM_INVALID');
  });
});
