// The real clients, unmodified, against the compiled binary: each signs and Hallmark verifies, and the reverse.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { IDENTITY, type Run, type Stack, startStack } from './stack.ts';

let stack: Stack;
let files: string;
const slow = 120_000;

beforeAll(async () => {
  stack = await startStack();
  files = stack.workspace('files');
  for (const name of [
    'trusted_root.json',
    'signing_config.v0.2.json',
    'signing_config_rekor_v2.v0.2.json',
    'client_trust_config.json',
    'client_trust_config_rekor_v2.json',
  ]) {
    writeFileSync(join(files, name), await (await fetch(`${stack.url}/${name}`)).text());
  }
}, slow);
afterAll(async () => stack.stop(), slow);

const signingConfig = (version: number): string =>
  join(files, version === 1 ? 'signing_config.v0.2.json' : 'signing_config_rekor_v2.v0.2.json');
const clientTrustConfig = (version: number): string =>
  join(files, version === 1 ? 'client_trust_config.json' : 'client_trust_config_rekor_v2.json');
const trustedRoot = (): string => join(files, 'trusted_root.json');

const STATEMENT_TYPE = 'application/vnd.in-toto+json';
const statement = (name: string, digest: string): string =>
  JSON.stringify({
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name, digest: { sha256: digest } }],
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: { buildType: 'https://example.com/build', externalParameters: {} },
      runDetails: { builder: { id: 'https://example.com/builder' } },
    },
  });
const sha256 = (data: string): string => new Bun.CryptoHasher('sha256').update(data).digest('hex');
const unique = (name: string): string => `${name} ${crypto.randomUUID()}\n`;

// Verification by Hallmark is always of the file beside its bundle, offline, and fails for another identity and for
// another file: an accepting verifier alone shows nothing.
async function hallmarkVerifies(cwd: string, file: string, type?: string): Promise<void> {
  const flags = `--trusted-root ${trustedRoot()} --certificate-oidc-issuer ${stack.issuer}${type ? ` --type ${type}` : ''}`;
  await stack.run(cwd, `hallmark verify ${file} ${flags} --certificate-identity ${IDENTITY}`);
  const wrong = await stack.run(cwd, `hallmark verify ${file} ${flags} --certificate-identity other@example.com`, {
    fails: true,
  });
  expect(wrong.code).toBe(12);
  await stack.run(cwd, `cp ${file} tampered && echo x >> tampered`);
  const tampered = await stack.run(
    cwd,
    `hallmark verify tampered --bundle ${file}.sigstore.json ${flags} --certificate-identity ${IDENTITY}`,
    { fails: true },
  );
  expect(tampered.code).toBe(12);
}

async function hallmarkSigns(cwd: string, version: number, kind: 'message' | 'dsse', data: string): Promise<void> {
  writeFileSync(join(cwd, 'file'), data);
  writeFileSync(join(cwd, 'token'), await stack.token());
  const flags = `--identity-token token --trusted-root ${trustedRoot()} --signing-config ${signingConfig(version)}`;
  if (kind === 'message') await stack.run(cwd, `hallmark sign file ${flags}`);
  else {
    writeFileSync(join(cwd, 'statement.json'), statement('file', sha256(data)));
    await stack.run(cwd, `hallmark attest file --statement statement.json ${flags}`);
  }
}

describe('sigstore-js', () => {
  const js = (cwd: string, input: object, fails = false): Promise<Run> => {
    writeFileSync(join(cwd, 'input.json'), JSON.stringify(input));
    return stack.run(cwd, `node ${join(import.meta.dir, 'sigstore-js.cjs')} < input.json`, { fails });
  };
  for (const version of [1, 2]) {
    for (const kind of ['message', 'dsse'] as const) {
      test(
        `signs, Rekor v${version}, ${kind}; Hallmark verifies`,
        async () => {
          const cwd = stack.workspace(`js-sign-${version}-${kind}`);
          const data = unique('js');
          writeFileSync(join(cwd, 'file'), data);
          const payload = kind === 'dsse' ? statement('file', sha256(data)) : data;
          const { stdout, stderr } = await js(cwd, {
            command: 'sign',
            url: stack.url,
            token: await stack.token(),
            rekorVersion: version,
            kind,
            data: payload,
            ...(kind === 'dsse' ? { type: STATEMENT_TYPE } : {}),
          });
          writeFileSync(join(cwd, 'file.sigstore.json'), stdout);
          const answers = JSON.parse(stderr.trim().split('\n').at(-1) ?? '[]') as [string, string, number][];
          const posts = answers.filter(([method]) => method === 'POST');
          expect(posts.length).toBeGreaterThanOrEqual(3);
          // Every log and the timestamp authority answer 201; Fulcio's version 2 is 200, for Go clients take nothing else.
          for (const [, path, status] of posts) {
            expect([path, status]).toEqual([path, path === '/api/v2/signingCert' ? 200 : 201]);
          }
          await hallmarkVerifies(cwd, 'file', kind === 'dsse' ? 'slsaprovenance1' : undefined);
        },
        slow,
      );
      test(
        `verifies Hallmark's bundle, Rekor v${version}, ${kind}`,
        async () => {
          const cwd = stack.workspace(`js-verify-${version}-${kind}`);
          const data = unique('hallmark');
          await hallmarkSigns(cwd, version, kind, data);
          const input = {
            command: 'verify',
            verifier: version === 2 && kind === 'dsse' ? 'verify413' : '@sigstore/verify',
            trustedRoot: JSON.parse(readFileSync(trustedRoot(), 'utf8')),
            bundle: JSON.parse(readFileSync(join(cwd, 'file.sigstore.json'), 'utf8')),
            ...(kind === 'message' ? { data } : {}),
            identity: IDENTITY,
            issuer: stack.issuer,
          };
          expect((await js(cwd, input)).stdout).toBe('verified');
          await js(cwd, { ...input, identity: 'other@example.com' }, true);
        },
        slow,
      );
    }
  }
  test(
    'as the guide prints it',
    async () => {
      const cwd = stack.workspace('js-guide');
      for (const line of stack.guide('sigstore-js')) await stack.run(cwd, line);
      await hallmarkVerifies(cwd, 'hello.txt');
    },
    slow,
  );
});

