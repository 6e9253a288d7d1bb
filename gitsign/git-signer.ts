import type { SigningContext } from '../core/sign/sign.ts';
import type { Signer } from '../core/sign/signer.ts';

/** How a git signature gets into the transparency log; everything else is the stack's. */
export interface GitSigningOptions {
  /** `offline` embeds the entry of the signed attributes; `online` logs the id of the object that git is about to write. */
  readonly rekorMode: 'offline' | 'online';
  /** True: sign only what the holder of the certificate made (`isMaker`). */
  readonly matchCommitter: boolean;
}

/** A finished git signature, verified by whoever made it. */
export interface GitSignature {
  /** CMS SignedData in DER with everything that it embeds. */
  readonly cms: Uint8Array;
  /** The signing certificate, DER. */
  readonly certificate: Uint8Array;
  /** What the certificate says: subject alternative name, and the OIDC issuer that vouched for it. */
  readonly identity: string;
  readonly issuer: string;
  readonly logEntries: readonly { readonly url: string; readonly logIndex: bigint }[];
}

/**
 * Makes a git signature. It parses `payload` itself and signs nothing that is not a commit, tag or push certificate as git
 * stores it; the signed attributes, and in online mode the object id, are its own work. Log and timestamp authorities are
 * those of `context.services`: no timestamp without one there.
 */
export type SignGitPayload = (
  payload: Uint8Array,
  options: GitSigningOptions,
  signer: Signer,
  context: SigningContext,
) => Promise<GitSignature>;
