import { basename } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Command } from 'commander';
import { printable, shellWord } from '../core/bytes/printable.ts';
import { TrustError, UsageError } from '../core/errors.ts';
import { PUBLIC_GOOD } from '../core/trust/public-good.ts';
import { type Cli, emit, type OutputFormat, outputOption } from './cli.ts';
import { requireFingerprint } from './fingerprint.ts';
import { trustCreateCommand } from './trust-create.ts';
import { trustExportCommand } from './trust-export.ts';
import { findRepository, fingerprintOf, type Material, readMaterial } from './trust-fetch.ts';
import { trustImportCommand } from './trust-import.ts';
import { listInstances, listStored, nameInUse, requireInstance, requireName, setNameInUse } from './trust-instances.ts';
import { detailsJson, detailsText, listText, summaryJson, unusableJson } from './trust-show.ts';
import { removeInstance, storeInstance, updateInstance } from './trust-write.ts';

/** Asks a person; true only for an explicit yes. */
type Confirm = (question: string) => Promise<boolean>;

interface AddFlags {
  readonly name?: string;
  readonly fingerprint?: string;
  readonly mirror?: string;
  readonly yes?: true;
  readonly use?: true;
  readonly output: OutputFormat;
}

interface CommonFlags {
  readonly output: OutputFormat;
}

/** `hallmark trust`: which Sigstore instances are known, which one is in use, and the only place that fetches trust material. */
export function trustCommand(cli: Cli, confirm: Confirm = askTerminal): Command {
  const command = new Command('trust').description('Choose whom to trust, fetch trust material.').addHelpText(
    'after',
    `
Examples:
  hallmark trust add https://sigstore.example.com --name example --fingerprint sha256:HEX
  hallmark trust use example
  hallmark trust update
`,
  );
  command
    .command('add <source>')
    .description(
      'add an instance: its URL (a hallmark serve, a TUF mirror), or a file (trusted root, client trust config, TUF root)',
    )
    .option('--name <name>', 'what to call it (default: after its host or file)')
    .option('--fingerprint <sha256:hex>', 'what the first TUF root, or the file, has to hash to')
    .option('--mirror <url>', 'where the repository of a TUF root given as a file is')
    .option('--yes', 'trust what is there now, without a fingerprint')
    .option('--use', 'use it from now on')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Examples:
  hallmark trust add http://127.0.0.1:8080 --fingerprint sha256:4f5e...   as hallmark serve prints it
  hallmark trust add trusted_root.json --name lab --use`,
    )
    .action((source: string, flags: AddFlags) => add(cli, confirm, source, flags));
  command
    .command('list')
    .description('list the known instances; the one in use has a star')
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  hallmark trust list')
    .action((flags: CommonFlags) => list(cli, flags));
  command
    .command('show [name]')
    .description('show what an instance is trusted for, and how old that knowledge is')
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  hallmark trust show public-good --output json')
    .action((name: string | undefined, flags: CommonFlags) => show(cli, name, flags));
  command
    .command('use <name>')
    .description('use an instance from now on, for signing and verifying')
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  hallmark trust use public-good')
    .action((name: string, flags: CommonFlags) => use(cli, name, flags));
  command
    .command('update [name]')
    .description('fetch new trust material of an instance (default: the one in use)')
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  hallmark trust update')
    .action((name: string | undefined, flags: CommonFlags) => update(cli, name, flags));
  command
    .command('remove <name>')
    .description('forget an instance')
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  hallmark trust remove local')
    .action((name: string, flags: CommonFlags) => remove(cli, name, flags));
  for (const make of [trustCreateCommand, trustExportCommand, trustImportCommand]) command.addCommand(make(cli));
  return command;
}

async function add(cli: Cli, confirm: Confirm, source: string, flags: AddFlags): Promise<void> {
  const isUrl = /^[a-z][a-z0-9+.-]*:\/\//i.test(source);
  if (isUrl && flags.mirror !== undefined) throw new UsageError('--mirror goes with a TUF root given as a file');
  const expected = flags.fingerprint === undefined ? undefined : requireFingerprint(flags.fingerprint);
  const material = isUrl ? await findRepository(cli, source) : readMaterial(source, flags.mirror);
  const name = requireName(flags.name ?? nameFor(source, material));
  const fingerprint = fingerprintOf(material);

  if (expected !== undefined) requireSameFingerprint(source, expected, fingerprint);
  // A file was brought here by its user; what a URL answers may be anybody's.
  else if (isUrl) await requireConsent(cli, confirm, source, fingerprint, flags.yes === true);

  await storeInstance(cli, name, material);
  if (flags.use) setNameInUse(cli, name);
  const instance = requireInstance(cli, name);
  const inUse = nameInUse(cli);
  const next = inUse === name ? 'it is in use now' : `use it with: hallmark trust use ${name}, or --trust ${name}`;
  emit(
    cli,
    flags.output,
    { ok: true, trust: summaryJson(instance, inUse) },
    `added ${name} (${fingerprint})\n${next}\n`,
  );
}

function requireSameFingerprint(source: string, expected: string, found: string): void {
  if (expected === found) return;
  throw new TrustError('TRUST_FINGERPRINT_MISMATCH', `${source} has fingerprint ${found}, not ${expected}`, {
    hint: 'it is not the instance that was meant, or was set up anew: ask its operator for the fingerprint of now',
  });
}

async function requireConsent(
  cli: Cli,
  confirm: Confirm,
  source: string,
  fingerprint: string,
  yes: boolean,
): Promise<void> {
  cli.say(`fingerprint of ${source}: ${fingerprint}`);
  if (yes) return;
  const isAgreed =
    cli.interactive && (await confirm('Is it the one that the operator of the instance gave you? [y/N] '));
  if (isAgreed) return;
  throw new TrustError('TRUST_FINGERPRINT_MISMATCH', `nobody vouches for ${source}`, {
    hint: `compare the fingerprint with the operator's, then: hallmark trust add ${shellWord(source)} --fingerprint ${fingerprint}`,
  });
}

