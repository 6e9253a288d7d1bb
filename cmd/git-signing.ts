import { IdentityError } from '../core/errors.ts';
import type { IdentityToken } from '../core/sign/identity-token.ts';
import type { GitSignature } from '../gitsign/git-signer.ts';
import { isMaker, makerOf } from '../gitsign/person.ts';
import type { ArmorLabel } from '../gitsign/signature.ts';
import { signByAgent } from './agent-sign.ts';
import type { Cli } from './cli.ts';
import { type GitSettings, isOn } from './git-settings.ts';
import { type GitStack, openGitStack } from './git-stack.ts';
import { httpOf } from './http.ts';
import { identityTokenSource } from './identity.ts';

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
  const login = identityTokenSource(cli, stack.identity, httpOf(cli), () => stack.issuer);
  const signature =
    (await signByAgent(cli, settings, stack, payload, login)) ?? (await signHere(stack, payload, login));
  if (isOn(settings, 'matchCommitter')) requireMaker(payload, signature.identity);
  return signature;
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

function requireMaker(payload: Uint8Array, identity: string): void {
  const maker = makerOf(payload);
  if (isMaker(maker, identity)) return;
  throw new IdentityError(
    'IDENTITY_TOKEN_INVALID',
    `signed in as ${identity}, but the committer is ${maker === undefined ? 'unknown' : `${maker.name} <${maker.email}>`}`,
    { hint: 'log in as the committer, or turn it off: git config hallmark.matchCommitter false' },
  );
}
