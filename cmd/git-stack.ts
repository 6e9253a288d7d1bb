import { TrustError, UsageError } from '../core/errors.ts';
import { chooseServices, type SigningServices } from '../core/sign/services.ts';
import type { SigningContext } from '../core/sign/sign.ts';
import { selectServices } from '../core/trust/signing-config.ts';
import type { GitSigningOptions } from '../gitsign/git-signer.ts';
import type { ArmorLabel } from '../gitsign/signature.ts';
import type { Cli } from './cli.ts';
import { chooseInstance, type RepositoryChoice, repositoryChoice, requireOneInstance, sameUrl } from './git-known.ts';
import { type GitSettingName, type GitSettings, isOn, wordOf } from './git-settings.ts';
import { httpOf } from './http.ts';
import type { IdentityFlags } from './identity.ts';
import {
  type Instance,
  readSigningConfig,
  readTrustedRoot,
  SIGNING_CONFIG,
  SIGNING_CONFIG_REKOR_V2,
} from './trust-instances.ts';

/** What the settings come down to: an instance of the trust store, and what of its services is used. */
export interface GitStack {
  readonly instance: Instance;
  /** What stands in place of what the instance says; nothing if its name says it all. */
  readonly configured: Readonly<Partial<Record<GitSettingName, string>>>;
  /** Read and parsed at each use: where an agent signs, it has done it already. */
  readonly context: SigningContext;
  readonly rekorVersion: 1 | 2;
  /** True if a timestamp of the instance's own authority is wanted. */
  readonly timestamp: boolean;
  readonly options: GitSigningOptions;
  readonly identity: IdentityFlags;
  /** Where to log in, if anywhere. */
  readonly issuer: string | undefined;
  /** What of all this a repository chose. */
  readonly choice: RepositoryChoice;
}

/** The stack that the settings name. TRUST_UNKNOWN, NO_SERVICE_CONFIGURED, USAGE. */
export function openGitStack(cli: Cli, settings: GitSettings, label: ArmorLabel): GitStack {
  const instance = chooseInstance(cli, settings.get);
  requireOneInstance(cli, settings, instance);
  const rekorVersion = wordOf(settings, 'rekorVersion', ['1', '2']) === '1' ? 1 : 2;
  const config =
    (rekorVersion === 2 ? readSigningConfig(instance, SIGNING_CONFIG_REKOR_V2) : undefined) ??
    readSigningConfig(instance, SIGNING_CONFIG);
  if (config === undefined) {
    throw new TrustError(
      'NO_SERVICE_CONFIGURED',
      `the trust ${instance.name} has no signing config, so it can only verify`,
      {
        hint: 'choose another: git config hallmark.trust NAME (hallmark trust list)',
      },
    );
  }
  const http = httpOf(cli);
  const own = chooseServices(config, cli.now(), http.random, rekorVersion);
  const services = servicesOf(settings, own, rekorVersion);
  const ownIssuer = selectServices(config, 'oidc', [1], cli.now(), http.random)[0]?.url;
  const issuer = settings.get('issuer')?.value ?? ownIssuer;
  const choice = repositoryChoice(cli, settings, instance, { authority: services.certificateAuthority, issuer });
  // A signature with PGP's label is for nobody but us to look up, and we need no look-up.
  const mode = wordOf(settings, 'rekorMode', ['offline', 'online']);
  return {
    instance,
    rekorVersion,
    timestamp: isOn(settings, 'timestamp'),
    configured: configuredServices(settings, own, ownIssuer),
    get context() {
      return { http, services, trustedRoot: readTrustedRoot(instance), timestampCertificates: true };
    },
    options: {
      rekorMode: label === 'SIGNED MESSAGE' ? mode : 'offline',
      matchCommitter: isOn(settings, 'matchCommitter'),
    },
    identity: identityFlags(settings, choice),
    issuer,
    choice,
  };
}

function servicesOf(settings: GitSettings, own: SigningServices, rekorVersion: 1 | 2): SigningServices {
  const [fulcio, rekor, timestamp] = [
    settings.get('fulcio')?.value,
    settings.get('rekor')?.value,
    settings.get('timestampServerURL')?.value,
  ];
  // Rekor v1 vouches for the time itself, and gitsign refuses a timestamp unless it is told whose.
  const stamped = isOn(settings, 'timestamp') || rekorVersion === 2;
  return {
    certificateAuthority: fulcio ?? own.certificateAuthority,
    logs: rekor === undefined ? own.logs.slice(0, 1) : [{ version: rekorVersion, url: rekor }],
    timestampAuthorities: timestamp === undefined ? (stamped ? own.timestampAuthorities.slice(0, 1) : []) : [timestamp],
  };
}

// A timestamp authority that is named is asked, also if it is the instance's own, which otherwise might not be.
function configuredServices(
  settings: GitSettings,
  own: SigningServices,
  issuer: string | undefined,
): GitStack['configured'] {
  const named = {
    fulcio: own.certificateAuthority,
    rekor: own.logs[0]?.url,
    timestampServerURL: undefined,
    issuer,
    clientID: 'sigstore',
  } as const satisfies Partial<Record<GitSettingName, string | undefined>>;
  const configured: Partial<Record<GitSettingName, string>> = {};
  for (const [name, ownValue] of Object.entries(named) as [keyof typeof named, string | undefined][]) {
    const value = settings.get(name)?.value;
    if (value !== undefined && !sameUrl(value, ownValue)) configured[name] = value;
  }
  return configured;
}

/** What `tokenProvider` may say, and what it is called where tokens are found. */
const PROVIDERS: Readonly<Record<string, string>> = {
  envvar: 'SIGSTORE_ID_TOKEN',
  'github-actions': 'GitHub Actions',
  'buildkite-agent': 'Buildkite',
  circleci: 'CircleCI',
  filesystem: 'the file /var/run/sigstore/cosign/oidc-token',
  'google-impersonate': 'Google service account impersonation',
  'google-workload-identity': 'Google Cloud',
};

function identityFlags(settings: GitSettings, { isUsersIssuer }: RepositoryChoice): IdentityFlags {
  const provider = settings.get('tokenProvider')?.value;
  const [secret, redirect, connector, issuer] = (
    ['clientSecretFile', 'redirectURL', 'connectorID', 'issuer'] as const
  ).map((name) => settings.get(name)?.value);
  if (secret !== undefined && !isUsersIssuer) {
    throw new UsageError(
      `the repository has you log in at ${issuer ?? 'another issuer'}, which is not to get your client secret`,
      {
        hint: 'if it is: choose it yourself, git config --global hallmark.trust NAME, or -c hallmark.trust=NAME',
      },
    );
  }
  const interactive = provider === 'interactive' || provider === 'device';
  if (provider !== undefined && !interactive && PROVIDERS[provider] === undefined) {
    throw new UsageError(`tokenProvider ${JSON.stringify(provider.slice(0, 80))} is not one that is known here`, {
      hint: `known are interactive, device, ${Object.keys(PROVIDERS).join(', ')}`,
    });
  }
  return {
    oidcClientId: settings.get('clientID')?.value ?? 'sigstore',
    ...(issuer !== undefined && { oidcIssuer: issuer }),
    ...(interactive && { oidcDisableAmbientProviders: true }),
    ...(provider === 'device' && { deviceLogin: true }),
    ...(provider !== undefined && !interactive && { provider: PROVIDERS[provider] as string }),
    ...(secret !== undefined && { clientSecretFile: secret }),
    ...(redirect !== undefined && { redirectUrl: redirect }),
    ...(connector !== undefined && { connectorId: connector }),
  };
}
