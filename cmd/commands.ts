import type { Command } from 'commander';
import type { Cli } from './cli.ts';

type Load = () => Promise<(cli: Cli) => Command>;

/**
 * Every subcommand: its line in the help and how to load it. A command's code and what it imports are read only when it
 * is the one called.
 */
export const COMMANDS: Record<string, { summary: string; load: Load }> = {
  sign: { summary: 'sign files', load: async () => (await import('./sign.ts')).signCommand },
  attest: { summary: 'sign a statement about a file', load: async () => (await import('./attest.ts')).attestCommand },
  verify: {
    summary: 'verify a file or attestation, offline',
    load: async () => (await import('./verify.ts')).verifyCommand,
  },
  policy: {
    summary: 'try a policy on bundles, offline',
    load: async () => (await import('./policy.ts')).policyCommand,
  },
  pin: {
    summary: 'write down who signs a file, in signers.lock',
    load: async () => (await import('./pin.ts')).pinCommand,
  },
  inspect: {
    summary: 'explain a bundle without verifying it',
    load: async () => (await import('./inspect.ts')).inspectCommand,
  },
  convert: {
    summary: 'turn attestations of npm, PyPI, GitHub into bundles',
    load: async () => (await import('./convert.ts')).convertCommand,
  },
  git: { summary: 'sign commits and tags, and verify them', load: async () => (await import('./git.ts')).gitCommand },
  key: { summary: 'generate, import and show keys', load: async () => (await import('./key.ts')).keyCommand },
  trust: {
    summary: 'choose whom to trust, fetch trust material',
    load: async () => (await import('./trust.ts')).trustCommand,
  },
  agent: { summary: 'sign for git with one login', load: async () => (await import('./agent.ts')).agentCommand },
  token: {
    summary: 'get an identity token from a development issuer',
    load: async () => (await import('./token.ts')).tokenCommand,
  },
  serve: { summary: 'run a complete Sigstore', load: async () => (await import('./serve.ts')).serveCommand },
  log: {
    summary: 'look into a transparency log and after its data',
    load: async () => (await import('./log.ts')).logCommand,
  },
};
