import { serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { canonicalizeJson } from '../core/bytes/json.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { HallmarkError, TrustError } from '../core/errors.ts';
import type { AgentStack } from '../gitsign/agent-identities.ts';
import type { SignRequest } from '../gitsign/agent-protocol.ts';
import type { Cli } from './cli.ts';
import { type GitSettingName, type GitSettings, readUserGitSettings } from './git-settings.ts';
import { type GitStack, openGitStack } from './git-stack.ts';
import { SIGNING_CONFIG, SIGNING_CONFIG_REKOR_V2, TRUSTED_ROOT } from './trust-instances.ts';

/**
 * What a stack comes down to: SHA-256 over the files of its instance, and over what is configured in place of them, in
 * lower-case hexadecimal. Client and agent compute it from what each of them reads, so that neither signs for what the other
 * one means by a name.
 */
export function stackDigest({ instance, configured }: GitStack): string {
  const hashOf = (file: string): string => {
    const bytes = instance.read(file);
    return bytes === undefined ? '' : serializeHex(sha256(bytes));
  };
  const files = [TRUSTED_ROOT, SIGNING_CONFIG, SIGNING_CONFIG_REKOR_V2].map(hashOf);
  return serializeHex(sha256(serializeUtf8(canonicalizeJson([instance.name, { ...configured }, ...files]))));
}

/** Parsed stacks that are kept: a user has a handful, in a few combinations of services. */
const MAX_KEPT_STACKS = 32;

/**
 * The stacks that an agent signs for: instances of the user's trust store, and what the user's own git configuration makes of
 * them. The agent reads both itself at each request. AGENT_STACK_UNKNOWN for any other, and where they say something else than
 * what the client sees, as for services that a repository or the client's environment names.
 */
export function agentStacks(cli: Cli): (request: Pick<SignRequest, 'stack' | 'digest' | 'services'>) => AgentStack {
  const kept = new Map<string, AgentStack>();
  return ({ stack: name, digest, services }) => {
    const stack = readStack(cli, name, services);
    if (stackDigest(stack) !== digest) throw unknownStack(`${stack.instance.name} is something else here`);
    const key = JSON.stringify([digest, services.rekorVersion, services.timestamp]);
    const found = kept.get(key) ?? agentStack(stack);
    if (kept.size >= MAX_KEPT_STACKS) kept.clear();
    kept.set(key, found);
    return found;
  };
}

// Whatever is wrong with it here, the client may know better: it signs by itself then, or says what is wrong there.
function readStack(cli: Cli, name: SignRequest['stack'], services: SignRequest['services']): GitStack {
  try {
    const settings = name.kind === 'trust' ? instanceSettings(name.name, services) : userSettings(services);
    return openGitStack(cli, settings, 'SIGNED MESSAGE');
  } catch (cause) {
    if (!(cause instanceof HallmarkError)) throw cause;
    throw unknownStack(cause.message, cause);
  }
}

function agentStack({ instance, issuer, identity, context, configured }: GitStack): AgentStack {
  const { certificateAuthority } = context.services;
  if (certificateAuthority === undefined) throw unknownStack(`${instance.name} has no certificate authority`);
  return {
    name: Object.keys(configured).length === 0 ? instance.name : `${instance.name} as configured for git`,
    certificateAuthority,
    issuer,
    clientId: identity.oidcClientId,
    context,
  };
}

// The instance as it is, and of the client's choices those that lie within it.
const instanceSettings = (trust: string, services: SignRequest['services']): GitSettings =>
  withValues(undefined, { trust, ...choices(services) });

const userSettings = (services: SignRequest['services']): GitSettings =>
  withValues(readUserGitSettings(), choices(services));

const choices = ({ rekorVersion, timestamp }: SignRequest['services']) => ({
  rekorVersion: String(rekorVersion),
  timestamp: String(timestamp),
});

function withValues(settings: GitSettings | undefined, values: Partial<Record<GitSettingName, string>>): GitSettings {
  const get: GitSettings['get'] = (name) => {
    const value = values[name];
    return value === undefined ? settings?.get(name) : { value, source: 'the request', isUsers: true };
  };
  return {
    get,
    users: get,
    all: (name) => {
      const one = get(name);
      return one === undefined ? [] : [one];
    },
    ignored: [],
    git: () => undefined,
  };
}

const unknownStack = (problem: string, cause?: unknown): TrustError =>
  new TrustError('AGENT_STACK_UNKNOWN', `the agent does not sign for this stack: ${problem}`, {
    cause,
    hint: 'hallmark trust list',
  });