describe('cosign', () => {
  for (const version of [1, 2]) {
    for (const kind of ['message', 'dsse'] as const) {
      const files = (): string => `--trusted-root ${trustedRoot()}`;
      const [sign, verify] =
        kind === 'message' ? ['sign-blob', 'verify-blob'] : ['attest-blob', 'verify-blob-attestation'];
      const predicate = kind === 'message' ? '' : '--predicate predicate.json --type slsaprovenance1';
      const type = kind === 'message' ? '' : '--type slsaprovenance1';
      const identity = (): string => `--certificate-identity ${IDENTITY} --certificate-oidc-issuer ${stack.issuer}`;
      const prepare = async (cwd: string): Promise<void> => {
        const data = unique('cosign');
        writeFileSync(join(cwd, 'file'), data);
        writeFileSync(join(cwd, 'token'), await stack.token());
        writeFileSync(
          join(cwd, 'predicate.json'),
          JSON.stringify(JSON.parse(statement('file', sha256(data))).predicate),
        );
      };
      test(
        `${sign}, Rekor v${version}; Hallmark verifies`,
        async () => {
          const cwd = stack.workspace(`cosign-${sign}-${version}`);
          await prepare(cwd);
          await stack.run(
            cwd,
            `cosign ${sign} --yes --signing-config ${signingConfig(version)} ${files()} --identity-token token ${predicate} --bundle file.sigstore.json file`,
          );
          await hallmarkVerifies(cwd, 'file', kind === 'dsse' ? 'slsaprovenance1' : undefined);
        },
        slow,
      );
      test(
        `${verify} of Hallmark's bundle, Rekor v${version}`,
        async () => {
          const cwd = stack.workspace(`cosign-${verify}-${version}`);
          await hallmarkSigns(cwd, version, kind, unique('hallmark'));
          await stack.run(cwd, `cosign ${verify} --bundle file.sigstore.json ${files()} ${type} ${identity()} file`);
          await stack.run(
            cwd,
            `echo x >> file; cosign ${verify} --bundle file.sigstore.json ${files()} ${type} ${identity()} file`,
            {
              fails: true,
            },
          );
        },
        slow,
      );
    }
  }
  test(
    'as the guide prints it, trust by cosign initialize',
    async () => {
      const cwd = stack.workspace('cosign-guide');
      for (const line of stack.guide('cosign')) await stack.run(cwd, line);
      await hallmarkVerifies(cwd, 'hello.txt');
      const identity = `--certificate-identity ${IDENTITY} --certificate-oidc-issuer ${stack.issuer}`;
      await stack.run(cwd, `cosign verify-blob --bundle hello.txt.sigstore.json ${identity} hello.txt`);
      writeFileSync(join(cwd, 'predicate.json'), '{}');
      await stack.run(
        cwd,
        'cosign attest-blob --yes --identity-token token.txt --predicate predicate.json --type https://example.com/p --bundle a.json hello.txt',
      );
      await stack.run(
        cwd,
        `cosign verify-blob-attestation --bundle a.json --type https://example.com/p ${identity} hello.txt`,
      );
    },
    slow,
  );
  test(
    'a wrong root checksum is refused',
    async () => {
      const line = stack.guide('cosign')[0]?.replace(/[0-9a-f]{64}/, '0'.repeat(64)) ?? '';
      await stack.run(stack.workspace('cosign-checksum'), line, { fails: true });
    },
    slow,
  );
});

