// rekor-cli, unmodified, against the log: it uploads every kind of entry that it knows and we take, finds it again by all it
// can search for, and verifies entry, growth and proofs itself.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { IDENTITY, type Run, type Stack, startStack } from './stack.ts';

let stack: Stack;
const slow = 120_000;
beforeAll(async () => {
  stack = await startStack();
}, slow);
afterAll(async () => stack.stop(), slow);

const sha256 = (data: string | Uint8Array): string => new Bun.CryptoHasher('sha256').update(data).digest('hex');
const cli = (cwd: string, line: string, options: { fails?: boolean } = {}): Promise<Run> =>
  stack.run(cwd, `rekor-cli --rekor_server ${stack.url} ${line}`, options);
const UUID = /[0-9a-f]{80}/;
const uuids = ({ stdout }: Run): string[] => stdout.split('\n').filter((line) => UUID.test(line));

/** The UUID of what was created. */
async function upload(cwd: string, flags: string): Promise<string> {
  const { stdout } = await cli(cwd, `upload ${flags}`);
  expect(stdout).toContain('Created entry at index');
  return UUID.exec(stdout)?.[0] ?? '';
}

interface Files {
  readonly cwd: string;
  readonly artifact: string;
  readonly envelope: string;
}

const STATEMENT_TYPE = 'application/vnd.in-toto+json';
const SUBJECT = sha256(crypto.randomUUID());

