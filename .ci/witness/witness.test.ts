// A log and a witness of ours beside a witness and a verifier that are not: litewitness cosigns our log, torchwood verifies
// what our witness signed, and the real clients take bundles whose checkpoints carry cosignatures.
import { Database } from 'bun:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hallmarkBinary, IDENTITY, peers, root } from '../interop/stack.ts';
import { outputsOf } from '../outputs.ts';

const PEER_FOLDERS = ['cosign-3.1.3', 'torchwood-0.9.0', 'sigstore-python-4.5.1/venv/bin'];
const slow = 120_000;
const directory = mkdtempSync(join(tmpdir(), 'hallmark-witness-'));
const at = (name: string): string => join(directory, name);
const env: Record<string, string> = {
  HOME: directory,
  PATH: [join(root, 'dist'), ...PEER_FOLDERS.map((name) => join(peers, name)), process.env['PATH'] ?? ''].join(':'),
  NO_PROXY: '127.0.0.1,localhost',
  no_proxy: '127.0.0.1,localhost',
};
const children: Bun.Subprocess[] = [];

/** Starts a program and resolves with the first group of `pattern` in what it prints. */
async function start(words: string[], pattern: RegExp, options: { cwd?: string } = {}) {
  const child = Bun.spawn(words, {
    env,
    cwd: options.cwd ?? directory,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  children.push(child);
  let output = '';
  const found = Promise.withResolvers<string>();
  for (const stream of [child.stdout, child.stderr]) {
    void (async () => {
      for await (const chunk of stream) {
        output += Buffer.from(chunk).toString();
        const match = pattern.exec(output);
        if (match) found.resolve(match[1] ?? match[0]);
      }
      found.reject(new Error(`${words[0]} ended:\n${output}`));
    })();
  }
  const said = await found.promise;
  return {
    said,
    stop: async () => {
      child.kill('SIGTERM');
      await child.exited;
    },
  };
}

async function run(line: string, options: { fails?: boolean; stdin?: string } = {}): Promise<string> {
  const stdin = options.stdin === undefined ? 'ignore' : new Blob([options.stdin]);
  const child = Bun.spawn(['bash', '-c', line], { cwd: directory, env, stdin, stdout: 'pipe', stderr: 'pipe' });
  const { stdout: out, stderr: err, code } = await outputsOf(child);
  if ((code !== 0) !== (options.fails ?? false)) throw new Error(`ended with ${code}: ${line}\n${out}${err}`);
  return out + err;
}

function freePort(): number {
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response() });
  const { port } = server;
  void server.stop(true);
  return Number(port);
}

let url: string;
let logKey: string;
let ours: string;
let theirs: string;
const identity = (): string => `--certificate-identity ${IDENTITY} --certificate-oidc-issuer ${url}/oidc`;

beforeAll(async () => {
  for (const path of [hallmarkBinary, ...PEER_FOLDERS.map((name) => join(peers, name))]) {
    if (!existsSync(path)) throw new Error(`${path} is missing: run npm run build and .ci/peers first`);
  }
  // The log alone, to know its key.
  const listen = `127.0.0.1:${freePort()}`;
  url = `http://${listen}`;
  const serve = [hallmarkBinary, 'serve', '--listen', listen, '--data', at('data')];
  const plain = await start(serve, /sha256:([0-9a-f]{64})/);
  await run(`hallmark trust add ${url} --name local --fingerprint sha256:${plain.said} --use`);
  logKey = (JSON.parse(await run('hallmark log info --rekor-version 2 --output json')) as { vkey: string }).vkey;
  await plain.stop();

  // litewitness has its key in an agent and the logs that it knows in its database, as witnessctl would write them.
  await run('ssh-keygen -q -t ed25519 -N "" -f witness.key');
  await start(['ssh-agent', '-D', '-a', at('agent.sock')], /agent\.sock/);
  await run(`SSH_AUTH_SOCK=${at('agent.sock')} ssh-add -q witness.key`);
  const fingerprint = (await run('ssh-keygen -l -E sha256 -f witness.key.pub')).split(' ')[1] ?? '';
  const theirListen = `127.0.0.1:${freePort()}`;
  const flags = ['-name', 'lite.example/w', '-db', at('lite.db'), '-ssh-agent', at('agent.sock'), '-key', fingerprint];
  theirs = (await start(['litewitness', ...flags, '-listen', theirListen], /vkey=(\S+)/)).said;
  const database = new Database(at('lite.db'));
  const origin = logKey.split('+')[0] ?? '';
  const empty = new Bun.CryptoHasher('sha256').digest('base64');
  database.run('INSERT INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)', [origin, empty]);
  database.run('INSERT INTO key (origin, key) VALUES (?, ?)', [origin, logKey]);
  database.close();

  const own = [
    'serve',
    'witness',
    '--listen',
    '127.0.0.1:0',
    '--data',
    at('w'),
    '--name',
    'own.example/w',
    '--watch',
    logKey,
  ];
  const witness = await start([hallmarkBinary, ...own, '--log-format', 'json'], /("url":"[^"]+","vkey":"[^"]+")/);
  const ready = JSON.parse(`{${witness.said}}`) as { url: string; vkey: string };
  ours = ready.vkey;
  const witnesses = [ready, { url: `http://${theirListen}`, vkey: theirs }];
  writeFileSync(
    at('serve.json'),
    JSON.stringify({ witness: { threshold: 2, fail: 'closed', intervalMs: 100, witnesses } }),
  );
  await start([...serve, '--config', at('serve.json')], /ready at/);

  for (const name of ['trusted_root.json', 'signing_config_rekor_v2.v0.2.json'])
    writeFileSync(at(name), await (await fetch(`${url}/${name}`)).text());
  await run(`hallmark token --issuer ${url}/oidc --email ${IDENTITY} | tr -d '\\n' > token`);
  mkdirSync(at('files'));
}, slow);
afterAll(async () => {
  for (const child of children.reverse()) child.kill('SIGTERM');
  await Promise.all(children.map((child) => child.exited));
  rmSync(directory, { recursive: true, force: true });
}, slow);

