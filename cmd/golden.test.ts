// Runs the scripts in testdata/*.txt, one behaviour each, against the source or, with HALLMARK_BINARY=path, against the
// compiled binary. A script is lines of verbs, then files (`-- name --`) that its empty directory begins with:
//   exec hallmark ARGS      must end with 0       ! exec hallmark ARGS    must not
//   exit N                  the code it ended with
//   stdout RE, stderr RE    ! stdout RE           what the last exec printed (multi-line regular expressions)
//   json PATH VALUE         a member of the JSON on stdout
//   stdin FILE              for the next exec
//   env NAME=VALUE          for all that follow; $NAME and ${NAME} are replaced in every line
//   set NAME RE             NAME becomes the first group of RE in the last stdout
//   cmp FILE FILE           exists FILE           ! exists FILE           mode FILE 600
//   pipe FILE NAME          NAME becomes a named pipe that gives the file's content once
//   append FILE TEXT        write FILE TEXT       remove FILE        cp FROM TO (FROM may be ../shared/...)
//   start NAME hallmark ARGS     in the background      waitfor NAME RE [VAR]     stop NAME (SIGTERM, must end with 0)
import { afterAll, describe, expect, test } from 'bun:test';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { sharedPath } from '../core/bytes/shared-data.ts';

const binary = process.env['HALLMARK_BINARY'];
const program = binary === undefined ? [process.execPath, join(import.meta.dir, 'main.ts')] : [binary];
const scripts = join(import.meta.dir, 'testdata');

interface Background {
  process: Bun.Subprocess<'ignore', 'pipe', 'pipe'>;
  output: () => string;
}

class Script {
  readonly directory = mkdtempSync(join(tmpdir(), 'hallmark-golden-'));
  readonly env: Record<string, string> = {};
  readonly running = new Map<string, Background>();
  readonly writers: Bun.Subprocess[] = [];
  stdin: string | undefined;
  last = { code: 0, stdout: '', stderr: '' };

  constructor() {
    this.env['HOME'] = this.directory;
    this.env['PATH'] = process.env['PATH'] ?? '';
    this.env['WORK'] = this.directory;
    this.env['NO_PROXY'] = '127.0.0.1,localhost';
  }

  path(name: string): string {
    if (!name.startsWith('../shared/')) return join(this.directory, name);
    const path = sharedPath(name.slice('../shared/'.length));
    if (path === undefined) throw new MissingData(name);
    return path;
  }

  spawn(words: string[]): Bun.Subprocess<'ignore' | Uint8Array<ArrayBuffer>, 'pipe', 'pipe'> {
    const [name, ...args] = words;
    if (name !== 'hallmark') throw new Error(`only hallmark can be run, not ${name}`);
    const stdin = this.stdin === undefined ? 'ignore' : new Uint8Array(readFileSync(this.path(this.stdin)));
    this.stdin = undefined;
    return Bun.spawn([...program, ...args], {
      cwd: this.directory,
      env: this.env,
      stdin,
      stdout: 'pipe',
      stderr: 'pipe',
    });
  }

  async exec(words: string[]): Promise<void> {
    const child = this.spawn(words);
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    this.last = { code, stdout, stderr };
  }

