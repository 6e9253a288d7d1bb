import { type ErrorCode, HallmarkError, IdentityError, TrustError, UsageError } from '../core/errors.ts';
import { chooseServices, type SigningServices } from '../core/sign/services.ts';
import type { SigningContext } from '../core/sign/sign.ts';
import { identitySigner } from '../core/sign/signer.ts';
import { type SigningConfig, selectServices } from '../core/trust/signing-config.ts';
import { signWithAgent } from '../gitsign/agent-client.ts';
import type { GitSignature, GitSigningOptions } from '../gitsign/git-signer.ts';
import { isMaker, makerOf } from '../gitsign/person.ts';
import { signGitPayload } from '../gitsign/sign.ts';
import type { ArmorLabel } from '../gitsign/signature.ts';
import { agentDirectory, userId } from './agent-place.ts';
import { instanceDigest } from './agent-stack.ts';
import { startAgent } from './agent-start.ts';
import type { Cli } from './cli.ts';
import { type GitSetting, type GitSettingName, type GitSettings, isOff, isOn, wordOf } from './git-settings.ts';
import { httpOf } from './http.ts';
import { type IdentityFlags, identitySource, identityTokenSource } from './identity.ts';
import {
  type Instance,
  listInstances,
  nameInUse,
  readSigningConfig,
  readTrustedRoot,
  requireInstance,
  SIGNING_CONFIG,
  SIGNING_CONFIG_REKOR_V2,
} from './trust-instances.ts';

/** What the settings come down to: an instance of the trust store, and what of its services is used. */
export interface GitStack {
  readonly instance: Instance;
  readonly context: SigningContext;
  readonly rekorVersion: 1 | 2;
  /** True if the services are the instance's own, so that its name says them all. */
  readonly isOwn: boolean;
  readonly options: GitSigningOptions;
  readonly identity: IdentityFlags;
  /** Where to log in, if anywhere. */
  readonly issuer: string | undefined;
}

/**
 * Signs what git is about to write, as the settings say. Errors of core/sign and of the login; IDENTITY_MISMATCH if another
 * committer made it and `matchCommitter` is on.
 */
export async function signForGit(
  cli: Cli,
  settings: GitSettings,
  payload: Uint8Array,
  label: ArmorLabel,
): Promise<GitSignature> {
  const stack = openGitStack(cli, settings, label);
  const login = identityTokenSource(cli, stack.identity, stack.context.http, () => stack.issuer);
  const signature =
    (await signByAgent(cli, settings, stack, payload, login)) ?? (await signHere(stack, payload, login));
  if (isOn(settings, 'matchCommitter')) requireMaker(payload, signature.identity);
  return signature;
}

type Login = ReturnType<typeof identityTokenSource>;

async function signHere({ context, options }: GitStack, payload: Uint8Array, token: Login): Promise<GitSignature> {
  const { http, services, trustedRoot } = context;
  const signer = await identitySigner({
    http,
    certificateAuthority: services.certificateAuthority,
    trustedRoot,
    token,
  });
  return signGitPayload(payload, options, signer, context);
}

/** What keeps an agent from being used, and nothing from signing without it. */
const WITHOUT_AGENT: readonly ErrorCode[] = ['AGENT_UNSAFE', 'AGENT_UNREACHABLE'];

// An agent signs for the stacks of the user's trust store, whose services are what their files say. Undefined if it is not to be
// used, not there, or does not know the stack.
async function signByAgent(
  cli: Cli,
  settings: GitSettings,
  stack: GitStack,
  payload: Uint8Array,
  login: Login,
): Promise<GitSignature | undefined> {
  const directory = agentDirectory(cli);
  if (!stack.isOwn || isOff(settings, 'agent') || directory === undefined || process.geteuid === undefined)
    return undefined;
  const { instance, rekorVersion, context, options } = stack;
  try {
    return await signWithAgent(
      {
        directory,
        uid: userId(),
        // A CI job is over before an agent pays.
        start: cli.env('CI') === undefined ? startAgent : undefined,
      },
      {
        type: 'sign',
        stack: { kind: 'trust', name: instance.name },
        digest: instanceDigest(instance),
        source: await identitySource(cli, stack.identity, context.http),
        services: { rekorVersion, timestamp: context.services.timestampAuthorities.length > 0 },
        options,
        payload,
      },
      async () => (await login()).jwt,
    );
  } catch (error) {
    if (!(error instanceof HallmarkError) || !WITHOUT_AGENT.includes(error.code)) throw error;
    cli.warn(`signing without the agent: ${error.message}`);
    return undefined;
  }
}

