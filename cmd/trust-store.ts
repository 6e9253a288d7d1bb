import type { Command } from 'commander';
import type { Bundle } from '../core/bundle/bundle.ts';
import type { Json } from '../core/bytes/json.ts';
import { TrustError, UsageError } from '../core/errors.ts';
import { readFileBounded } from '../core/files.ts';
import { MAX_TRUST_FILE_BYTES, MAX_TRUSTED_ROOTS } from '../core/limits.ts';
import { parseClientTrustConfig } from '../core/trust/client-trust-config.ts';
import { serializeTime } from '../core/trust/fields.ts';
import { parseSigningConfig, type SigningConfig } from '../core/trust/signing-config.ts';
import type { TrustedRoot } from '../core/trust/trusted-root.ts';
import { chooseTrustedRoot, type NamedRoot, parseTrustedRoots } from '../core/trust/trusted-roots.ts';
import { leafCertificate } from '../core/verify/leaf.ts';
import type { Cli, OutputFormat } from './cli.ts';
import { parseDuration } from './duration.ts';
import {
  ageInDays,
  type Instance,
  inFile,
  nameInUse,
  readSigningConfig,
  readTrustedRoot,
  requireInstance,
  SIGNING_CONFIG,
  SIGNING_CONFIG_REKOR_V2,
} from './trust-instances.ts';

/** The flags that choose whom to trust, the same in every command. */
export interface TrustFlags {
  readonly trust?: readonly string[];
  readonly trustedRoot?: readonly string[];
  readonly signingConfig?: string;
  readonly trustConfig?: string;
  readonly maxTrustAge?: string;
  /** Of the command: with JSON, what is said of the age is in the result instead of beside it. */
  readonly output?: OutputFormat;
}

/** Adds the flags of `TrustFlags`, `--output` excepted. What only signing needs is accepted everywhere, but not in the help. */
export function trustOptions(command: Command, purpose: 'sign' | 'verify' = 'verify'): Command {
  const append = (value: string, previous: readonly string[] = []): string[] => [...previous, value];
  return command
    .option('--trust <name>', 'use this trust instead of the one in use (hallmark trust list); may be repeated', append)
    .option(
      '--trusted-root <file>',
      'trust this trusted_root.json, or every line of a .jsonl; may be repeated: what issued the certificate counts',
      append,
    )
    .addOption(
      command
        .createOption('--signing-config <file>', 'sign with the services of this signing_config.v0.2.json')
        .hideHelp(purpose === 'verify'),
    )
    .option('--trust-config <file>', 'trusted root and signing config in one file (ClientTrustConfig v0.1)')
    .option('--max-trust-age <duration>', 'refuse stored trust material fetched longer ago, such as 12h or 30d');
}

/** A trusted root, and how old it is if it comes from the store. */
export interface TrustSource extends NamedRoot {
  /** Of the instance, or the file's path, with the line if there are several in it. */
  readonly name: string;
  readonly age: TrustAge | undefined;
}

export interface TrustAge {
  readonly fetchedAt: Date;
  readonly days: number;
  /** When the TUF root expires; undefined without TUF. */
  readonly rootExpires: Date | undefined;
}

/** Whom to trust and which services to sign with. What only some commands need is read when it is asked for. */
export interface ResolvedTrust {
  /** Of all sources. */
  readonly name: string;
  readonly sources: readonly [TrustSource, ...TrustSource[]];
  /** The only trusted root; a UsageError if there are several to choose from. */
  readonly trustedRoot: TrustedRoot;
  /** The source to verify this bundle with; errors of `chooseTrustedRoot`. */
  readonly sourceFor: (bundle: Bundle) => TrustSource;
  /** With Rekor v1, or as the user's file has it. */
  readonly signingConfig: SigningConfig | undefined;
  /** With Rekor v2. */
  readonly signingConfigRekorV2: SigningConfig | undefined;
  /** For people: each a sentence without final full stop. None with `--output json`, whose result carries the age. */
  readonly warnings: readonly string[];
}

/**
 * The trust that the flags choose, else the one in use. Reads files alone, never the network. A trusted root given as a
 * file comes without the signing config of the instance in use: one would sign with services that the root may not know,
 * and perhaps publish to them what was meant for another instance. TRUST_TOO_OLD if any stored trust that was chosen is
 * older than `--max-trust-age`.
 */
export function resolveTrust(cli: Cli, flags: TrustFlags): ResolvedTrust {
  requireConsistent(flags);
  if (flags.trustConfig !== undefined) return fromTrustConfig(flags.trustConfig);
  const { trustedRoot: files = [], trust: names = [], signingConfig: configFile } = flags;
  const chosen = names.length > 0 ? [...new Set(names)] : files.length > 0 ? [] : [nameInUse(cli)];
  const instances = chosen.map((name) => requireInstance(cli, name));
  const now = cli.now();
  if (files.length === 0) requireYoung(instances, flags.maxTrustAge, now);
  const sources = files.length > 0 ? files.flatMap(readRoots) : instances.map((instance) => sourceOf(instance, now));

  const config = (file: string): SigningConfig | undefined => {
    const [instance, ...others] = instances;
    if (others.length > 0) throw severalToSignWith();
    return instance && readSigningConfig(instance, file);
  };
  return {
    ...withSources(sources),
    get signingConfig() {
      return configFile === undefined ? config(SIGNING_CONFIG) : readConfig(configFile);
    },
    get signingConfigRekorV2() {
      return configFile === undefined ? config(SIGNING_CONFIG_REKOR_V2) : undefined;
    },
    get trustedRoot() {
      return requireOne(sources).trustedRoot;
    },
    warnings: files.length > 0 || flags.output === 'json' ? [] : instances.flatMap((i) => ageWarnings(i, now)),
  };
}

