import { IdentityError } from '../core/errors.ts';
import type { IdentityToken } from '../core/sign/identity-token.ts';
import type { GitSignature } from '../gitsign/git-signer.ts';
import { isMaker, makerOf } from '../gitsign/person.ts';
import type { ArmorLabel } from '../gitsign/signature.ts';
import { signByAgent } from './agent-sign.ts';
import type { Cli } from './cli.ts';
import { requireTokenFor } from './git-known.ts';
import { type GitSettings, isOn } from './git-settings.ts';
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
  const requireSigner = (identity: string): void => {
    if (isOn(settings, 'matchCommitter')) requireMaker(payload, identity);
  };
  const byAgent = await signByAgent(cli, settings, stack, payload, login);
  if (byAgent === undefined) return signHere(stack, payload, login, requireSigner);
  requireSigner(byAgent.identity);
  return byAgent;
}

// Loaded only here: where an agent signs, none of it is needed.
async function signHere(
  stack: GitStack,
  payload: Uint8Array,
  token: () => Promise<IdentityToken>,
  requireSigner: (identity: string) => void,
): Promise<GitSignature> {
  const [{ identitySigner }, { signGitPayload }, { subjectAlternativeNames }] = await Promise.all([
    import('../core/sign/signer.ts'),
    import('../gitsign/sign.ts'),
    import('../core/x509/names.ts'),
  ]);
  const { context, options } = stack;
  const { http, services, trustedRoot } = context;
  const signer = await identitySigner({
    http,
    certificateAuthority: services.certificateAuthority,
    trustedRoot,
    token,
  });
  const { certificate } = await signer.credential();
  // Before anything is logged.
  requireSigner((certificate && subjectAlternativeNames(certificate)[0]?.value) ?? '');
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
