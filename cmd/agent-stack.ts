import { serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { canonicalizeJson } from '../core/bytes/json.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { TrustError } from '../core/errors.ts';
import { chooseServices } from '../core/sign/services.ts';
import { selectServices } from '../core/trust/signing-config.ts';
import type { AgentStack } from '../gitsign/agent-identities.ts';
import type { SignRequest } from '../gitsign/agent-protocol.ts';
import type { Cli } from './cli.ts';
import { httpOf } from './http.ts';
import {
  type Instance,
  readSigningConfig,
  readTrustedRoot,
  requireInstance,
  SIGNING_CONFIG,
  SIGNING_CONFIG_REKOR_V2,
  TRUSTED_ROOT,
} from './trust-instances.ts';

/** Client at the issuer that an instance of the trust store is used as. */
const CLIENT_ID = 'sigstore';

/**
 * What an instance of the trust store comes down to, for signing: SHA-256 over its files, in lower-case hexadecimal. Client
 * and agent each compute it from what they read, so that neither signs for what the other one means by a name.
 */
export function instanceDigest(instance: Instance): string {
  const hashOf = (file: string): string => {
    const bytes = instance.read(file);
    return bytes === undefined ? '' : serializeHex(sha256(bytes));
  };
  const files = [TRUSTED_ROOT, SIGNING_CONFIG, SIGNING_CONFIG_REKOR_V2].map(hashOf);
  return serializeHex(sha256(serializeUtf8(canonicalizeJson([instance.name, CLIENT_ID, ...files]))));
}

/** Parsed stacks that are kept: a user has a handful, in a few combinations of services. */
const MAX_KEPT_STACKS = 32;

/**
 * The stacks that an agent signs for: the instances of the user's trust store, read by the agent itself at each request, parsed
 * once. AGENT_STACK_UNKNOWN for any other, and where the files say something else than those that the client sees.
 */
export function agentStacks(cli: Cli): (request: Pick<SignRequest, 'stack' | 'digest' | 'services'>) => AgentStack {
  const kept = new Map<string, AgentStack>();
  return ({ stack, digest, services }) => {
    if (stack.kind !== 'trust') throw unknownStack('the global git configuration names none');
    const instance = requireInstance(cli, stack.name);
    if (instanceDigest(instance) !== digest) throw unknownStack(`${instance.name} is something else here`);
    const key = JSON.stringify([digest, services.rekorVersion, services.timestamp]);
    const found = kept.get(key) ?? openStack(cli, instance, services);
    if (kept.size >= MAX_KEPT_STACKS) kept.clear();
    kept.set(key, found);
    return found;
  };
}

function openStack(cli: Cli, instance: Instance, { rekorVersion, timestamp }: SignRequest['services']): AgentStack {
  const http = httpOf(cli);
  const v2 = rekorVersion === 2 ? readSigningConfig(instance, SIGNING_CONFIG_REKOR_V2) : undefined;
  const config = v2 ?? readSigningConfig(instance, SIGNING_CONFIG);
  if (config === undefined) throw unknownStack(`${instance.name} can only verify`);
  const services = chooseServices(config, cli.now(), http.random, rekorVersion);
  if (services.certificateAuthority === undefined) throw unknownStack(`${instance.name} has no certificate authority`);
  return {
    name: instance.name,
    certificateAuthority: services.certificateAuthority,
    issuer: selectServices(config, 'oidc', [1], cli.now(), http.random)[0]?.url,
    clientId: CLIENT_ID,
    context: {
      http,
      // Rekor v1 vouches for the time itself.
      services: timestamp || rekorVersion === 2 ? services : { ...services, timestampAuthorities: [] },
      trustedRoot: readTrustedRoot(instance),
      timestampCertificates: true,
    },
  };
}

const unknownStack = (problem: string): TrustError =>
  new TrustError('AGENT_STACK_UNKNOWN', `the agent does not sign for this stack: ${problem}`, {
    hint: 'hallmark trust list',
  });
