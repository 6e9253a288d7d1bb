import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Option } from 'commander';
import { parseUtf8 } from '../core/bytes/bytes.ts';
import { parsePrivateKey } from '../core/crypto/private-key.ts';
import type { PublicKey } from '../core/crypto/public-key.ts';
import { InputError, parseNamed } from '../core/errors.ts';
import { readFileBounded } from '../core/files.ts';
import { MAX_KEY_FILE_BYTES } from '../core/limits.ts';
import type { Cli } from './cli.ts';
import { requireXdgDirectory } from './xdg.ts';

/** Where `hallmark serve` keeps its data if it is not told. A service manager may start it without HOME. */
export const defaultDataDirectory = (cli: Cli): string =>
  join(requireXdgDirectory(cli, 'data', 'the data directory', cli.env('HOME') ?? homedir()), 'serve');

/** `--data DIR`, the same in every command that works on the files of a server. */
export const dataOption = (): Option =>
  new Option('--data <dir>', 'data directory of hallmark serve (default $XDG_DATA_HOME/hallmark/serve)');

/** The data directory of that flag, which must hold a log's database. INPUT_MISSING. */
export function requireLogDirectory(cli: Cli, data: string | undefined): string {
  const directory = data ?? defaultDataDirectory(cli);
  if (!existsSync(join(directory, 'log.db'))) {
    throw new InputError('INPUT_MISSING', `there is no log in ${directory}`, {
      hint: 'name the data directory of hallmark serve with --data',
    });
  }
  return directory;
}

/** The public halves of the keys in a data directory. Private halves are let go at once. */
export function readPublicKeys(directory: string): PublicKey[] {
  const folder = join(directory, 'keys');
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.pem')) : [];
  return names.map((name) => {
    const path = join(folder, name);
    const pem = parseUtf8(readFileBounded(path, MAX_KEY_FILE_BYTES, 'private key'));
    return parseNamed(path, 'restore it from a backup', () => parsePrivateKey(pem, undefined).publicKey);
  });
}
