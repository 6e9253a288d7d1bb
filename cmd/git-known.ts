import { HallmarkError, IdentityError, UsageError } from '../core/errors.ts';
import type { IdentityToken } from '../core/sign/identity-token.ts';
import type { Service, SigningConfig } from '../core/trust/signing-config.ts';
import type { Cli } from './cli.ts';
import type { GitSettings } from './git-settings.ts';
import { shellWord } from './report.ts';
import {
  type Instance,
  listInstances,
  nameInUse,
  readSigningConfig,
  requireInstance,
  SIGNING_CONFIG,
  SIGNING_CONFIG_REKOR_V2,
} from './trust-instances.ts';

/** Settings that say where an identity token or a signature is sent, and where a signing config lists such services. */
const SERVICES = {
  fulcio: 'caUrls',
  rekor: 'rekorTlogUrls',
  timestampServerURL: 'tsaUrls',
  issuer: 'oidcUrls',
} as const satisfies Record<string, keyof SigningConfig>;

type ServiceName = keyof typeof SERVICES;
const SERVICE_NAMES = Object.keys(SERVICES) as ServiceName[];

/** What the settings say, of everybody or of the user alone. */
type Get = GitSettings['get'];

/** The instance that is named; else the one whose authority is configured, as gitsign's users do; else the one in use. */
export function chooseInstance(cli: Cli, get: Get): Instance {
  const named = get('trust')?.value;
  if (named !== undefined) return requireInstance(cli, named);
  const url = get('fulcio')?.value;
  const inUse = requireInstance(cli, nameInUse(cli));
  if (url === undefined || names(inUse, 'fulcio', url)) return inUse;
  return listInstances(cli).instances.find((each) => names(each, 'fulcio', url)) ?? inUse;
}

/**
 * Holds what a repository says to one instance that the user trusts: who gets a token can use it wherever that is believed, so
 * all services in force have to be the instance's own as soon as a repository changes one of them. USAGE.
 */
export function requireOneInstance(cli: Cli, settings: GitSettings, instance: Instance): void {
  if (!isChangedByRepository(cli, settings)) return;
  for (const name of SERVICE_NAMES) {
    const setting = settings.get(name);
    if (setting === undefined || names(instance, name, setting.value)) continue;
    const { value, source, isUsers } = setting;
    const isKnown = listInstances(cli).instances.some((each) => names(each, name, value));
    if (isUsers || isKnown) {
      throw new UsageError(
        `the repository mixes services of two stacks: ${value} as ${name} (${source}) is none of the trust ${instance.name}`,
        { hint: 'unset it, or choose all of them yourself: git config --global hallmark.trust NAME' },
      );
    }
    throw new UsageError(`the repository names a service that you do not trust, ${value} as ${name} (${source})`, {
      hint: `if you do: hallmark trust add ${shellWord(value)}, or git config --global hallmark.${name} ${shellWord(value)}`,
    });
  }
}

// To repeat what holds without it changes nothing.
function isChangedByRepository(cli: Cli, { get, users }: GitSettings): boolean {
  const trust = get('trust');
  if (trust !== undefined && !trust.isUsers && trust.value !== (users('trust')?.value ?? nameInUse(cli))) return true;
  return SERVICE_NAMES.some((name) => {
    const setting = get(name);
    return setting !== undefined && !setting.isUsers && !sameUrl(setting.value, users(name)?.value);
  });
}

/** What of the stack in force is a repository's choice, and so what must not be sent there. */
export interface RepositoryChoice {
  /** The certificate authority in force. */
  readonly authority: string | undefined;
  /** Issuers of the only tokens that the authority may get; undefined: it is the one that the user chose, and gets any. */
  readonly issuers: readonly string[] | undefined;
  /** True if one logs in where the user does without the repository too, so that it may know the user's client secret. */
  readonly isUsersIssuer: boolean;
}

/** How far the stack in force is the user's own choice: `authority` and `issuer` of it. */
export function repositoryChoice(
  cli: Cli,
  settings: GitSettings,
  instance: Instance,
  { authority, issuer }: { authority: string | undefined; issuer: string | undefined },
): RepositoryChoice {
  if (!isChangedByRepository(cli, settings)) return { authority, issuers: undefined, isUsersIssuer: true };
  const own = usersInstance(cli, settings);
  const isUsers = (name: ServiceName, url: string | undefined): boolean => {
    const setting = settings.users(name);
    if (setting !== undefined) return sameUrl(setting.value, url);
    return own !== undefined && url !== undefined && names(own, name, url);
  };
  return {
    authority,
    issuers: isUsers('fulcio', authority) ? undefined : urlsOf(instance, 'issuer'),
    isUsersIssuer: isUsers('issuer', issuer),
  };
}

// Without one that can be read nothing is the user's own choice.
function usersInstance(cli: Cli, { users }: GitSettings): Instance | undefined {
  try {
    return chooseInstance(cli, users);
  } catch (error) {
    if (error instanceof HallmarkError) return undefined;
    throw error;
  }
}

/**
 * Refuses to send a token to an authority that a repository chose, unless that authority's own instance logs in at its issuer:
 * whoever runs the authority could use the token where it is believed. IDENTITY_TOKEN_INVALID.
 */
export function requireTokenFor(
  { authority, issuers }: RepositoryChoice,
  { issuer }: Pick<IdentityToken, 'issuer'>,
): void {
  if (issuers === undefined || issuers.some((each) => sameUrl(each, issuer))) return;
  throw new IdentityError(
    'IDENTITY_TOKEN_INVALID',
    `the repository has ${authority ?? 'nobody'} certify, which is not to get an identity token of ${issuer}`,
    { hint: 'if it is: choose it yourself, git config --global hallmark.trust NAME, or -c hallmark.trust=NAME' },
  );
}

/** True for one URL, with or without a final slash. */
export const sameUrl = (one: string | undefined, other: string | undefined): boolean =>
  one?.replace(/\/+$/, '') === other?.replace(/\/+$/, '');

const names = (instance: Instance, name: ServiceName, url: string): boolean =>
  urlsOf(instance, name).some((each) => sameUrl(each, url));

function urlsOf(instance: Instance, name: ServiceName): string[] {
  const configs = [SIGNING_CONFIG, SIGNING_CONFIG_REKOR_V2].map((file) => readSigningConfig(instance, file));
  return configs.flatMap((config) => {
    const services: readonly Service[] = config?.[SERVICES[name]] ?? [];
    return services.map(({ url }) => url);
  });
}
