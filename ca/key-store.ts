import { statSync } from 'node:fs';
import { join } from 'node:path';
import { parseUtf8 } from '../core/bytes/bytes.ts';
import { shellWord } from '../core/bytes/printable.ts';
import type { KeyKind } from '../core/crypto/algorithms.ts';
import {
  generateKey,
  generateRsaKey,
  type PrivateKey,
  parsePrivateKey,
  serializePrivateKey,
} from '../core/crypto/private-key.ts';
import { HallmarkError, InputError, StorageError } from '../core/errors.ts';
import { makeFolder, readFileBounded, writeFileAtomic } from '../core/files.ts';
import { MAX_KEY_FILE_BYTES } from '../core/limits.ts';

/** Keys by name. What is created is durable before it is returned, and every later call returns the same key. */
export interface KeyStore {
  loadOrCreate(name: string, kind: Exclude<KeyKind, 'rsa'>): PrivateKey;
  /** RSA keys take long to make: this does it off the main thread. */
  loadOrCreateRsa(name: string, bits: 2048 | 3072 | 4096): Promise<PrivateKey>;
}

/**
 * Keys as `<name>.pem` (PKCS#8, mode 0600) in a folder of mode 0700, which is created. Errors: FILE_UNWRITABLE,
 * KEY_FILE_EXPOSED if others may read a key, and those of a file that holds no key of the kind. None shows key material.
 */
export function openKeyStore(directory: string): KeyStore {
  makeFolder(directory, 0o700);

  /** The key, or undefined if there is none yet. */
  function load(name: string, kind: KeyKind): PrivateKey | undefined {
    const path = pathOf(name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) return undefined;
    if ((stat.mode & 0o077) !== 0)
      throw new StorageError('KEY_FILE_EXPOSED', `other users may read the private key ${path}`, {
        hint: `chmod 600 ${shellWord(path)}`,
      });
    const key = parseKeyFile(path);
    if (key.publicKey.kind !== kind)
      throw new InputError('KEY_UNSUPPORTED', `${path} holds a key of kind ${key.publicKey.kind}, expected ${kind}`, {
        hint: `move ${path} away to have a new key made`,
      });
    return key;
  }

  /** Keeps a new key, unless another process was first: then its key is the one. */
  function keep(name: string, key: PrivateKey): PrivateKey {
    try {
      writeFileAtomic(pathOf(name), serializePrivateKey(key), 0o600, 'refuse');
      return key;
    } catch (cause) {
      const other =
        cause instanceof HallmarkError && cause.code === 'FILE_EXISTS' ? load(name, key.publicKey.kind) : undefined;
      if (!other) throw cause;
      return other;
    }
  }

  function pathOf(name: string): string {
    if (!/^[a-z0-9-]+$/.test(name)) throw new Error(`internal: bad key name ${name}`);
    return join(directory, `${name}.pem`);
  }

  return {
    loadOrCreate: (name, kind) => load(name, kind) ?? keep(name, generateKey(kind)),
    loadOrCreateRsa: async (name, bits) => load(name, 'rsa') ?? keep(name, await generateRsaKey(bits)),
  };
}

function parseKeyFile(path: string): PrivateKey {
  try {
    return parsePrivateKey(parseUtf8(readFileBounded(path, MAX_KEY_FILE_BYTES, 'private key')), undefined);
  } catch (cause) {
    if (!(cause instanceof InputError) || cause.code === 'INPUT_UNREADABLE') throw cause;
    throw new InputError('KEY_INVALID', `${path} holds no usable private key: ${cause.message}`, {
      cause,
      hint: `restore ${path} from a backup, or move it away to have a new key made`,
    });
  }
}