function nameFor(source: string, material: Material): string {
  const from = material.kind === 'tuf' ? new URL(material.url).host : basename(source).replace(/\.json$/i, '');
  return from
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+|-+$/g, '')
    .slice(0, 64);
}

async function askTerminal(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^(?:y|yes)$/i.test((await terminal.question(question)).trim());
  } finally {
    terminal.close();
  }
}

function list(cli: Cli, flags: CommonFlags): void {
  const inUse = nameInUse(cli);
  const { instances, unusable } = listInstances(cli);
  const trust = instances.map((instance) => summaryJson(instance, inUse));
  const text = listText(instances, unusable, inUse, cli.now());
  emit(cli, flags.output, { ok: true, trust, unusable: unusable.map(unusableJson) }, text);
  for (const { name } of unusable)
    cli.warn(`${printable(name)} cannot be used: hallmark trust remove ${shellWord(name)}`);
}

function show(cli: Cli, name: string | undefined, flags: CommonFlags): void {
  const inUse = nameInUse(cli);
  const instance = requireInstance(cli, name ?? inUse);
  const json = { ok: true, trust: detailsJson(instance, inUse) };
  emit(cli, flags.output, json, detailsText(instance, inUse, cli.now()));
}

function use(cli: Cli, name: string, flags: CommonFlags): void {
  const instance = requireInstance(cli, name);
  setNameInUse(cli, name);
  emit(cli, flags.output, { ok: true, trust: summaryJson(instance, name) }, `${name} is in use\n`);
}

async function update(cli: Cli, given: string | undefined, flags: CommonFlags): Promise<void> {
  const name = given ?? nameInUse(cli);
  const before = requireInstance(cli, name);
  await updateInstance(cli, before);
  const after = requireInstance(cli, name);
  const isNew = after.meta.targetsVersion !== before.meta.targetsVersion;
  const text = `${name} is up to date${isNew ? ', with new trust material' : '; nothing is new'}\n`;
  emit(cli, flags.output, { ok: true, trust: summaryJson(after, nameInUse(cli)), changed: isNew }, text);
}

async function remove(cli: Cli, name: string, flags: CommonFlags): Promise<void> {
  const isStored = listStored(cli).includes(name);
  if (name === PUBLIC_GOOD.name && !isStored) {
    throw new UsageError(`${name} is built in and cannot be removed`, {
      hint: 'hallmark trust use NAME chooses another',
    });
  }
  // What is stored goes even if it cannot be used.
  if (!isStored) requireInstance(cli, name);
  await removeInstance(cli, name);
  const wasInUse = nameInUse(cli) === name;
  if (wasInUse) setNameInUse(cli, PUBLIC_GOOD.name);
  const text = `removed ${printable(name)}${wasInUse ? `; ${PUBLIC_GOOD.name} is in use now` : ''}\n`;
  emit(cli, flags.output, { ok: true, removed: name, inUse: nameInUse(cli) }, text);
}
