import { type Command, Option } from 'commander';
import { TrustError } from '../core/errors.ts';
import { createLogClient, dialectOfUrl, type LogAddress, type LogClient } from '../core/log/log-client.ts';
import { selectServices } from '../core/trust/signing-config.ts';
import type { LogInstance } from '../core/trust/trusted-root.ts';
import type { Cli, OutputFormat } from './cli.ts';
import { httpOf } from './http.ts';
import { type ResolvedTrust, resolveTrust, type TrustFlags, trustOptions } from './trust-store.ts';

/** Flags of every command that reads a log. */
export interface LogFlags extends TrustFlags {
  readonly rekorUrl?: string;
  readonly rekorVersion?: '1' | '2';
  readonly output: OutputFormat;
}

/** Adds the flags of `LogFlags`, `--output` excepted. */
export function logOptions(command: Command): Command {
  return trustOptions(
    command
      .option('--rekor-url <url>', 'the log to read (default: the one that the signing config in use names)')
      .addOption(
        new Option('--rekor-version <n>', 'its dialect (default: what trust says of that log)').choices(['1', '2']),
      ),
  );
}

/** A log as a command reads it: everything from it is verified with the logs of the trusted root. */
export interface LogSource {
  readonly logs: readonly LogInstance[];
  /** The log that the flags or the signing config name. NO_SERVICE_CONFIGURED if there is none. */
  readonly client: () => LogClient;
  /** Another one. */
  readonly clientOf: (address: LogAddress) => LogClient;
}

/** Resolves the trust, says its warnings, reaches no network. Errors of `resolveTrust`. */
export function openLogSource(cli: Cli, flags: LogFlags): LogSource {
  const trust = resolveTrust(cli, flags);
  const logs = trust.trustedRoot.tlogs;
  for (const warning of trust.warnings) cli.warn(warning);
  const http = httpOf(cli);
  const clientOf = (address: LogAddress): LogClient => createLogClient(http, address, logs);
  return { logs, client: () => clientOf(addressOf(cli, flags, trust, http.random)), clientOf };
}

function addressOf(cli: Cli, flags: LogFlags, trust: ResolvedTrust, random: (bytes: number) => Uint8Array): LogAddress {
  const { rekorUrl: url } = flags;
  const version = flags.rekorVersion === undefined ? undefined : flags.rekorVersion === '1' ? 1 : 2;
  if (url !== undefined) return { url, version: version ?? dialectOfUrl(url, trust.trustedRoot.tlogs) };
  // An instance has one signing config for each dialect.
  const config = (version === 2 ? trust.signingConfigRekorV2 : undefined) ?? trust.signingConfig;
  const versions = version === undefined ? [1, 2] : [version];
  const service = config && selectServices(config, 'rekor', versions, cli.now(), random)[0];
  if (service) return { url: service.url, version: service.majorApiVersion === 1 ? 1 : 2 };
  throw new TrustError('NO_SERVICE_CONFIGURED', `the trust ${trust.name} names no log to read`, {
    hint: 'name one with --rekor-url URL, or choose another trust: hallmark trust list',
  });
}
