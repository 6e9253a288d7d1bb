import { afterEach } from 'bun:test';
import { concat } from '../core/bytes/bytes.ts';
import { type AgentAnswer, messageReader, parseAnswer } from './agent-protocol.ts';
import { startTestAgent, type TestAgent, tokenOf } from './testing-agent.ts';

// Test only: inside the test runner, which ends the agents of each test.

let agents: TestAgent[] = [];
afterEach(() => {
  for (const agent of agents) agent.end();
  agents = [];
});

export function start(...options: Parameters<typeof startTestAgent>): TestAgent {
  const agent = startTestAgent(...options);
  agents.push(agent);
  return agent;
}

/** For a client that is not to be asked to log in. */
export const never = async (): Promise<string> => {
  throw new Error('nobody is to log in here');
};
/** Logs in, and counts. */
export function login(claims: Record<string, unknown> = {}) {
  const counted = { times: 0 };
  const token = async (): Promise<string> => {
    counted.times++;
    return tokenOf(claims);
  };
  return { counted, token };
}

/** Sends bytes as they are; everything that comes back until the agent closes. */
export async function send(
  path: string,
  ...chunks: Uint8Array[]
): Promise<{ bytes: Uint8Array; answers: AgentAnswer[] }> {
  const received: Uint8Array[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    unix: path,
    socket: { data: (_, chunk) => void received.push(chunk.slice()), close: () => resolve(), error: () => resolve() },
  });
  for (const chunk of chunks) socket.write(chunk);
  await promise;
  const bytes = concat(...received);
  return { bytes, answers: messageReader()(bytes).map(parseAnswer) };
}

export const codeOf = ({ answers }: { answers: AgentAnswer[] }): string | undefined => {
  const last = answers.at(-1);
  return last?.type === 'refused' ? last.code : last?.type;
};