const checkpoint = async (): Promise<string> => (await fetch(`${url}/api/v2/checkpoint`)).text();
const torchwood = (note: string, threshold: number, keys: string[], fails = false): Promise<string> =>
  run(`verify-cosignatures '${logKey}' ${threshold} ${keys.map((key) => `'${key}'`).join(' ')}`, {
    stdin: note,
    fails,
  });

describe('a log with a witness of ours and one that is not', () => {
  test(
    'publishes checkpoints that torchwood accepts with both cosignatures, again and again',
    async () => {
      for (let i = 1; i <= 5; i++) {
        writeFileSync(at('file'), `file ${i}\n`);
        await run('hallmark sign file --identity-token token --rekor-version 2');
        const [origin, size, ...witnesses] = (await torchwood(await checkpoint(), 2, [ours, theirs]))
          .trim()
          .split('\n');
        expect([origin, size]).toEqual(['127.0.0.1', `${i}`]);
        expect(witnesses.map((line) => line.split(' ')[0]).toSorted()).toEqual(['lite.example/w', 'own.example/w']);
      }
    },
    slow,
  );
  test(
    'whose cosignatures torchwood refuses once a byte of one is changed',
    async () => {
      const note = await checkpoint();
      const changed = note.replace(
        /^(— own\.example\/w .{30})(.)/m,
        (_, before, c) => `${before}${c === 'A' ? 'B' : 'A'}`,
      );
      expect(changed).not.toBe(note);
      await torchwood(changed, 2, [ours, theirs], true);
    },
    slow,
  );
  test(
    'hallmark log info verifies both',
    async () => {
      const shown = await run(`hallmark log info --rekor-version 2 --witness '${ours}' --witness '${theirs}'`);
      expect(shown).toMatch(/ own\.example\/w at \d{4}/);
      expect(shown).toMatch(/ lite\.example\/w at \d{4}/);
    },
    slow,
  );
  test(
    'our witness serves what it cosigned to monitors',
    async () => {
      const hash = new Bun.CryptoHasher('sha256').update('127.0.0.1').digest('hex');
      const config = JSON.parse(await Bun.file(at('serve.json')).text()) as {
        witness: { witnesses: { url: string }[] };
      };
      const note = await (await fetch(`${config.witness.witnesses[0]!.url}/${hash}/checkpoint`)).text();
      await torchwood(note, 1, [ours]);
    },
    slow,
  );
});

describe('real clients and cosigned checkpoints', () => {
  test(
    'cosign signs against it and verifies; so does Hallmark',
    async () => {
      writeFileSync(at('file'), 'cosign\n');
      const config = '--signing-config signing_config_rekor_v2.v0.2.json --trusted-root trusted_root.json';
      await run(`cosign sign-blob --yes ${config} --identity-token token --bundle file.sigstore.json file`);
      expect(await Bun.file(at('file.sigstore.json')).text()).toContain('own.example/w');
      await run(`cosign verify-blob --bundle file.sigstore.json --trusted-root trusted_root.json ${identity()} file`);
      await run(`hallmark verify file ${identity()}`);
    },
    slow,
  );
  test(
    'sigstore-python verifies what Hallmark signed',
    async () => {
      writeFileSync(at('file'), 'python\n');
      await run('hallmark sign file --identity-token token --rekor-version 2');
      const flags = `--cert-identity ${IDENTITY} --cert-oidc-issuer ${url}/oidc`;
      await run(`curl -fsS ${url}/client_trust_config_rekor_v2.json -o client_trust_config.json`);
      await run(
        `sigstore --trust-config client_trust_config.json verify identity --bundle file.sigstore.json ${flags} file`,
      );
    },
    slow,
  );
  test('Rekor v1 answers have their one signature still', async () => {
    const { signedTreeHead } = (await (await fetch(`${url}/api/v1/log`)).json()) as { signedTreeHead: string };
    expect(signedTreeHead.match(/^— /gm)).toHaveLength(1);
  });
});
