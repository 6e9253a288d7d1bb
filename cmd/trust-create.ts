import { join } from 'node:path';
import { Command } from 'commander';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import { UsageError } from '../core/errors.ts';
import { makeFolder, writeFileAtomic } from '../core/files.ts';
import { serializeClientTrustConfig } from '../core/trust/client-trust-config.ts';
import { type CreatedTrust, createTrust, type NewTrust } from '../core/trust/create.ts';
import { PUBLIC_GOOD } from '../core/trust/public-good.ts';
import { parseSigningConfig, type ServiceSelector, serializeSigningConfig } from '../core/trust/signing-config.ts';
import { parseTrustedRoot, serializeTrustedRoot } from '../core/trust/trusted-root.ts';
import { type Cli, emit, type OutputFormat, outputOption } from './cli.ts';
import { SIGNING_CONFIG, SIGNING_CONFIG_REKOR_V2, TRUSTED_ROOT } from './trust-instances.ts';
import { parseAuthority, parseCtLog, parseLog, parseProvider, parseSelector } from './trust-parts.ts';

interface Flags {
  readonly fulcio?: readonly string[];
  readonly rekor?: readonly string[];
  readonly ctfe?: readonly string[];
  readonly tsa?: readonly string[];
  readonly oidcProvider?: readonly string[];
  readonly rekorConfig?: string;
  readonly tsaConfig?: string;
  readonly withDefaultServices?: true;
  readonly out?: string;
  readonly output: OutputFormat;
}

/** `hallmark trust create`: trusted root and signing configs from keys and certificates. Touches no network. */
export function trustCreateCommand(cli: Cli): Command {
  const append = (value: string, previous: readonly string[] = []): string[] => [...previous, value];
  return new Command('create')
    .description('make the trusted root and signing config of an instance from its keys and certificates')
    .option('--fulcio <url=,certificate-chain=>', 'certificate authority; the chain in PEM, root last', append)
    .option(
      '--rekor <url=,public-key=,start-time=>',
      'transparency log; version 2 with origin= or api-version=2',
      append,
    )
    .option('--ctfe <url=,public-key=,start-time=>', 'CT log', append)
    .option('--tsa <url=,certificate-chain=>', 'timestamp authority; the chain in PEM, root last', append)
    .option('--oidc-provider <url=,start-time=>', 'where signers log in', append)
    .option('--rekor-config <ANY|ALL|EXACT:n>', 'how many of the logs a signer uses')
    .option('--tsa-config <ANY|ALL|EXACT:n>', 'how many of the timestamp authorities a signer uses')
    .option('--with-default-services', 'add the public-good instance behind them')
    .option('-o, --out <folder>', 'write the files into this folder; without it both are printed as one trust config')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Every flag for a service may be repeated, for instance for each key that a log has had. Further keys: end-time=, operator=,
api-version=, start-time= (for authorities by default the beginning of their certificates). Times are RFC 3339.

The folder gets ${TRUSTED_ROOT} and ${SIGNING_CONFIG}; with logs of both versions,
${SIGNING_CONFIG_REKOR_V2} as well, for no file lists both.

Examples:
  hallmark trust create --out lab \\
    --fulcio url=https://ca.lab.example,certificate-chain=fulcio.pem \\
    --ctfe url=https://ct.lab.example,public-key=ctfe.pub,start-time=2026-01-01T00:00:00Z \\
    --rekor url=https://log.lab.example,public-key=rekor.pub,start-time=2026-01-01T00:00:00Z \\
    --tsa url=https://tsa.lab.example/api/v1/timestamp,certificate-chain=tsa.pem \\
    --oidc-provider url=https://login.lab.example,start-time=2026-01-01T00:00:00Z
  hallmark trust add lab/${TRUSTED_ROOT} --name lab        to verify
  hallmark trust create ... > lab.json && hallmark trust add lab.json        to sign as well`,
    )
    .action((flags: Flags) => create(cli, flags));
}

function create(cli: Cli, flags: Flags): void {
  const parts = partsOf(flags);
  const created = createTrust(parts);
  requireEnough('--rekor-config', parts.rekorTlogConfig, created.signingConfig.rekorTlogUrls.length);
  requireEnough('--tsa-config', parts.tsaConfig, created.signingConfig.tsaUrls.length);
  if (flags.out === undefined) {
    cli.out(serializeClientTrustConfig(created));
    return;
  }
  const folder = flags.out;
  makeFolder(folder, 0o755);
  const files = filesOf(created).map(({ name, text }) => {
    const path = join(folder, name);
    writeFileAtomic(path, text, 0o644, 'refuse');
    return path;
  });
  emit(cli, flags.output, { ok: true, files }, files.map((path) => `wrote ${path}\n`).join(''));
}

function partsOf(flags: Flags): NewTrust {
  const { fulcio = [], rekor = [], ctfe = [], tsa = [], oidcProvider = [], rekorConfig, tsaConfig } = flags;
  if (fulcio.length + rekor.length + ctfe.length + tsa.length === 0) {
    throw new UsageError('nothing to trust: name a certificate authority, log or timestamp authority', {
      hint: 'hallmark trust create --help',
    });
  }
  return {
    certificateAuthorities: fulcio.map((text) => parseAuthority('--fulcio', text)),
    timestampAuthorities: tsa.map((text) => parseAuthority('--tsa', text)),
    logs: rekor.map((text) => parseLog('--rekor', text)),
    ctLogs: ctfe.map((text) => parseCtLog('--ctfe', text)),
    oidcProviders: oidcProvider.map((text) => parseProvider('--oidc-provider', text)),
    rekorTlogConfig: rekorConfig === undefined ? undefined : parseSelector('--rekor-config', rekorConfig),
    tsaConfig: tsaConfig === undefined ? undefined : parseSelector('--tsa-config', tsaConfig),
    base: flags.withDefaultServices && {
      trustedRoot: parseTrustedRoot(serializeUtf8(PUBLIC_GOOD.trustedRoot)),
      signingConfig: parseSigningConfig(serializeUtf8(PUBLIC_GOOD.signingConfig)),
      signingConfigRekorV2: parseSigningConfig(serializeUtf8(PUBLIC_GOOD.signingConfigRekorV2)),
    },
  };
}

function requireEnough(flag: string, wanted: ServiceSelector | undefined, listed: number): void {
  if (wanted?.selector !== 'EXACT' || wanted.count <= listed) return;
  throw new UsageError(`${flag} wants ${wanted.count} services and ${listed} are listed`);
}

function filesOf(created: CreatedTrust): { name: string; text: string }[] {
  const { trustedRoot, signingConfig, signingConfigRekorV2 } = created;
  const files = [
    { name: TRUSTED_ROOT, text: serializeTrustedRoot(trustedRoot) },
    { name: SIGNING_CONFIG, text: serializeSigningConfig(signingConfig) },
  ];
  if (signingConfigRekorV2 === undefined) return files;
  return [...files, { name: SIGNING_CONFIG_REKOR_V2, text: serializeSigningConfig(signingConfigRekorV2) }];
}
