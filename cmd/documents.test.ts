// What keeps help and documents true: each command has examples and a place in the documents, and the documents name no
// command and no flag that does not exist.
import { expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { ISSUER_KEYS } from '../ca/issuers.ts';
import { COMMANDS } from './commands.ts';
import { SERVE_KEYS } from './serve-config.ts';
import { LIMIT_KEYS } from './serve-limits.ts';
import { WITNESS_KEYS } from './serve-witnessing.ts';
import { fakeCli } from './testing.ts';

const root = join(import.meta.dir, '..');
const read = (name: string): string => readFileSync(join(root, name), 'utf8');
const documents = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)];
const prose = documents.map(read).join('\n');

interface Described {
  readonly words: string;
  readonly help: string;
  readonly flags: readonly string[];
  readonly hasSubcommands: boolean;
}

async function allCommands(): Promise<Described[]> {
  const cli = fakeCli({});
  const describe = (command: Command, before: string): Described[] => {
    const words = `${before}${command.name()}`;
    let help = '';
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
    const flags = command.options.flatMap(({ long }) => (long ? [long] : []));
    const children = command.commands.flatMap((child) => describe(child, `${words} `));
    return [{ words, help, flags, hasSubcommands: children.length > 0 }, ...children];
  };
  const loaded = await Promise.all(Object.values(COMMANDS).map(async ({ load }) => (await load())(cli)));
  return loaded.flatMap((command) => describe(command, ''));
}
const commands = await allCommands();
const byWords = new Map(commands.map((command) => [command.words, command]));

test.each(commands.map((command) => [command.words, command] as const))(
  '%s: examples in the help',
  (words, { help }) => {
    expect(help).toMatch(/^Examples?:$/m);
    expect(help).toContain(`hallmark ${words}`);
  },
);

/** What has no result of its own: servers, and what prints a document that is JSON or TOML itself. */
const WITHOUT_OUTPUT = ['agent', 'git show', 'serve', 'serve witness'];

test('every command that gives data gives it in JSON', () => {
  const without = commands.filter(
    ({ words, flags, hasSubcommands }) =>
      (!hasSubcommands || words === 'serve' || words === 'agent') && !flags.includes('--output'),
  );
  expect(without.map(({ words }) => words).sort()).toEqual(WITHOUT_OUTPUT);
});

test('every command is in the README or in docs/', () => {
  const missing = commands.filter(
    ({ words, hasSubcommands }) => !hasSubcommands && !prose.includes(`hallmark ${words}`),
  );
  expect(missing.map(({ words }) => words)).toEqual([]);
});

test('no document names a command or flag that does not exist', () => {
  const wrong: string[] = [];
  for (const name of documents) {
    // A command goes on in the next line after a backslash.
    for (const line of read(name).replaceAll('\\\n', ' ').split('\n')) {
      for (const [, call = ''] of line.matchAll(/(?:^|[`$(] ?|&& |\| )hallmark ([a-z-][^`|#)$]*)/g)) {
        const words = call.trim().split(/\s+/);
        const command = byWords.get(words.slice(0, 2).join(' ')) ?? byWords.get(words[0] ?? '');
        if (!command) {
          if (!words[0]?.startsWith('-') && words[0] !== 'help') wrong.push(`${name}: hallmark ${call}`);
          continue;
        }
        for (const flag of call.match(/(?<=\s)--[a-z][a-z0-9-]+/g) ?? []) {
          const known =
            flag === '--help' || command.flags.some((each) => each === flag || each === flag.replace(/^--no-/, '--'));
          if (!known) wrong.push(`${name}: hallmark ${command.words} ${flag}`);
        }
      }
    }
  }
  expect(wrong).toEqual([]);
});

test('every key of the configuration of a server is in its document, and no other', () => {
  const issuerKeys = Object.values(ISSUER_KEYS).flatMap((keys) => Object.keys(keys));
  const known = [...SERVE_KEYS, ...LIMIT_KEYS, 'url', 'type', 'audience', ...issuerKeys];
  expect(keysInTables('docs/serve.md', /^\| key(?: of `limits`)? \|/)).toEqual([...new Set(known)].sort());
  expect(keysInTables('docs/witness.md', /^\| key of `witness` \|/)).toEqual([...WITNESS_KEYS].sort());
});

/** What stands in the first column of the tables with such a head. */
function keysInTables(document: string, head: RegExp): string[] {
  const keys = new Set<string>();
  let inside = false;
  for (const line of read(document).split('\n')) {
    inside = head.test(line) || (inside && line.startsWith('|'));
    const [, first = ''] = line.split('|', 2);
    if (inside && !head.test(line)) for (const [, key = ''] of first.matchAll(/`(\w+)`/g)) keys.add(key);
  }
  return [...keys].sort();
}
