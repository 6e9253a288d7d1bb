import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorOf } from '../core/testing.ts';
import { openKeyStore } from './key-store.ts';

let folder: string;
let directory: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'key-store-'));
  directory = join(folder, 'data', 'keys');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('key store', () => {
  test('makes a key once, readable by nobody else', () => {
    const first = openKeyStore(directory).loadOrCreate('ca', 'p256');
    const second = openKeyStore(directory).loadOrCreate('ca', 'p256');
    expect(second.publicKey.spki).toEqual(first.publicKey.spki);
    expect(statSync(join(directory, 'ca.pem')).mode & 0o777).toBe(0o600);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(readFileSync(join(directory, 'ca.pem'), 'utf8')).toStartWith('-----BEGIN PRIVATE KEY-----\n');
    expect(readdirSync(directory)).toEqual(['ca.pem']);
  });
  test('closes a folder that was open', () => {
    openKeyStore(directory);
    chmodSync(directory, 0o755);
    openKeyStore(directory);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });
  test('two that make the same RSA key at once get the same one', async () => {
    const store = openKeyStore(directory);
    const [one, two] = await Promise.all([
      store.loadOrCreateRsa('issuer', 2048),
      store.loadOrCreateRsa('issuer', 2048),
    ]);
    expect(one?.publicKey.spki).toEqual(two?.publicKey.spki as Uint8Array);
  });
  for (const kind of ['p256', 'p384', 'p521', 'ed25519'] as const)
    test(`keeps a key of kind ${kind}`, () => {
      const { publicKey } = openKeyStore(directory).loadOrCreate('key', kind);
      expect(openKeyStore(directory).loadOrCreate('key', kind).publicKey.spki).toEqual(publicKey.spki);
    });
  for (const mode of [0o640, 0o604, 0o660])
    test(`refuses a key file of mode ${mode.toString(8)}, with the remedy`, () => {
      const store = openKeyStore(directory);
      store.loadOrCreate('ca', 'p256');
      const path = join(directory, 'ca.pem');
      chmodSync(path, mode);
      const error = errorOf(() => store.loadOrCreate('ca', 'p256'));
      expect([error.code, error.hint]).toEqual(['KEY_FILE_EXPOSED', `chmod 600 ${path}`]);
    });
  test('refuses a key of another kind instead of replacing it', () => {
    const store = openKeyStore(directory);
    store.loadOrCreate('ca', 'p256');
    expect(errorOf(() => store.loadOrCreate('ca', 'ed25519')).code).toBe('KEY_UNSUPPORTED');
    expect(store.loadOrCreate('ca', 'p256').publicKey.kind).toBe('p256');
  });
  test('refuses a damaged key file and shows nothing of it', () => {
    const store = openKeyStore(directory);
    store.loadOrCreate('ca', 'p256');
    const path = join(directory, 'ca.pem');
    const damaged = readFileSync(path, 'utf8').replace('MI', 'XX');
    writeFileSync(path, damaged);
    const error = errorOf(() => store.loadOrCreate('ca', 'p256'));
    expect(error.code).toBe('KEY_INVALID');
    expect(`${error.message} ${error.hint} ${Bun.inspect(error)}`).not.toContain(damaged.split('\n')[1] as string);
    expect(readFileSync(path, 'utf8')).toBe(damaged);
  });
  test('a folder that cannot be made is named', () => {
    writeFileSync(join(folder, 'data'), '');
    expect(errorOf(() => openKeyStore(directory)).code).toBe('FILE_UNWRITABLE');
  });
});
