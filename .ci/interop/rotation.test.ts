// The real clients over a rotation of both logs: what they signed and uploaded before stays good, they go on in the new
// shards once they have the new trust, and they are told clearly while they have the old one.
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { generateKeyPairSync, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { IDENTITY, type Stack, startStack } from './stack.ts';

let stack: Stack;
const slow = 180_000;
beforeAll(async () => {
  stack = await startStack();
}, slow);
afterAll(async () => stack.stop(), slow);

const UUID = /[0-9a-f]{80}/;
const DOCUMENTS = [
  'trusted_root.json',
  'signing_config.v0.2.json',
  'signing_config_rekor_v2.v0.2.json',
  'client_trust_config_rekor_v2.json',
];
const SIGNED = '--artifact artifact --signature artifact.sig --pki-format x509 --public-key key.pub';

/** The published files as they are now, in a folder. */
async function documents(name: string): Promise<string> {
  const folder = stack.workspace(name);
  for (const document of DOCUMENTS) {
    writeFileSync(join(folder, document), await (await fetch(`${stack.url}/${document}`)).text());
  }
  return folder;
}

/** A signed artifact in a workspace of its own. */
function prepare(name: string): string {
  const cwd = stack.workspace(name);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const artifact = `${name} ${crypto.randomUUID()}\n`;
  writeFileSync(join(cwd, 'artifact'), artifact);
  writeFileSync(join(cwd, 'artifact.sig'), sign('sha256', Buffer.from(artifact), privateKey));
  writeFileSync(join(cwd, 'key.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  return cwd;
}

async function rekor(cwd: string, line: string, fails = false): Promise<string> {
  return (await stack.run(cwd, `rekor-cli --rekor_server ${stack.url} ${line}`, { fails })).stdout;
}

async function cosignSigns(cwd: string, file: string, trust: string, version: 1 | 2, fails = false): Promise<string> {
  writeFileSync(join(cwd, file), `${file} ${crypto.randomUUID()}\n`);
  writeFileSync(join(cwd, 'token'), await stack.token());
  const config = version === 1 ? 'signing_config.v0.2.json' : 'signing_config_rekor_v2.v0.2.json';
  const flags = `--signing-config ${trust}/${config} --trusted-root ${trust}/trusted_root.json`;
  const line = `cosign sign-blob --yes ${flags} --identity-token token --bundle ${file}.sigstore.json ${file}`;
  return (await stack.run(cwd, line, { fails })).stderr;
}

async function allVerify(cwd: string, file: string, trust: string): Promise<void> {
  const root = `${trust}/trusted_root.json`;
  const identity = `--certificate-identity ${IDENTITY} --certificate-oidc-issuer ${stack.issuer}`;
  await stack.run(cwd, `cosign verify-blob --bundle ${file}.sigstore.json --trusted-root ${root} ${identity} ${file}`);
  await stack.run(cwd, `hallmark verify ${file} --trusted-root ${root} ${identity}`);
  const python = `--bundle ${file}.sigstore.json --cert-identity ${IDENTITY} --cert-oidc-issuer ${stack.issuer} ${file}`;
  await stack.run(cwd, `sigstore --trust-config ${trust}/client_trust_config_rekor_v2.json verify identity ${python}`);
}

test(
  'both logs rotate under cosign, sigstore-python and rekor-cli',
  async () => {
    const before = await documents('before');
    const cwd = stack.workspace('signer');
    await cosignSigns(cwd, 'old-v1', before, 1);
    // cosign leaves the index 0 and an empty proof out of a bundle, and sigstore-python then does not read it.
    await cosignSigns(cwd, 'index-0', before, 2);
    await cosignSigns(cwd, 'old-v2', before, 2);
    const byTuf = stack.workspace('by-tuf');
    for (const line of stack.guide('cosign')) await stack.run(byTuf, line);
    const first = prepare('first');
    const oldUuid = UUID.exec(await rekor(first, `upload --type hashedrekord ${SIGNED}`))?.[0] ?? '';
    const oldEntry = JSON.parse(await rekor(first, `get --uuid ${oldUuid} --format json`)) as { LogIndex: number };
    await rekor(first, 'loginfo');

    for (const log of ['v1', 'v2']) await stack.run(cwd, `hallmark log rotate --${log} --data ${stack.data}`);

    // The old trust.
    expect(await cosignSigns(cwd, 'refused-v1', before, 1, true)).toMatch(/transparency log|rekor|key/i);
    expect(await cosignSigns(cwd, 'refused-v2', before, 2, true)).toContain('This log has been frozen');

    // The new one, for what is old and what is new.
    const after = await documents('after');
    await cosignSigns(cwd, 'new-v1', after, 1);
    await cosignSigns(cwd, 'index-0', after, 2);
    await cosignSigns(cwd, 'new-v2', after, 2);
    writeFileSync(join(cwd, 'python-v2'), 'python\n');
    await stack.run(
      cwd,
      `sigstore --trust-config ${after}/client_trust_config_rekor_v2.json sign --identity-token ${await stack.token()} --bundle python-v2.sigstore.json python-v2`,
    );
    for (const file of ['old-v1', 'old-v2', 'new-v1', 'new-v2', 'python-v2']) await allVerify(cwd, file, after);

    // Who gets its trust over TUF notices nothing.
    writeFileSync(join(byTuf, 'token.txt'), await stack.token());
    await stack.run(byTuf, 'cosign sign-blob --yes --identity-token token.txt --bundle again.json hello.txt');
    const identity = `--certificate-identity ${IDENTITY} --certificate-oidc-issuer ${stack.issuer}`;
    for (const bundle of ['hello.txt.sigstore.json', 'again.json']) {
      await stack.run(byTuf, `cosign verify-blob --bundle ${bundle} ${identity} hello.txt`);
    }

    // rekor-cli: the same index and UUID, growth and proofs of the new tree and of the frozen one.
    const second = prepare('second');
    const newUuid = UUID.exec(await rekor(second, `upload --type hashedrekord ${SIGNED}`))?.[0] ?? '';
    expect(newUuid.slice(0, 16)).not.toBe(oldUuid.slice(0, 16));
    const newEntry = JSON.parse(await rekor(second, `get --uuid ${newUuid} --format json`)) as { LogIndex: number };
    expect(newEntry.LogIndex).toBeGreaterThan(oldEntry.LogIndex);
    for (const [cwdOf, uuid, { LogIndex }] of [
      [first, oldUuid, oldEntry],
      [second, newUuid, newEntry],
    ] as const) {
      expect(JSON.parse(await rekor(cwdOf, `get --log-index ${LogIndex} --format json`))).toMatchObject({ UUID: uuid });
      expect(await rekor(cwdOf, `search --artifact artifact`)).toContain(uuid);
      expect(await rekor(cwdOf, `verify --type hashedrekord ${SIGNED}`)).toContain('Inclusion Proof');
    }
    for (let i = 0; i < 2; i++) expect(await rekor(first, 'loginfo')).toContain('Verification Successful!');
    const { treeID, inactiveShards } = (await (await fetch(`${stack.url}/api/v1/log`)).json()) as {
      treeID: string;
      inactiveShards: { treeID: string; treeSize: number }[];
    };
    const [frozen] = inactiveShards;
    await rekor(first, `logproof --first-size 1 --last-size 2 --tree-id ${frozen?.treeID}`);
    await rekor(first, `logproof --first-size 1 --last-size 2 --tree-id ${treeID}`);
    await rekor(first, `logproof --first-size 1 --last-size 2 --tree-id 1`, true);
  },
  slow,
);