describe('sigstore-python', () => {
  for (const version of [1, 2]) {
    for (const kind of ['message', 'dsse'] as const) {
      test(
        `signs, Rekor v${version}, ${kind}; Hallmark verifies`,
        async () => {
          const cwd = stack.workspace(`python-sign-${version}-${kind}`);
          const data = unique('python');
          writeFileSync(join(cwd, 'file'), data);
          writeFileSync(
            join(cwd, 'predicate.json'),
            JSON.stringify(JSON.parse(statement('file', sha256(data))).predicate),
          );
          const command =
            kind === 'message'
              ? 'sign'
              : 'attest --predicate predicate.json --predicate-type https://slsa.dev/provenance/v1';
          await stack.run(
            cwd,
            `sigstore --trust-config ${clientTrustConfig(version)} ${command} --identity-token ${await stack.token()} --bundle file.sigstore.json file`,
          );
          await hallmarkVerifies(cwd, 'file', kind === 'dsse' ? 'slsaprovenance1' : undefined);
        },
        slow,
      );
      test(
        `verifies Hallmark's bundle, Rekor v${version}, ${kind}`,
        async () => {
          const cwd = stack.workspace(`python-verify-${version}-${kind}`);
          await hallmarkSigns(cwd, version, kind, unique('hallmark'));
          const line = `sigstore --trust-config ${clientTrustConfig(version)} verify identity --bundle file.sigstore.json --cert-identity`;
          const issuer = `--cert-oidc-issuer ${stack.issuer} file`;
          await stack.run(cwd, `${line} ${IDENTITY} ${issuer}`);
          await stack.run(cwd, `${line} other@example.com ${issuer}`, { fails: true });
        },
        slow,
      );
    }
  }
  test(
    'as the guide prints it',
    async () => {
      const cwd = stack.workspace('python-guide');
      for (const line of stack.guide('sigstore-python')) await stack.run(cwd, line);
      await hallmarkVerifies(cwd, 'hello.txt');
    },
    slow,
  );
  test(
    'trust-instance reads the TUF repository',
    async () => {
      const cwd = stack.workspace('python-instance');
      await stack.run(
        cwd,
        `curl -fsS ${stack.url}/tuf/1.root.json -o root.json && sigstore --instance ${stack.url}/tuf trust-instance root.json`,
      );
      writeFileSync(join(cwd, 'file'), unique('python'));
      await stack.run(cwd, `sigstore --instance ${stack.url}/tuf sign --identity-token ${await stack.token()} file`);
      await hallmarkVerifies(cwd, 'file');
    },
    slow,
  );
});

describe('gitsign', () => {
  test(
    'signs a commit as the guide prints it, and verifies it',
    async () => {
      const cwd = stack.workspace('gitsign');
      await stack.run(cwd, 'git init -q -b main .');
      for (const line of stack.guide('gitsign')) await stack.run(cwd, line);
      const env = {
        SIGSTORE_REKOR_PUBLIC_KEY: join(cwd, 'rekor.pub'),
        SIGSTORE_CT_LOG_PUBLIC_KEY_FILE: join(cwd, 'ctfe.pub'),
        GITSIGN_FULCIO_ROOT: join(cwd, 'fulcio.pem'),
      };
      const verify = `gitsign verify --certificate-identity=${IDENTITY} --certificate-oidc-issuer=${stack.issuer} HEAD`;
      const config = `git config gitsign.rekor ${stack.url} && git config gitsign.fulcio ${stack.url} && `;
      await stack.run(cwd, `${config}${verify}`, { env });
      await stack.run(cwd, verify.replace(IDENTITY, 'other@example.com'), { env, fails: true });
    },
    slow,
  );
});

describe('hallmark', () => {
  test(
    'as the guide prints it',
    async () => {
      const cwd = stack.workspace('hallmark-guide');
      for (const line of stack.guide('hallmark')) await stack.run(cwd, line);
      await hallmarkVerifies(cwd, 'hello.txt');
      await stack.run(
        cwd,
        `hallmark verify hello.txt --certificate-identity ${IDENTITY} --certificate-oidc-issuer ${stack.issuer}`,
      );
    },
    slow,
  );
  test(
    'a wrong TUF root fingerprint is refused',
    async () => {
      const line = stack.guide('hallmark')[0]?.replace(/[0-9a-f]{64}/, '0'.repeat(64)) ?? '';
      const refused = await stack.run(stack.workspace('hallmark-fingerprint'), line, { fails: true });
      expect(refused.code).toBe(7);
    },
    slow,
  );
  test(
    'the same entry again on Rekor v2 answers 201 with the same index',
    async () => {
      const cwd = stack.workspace('hallmark-duplicate');
      await hallmarkSigns(cwd, 2, 'message', unique('duplicate'));
      const bundle = JSON.parse(readFileSync(join(cwd, 'file.sigstore.json'), 'utf8'));
      const body = JSON.parse(atob(bundle.verificationMaterial.tlogEntries[0].canonicalizedBody)).spec.hashedRekordV002;
      const answer = await fetch(`${stack.url}/api/v2/log/entries`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ hashedRekordRequestV002: { digest: body.data.digest, signature: body.signature } }),
      });
      expect(answer.status).toBe(201);
      const { logIndex } = (await answer.json()) as { logIndex: string };
      expect(logIndex).toBe(bundle.verificationMaterial.tlogEntries[0].logIndex);
    },
    slow,
  );
});