/** An artifact, its signature, an envelope and a timestamp, by a key that nobody else has. */
async function prepare(name: string): Promise<Files> {
  const cwd = stack.workspace(name);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const artifact = `${name} ${crypto.randomUUID()}\n`;
  const payload = Buffer.from(
    JSON.stringify({
      _type: 'https://in-toto.io/Statement/v0.1',
      subject: [{ name: 'file', digest: { sha256: SUBJECT } }],
      predicateType: 'https://slsa.dev/provenance/v0.2',
      predicate: { builder: { id: artifact }, buildType: 'x' },
    }),
  );
  const signed = Buffer.concat([
    Buffer.from(`DSSEv1 ${STATEMENT_TYPE.length} ${STATEMENT_TYPE} ${payload.length} `),
    payload,
  ]);
  const envelope = JSON.stringify({
    payload: payload.toString('base64'),
    payloadType: STATEMENT_TYPE,
    signatures: [{ keyid: '', sig: sign('sha256', signed, privateKey).toString('base64') }],
  });
  writeFileSync(join(cwd, 'artifact'), artifact);
  writeFileSync(join(cwd, 'artifact.sig'), sign('sha256', Buffer.from(artifact), privateKey));
  writeFileSync(join(cwd, 'key.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  writeFileSync(join(cwd, 'envelope'), envelope);
  await stack.run(
    cwd,
    `openssl ts -query -data artifact -sha256 -cert -out query && curl -fsS -H 'content-type: application/timestamp-query' --data-binary @query ${stack.url}/api/v1/timestamp -o timestamp`,
  );
  return { cwd, artifact, envelope };
}

const SIGNED = '--artifact artifact --signature artifact.sig --pki-format x509 --public-key key.pub';
const ENVELOPE = '--artifact envelope --pki-format x509 --public-key key.pub';
const KINDS = {
  hashedrekord: { flags: `--type hashedrekord ${SIGNED}`, object: 'HashedRekordObj', subject: false, attested: false },
  rekord: { flags: `--type rekord ${SIGNED}`, object: 'RekordObj', subject: false, attested: false },
  'intoto 0.0.1': { flags: `--type intoto:0.0.1 ${ENVELOPE}`, object: 'IntotoObj', subject: true, attested: true },
  'intoto 0.0.2': { flags: `--type intoto:0.0.2 ${ENVELOPE}`, object: 'IntotoObj', subject: true, attested: true },
  dsse: { flags: `--type dsse ${ENVELOPE}`, object: 'DSSEObj', subject: true, attested: false },
  rfc3161: { flags: '--type rfc3161 --artifact timestamp', object: 'Rfc3161Obj', subject: false, attested: false },
} as const;

describe('rekor-cli uploads, gets, searches and verifies', () => {
  for (const [kind, { flags, object, subject, attested }] of Object.entries(KINDS)) {
    test(
      kind,
      async () => {
        const { cwd, artifact, envelope } = await prepare(kind.replace(' ', '-'));
        const uuid = await upload(cwd, flags);
        expect((await cli(cwd, `upload ${flags}`)).stdout).toContain(`already exists; available at: ${stack.url}`);

        const verified = (await cli(cwd, `verify ${flags}`)).stdout;
        const [, computed, expected] = /Computed Root Hash: (\w+)\nExpected Root Hash: (\w+)/.exec(verified) ?? [];
        expect([computed?.length, computed]).toEqual([64, expected as string]);
        expect(verified).toContain(`Entry Hash: ${uuid.slice(16)}`);

        const entry = JSON.parse((await cli(cwd, `get --uuid ${uuid} --format json`)).stdout);
        expect([Object.keys(entry.Body), entry.UUID]).toEqual([[object], uuid]);
        const short = JSON.parse((await cli(cwd, `get --uuid ${uuid.slice(16)} --format json`)).stdout);
        const byIndex = JSON.parse((await cli(cwd, `get --log-index ${entry.LogIndex} --format json`)).stdout);
        expect([short, byIndex]).toEqual([entry, entry]);
        const attestation = entry.Attestation as string;
        expect(attestation).toBe(attested ? atob(JSON.parse(envelope).payload) : '');

        // By what was uploaded: the artifact, or what is in the envelope, or the timestamp.
        const file = flags.includes('--artifact envelope') ? 'envelope' : kind === 'rfc3161' ? 'timestamp' : 'artifact';
        if (kind !== 'intoto 0.0.2') expect(uuids(await cli(cwd, `search --artifact ${file}`))).toContain(uuid);
        if (file === 'artifact') {
          expect(uuids(await cli(cwd, `search --sha ${sha256(artifact)}`))).toContain(uuid);
          expect(uuids(await cli(cwd, 'search --public-key key.pub --pki-format x509'))).toEqual([uuid]);
          const both = `search --operator and --sha ${sha256(artifact)} --public-key key.pub --pki-format x509`;
          expect(uuids(await cli(cwd, both))).toEqual([uuid]);
        }
        if (subject) expect(uuids(await cli(cwd, `search --sha ${SUBJECT}`))).toContain(uuid);
        const nothing = await cli(cwd, `search --sha ${'0'.repeat(64)}`, { fails: true });
        expect(nothing.stderr).toContain('no matching entries found');
      },
      slow,
    );
  }

  test(
    'and refuses, as the log does, a signature of another artifact',
    async () => {
      const { cwd } = await prepare('wrong');
      writeFileSync(join(cwd, 'artifact'), 'another');
      await cli(cwd, `upload ${KINDS.rekord.flags}`, { fails: true });
      await cli(cwd, `verify ${KINDS.rekord.flags}`, { fails: true });
    },
    slow,
  );
});

describe('rekor-cli follows the log', () => {
  test(
    'loginfo proves growth between two calls, and notices a log that lost its past',
    async () => {
      const { cwd } = await prepare('loginfo');
      const first = await cli(cwd, 'loginfo');
      expect(first.stdout).toContain('Verification Successful!');
      expect(first.stderr).toContain('No previous log state stored');
      await upload(cwd, KINDS.hashedrekord.flags);
      await upload(cwd, KINDS.rekord.flags);
      const second = await cli(cwd, 'loginfo');
      expect(second.stdout).toContain('Verification Successful!');
      // It found the state that it had kept, so it asked for a proof and verified it.
      expect(second.stderr).not.toContain('No previous log state');
      const size = ({ stdout }: Run): number => Number(/Active Tree Size:\s+(\d+)/.exec(stdout)?.[1]);
      expect(size(second)).toBe(size(first) + 2);

      const state = join(cwd, '.rekor', 'state.json');
      // The root in the checkpoint that it keeps: origin, size, root.
      const kept = Object.entries(JSON.parse(readFileSync(state, 'utf8')) as Record<string, string>);
      const otherPast = kept.map(([tree, checkpoint]) => {
        const lines = checkpoint.split('\n');
        lines[2] = Buffer.alloc(32, 1).toString('base64');
        return [tree, lines.join('\n')];
      });
      writeFileSync(state, JSON.stringify(Object.fromEntries(otherPast)));
      await upload(cwd, KINDS['intoto 0.0.1'].flags);
      await cli(cwd, 'loginfo', { fails: true });
    },
    slow,
  );

  test(
    'logproof',
    async () => {
      const { cwd } = await prepare('logproof');
      await upload(cwd, KINDS.rekord.flags);
      const info = (await cli(cwd, 'loginfo')).stdout;
      const size = /Active Tree Size:\s+(\d+)/.exec(info)?.[1];
      const proof = (await cli(cwd, `logproof --first-size 1 --last-size ${size}`)).stdout;
      expect(proof).toContain(`Current Root Hash: ${/Root Hash:\s+(\w+)/.exec(info)?.[1]}`);
      await cli(cwd, `logproof --first-size 1 --last-size ${Number(size) + 1000}`, { fails: true });
    },
    slow,
  );
});

describe('rekor-cli finds what other clients logged', () => {
  test(
    'a file signed with an identity, by its email in any case',
    async () => {
      const email = `signer-${crypto.randomUUID()}@example.com`;
      const cwd = stack.workspace('email');
      writeFileSync(join(cwd, 'file'), crypto.randomUUID());
      writeFileSync(join(cwd, 'token'), await stack.token(email));
      const flags = `--identity-token token --trusted-root root.json --signing-config config.json`;
      for (const [path, name] of [
        ['trusted_root.json', 'root.json'],
        ['signing_config.v0.2.json', 'config.json'],
      ] as const) {
        writeFileSync(join(cwd, name), await (await fetch(`${stack.url}/${path}`)).text());
      }
      await stack.run(cwd, `hallmark sign file ${flags}`);
      const byEmail = uuids(await cli(cwd, `search --email ${email.toUpperCase()}`));
      expect(byEmail).toHaveLength(1);
      expect(uuids(await cli(cwd, 'search --artifact file'))).toEqual(byEmail);
    },
    slow,
  );

  test(
    "gitsign's commit in its online mode, which gitsign then looks up in the log",
    async () => {
      const cwd = stack.workspace('gitsign-online');
      await stack.run(cwd, 'git init -q -b main .');
      for (const line of stack.guide('gitsign')) await stack.run(cwd, line);
      // The signature does not carry the entry: object identifier of its attribute, 1.3.6.1.4.1.57264.3.1, in DER.
      const object = await stack.run(
        cwd,
        "git cat-file commit HEAD | sed -n 's/^gpgsig//;/BEGIN SIGNED/,/END SIGNED/p' | grep -v -- ----- | sed 's/^ //' | base64 -d | od -An -v -tx1 | tr -d ' \\n'",
      );
      expect(object.stdout).toContain('06092a864886f70d010702');
      expect(object.stdout).not.toContain('060a2b0601040183bf300301');
      // What it logs is the hash of the commit's hexadecimal name.
      const commit = (await stack.run(cwd, 'git rev-parse HEAD')).stdout.trim();
      expect(uuids(await cli(cwd, `search --sha ${sha256(commit)}`))).toHaveLength(1);
      const env = {
        SIGSTORE_REKOR_PUBLIC_KEY: join(cwd, 'rekor.pub'),
        SIGSTORE_CT_LOG_PUBLIC_KEY_FILE: join(cwd, 'ctfe.pub'),
        GITSIGN_FULCIO_ROOT: join(cwd, 'fulcio.pem'),
      };
      const verify = `git config gitsign.rekor ${stack.url} && git config gitsign.fulcio ${stack.url} && gitsign verify --certificate-identity=${IDENTITY} --certificate-oidc-issuer=${stack.issuer}`;
      await stack.run(cwd, `${verify} HEAD`, { env });
      // A log in which it finds nothing: the commit does not verify.
      const elsewhere = verify.replace(`gitsign.rekor ${stack.url}`, 'gitsign.rekor http://127.0.0.1:9');
      await stack.run(cwd, `${elsewhere} HEAD`, { env, fails: true });
    },
    slow,
  );
});
