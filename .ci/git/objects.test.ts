// What git shows of objects that are good, tampered with, forbidden, expired and unsigned. They are signed in this process
// against a stack whose clock can be set; git and the compiled binary verify them.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseHex, serializeUtf8 } from '../../core/bytes/bytes.ts';
import { sha256 } from '../../core/crypto/hash.ts';
import { sign as signWith } from '../../core/crypto/private-key.ts';
import { submitToRekorV1 } from '../../core/sign/rekor-v1.ts';
import { serializeTrustedRoot } from '../../core/trust/trusted-root.ts';
import { joinObject, type ObjectFormat } from '../../gitsign/object.ts';
import { signGitPayload } from '../../gitsign/sign.ts';
import { serializeArmor, serializeCmsSignature, serializeSignedAttributes } from '../../gitsign/signature.ts';
import { gitStack } from '../../gitsign/testing.ts';
import { createWorld, trustSigner, type World } from './world.ts';

const slow = 120_000;
const ISSUER = 'https://issuer.example';
const SIGNER = 'a@b.example';
const NAME = `${SIGNER} (${ISSUER})`;
const sha1 = (der: Uint8Array): string => createHash('sha1').update(der).digest('hex');

let world: World;
const stack = await gitStack();
const key = stack.signer.key;

beforeAll(async () => {
  world = await createWorld();
  const root = join(world.home, 'root.json');
  writeFileSync(root, serializeTrustedRoot(stack.trustedRoot));
  await world.hallmark(['trust', 'add', root, '--name', 'fake', '--use']);
}, slow);
afterAll(() => world.end());

const policyFor = (who: string | undefined) =>
  who === undefined
    ? world.git(['config', '--global', '--unset', 'hallmark.policy'], { mayFail: true })
    : trustSigner(world, who, ISSUER);

type Kind = 'good' | 'tampered' | 'mutated' | 'expired' | 'unsigned' | 'no entry';
interface Made {
  readonly id: string;
  readonly fingerprint: string;
}

async function sign(payload: Uint8Array, kind: Kind) {
  if (kind === 'no entry')
    return signGitPayload(payload, { rekorMode: 'online', matchCommitter: false }, stack.signer, stack.context);
  if (kind !== 'expired')
    return signGitPayload(payload, { rekorMode: 'offline', matchCommitter: false }, stack.signer, stack.context);
  // The log says a time after the certificate's end; our own signer refuses to hand out such a signature.
  const { certificate } = await stack.signer.credential();
  const before = stack.clock.now;
  stack.clock.now = new Date(before.getTime() + 700_000);
  try {
    if (certificate === undefined) throw new Error('no certificate');
    const signedAttributes = serializeSignedAttributes(payload, key.publicKey, stack.clock.now);
    const signature = signWith(key, signedAttributes);
    const entry = await submitToRekorV1(stack.http, 'https://sigstore.example', {
      content: { kind: 'message', hash: 'sha256', digest: sha256(signedAttributes), signature },
      verifier: { kind: 'certificate', certificate },
    });
    const cms = serializeCmsSignature({ certificate, signedAttributes, signature, entry });
    return { cms, certificate: certificate.der };
  } finally {
    stack.clock.now = before;
  }
}

/** Writes a commit or tag of this kind into a repository. */
async function make(repository: string, format: ObjectFormat, kind: Kind, object: 'commit' | 'tag'): Promise<Made> {
  const tree = (await world.git(['mktree'], { cwd: repository, input: '' })).stdout.trim();
  const person = 'A <a@b.example> 1700000000 +0000';
  const parent = (
    await world.git(['rev-parse', '--verify', '-q', 'HEAD'], { cwd: repository, mayFail: true })
  ).stdout.trim();
  const commit = `tree ${tree}\n${parent === '' ? '' : `parent ${parent}\n`}author ${person}\ncommitter ${person}\n\n${kind}\n`;
  const id = (input: Uint8Array | string, type: string) =>
    world
      .git(['hash-object', '-t', type, '-w', '--literally', '--stdin'], { cwd: repository, input })
      .then(({ stdout }) => stdout.trim());
  const target = object === 'tag' ? await id(commit, 'commit') : '';
  const text = object === 'tag' ? `object ${target}\ntype commit\ntag ${kind}\ntagger ${person}\n\n${kind}\n` : commit;
  const payload = serializeUtf8(text);
  if (kind === 'unsigned') return { id: await id(payload, object), fingerprint: '' };
  const { cms, certificate } = await sign(payload, kind);
  const bytes = cms.slice();
  // A bit of the signature itself: the last bytes before the unsigned attributes are what is signed with.
  if (kind === 'mutated') {
    const at = Buffer.from(bytes).indexOf(Buffer.from(parseHex('a182')), bytes.length - 2600) - 1;
    bytes[at] = (bytes[at] as number) ^ 1;
  }
  const joined = joinObject(payload, serializeUtf8(serializeArmor('SIGNED MESSAGE', bytes)), format);
  let body = joined?.body as Uint8Array;
  if (kind === 'tampered')
    body = Buffer.from(Buffer.from(body).toString('latin1').replace('tampered\n', 'Tampered\n'), 'latin1');
  return { id: await id(body, object), fingerprint: sha1(certificate) };
}

interface Row {
  readonly kind: Kind;
  readonly policy: string | undefined;
  /** %G? %GS %GK %GF %GP %GT, with KEY for the certificate's fingerprint. */
  readonly shown: string;
  readonly code: number;
  /** Whether `merge --verify-signatures` accepts it with each gpg.minTrustLevel. */
  readonly merges: Readonly<Record<string, boolean>>;
}

