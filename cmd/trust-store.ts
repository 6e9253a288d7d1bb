import type { Command } from 'commander';
import { UsageError } from '../core/errors.ts';
import { readFileBounded } from '../core/files.ts';
import { MAX_TRUST_FILE_BYTES } from '../core/limits.ts';
import { parseClientTrustConfig } from '../core/trust/client-trust-config.ts';
import { parseSigningConfig, type SigningConfig } from '../core/trust/signing-config.ts';
import { parseTrustedRoot, type TrustedRoot } from '../core/trust/trusted-root.ts';
import type { Cli } from './cli.ts';
import {
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
  readonly trust?: string;
  readonly trustedRoot?: string;
  readonly signingConfig?: string;
  readonly trustConfig?: string;
}

/** Adds the flags of `TrustFlags`. */
export function trustOptions(command: Command): Command {
  return command
    .option('--trust <name>', 'use this trust instead of the one in use (hallmark trust list)')
    .option('--trusted-root <file>', 'trust this trusted_root.json')
    .option('--signing-config <file>', 'sign with the services of this signing_config.v0.2.json')
    .option('--trust-config <file>', 'trusted root and signing config in one file (ClientTrustConfig v0.1)');
}

/** Whom to trust and which services to sign with. Signing configs are parsed when they are first read. */
export interface ResolvedTrust {
  /** Of the instance, or the file's path. */
  readonly name: string;
  readonly trustedRoot: TrustedRoot;
  /** With Rekor v1, or as the user's file has it. */
  readonly signingConfig: SigningConfig | undefined;
  /** With Rekor v2. */
  readonly signingConfigRekorV2: SigningConfig | undefined;
  /** How old the material is; undefined for files. */
  readonly age: { readonly fetchedAt: Date; readonly rootExpires: Date | undefined } | undefined;
  /** For people: each a sentence without final full stop. */
  readonly warnings: readonly string[];
}

/**
 * The trust that the flags choose, else the one in use. Reads files alone, never the network. A trusted root given as a
 * file comes without the signing config of the instance in use: one would sign with services that the root may not know,
 * and perhaps publish to them what was meant for another instance.
 */
export function resolveTrust(cli: Cli, flags: TrustFlags): ResolvedTrust {
  requireConsistent(flags);
  if (flags.trustConfig !== undefined) {
    const path = flags.trustConfig;
    const bytes = readFileBounded(path, MAX_TRUST_FILE_BYTES, 'trust config');
    const { trustedRoot, signingConfig } = inFile(path, () => parseClientTrustConfig(bytes));
    return { name: path, trustedRoot, signingConfig, signingConfigRekorV2: undefined, age: undefined, warnings: [] };
  }
  const rootFile = flags.trustedRoot && readRoot(flags.trustedRoot);
  const instance =
    rootFile && flags.trust === undefined ? undefined : requireInstance(cli, flags.trust ?? nameInUse(cli));
  const trustedRoot = rootFile || readTrustedRoot(instance as Instance);
  const configFile = flags.signingConfig;
  return {
    name: flags.trustedRoot ?? (instance as Instance).name,
    trustedRoot,
    get signingConfig() {
      if (configFile !== undefined) return readConfig(configFile);
      return instance && readSigningConfig(instance, SIGNING_CONFIG);
    },
    get signingConfigRekorV2() {
      return instance && configFile === undefined ? readSigningConfig(instance, SIGNING_CONFIG_REKOR_V2) : undefined;
    },
    age: rootFile || instance === undefined ? undefined : instance.meta,
    warnings: rootFile || instance === undefined ? [] : ageWarnings(instance, cli.now()),
  };
}

function requireConsistent(flags: TrustFlags): void {
  if (flags.trustConfig === undefined) return;
  if (flags.trustedRoot === undefined && flags.signingConfig === undefined && flags.trust === undefined) return;
  throw new UsageError('--trust-config holds trusted root and signing config and goes with no other trust flag', {
    hint: 'leave out --trust, --trusted-root and --signing-config',
  });
}

function readRoot(path: string): TrustedRoot {
  const bytes = readFileBounded(path, MAX_TRUST_FILE_BYTES, 'trusted root');
  return inFile(path, () => parseTrustedRoot(bytes));
}

function readConfig(path: string): SigningConfig {
  const bytes = readFileBounded(path, MAX_TRUST_FILE_BYTES, 'signing config');
  return inFile(path, () => parseSigningConfig(bytes));
}

// Old material still verifies what was signed then; it only cannot know what came or was revoked since.
function ageWarnings({ name, meta }: Instance, now: Date): string[] {
  if (meta.rootExpires === undefined || now.getTime() < meta.rootExpires.getTime()) return [];
  const days = Math.floor((now.getTime() - meta.fetchedAt.getTime()) / 86_400_000);
  const expired = meta.rootExpires.toISOString().slice(0, 10);
  return [
    `the trust material of ${name} is ${days} days old and its TUF root expired on ${expired}; refresh it: hallmark trust update ${name}`,
  ];
}