function requireConsistent(flags: TrustFlags): void {
  const isFromFile = flags.trustConfig !== undefined || flags.trustedRoot !== undefined;
  if (isFromFile && flags.maxTrustAge !== undefined) {
    throw new UsageError('--max-trust-age is about stored trust, and nobody knows the age of a file', {
      hint: 'leave it out, or store the file: hallmark trust add FILE --name NAME',
    });
  }
  if (flags.trustConfig === undefined) return;
  if (flags.trustedRoot === undefined && flags.signingConfig === undefined && flags.trust === undefined) return;
  throw new UsageError('--trust-config holds trusted root and signing config and goes with no other trust flag', {
    hint: 'leave out --trust, --trusted-root and --signing-config',
  });
}

function fromTrustConfig(path: string): ResolvedTrust {
  const bytes = readFileBounded(path, MAX_TRUST_FILE_BYTES, 'trust config');
  const { trustedRoot, signingConfig } = inFile(path, () => parseClientTrustConfig(bytes));
  const sources = [{ name: path, trustedRoot, age: undefined }];
  return { ...withSources(sources), trustedRoot, signingConfig, signingConfigRekorV2: undefined, warnings: [] };
}

function withSources(given: readonly TrustSource[]): Pick<ResolvedTrust, 'name' | 'sources' | 'sourceFor'> {
  const [first, ...others] = given;
  if (first === undefined) throw new Error('internal: no trusted root');
  if (given.length > MAX_TRUSTED_ROOTS) throw new UsageError(`more than ${MAX_TRUSTED_ROOTS} trusted roots`);
  const sources: [TrustSource, ...TrustSource[]] = [first, ...others];
  return {
    name: sources.map(({ name }) => name).join(', '),
    sources,
    sourceFor: (bundle) => {
      if (others.length === 0) return first;
      const logIds = bundle.tlogEntries.map(({ logId }) => logId);
      return chooseTrustedRoot(sources, leafCertificate(bundle), logIds);
    },
  };
}

function requireOne(sources: readonly TrustSource[]): TrustSource {
  const [only, ...others] = sources;
  if (only === undefined || others.length > 0) throw severalToSignWith();
  return only;
}

const severalToSignWith = (): UsageError =>
  new UsageError('several trusted roots are given, and this command needs to know which one', {
    hint: 'give --trust NAME or --trusted-root FILE once, with a single trusted root',
  });

function sourceOf(instance: Instance, now: Date): TrustSource {
  const { fetchedAt, rootExpires } = instance.meta;
  const age = { fetchedAt, rootExpires, days: ageInDays(instance.meta, now) };
  return { name: instance.name, trustedRoot: readTrustedRoot(instance), age };
}

function readRoots(path: string): TrustSource[] {
  const bytes = readFileBounded(path, MAX_TRUST_FILE_BYTES, 'trusted root');
  const roots = inFile(path, () => parseTrustedRoots(bytes));
  return roots.map((trustedRoot, i) => ({
    name: roots.length === 1 ? path : `${path} (${i + 1} of ${roots.length})`,
    trustedRoot,
    age: undefined,
  }));
}

function readConfig(path: string): SigningConfig {
  const bytes = readFileBounded(path, MAX_TRUST_FILE_BYTES, 'signing config');
  return inFile(path, () => parseSigningConfig(bytes));
}

// The user's own limit. That an operator's root has expired only brings a warning: see ageWarnings.
function requireYoung(instances: readonly Instance[], limit: string | undefined, now: Date): void {
  if (limit === undefined) return;
  const maxAge = parseDuration('--max-trust-age', limit);
  for (const { name, builtIn, meta } of instances) {
    if (now.getTime() - meta.fetchedAt.getTime() <= maxAge) continue;
    throw new TrustError(
      'TRUST_TOO_OLD',
      `the trust material of ${name} ${builtIn ? 'was built in' : 'was fetched'} on ${serializeTime(meta.fetchedAt)}, longer ago than ${limit}`,
      { hint: `hallmark trust update ${name}` },
    );
  }
}

// Old material still verifies what was signed then; it only cannot know what came or was revoked since.
function ageWarnings({ name, meta }: Instance, now: Date): string[] {
  if (meta.rootExpires === undefined || now.getTime() < meta.rootExpires.getTime()) return [];
  const expired = meta.rootExpires.toISOString().slice(0, 10);
  return [
    `the trust material of ${name} is ${ageInDays(meta, now)} days old and its TUF root expired on ${expired}; refresh it: hallmark trust update ${name}`,
  ];
}

/** What a result says of the trust it rests on, for machines. */
export function trustJson({ name, age }: TrustSource): Record<string, Json> {
  return {
    name,
    fetchedAt: age === undefined ? null : serializeTime(age.fetchedAt),
    ageDays: age?.days ?? null,
    rootExpires: age?.rootExpires === undefined ? null : serializeTime(age.rootExpires),
  };
}
