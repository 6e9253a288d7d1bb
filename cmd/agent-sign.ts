import { type ErrorCode, HallmarkError } from '../core/errors.ts';
import { MAX_AGENT_PAYLOAD_BYTES } from '../core/limits.ts';
import type { IdentityToken } from '../core/sign/identity-token.ts';
import { signWithAgent } from '../gitsign/agent-client.ts';
import type { GitSignature } from '../gitsign/git-signer.ts';
import { agentDirectory } from './agent-place.ts';
import { stackDigest } from './agent-stack.ts';
import { startAgent } from './agent-start.ts';
import type { Cli } from './cli.ts';
import { type GitSettings, isOff } from './git-settings.ts';
import type { GitStack } from './git-stack.ts';
import { httpOf } from './http.ts';
import { identitySource } from './identity.ts';

/** What keeps an agent from signing this, or from being used at all, and nobody from signing without it. */
const WITHOUT_AGENT: readonly ErrorCode[] = [
  'AGENT_UNSAFE',
  'AGENT_UNREACHABLE',
  'AGENT_REFUSED',
  'AGENT_MESSAGE_INVALID',
];

/**
 * Has the user's agent sign, starting one if none runs. Undefined where that is not wanted, or the agent does not sign for this
 * stack or this payload: sign without it. What the agent reports, and a login that fails, are errors with their own codes.
 */
export async function signByAgent(
  cli: Cli,
  settings: GitSettings,
  stack: GitStack,
  payload: Uint8Array,
  login: () => Promise<IdentityToken>,
): Promise<GitSignature | undefined> {
  const directory = agentDirectory(cli);
  const uid = process.geteuid?.();
  if (directory === undefined || uid === undefined || isOff(settings, 'agent')) return undefined;
  if (payload.length > MAX_AGENT_PAYLOAD_BYTES) return undefined;
  const { instance, configured, identity, rekorVersion, timestamp, options } = stack;
  try {
    return await signWithAgent(
      // What a CI job starts in the background it may wait for. One that runs there is used.
      { directory, uid, start: cli.env('CI') === undefined ? startAgent : undefined },
      {
        type: 'sign',
        stack: Object.keys(configured).length === 0 ? { kind: 'trust', name: instance.name } : { kind: 'global' },
        digest: stackDigest(stack),
        source: await identitySource(cli, identity, httpOf(cli)),
        services: { rekorVersion, timestamp },
        options,
        payload,
      },
      async () => (await login()).jwt,
    );
  } catch (error) {
    if (!(error instanceof HallmarkError) || !WITHOUT_AGENT.includes(error.code)) throw error;
    cli.warn(`signing without the agent: ${error.message}${error.hint === undefined ? '' : ` (${error.hint})`}`);
    return undefined;
  }
}