  start(name: string, words: string[]): void {
    const child = this.spawn(words) as Bun.Subprocess<'ignore', 'pipe', 'pipe'>;
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      void (async () => {
        for await (const chunk of stream) output += Buffer.from(chunk).toString();
      })();
    }
    this.running.set(name, { process: child, output: () => output });
  }

  pipe(file: string, name: string): void {
    expect(Bun.spawnSync(['mkfifo', this.path(name)]).exitCode).toBe(0);
    this.writers.push(Bun.spawn(['sh', '-c', 'exec cat "$0" > "$1"', this.path(file), this.path(name)]));
  }

  async waitfor(name: string, pattern: string, variable: string | undefined): Promise<void> {
    const background = this.running.get(name);
    for (let waited = 0; waited < 20_000; waited += 20) {
      const match = new RegExp(pattern, 'm').exec(background?.output() ?? '');
      if (match) {
        if (variable !== undefined) this.env[variable] = match[1] ?? match[0];
        return;
      }
      if (background?.process.exitCode != null) break;
      await Bun.sleep(20);
    }
    throw new Error(`${name} never printed ${pattern}:\n${background?.output()}`);
  }

  async stop(name: string): Promise<void> {
    const background = this.running.get(name);
    background?.process.kill('SIGTERM');
    expect(await background?.process.exited).toBe(0);
    this.running.delete(name);
  }

  end(): void {
    for (const { process } of this.running.values()) process.kill('SIGKILL');
    for (const writer of this.writers) writer.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

class MissingData extends Error {}

// Words separated by spaces; '...' keeps spaces and everything else.
const words = (line: string): string[] =>
  [...line.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '');

async function run(script: Script, line: string): Promise<void> {
  const expanded = line.replace(/\$\{?([A-Z_]+)\}?/g, (whole, name: string) => script.env[name] ?? whole);
  const negated = expanded.startsWith('! ');
  const [verb = '', ...args] = words(negated ? expanded.slice(2) : expanded);
  const [first = '', second = ''] = args;
  const matches = (text: string): void => {
    if (negated) expect(text).not.toMatch(new RegExp(first, 'm'));
    else expect(text).toMatch(new RegExp(first, 'm'));
  };
  switch (verb) {
    case 'exec':
      await script.exec(args);
      if (negated === (script.last.code === 0))
        throw new Error(`ended with ${script.last.code}\n${script.last.stdout}${script.last.stderr}`);
      // A failure in text mode leaves standard output empty: nobody takes half a result for one.
      if (negated && !expanded.includes('--output json')) expect(script.last.stdout).toBe('');
      return;
    case 'exit':
      expect(script.last.code).toBe(Number(first));
      return;
    case 'stdout':
      return matches(script.last.stdout);
    case 'stderr':
      return matches(script.last.stderr);
    case 'json': {
      const value = first
        .split('.')
        .reduce<unknown>(
          (at, key) => (at as Record<string, unknown> | undefined)?.[key],
          JSON.parse(script.last.stdout),
        );
      expect(JSON.stringify(value)).toBe(second);
      return;
    }
    case 'stdin':
      script.stdin = first;
      return;
    case 'env':
      script.env[first.slice(0, first.indexOf('='))] = expanded.slice(expanded.indexOf('=') + 1);
      return;
    case 'set':
      script.env[first] = new RegExp(second, 'm').exec(script.last.stdout)?.[1] ?? '';
      expect(script.env[first]).not.toBe('');
      return;
    case 'cmp':
      expect(readFileSync(script.path(first), 'latin1')).toBe(readFileSync(script.path(second), 'latin1'));
      return;
    case 'exists':
      expect(existsSync(script.path(first))).toBe(!negated);
      return;
    case 'mode':
      expect((statSync(script.path(first)).mode & 0o777).toString(8)).toBe(second);
      return;
    case 'pipe':
      return script.pipe(first, second);
    case 'append':
      return appendFileSync(script.path(first), second);
    case 'write':
      return writeFileSync(script.path(first), second);
    case 'cp':
      return copyFileSync(script.path(first), script.path(second));
    case 'remove':
      return rmSync(script.path(first));
    case 'start':
      return script.start(first, args.slice(1));
    case 'waitfor':
      return script.waitfor(first, second, args[2]);
    case 'stop':
      return script.stop(first);
    default:
      throw new Error(`unknown verb ${verb}`);
  }
}

describe(`golden (${binary ?? 'source'})`, () => {
  for (const name of readdirSync(scripts).filter((file) => file.endsWith('.txt'))) {
    const text = readFileSync(join(scripts, name), 'utf8');
    const [head = '', ...files] = text.split(/^-- (?=\S+ --$)/m);
    test(name, async () => {
      const script = new Script();
      try {
        for (const file of files) {
          const [, path = '', content = ''] = /^(\S+) --\n([\s\S]*)$/.exec(file) ?? [];
          mkdirSync(dirname(join(script.directory, path)), { recursive: true });
          writeFileSync(join(script.directory, path), content);
        }
        for (const [i, line] of head.split('\n').entries()) {
          if (line.trim() === '' || line.startsWith('#')) continue;
          try {
            await run(script, line.trim());
          } catch (error) {
            if (error instanceof MissingData) return console.warn(`${name}: skipped, ${error.message} is not here`);
            throw new Error(
              `${name}:${i + 1}: ${line}\n${(error as Error).message}\nlast stderr: ${script.last.stderr}`,
            );
          }
        }
      } finally {
        script.end();
      }
    }, 60_000);
  }
});

afterAll(() => {
  // Every file of testdata belongs to a script.
  for (const file of readdirSync(scripts)) expect(file).toEndWith('.txt');
});
