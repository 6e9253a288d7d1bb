import { serializeUtf8 } from '../core/bytes/bytes.ts';
import { parseIdentityToken } from '../core/sign/identity-token.ts';
import type { SigningContext } from '../core/sign/sign.ts';
import { identitySigner } from '../core/sign/signer.ts';
import { type Flaws, fakeSigstore } from '../core/sign/testing.ts';
import type { GitSigningOptions } from './git-signer.ts';
import { signGitPayload } from './sign.ts';
import { parseArmor, parseCmsSignature, serializeArmor } from './signature.ts';
import { type VerifiedGitSignature, verifyGitSignature } from './verify.ts';

/** Test only: the body of an unsigned commit. */
export const commitPayload = (message = 'a commit\n'): Uint8Array =>
  serializeUtf8(
    `tree ${'1'.repeat(40)}\nparent ${'2'.repeat(40)}\nauthor A <a@b.example> 1700000000 +0100\ncommitter A <a@b.example> 1700000000 +0100\n\n${message}`,
  );

/** Test only: the body of an unsigned tag. */
export const tagPayload = (): Uint8Array =>
  serializeUtf8(`object ${'1'.repeat(40)}\ntype commit\ntag v1\ntagger A <a@b.example> 1700000000 +0100\n\nrelease\n`);

/** Test only: signs with a fake Sigstore that has these flaws, and verifies with its trusted root. */
export async function gitStack(flaws: Flaws = {}, version: 1 | 2 = 1) {
  const stack = fakeSigstore(flaws);
  const context: SigningContext = {
    http: stack.http,
    services: { ...stack.services(version), ...(version === 1 && { timestampAuthorities: [] }) },
    trustedRoot: stack.trustedRoot,
  };
  const signer = await identitySigner({
    http: stack.http,
    certificateAuthority: context.services.certificateAuthority,
    trustedRoot: stack.trustedRoot,
    token: async () => parseIdentityToken(stack.token()),
  });
  return {
    ...stack,
    context,
    signer,
    sign: async (
      payload: Uint8Array,
      rekorMode: GitSigningOptions['rekorMode'] = 'offline',
      changed: Partial<SigningContext> = {},
    ) => {
      const made = await signGitPayload(payload, { rekorMode, matchCommitter: false }, signer, {
        ...context,
        ...changed,
      });
      return { ...made, armor: serializeArmor('SIGNED MESSAGE', made.cms) };
    },
    verify: (payload: Uint8Array, armor: string, root = stack.trustedRoot): VerifiedGitSignature => {
      const bytes = serializeUtf8(armor);
      return verifyGitSignature(payload, bytes, parseCmsSignature(parseArmor(bytes).der), {
        trustedRootFor: () => root,
        now: stack.clock.now,
      });
    },
  };
}
