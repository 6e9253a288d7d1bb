import { type Command, Option } from 'commander';
import { serializeHex } from '../core/bytes/bytes.ts';
import type { Json } from '../core/bytes/json.ts';
import { TrustError, UsageError } from '../core/errors.ts';
import { chooseServices } from '../core/sign/services.ts';
import type { SigningContext } from '../core/sign/sign.ts';
import { identitySigner, keySigner, type Signer } from '../core/sign/signer.ts';
import { selectServices } from '../core/trust/signing-config.ts';
import type { VerifiedBundle } from '../core/verify/verify.ts';
import type { Cli, OutputFormat } from './cli.ts';
import { httpOf } from './http.ts';
import { type IdentityFlags, identityOptions, identityTokenSource } from './identity.ts';
import type { ReportLine } from './report.ts';
import { resolveTrust, type TrustFlags, trustOptions } from './trust-store.ts';

/** Flags of every command that signs. */
export interface SigningFlags extends TrustFlags, IdentityFlags {
  readonly key?: string;
  readonly rekorVersion?: '1' | '2';
  readonly bundle?: string;
  readonly output: OutputFormat;
}

/** Adds the flags of every command that signs. */
export function signingOptions(command: Command): Command {
  identityOptions(command)
    .option('--key <ref>', 'sign with this private key instead: a file, or env://VARIABLE')
    .addOption(
      new Option('--rekor-version <n>', 'transparency log to use (default: what the signing config prefers)').choices([
        '1',
        '2',
      ]),
    )
    .addOption(new Option('-y, --yes', 'accepted for scripts written for cosign: nothing is ever asked').hideHelp());
  return trustOptions(command, 'sign');
}

/**
 * Opens what a signing needs: services by the signing config in use, and the signer. With an identity it has logged in
 * and holds a certificate when this returns, so that nothing is read or written for somebody who cannot sign.
 */
export async function openSigning(cli: Cli, flags: SigningFlags): Promise<{ signer: Signer; context: SigningContext }> {
  if (flags.key !== undefined && flags.identityToken !== undefined) {
    throw new UsageError('--key and --identity-token exclude each other', {
      hint: 'a key proves no identity: leave out one of the two',
    });
  }
  const http = httpOf(cli);
  const trust = resolveTrust(cli, flags);
  // An instance has one signing config for each dialect, as clients choose differently where one lists both.
  const version = flags.rekorVersion === undefined ? undefined : flags.rekorVersion === '1' ? 1 : 2;
  const config = (version === 2 ? trust.signingConfigRekorV2 : undefined) ?? trust.signingConfig;
  if (config === undefined) {
    throw new TrustError(
      'NO_SERVICE_CONFIGURED',
      `the trust ${trust.name} has no signing config, so it can only verify`,
      {
        hint: 'pass --signing-config FILE, or choose another with --trust NAME (hallmark trust list)',
      },
    );
  }
  const services = chooseServices(config, cli.now(), http.random, version);
  const context = { http, services, trustedRoot: trust.trustedRoot };
  // Said once, when the trust is about to count: after every mistake on the command line and a login that fails.
  const unsaid = [...trust.warnings];
  const warn = (): void => {
    for (const warning of unsaid.splice(0)) cli.warn(warning);
  };

  if (flags.key !== undefined) {
    const { readPrivateKey, warnIfShared } = await import('./key-source.ts');
    const signer = keySigner(await readPrivateKey(cli, flags.key));
    warnIfShared(cli, flags.key);
    warn();
    return { signer, context };
  }
  const findToken = identityTokenSource(
    cli,
    flags,
    http,
    () => selectServices(config, 'oidc', [1], cli.now(), http.random)[0]?.url,
  );
  const signer = await identitySigner({
    http,
    certificateAuthority: services.certificateAuthority,
    trustedRoot: trust.trustedRoot,
    token: async () => {
      const token = await findToken();
      warn();
      return token;
    },
  });
  await signer.credential();
  return { signer, context };
}

/** Who signed, when and where it is logged, of a bundle just made: lines for people. */
export function signedLines(bundle: string, verified: VerifiedBundle): ReportLine[] {
  const { signer, logEntries } = verified;
  return [
    ['bundle', bundle],
    [
      'signed by',
      signer.kind === 'certificate' ? signer.subjectAlternativeName : `key ${fingerprint(signer.fingerprint)}`,
    ],
    ['vouched for by', signer.kind === 'certificate' ? signer.issuer : undefined],
    ['logged', ...logEntries.map(({ log, logIndex }) => `${log.baseUrl} at index ${logIndex}`)],
  ];
}

/** The same for machines. */
export function signedJson(file: string, bundle: string, verified: VerifiedBundle): Record<string, Json> {
  const { signer, artifact, times, logEntries } = verified;
  return {
    file,
    bundle,
    digest: `${artifact.hash}:${serializeHex(artifact.digest)}`,
    signer:
      signer.kind === 'certificate'
        ? { kind: 'certificate', identity: signer.subjectAlternativeName, issuer: signer.issuer }
        : { kind: 'key', fingerprint: fingerprint(signer.fingerprint) },
    times: times.map(({ time, source }) => ({ time: time.toISOString(), source })),
    logEntries: logEntries.map(({ log, logIndex }) => ({ url: log.baseUrl, logIndex: String(logIndex) })),
  };
}

const fingerprint = (bytes: Uint8Array): string => `sha256:${serializeHex(bytes)}`;
