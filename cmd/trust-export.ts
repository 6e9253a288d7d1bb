import { Command } from 'commander';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import { TrustError, UsageError } from '../core/errors.ts';
import { writeFileAtomic } from '../core/files.ts';
import { type ExportedInstance, parseTrustExport, serializeTrustExport } from '../core/trust/trust-export.ts';
import type { StoredName } from '../core/trust/tuf/client.ts';
import { parseRoot } from '../core/trust/tuf/metadata.ts';
import { type Cli, emit, type OutputFormat, outputOption } from './cli.ts';
import { fingerprintOf, TARGETS } from './trust-fetch.ts';
import { type Instance, listInstances, requireInstance, SOURCE } from './trust-instances.ts';
import { verifyExported } from './trust-verify-export.ts';

interface Flags {
  readonly out: string;
  readonly output: OutputFormat;
}

/** `hallmark trust export`: stored trust material as one file, for computers without a network. */
export function trustExportCommand(cli: Cli): Command {
  return new Command('export')
    .description('write stored trust material into one file, for a computer without a network (default: all of it)')
    .argument('[name...]', 'the instances')
    .requiredOption('-o, --out <file>', 'where to; - for standard output')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
The file holds no secrets. It is verified when it is imported: TUF metadata from the first root on, other files by their
fingerprint. The same trust makes the same file.

Examples:
  hallmark trust update && hallmark trust export --out trust.json
  hallmark trust import trust.json        on the other computer`,
    )
    .action((names: string[], flags: Flags) => exportTrust(cli, names, flags));
}

async function exportTrust(cli: Cli, names: readonly string[], flags: Flags): Promise<void> {
  const chosen = names.length > 0 ? [...new Set(names)].map((name) => requireInstance(cli, name)) : requireAll(cli);
  const stored = chosen.filter(({ name, builtIn }) => {
    if (builtIn && names.includes(name)) throw builtInOnly(name);
    return !builtIn;
  });
  if (stored.length === 0) throw new UsageError('no trust is stored, so there is nothing to export', { hint: UPDATE });
  const text = serializeTrustExport(stored.map(exported));
  // What cannot be imported must not be found out where there is no network.
  for (const instance of parseTrustExport(serializeUtf8(text))) await verifyExported(instance, undefined);

  if (flags.out === '-') return cli.out(text);
  writeFileAtomic(flags.out, text, 0o644);
  const lines = stored.map(({ name, meta }) => `exported ${name} (${meta.fingerprint})\n`);
  const trust = stored.map(({ name, meta }) => ({ name, fingerprint: meta.fingerprint }));
  emit(cli, flags.output, { ok: true, file: flags.out, trust }, lines.join(''));
}

const UPDATE = 'hallmark trust update public-good stores what is newest of the public-good instance';

const builtInOnly = (name: string): UsageError =>
  new UsageError(`${name} is built in and nothing newer is stored, so every hallmark has it already`, { hint: UPDATE });

function exported({ name, meta, read }: Instance): ExportedInstance {
  const { url, fingerprint, fetchedAt } = meta;
  const files = url === undefined ? sourceOf(name, read) : tufFilesOf(name, fingerprint, read);
  return { name, url, fingerprint, fetchedAt: new Date(Math.floor(fetchedAt.getTime() / 1000) * 1000), files };
}

type Read = Instance['read'];

function sourceOf(name: string, read: Read): ExportedInstance['files'] {
  const source = read(SOURCE);
  if (source === undefined) throw incomplete(name, SOURCE);
  return new Map([[SOURCE, source]]);
}

// Roots from the one that the fingerprint is of: by them another computer gets from there to the newest.
function tufFilesOf(name: string, fingerprint: string, read: Read): ExportedInstance['files'] {
  const files = new Map<string, Uint8Array>();
  const required = (file: StoredName): Uint8Array => {
    const bytes = read(`tuf/${file}`);
    if (bytes === undefined) throw incomplete(name, file);
    return bytes;
  };
  const newest = parseRoot(required('root.json')).signed.version;
  for (let version = newest; version > 0; version--) {
    const root = required(`${version}.root.json`);
    files.set(`${version}.root.json`, root);
    if (fingerprintOf({ kind: 'tuf', url: '', root }) === fingerprint) break;
  }
  for (const file of ['timestamp.json', 'snapshot.json', 'targets.json'] as const) files.set(file, required(file));
  for (const file of TARGETS) {
    const bytes = read(file);
    if (bytes !== undefined) files.set(file, bytes);
  }
  return files;
}

const incomplete = (name: string, file: string): TrustError =>
  new TrustError('TRUST_UNKNOWN', `the stored trust ${name} lacks ${file}`, {
    hint: `remove it and add it again: hallmark trust remove ${name}`,
  });

// An archive of everything that silently lacks something would be found out when it is needed.
function requireAll(cli: Cli): Instance[] {
  const { instances, unusable } = listInstances(cli);
  const [first] = unusable;
  if (first !== undefined) throw first.error;
  return instances;
}
