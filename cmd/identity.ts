import type { Command } from 'commander';
import { parseUtf8 } from '../core/bytes/bytes.ts';
import { InputError, TrustError } from '../core/errors.ts';
import { readFileBounded } from '../core/files.ts';
import type { Http } from '../core/http/client.ts';
import { MAX_IDENTITY_TOKEN_CHARS, MAX_KEY_FILE_BYTES } from '../core/limits.ts';
import { type IdentityToken, isJwt, parseIdentityToken, requireFreshToken } from '../core/sign/identity-token.ts';
import type { IdentitySource } from '../gitsign/agent-protocol.ts';
import { findProvider, readSmallText, tokenMissing, wrongAudience } from './ambient.ts';
import type { Cli } from './cli.ts';

export interface IdentityFlags {
  identityToken?: string;
  oidcIssuer?: string;
  oidcClientId: string;
  oidcDisableAmbientProviders?: true;
  /** Of git signing alone: the provider that is to be used, by its name in ambient.ts. */
  provider?: string;
  /** Log in with another device, browser or not. */
  deviceLogin?: true;
  clientSecretFile?: string;
  redirectUrl?: string;
  connectorId?: string;
}

/** Adds the flags that say who signs. */
export function identityOptions(command: Command): Command {
  return command
    .option('--identity-token <token|file>', 'sign as the identity of this OIDC token')
    .option('--oidc-issuer <url>', 'log in at this issuer (default: the one of the signing config)')
    .option('--oidc-client-id <id>', 'client ID at the issuer, and audience of the token', 'sigstore')
    .addOption(
      command.createOption('--oidc-disable-ambient-providers', 'do not take the token of a CI system or cloud'),
    );
}

/**
 * Where the identity token comes from: the flag, else the environment (CI system, cloud, mounted file), else a login with
 * the browser or, where there is none, another device. Asks nobody without a terminal: IDENTITY_TOKEN_MISSING. A token
 * that has expired is refused here, before any request.
 */
export function identityTokenSource(
  cli: Cli,
  flags: IdentityFlags,
  http: Http,
  configuredIssuer: () => string | undefined,
): () => Promise<IdentityToken> {
  return async () => {
    const token = await findToken(cli, flags, http, configuredIssuer);
    requireFreshToken(token, cli.now());
    return token;
  };
}

/** Providers whose token is there without asking anybody. */
const AT_HAND: readonly string[] = ['SIGSTORE_ID_TOKEN', 'CircleCI', 'the file /var/run/sigstore/cosign/oidc-token'];

/**
 * Whose identity `identityTokenSource` would bring, found out without a login and without asking a service: what a key that was
 * certified before is kept under. Errors of a token that is there and cannot be read.
 */
export async function identitySource(cli: Cli, flags: IdentityFlags, http: Http): Promise<IdentitySource> {
  const context = { env: cli.env, readText: readSmallText, http, audience: flags.oidcClientId };
  const provider = flags.oidcDisableAmbientProviders ? undefined : findProvider(context, flags.provider);
  if (provider === undefined) return { kind: 'login' };
  if (!AT_HAND.includes(provider.name)) return { kind: 'provider', name: provider.name };
  const { issuer, tokenSubject } = parseIdentityToken(await provider.token(context));
  return { kind: 'token', issuer, tokenSubject };
}

async function findToken(
  cli: Cli,
  flags: IdentityFlags,
  http: Http,
  configuredIssuer: () => string | undefined,
): Promise<IdentityToken> {
  if (flags.identityToken !== undefined) return parseIdentityToken(readToken(flags.identityToken));

  const context = { env: cli.env, readText: readSmallText, http, audience: flags.oidcClientId };
  const provider = flags.oidcDisableAmbientProviders ? undefined : findProvider(context, flags.provider);
  if (provider !== undefined) {
    const token = parseIdentityToken(await provider.token(context));
    if (!token.audiences.includes(flags.oidcClientId)) throw wrongAudience(provider.name, token, flags.oidcClientId);
    return token;
  }

  if (!cli.interactive) throw tokenMissing(cli.env);
  const issuer = flags.oidcIssuer ?? configuredIssuer();
  if (issuer === undefined) {
    throw new TrustError('NO_SERVICE_CONFIGURED', 'the signing config names no OIDC issuer to log in at', {
      hint: 'pass --oidc-issuer URL or --identity-token TOKEN|FILE',
    });
  }
  // Loaded only here: few signatures take a login.
  const [{ fetchEndpoints }, { hasBrowser, openBrowser }] = await Promise.all([
    import('./oidc.ts'),
    import('./browser.ts'),
  ]);
  const login = {
    http,
    issuer,
    clientId: flags.oidcClientId,
    say: cli.say,
    ...(flags.clientSecretFile !== undefined && { clientSecret: readSecret(flags.clientSecretFile) }),
    ...(flags.redirectUrl !== undefined && { redirectUrl: flags.redirectUrl }),
    ...(flags.connectorId !== undefined && { connectorId: flags.connectorId }),
  };
  const endpoints = await fetchEndpoints(http, issuer);
  const byBrowser = hasBrowser(cli) && flags.deviceLogin === undefined;
  if (byBrowser || endpoints.deviceAuthorization === undefined) {
    const { loginWithBrowser } = await import('./login.ts');
    return loginWithBrowser(login, endpoints, hasBrowser(cli) ? openBrowser : () => false);
  }
  const { loginWithDevice } = await import('./device-login.ts');
  return loginWithDevice(login, endpoints);
}

function readSecret(path: string): string {
  return parseUtf8(readFileBounded(path, MAX_KEY_FILE_BYTES, 'client secret')).trim();
}

/** The value of --identity-token: the token itself if it looks like one, else the file that holds it. */
function readToken(value: string): string {
  if (isJwt(value)) return value;
  const ifMissing = '--identity-token takes the token itself or a file that holds it; without it you log in';
  const bytes = readFileBounded(value, MAX_IDENTITY_TOKEN_CHARS, 'identity token', ifMissing);
  const token = parseUtf8(bytes).trim();
  if (token === '') throw new InputError('INPUT_UNREADABLE', `the identity token file ${value} is empty`);
  return token;
}