function requireMaker(payload: Uint8Array, identity: string): void {
  const maker = makerOf(payload);
  if (isMaker(maker, identity)) return;
  throw new IdentityError(
    'IDENTITY_TOKEN_INVALID',
    `signed in as ${identity}, but the committer is ${maker === undefined ? 'unknown' : `${maker.name} <${maker.email}>`}`,
    { hint: 'log in as the committer, or turn it off: git config hallmark.matchCommitter false' },
  );
}

/** The stack that the settings name. TRUST_UNKNOWN, NO_SERVICE_CONFIGURED, USAGE. */
export function openGitStack(cli: Cli, settings: GitSettings, label: ArmorLabel): GitStack {
  requireKnownServices(cli, settings);
  const instance = chooseInstance(cli, settings);
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
  // A signature with PGP's label is for nobody but us to look up, and we need no look-up.
  const mode = wordOf(settings, 'rekorMode', ['offline', 'online']);
  return {
    instance,
    rekorVersion,
    isOwn: (['fulcio', 'rekor', 'timestampServerURL', 'issuer', 'clientID'] as const).every(
      (name) => settings.get(name) === undefined || isOwnUrl(name, settings, own, config, cli, http.random),
    ),
    context: { http, services, trustedRoot: readTrustedRoot(instance), timestampCertificates: true },
    options: { rekorMode: label === 'SIGNED MESSAGE' ? mode : 'offline' },
    identity: identityFlags(settings),
    issuer: settings.get('issuer')?.value ?? selectServices(config, 'oidc', [1], cli.now(), http.random)[0]?.url,
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

function isOwnUrl(
  name: 'fulcio' | 'rekor' | 'timestampServerURL' | 'issuer' | 'clientID',
  settings: GitSettings,
  own: SigningServices,
  config: SigningConfig,
  cli: Cli,
  random: (bytes: number) => Uint8Array,
): boolean {
  const value = settings.get(name)?.value;
  switch (name) {
    case 'fulcio':
      return sameUrl(value, own.certificateAuthority);
    case 'rekor':
      return sameUrl(value, own.logs[0]?.url);
    case 'timestampServerURL':
      return sameUrl(value, own.timestampAuthorities[0]);
    case 'issuer':
      return sameUrl(value, selectServices(config, 'oidc', [1], cli.now(), random)[0]?.url);
    case 'clientID':
      return value === 'sigstore';
  }
}

const sameUrl = (one: string | undefined, other: string | undefined): boolean =>
  one?.replace(/\/+$/, '') === other?.replace(/\/+$/, '');

// The one that is named; else the one whose certificate authority is configured, as gitsign's users do; else the one in use.
function chooseInstance(cli: Cli, settings: GitSettings): Instance {
  const named = settings.get('trust')?.value;
  if (named !== undefined) return requireInstance(cli, named);
  const url = settings.get('fulcio')?.value;
  const inUse = requireInstance(cli, nameInUse(cli));
  if (url === undefined || urlsOf(inUse).some((each) => sameUrl(each, url))) return inUse;
  return listInstances(cli).instances.find((each) => urlsOf(each).some((own) => sameUrl(own, url))) ?? inUse;
}

/** Settings that say where an identity token or a signature is sent. */
const SERVICE_SETTINGS = ['fulcio', 'rekor', 'timestampServerURL', 'issuer'] as const satisfies GitSettingName[];

// A token that is sent to a service can be used by whoever runs it. So a repository may choose among the services that the user
// trusts, and not add one.
function requireKnownServices(cli: Cli, settings: GitSettings): void {
  for (const name of SERVICE_SETTINGS) {
    const setting = settings.get(name);
    if (setting === undefined || setting.isUsers || isKnownService(cli, setting)) continue;
    throw new UsageError(
      `the repository names a service that you do not trust, ${setting.value} as ${name} (${setting.source})`,
      {
        hint: `if you do: hallmark trust add ${setting.value}, or git config --global hallmark.${name} ${setting.value}`,
      },
    );
  }
}

const isKnownService = (cli: Cli, { value }: GitSetting): boolean =>
  listInstances(cli).instances.some((instance) => urlsOf(instance).some((url) => sameUrl(url, value)));

// Every service that an instance names, for whatever.
function urlsOf(instance: Instance): string[] {
  const configs = [SIGNING_CONFIG, SIGNING_CONFIG_REKOR_V2].map((file) => readSigningConfig(instance, file));
  return configs.flatMap((config) =>
    config === undefined
      ? []
      : [config.caUrls, config.oidcUrls, config.rekorTlogUrls, config.tsaUrls].flat().map(({ url }) => url),
  );
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

function identityFlags(settings: GitSettings): IdentityFlags {
  const provider = settings.get('tokenProvider')?.value;
  const [secret, redirect, connector, issuer] = (
    ['clientSecretFile', 'redirectURL', 'connectorID', 'issuer'] as const
  ).map((name) => settings.get(name)?.value);
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
