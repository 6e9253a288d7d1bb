import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import { generateKey, type PrivateKey, sign } from '../core/crypto/private-key.ts';
import { TrustError } from '../core/errors.ts';
import { type Flaws, fakeSigstore, unsignedToken } from '../core/sign/testing.ts';
import type { AgentAddress } from './agent-client.ts';
import { makePrivateDirectory, socketPath } from './agent-directory.ts';
import { type AgentStack, createIdentities, type Identities } from './agent-identities.ts';
import type { SignRequest, StackName } from './agent-protocol.ts';
import { type AgentOptions, createAgent } from './agent-server.ts';
import type { SignGitPayload } from './git-signer.ts';

// Test only.

export const COMMIT = serializeUtf8(`tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904
author A U Thor <author@example.com> 1700000000 +0100
committer C O Mitter <committer@example.com> 1700000000 +0100

a message
`);

export const ISSUER = 'https://issuer.example';
export const DIGEST = '0'.repeat(64);
const PERSON = 'person@example.com';

export const uid = process.geteuid?.() as number;

/** An identity token that the fake stack takes. */
export const tokenOf = (claims: Record<string, unknown> = {}): string =>
  unsignedToken({ iss: ISSUER, sub: 'subject', aud: 'sigstore', email: PERSON, exp: 4_000_000_000, ...claims });

export const requestOf = (change: Partial<SignRequest> = {}): SignRequest => ({
  type: 'sign',
  stack: { kind: 'trust', name: 'lab' },
  digest: DIGEST,
  source: { kind: 'login' },
  services: { rekorVersion: 1, timestamp: false },
  options: { rekorMode: 'offline', matchCommitter: false },
  payload: COMMIT,
  ...change,
});

// In place of the CMS: the bare signature over the payload, by the key and certificate that the agent holds.
const signBare: SignGitPayload = async (payload, _, signer) => {
  const { key, certificate } = await signer.credential();
  if (certificate === undefined) throw new Error('internal: no certificate');
  const cms = sign(key, payload);
  return { cms, certificate: certificate.der, identity: PERSON, issuer: ISSUER, logEntries: [] };
};

export interface TestAgent {
  readonly directory: string;
  readonly address: AgentAddress;
  readonly path: string;
  readonly identities: Identities;
  readonly stack: AgentStack;
  readonly sigstore: ReturnType<typeof fakeSigstore>;
  /** Every key that it made. */
  readonly keys: PrivateKey[];
  /** Its log, a line each. */
  readonly lines: string[];
  readonly time: { monotonic: number };
  stopped: boolean;
  /** Requests of the certificate authority so far. */
  readonly certified: () => number;
  readonly end: () => void;
}

/** An agent in this process, in a directory of its own, in front of a fake stack. */
export function startTestAgent(
  change: Partial<AgentOptions> & { flaws?: Flaws; stacks?: (name: StackName) => AgentStack | undefined } = {},
  directory = join(mkdtempSync(join(tmpdir(), 'hallmark-agent-')), 'agent'),
): TestAgent {
  makePrivateDirectory(directory, uid);
  const sigstore = fakeSigstore(change.flaws);
  const keys: PrivateKey[] = [];
  const lines: string[] = [];
  const time = { monotonic: 0 };
  const stack: AgentStack = {
    name: 'lab',
    certificateAuthority: 'https://sigstore.example',
    issuer: ISSUER,
    clientId: 'sigstore',
    context: {
      http: sigstore.http,
      services: sigstore.services(),
      trustedRoot: sigstore.trustedRoot,
    },
  };
  const stacks =
    change.stacks ?? ((name: StackName) => (name.kind === 'trust' && name.name === 'lab' ? stack : undefined));
  const state = { stopped: false };
  const identities = createIdentities({
    clock: sigstore.http.clock,
    monotonic: () => time.monotonic,
    generateKey: () => {
      const key = generateKey('p256');
      keys.push(key);
      return key;
    },
  });
  const agent = createAgent({
    uid,
    identities,
    resolveStack: ({ stack: name, digest }) => {
      const found = stacks(name);
      if (found === undefined || digest !== DIGEST) throw new TrustError('AGENT_STACK_UNKNOWN', 'no such stack');
      return found;
    },
    sign: signBare,
    programVersion: '1.2.3',
    allowForwarded: false,
    log: (event, fields) => void lines.push(JSON.stringify({ event, ...fields })),
    onStop: () => {
      state.stopped = true;
    },
    ...change,
  });
  const path = socketPath(directory);
  const listener = agent.listen({ unix: path });
  return {
    directory,
    address: { directory, uid },
    path,
    identities,
    stack,
    sigstore,
    keys,
    lines,
    time,
    get stopped() {
      return state.stopped;
    },
    certified: () => sigstore.calls.filter((call) => call.endsWith('/api/v2/signingCert')).length,
    end() {
      listener.stop();
      rmSync(dirname(directory), { recursive: true, force: true });
    },
  };
}
