import { join } from 'node:path';
import { Command } from 'commander';
import { TrustError } from '../core/errors.ts';
import { readFileBounded } from '../core/files.ts';
import { MAX_TRUST_EXPORT_BYTES } from '../core/limits.ts';
import { serializeTime } from '../core/trust/fields.ts';
import { PUBLIC_GOOD } from '../core/trust/public-good.ts';
import { type ExportedInstance, parseTrustExport } from '../core/trust/trust-export.ts';
import { type Cli, emit, type OutputFormat, outputOption } from './cli.ts';
import { requireFingerprint } from './fingerprint.ts';
import type { Contents } from './trust-fetch.ts';
import { findInstance, type Instance, inFile, nameInUse, requireInstance, requireName } from './trust-instances.ts';
import { summaryJson } from './trust-show.ts';
import { differs, type VerifiedExport, verifyExported } from './trust-verify-export.ts';
import { replaceFolder, storeOnDisk, withStore, writeContents } from './trust-write.ts';

interface Flags {
  readonly fingerprint?: readonly string[];
  readonly allowRollback?: true;
  readonly output: OutputFormat;
}

/** `hallmark trust import`: takes what `trust export` wrote. Touches no network. */
export function trustImportCommand(cli: Cli): Command {
  const append = (value: string, previous: readonly string[] = []): string[] => [...previous, value];
  return new Command('import')
    .description('store the trust material of a file that trust export wrote, verified without a network')
    .argument('<file>', 'the file')
    .option(
      '--fingerprint <sha256:hex>',
      'a fingerprint as trust list shows it; with it nothing else is taken (may be repeated)',
      append,
    )
    .option('--allow-rollback', 'replace stored trust by an older state of the same instance')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
All of the file is stored, or nothing. An instance that is known already goes on from the TUF root that is trusted here, and
never back to an older state. The age of the material is that of when it was fetched, not of the import.

Examples:
  hallmark trust import trust.json
  hallmark trust import trust.json --fingerprint sha256:4f5e... && hallmark trust use lab`,
    )
    .action((path: string, flags: Flags) => importTrust(cli, path, flags));
}

async function importTrust(cli: Cli, path: string, flags: Flags): Promise<void> {
  const bytes = readFileBounded(path, MAX_TRUST_EXPORT_BYTES, 'export of trust');
  const instances = inFile(path, () => parseTrustExport(bytes));
  for (const { name } of instances) requireName(name);
  requireFingerprints(path, instances, flags.fingerprint?.map(requireFingerprint));

  const changes = await withStore(cli, async (store) => {
    // All are verified before the first is written.
    const plans = [];
    for (const instance of instances) {
      const before = findInstance(cli, instance.name);
      requireNotInFuture(instance, cli.now());
      if (flags.allowRollback && before !== undefined) requireSameOrigin(instance, before);
      const from = flags.allowRollback ? undefined : before;
      const verified = await verifyExported(instance, from);
      if (from !== undefined) requireNoRollback(verified.contents, from);
      requireNotOlderThanBuiltIn(instance.name, verified.contents);
      plans.push({ name: instance.name, verified, before, from });
    }
    for (const { name, verified, from } of plans) {
      if (from === undefined || from.builtIn) await replaceFolder(store, name, (folder) => write(folder, verified));
      else write(join(store, name), verified);
    }
    return plans.map(({ name, before, verified }) => ({ name, change: changeOf(before, verified.contents) }));
  });

  const inUse = nameInUse(cli);
  const trust = changes.map(({ name, change }) => ({ ...summaryJson(requireInstance(cli, name), inUse), change }));
  const lines = changes.map(({ name, change }) => {
    const { meta } = requireInstance(cli, name);
    return `${name}: ${change} (${meta.fingerprint}, fetched ${serializeTime(meta.fetchedAt)})\n`;
  });
  emit(cli, flags.output, { ok: true, trust }, lines.join(''));
}

function requireFingerprints(
  path: string,
  instances: readonly ExportedInstance[],
  expected: readonly string[] | undefined,
): void {
  if (expected === undefined) return;
  const stranger = instances.find(({ fingerprint }) => !expected.includes(fingerprint));
  if (stranger !== undefined) {
    throw new TrustError(
      'TRUST_FINGERPRINT_MISMATCH',
      `${stranger.name} in ${path} has fingerprint ${stranger.fingerprint}, which is not one of those given`,
      { hint: 'compare with hallmark trust list on the computer that it comes from' },
    );
  }
  const missing = expected.find((wanted) => !instances.some(({ fingerprint }) => fingerprint === wanted));
  if (missing === undefined) return;
  throw new TrustError('TRUST_FINGERPRINT_MISMATCH', `nothing in ${path} has fingerprint ${missing}`, {
    hint: `it holds: ${instances.map(({ name, fingerprint }) => `${name} ${fingerprint}`).join(', ')}`,
  });
}

/** How far ahead of this computer's clock another one may be, ms. */
const CLOCK_TOLERANCE_MS = 10 * 60_000;

// The age policy rests on this time. How far it can be overstated is bounded once more by the TUF timestamp, which must
// not have expired then.
function requireNotInFuture({ name, fetchedAt }: ExportedInstance, now: Date): void {
  if (fetchedAt.getTime() <= now.getTime() + CLOCK_TOLERANCE_MS) return;
  throw new TrustError('TUF_EXPIRED', `${name} says it was fetched on ${serializeTime(fetchedAt)}, which is to come`, {
    hint: 'check the clock of this computer: date -u',
  });
}

function requireSameOrigin({ fingerprint }: ExportedInstance, known: Instance): void {
  if (known.meta.fingerprint !== fingerprint) throw differs(known, fingerprint);
}

// The TUF client compares with stored metadata; what is built in has none but the version.
function requireNoRollback({ meta }: Contents, known: Instance): void {
  const [version, trusted] = [meta.targetsVersion ?? 0, known.meta.targetsVersion ?? 0];
  if (version < trusted) throw older(known.name, version, trusted);
}

export function requireNotOlderThanBuiltIn(name: string, { meta }: Contents): void {
  const version = meta.targetsVersion ?? 0;
  if (name === PUBLIC_GOOD.name && version < PUBLIC_GOOD.targetsVersion)
    throw older(name, version, PUBLIC_GOOD.targetsVersion);
}

const older = (name: string, version: number, trusted: number): TrustError =>
  new TrustError(
    'TUF_ROLLBACK',
    `${name}: TUF rollback: targets has version ${version}, older than the ${trusted} here`,
    {
      hint: 'export from a computer that is up to date',
    },
  );

function write(folder: string, { contents, tuf }: VerifiedExport): void {
  const store = storeOnDisk(folder);
  for (const [name, bytes] of tuf) store.write(name, bytes);
  writeContents(folder, contents);
}

function changeOf(before: Instance | undefined, { meta }: Contents): 'added' | 'updated' | 'unchanged' {
  if (before === undefined) return 'added';
  const isSame =
    before.meta.targetsVersion === meta.targetsVersion && before.meta.fetchedAt.getTime() === meta.fetchedAt.getTime();
  return isSame ? 'unchanged' : 'updated';
}