const never = { default: false, undefined: false, never: false, marginal: false, fully: false, ultimate: false };
const TABLE: readonly Row[] = [
  {
    kind: 'good',
    policy: SIGNER,
    shown: `G|${NAME}|KEY|KEY|KEY|fully`,
    code: 0,
    merges: { default: true, undefined: true, never: true, marginal: true, fully: true, ultimate: false },
  },
  {
    kind: 'good',
    policy: undefined,
    shown: `U|${NAME}|KEY|KEY|KEY|undefined`,
    code: 0,
    merges: { ...never, undefined: true },
  },
  { kind: 'good', policy: 'other@b.example', shown: `U|${NAME}|KEY|KEY|KEY|never`, code: 1, merges: never },
  { kind: 'tampered', policy: SIGNER, shown: `B|${NAME}|KEY|||undefined`, code: 1, merges: never },
  { kind: 'mutated', policy: SIGNER, shown: `B|${NAME}|KEY|||undefined`, code: 1, merges: never },
  { kind: 'expired', policy: SIGNER, shown: 'E||KEY|||undefined', code: 1, merges: never },
  { kind: 'no entry', policy: SIGNER, shown: 'E||KEY|||undefined', code: 1, merges: never },
  { kind: 'unsigned', policy: SIGNER, shown: 'N|||||undefined', code: 1, merges: never },
];

for (const format of ['sha1', 'sha256'] as const) {
  describe(`git shows, in a ${format} repository,`, () => {
    for (const { kind, policy, shown, code, merges } of TABLE) {
      const whose = policy === undefined ? 'no policy' : policy === SIGNER ? 'a policy for it' : 'a policy for others';
      test(
        `a commit and a tag: ${kind}, ${whose}`,
        async () => {
          await policyFor(policy);
          const repository = await world.repository(`${format}-${kind}-${whose}`.replaceAll(' ', '-'), format);
          const first = await world.git(['commit', '-q', '--allow-empty', '-m', 'first'], { cwd: repository });
          expect(first.code).toBe(0);
          const commit = await make(repository, format, kind, 'commit');
          const log = ['log', '-1', '--format=%G?|%GS|%GK|%GF|%GP|%GT', commit.id];
          const bare = await world.repository(`${format}-${kind}-${whose}-bare`.replaceAll(' ', '-'), format, true);
          await world.git(['fetch', '-q', repository, 'HEAD'], { cwd: bare });
          await world.git(['push', '-q', bare, `${commit.id}:refs/heads/x`], { cwd: repository });
          const linked = `${repository}-linked`;
          await world.git(['worktree', 'add', '-q', '--detach', linked], { cwd: repository });
          const expected = shown.replaceAll('KEY', commit.fingerprint);
          for (const cwd of [repository, bare, linked]) {
            expect((await world.git(log, { cwd })).stdout.trim()).toBe(expected);
            const verified = await world.git(['verify-commit', commit.id], { cwd, mayFail: true });
            expect(verified.code).toBe(code);
          }
          const withText = await world.git(['log', '-1', '--show-signature', commit.id], { cwd: repository });
          if (kind !== 'unsigned') expect(withText.stdout).toContain('hallmark: ');

          const tag = await make(repository, format, kind, 'tag');
          await world.git(['update-ref', `refs/tags/${kind.replace(' ', '-')}`, tag.id], { cwd: repository });
          expect((await world.git(['verify-tag', tag.id], { cwd: repository, mayFail: true })).code).toBe(code);

          for (const [level, accepted] of Object.entries(merges)) {
            const config = level === 'default' ? [] : ['-c', `gpg.minTrustLevel=${level}`];
            await world.git(['checkout', '-q', '--detach', 'main'], { cwd: repository });
            const merged = await world.git([...config, 'merge', '--no-edit', '--verify-signatures', commit.id], {
              cwd: repository,
              mayFail: true,
            });
            expect([level, merged.code === 0]).toEqual([level, accepted]);
          }
        },
        slow,
      );
    }
  });
}

test(
  '50 mutations through git: every one is bad or an error, none good',
  async () => {
    await policyFor(SIGNER);
    const repository = await world.repository('mutations');
    const tree = (await world.git(['mktree'], { cwd: repository, input: '' })).stdout.trim();
    const payload = serializeUtf8(
      `tree ${tree}\nauthor A <a@b.example> 1 +0000\ncommitter A <a@b.example> 1 +0000\n\nx\n`,
    );
    const { cms } = await signGitPayload(
      payload,
      { rekorMode: 'offline', matchCommitter: false },
      stack.signer,
      stack.context,
    );
    const ids: string[] = [];
    for (let i = 0; i < 50; i++) {
      const bytes = cms.slice();
      const at = Math.floor((i * cms.length) / 50);
      bytes[at] = (bytes[at] as number) ^ (i % 2 === 0 ? 0x01 : 0xff);
      const joined = joinObject(payload, serializeUtf8(serializeArmor('SIGNED MESSAGE', bytes)), 'sha1');
      const written = await world.git(['hash-object', '-t', 'commit', '-w', '--stdin', '--literally'], {
        cwd: repository,
        input: joined?.body as Uint8Array,
      });
      ids.push(written.stdout.trim());
    }
    expect(new Set(ids).size).toBe(50);
    const { stdout } = await world.git(['log', '--no-walk', '--format=%G?', ...ids], { cwd: repository });
    const letters = stdout.trim().split('\n');
    expect(letters).toHaveLength(50);
    expect(letters.filter((letter) => letter !== 'B' && letter !== 'E')).toEqual([]);
  },
  slow,
);
