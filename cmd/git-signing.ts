import type { IdentityToken } from '../core/sign/identity-token.ts';
import type { GitSignature } from '../gitsign/git-signer.ts';
import type { ArmorLabel } from '../gitsign/signature.ts';
import { signByAgent } from './agent-sign.ts';
import type { Cli } from './cli.ts';
import { requireTokenFor } from './git-known.ts';
import type { GitSettings } from './git-settings.ts';
import { type GitStack, openGitStack } from './git-stack.ts';
import { httpOf } from './http.ts';
import { identityTokenSource } from './identity.ts';

/**
 * Signs what git is about to write, as the settings say. Errors of core/sign and of the login; IDENTITY_TOKEN_INVALID if another
 * committer made it and `matchCommitter` is on.
 */
export async function signForGit(
  cli: Cli,
  settings: GitSettings,
  payload: Uint8Array,
  label: ArmorLabel,
): Promise<GitSignature> {
  const stack = openGitStack(cli, settings, label);
  const source = identityTokenSource(cli, stack.identity, httpOf(cli), () => stack.issuer);
  const login = async (): Promise<IdentityToken> => {
    const token = await source();
    requireTokenFor(stack.choice, token);
    return token;
  };
  return (await signByAgent(cli, settings, stack, payload, login)) ?? signHere(stack, payload, login);
}

// Loaded only here: where an agent signs, none of it is needed.
async function signHere(
  stack: GitStack,
  payload: Uint8Array,
  token: () => Promise<IdentityToken>,
): Promise<GitSignature> {
  const [{ identitySigner }, { signGitPayload }] = await Promise.all([
    import('../core/sign/signer.ts'),
    import('../gitsign/sign.ts'),
  ]);
  const { context, options } = stack;
  const { http, services, trustedRoot } = context;
  const signer = await identitySigner({
    http,
    certificateAuthority: services.certificateAuthority,
    trustedRoot,
    token,
  });
  return signGitPayload(payload, options, signer, context);
}
