import { statSync } from 'node:fs';
import { parseUtf8 } from '../core/bytes/bytes.ts';
import { type PrivateKey, parsePrivateKey } from '../core/crypto/private-key.ts';
import { HallmarkError, InputError } from '../core/errors.ts';
import { readFileBounded } from '../core/files.ts';
import { MAX_KEY_FILE_BYTES } from '../core/limits.ts';
import type { Cli } from './cli.ts';
import { readEnvExact, readEnvReference } from './env.ts';
import { promptPassword } from './prompt.ts';
import { printable, shellWord } from './report.ts';

const ENV_SCHEME = 'env://';

/** The text that a key reference names: a file, or `env://NAME` for a variable. INPUT_MISSING. */
export function readKeyText(reference: string): string {
  if (!reference.startsWith(ENV_SCHEME)) {
    const ifMissing = 'hallmark key generate makes a key; env://NAME names a variable that holds one';
    return parseUtf8(readFileBounded(reference, MAX_KEY_FILE_BYTES, 'key', ifMissing));
  }
  const name = reference.slice(ENV_SCHEME.length);
  const value = readEnvReference(name);
  if (value === undefined || value === '') {
    throw new InputError('INPUT_MISSING', `the environment variable ${name} holds no key`, {
      hint: `export ${name}="$(cat hallmark.key)"`,
    });
  }
  return value;
}

/**
 * The private key that `reference` names. An encrypted one is opened with the password of the environment, else with the
 * one that the person at the terminal types; without either, KEY_PASSWORD_REQUIRED.
 */
export async function readPrivateKey(cli: Cli, reference: string): Promise<PrivateKey> {
  const pem = readKeyText(reference);
  const known = passwordFromEnv();
  try {
    return parsePrivateKey(pem, known === undefined ? undefined : () => known);
  } catch (error) {
    if (!(error instanceof HallmarkError) || error.code !== 'KEY_PASSWORD_REQUIRED') throw error;
    if (!cli.interactive) {
      throw new InputError('KEY_PASSWORD_REQUIRED', `the private key ${reference} is encrypted`, {
        cause: error,
        hint: 'set HALLMARK_PASSWORD (or COSIGN_PASSWORD) to its password',
      });
    }
    const typed = await promptPassword(`Password of ${reference}`);
    return parsePrivateKey(pem, () => typed);
  }
}

/** Warns if a private key's file can be read by others than its owner. */
export function warnIfShared(cli: Cli, reference: string): void {
  if (reference.startsWith(ENV_SCHEME) || process.platform === 'win32') return;
  const found = statSync(reference, { throwIfNoEntry: false });
  if (found === undefined || !found.isFile() || (found.mode & 0o044) === 0) return;
  cli.warn(`others can read the private key ${printable(reference)}: chmod 600 ${shellWord(reference)}`);
}

/** The password for a new key: from the environment, else typed twice. Without either, KEY_PASSWORD_REQUIRED. */
export async function chooseNewPassword(cli: Cli): Promise<string> {
  const known = passwordFromEnv();
  if (known !== undefined) return known;
  if (!cli.interactive) {
    throw new InputError('KEY_PASSWORD_REQUIRED', 'a new private key needs a password', {
      hint: 'set HALLMARK_PASSWORD (or COSIGN_PASSWORD); an empty value means an empty password',
    });
  }
  const first = await promptPassword('Password for the private key');
  if (first !== (await promptPassword('The same again'))) {
    throw new InputError('KEY_PASSWORD_WRONG', 'the two passwords are not the same', { hint: 'run the command again' });
  }
  return first;
}

// Set but empty is a password too, as with cosign.
function passwordFromEnv(): string | undefined {
  return readEnvExact('HALLMARK_PASSWORD') ?? readEnvExact('COSIGN_PASSWORD');
}
