/** What the guide needs to know of a stack that has become ready. */
export interface GuideFacts {
  /** Public URL, without a final slash. */
  readonly url: string;
  /** The embedded issuer's URL; undefined where real issuers are configured or the part has none. */
  readonly devIssuer: string | undefined;
  /** True if the public URL is one of this machine's own names, so that the embedded issuer answers under it. */
  readonly isLoopback: boolean;
  /** SHA-256 of the first TUF root in lower-case hexadecimal. */
  readonly rootFingerprint: string;
  readonly hasCa: boolean;
  readonly hasLog: boolean;
  /** Where metrics are read; undefined where they are off. */
  readonly metricsUrl: string | undefined;
}

/** How to point one client at the stack: shell lines that run as they are printed, in an empty directory. */
export interface ClientGuide {
  readonly client: string;
  readonly lines: readonly string[];
}

/** Lines for every client that can use what this stack has. A client that signs needs both the CA and the log. */
export function clientGuides(facts: GuideFacts): ClientGuide[] {
  const { url, rootFingerprint } = facts;
  const hallmark = [
    `hallmark trust add ${url} --name local --fingerprint sha256:${rootFingerprint}`,
    'hallmark trust use local',
  ];
  if (!facts.hasCa || !facts.hasLog) return [{ client: 'hallmark', lines: hallmark }];
  const token =
    facts.devIssuer !== undefined && facts.isLoopback
      ? `hallmark token --issuer ${facts.devIssuer} --email you@example.com > token.txt`
      : '# write an identity token of your issuer to token.txt, without a final newline';
  const artifact = 'echo "hello" > hello.txt';
  return [
    { client: 'hallmark', lines: [...hallmark, token, artifact, 'hallmark sign hello.txt --identity-token token.txt'] },
    {
      client: 'cosign',
      lines: [
        `cosign initialize --mirror ${url}/tuf --root ${url}/tuf/1.root.json --root-checksum ${rootFingerprint}`,
        token,
        artifact,
        'cosign sign-blob --yes --identity-token token.txt --bundle hello.txt.sigstore.json hello.txt',
      ],
    },
    {
      client: 'gitsign',
      lines: [
        token,
        `for f in rekor.pub ctfe.pub fulcio.pem; do curl -fsS ${url}/$f -o $f; done`,
        `gitsign initialize --mirror ${url}/tuf --root ${url}/tuf/1.root.json`,
        [
          'SIGSTORE_ID_TOKEN=$(cat token.txt)',
          'SIGSTORE_REKOR_PUBLIC_KEY=$PWD/rekor.pub',
          'SIGSTORE_CT_LOG_PUBLIC_KEY_FILE=$PWD/ctfe.pub',
          'GITSIGN_FULCIO_ROOT=$PWD/fulcio.pem',
          'git -c gpg.format=x509 -c gpg.x509.program=gitsign',
          `-c gitsign.fulcio=${url} -c gitsign.rekor=${url} -c gitsign.issuer=${facts.devIssuer ?? 'https://your.issuer'}`,
          'commit -S --allow-empty -m "signed"',
        ].join(' '),
      ],
    },
    {
      client: 'sigstore-python',
      lines: [
        token,
        artifact,
        `curl -fsS ${url}/client_trust_config.json -o client_trust_config.json`,
        'sigstore --trust-config client_trust_config.json sign --identity-token "$(cat token.txt)" --overwrite hello.txt',
      ],
    },
    {
      client: 'sigstore-js',
      lines: [
        token,
        artifact,
        `curl -fsS ${url}/tuf/1.root.json -o root.json`,
        `node -e 'const { sign, verify } = require("sigstore"), fs = require("fs"); const data = fs.readFileSync("hello.txt");` +
          ` sign(data, { fulcioURL: "${url}", rekorURL: "${url}", tsaServerURL: "${url}",` +
          ` identityToken: fs.readFileSync("token.txt", "utf8") })` +
          `.then((bundle) => verify(bundle, data, { tufMirrorURL: "${url}/tuf", tufRootPath: "root.json", tufCachePath: "tuf-cache" })` +
          `.then(() => fs.writeFileSync("hello.txt.sigstore.json", JSON.stringify(bundle))))'`,
      ],
    },
  ];
}

const devIssuerNote = ({ isLoopback }: GuideFacts): string =>
  isLoopback
    ? 'anybody on this machine can be anybody: not for production'
    : 'answers only under a loopback name: name real issuers with --config, see docs/serve.md';

/** The text that `serve` prints when it is ready. */
export function guideText(facts: GuideFacts): string {
  const { url } = facts;
  const where: [string, string | undefined][] = [
    ['certificate authority', facts.hasCa ? `${url}/api/v2/signingCert` : undefined],
    ['transparency log v1', facts.hasLog ? `${url}/api/v1/log` : undefined],
    ['transparency log v2', facts.hasLog ? `${url}/api/v2/log/entries (tiles: ${url}/api/v2/checkpoint)` : undefined],
    ['timestamp authority', facts.hasCa ? `${url}/api/v1/timestamp` : undefined],
    ['CT log', facts.hasCa ? `${url}/ct/v1/get-sth` : undefined],
    ['TUF repository', `${url}/tuf`],
    ['trusted root', `${url}/trusted_root.json`],
    ['metrics', facts.metricsUrl],
    ['development issuer', facts.devIssuer && `${facts.devIssuer} (${devIssuerNote(facts)})`],
  ];
  const width = Math.max(...where.map(([name]) => name.length));
  const rows = where.flatMap(([name, value]) => (value === undefined ? [] : [`  ${name.padEnd(width)}  ${value}`]));
  const clients = clientGuides(facts).flatMap(({ client, lines }) => [
    '',
    `${client}:`,
    ...lines.map((line) => `  ${line}`),
  ]);
  return [
    `Hallmark is ready at ${url}`,
    ...rows,
    `  ${'TUF root'.padEnd(width)}  sha256:${facts.rootFingerprint}`,
    ...clients,
    '',
    '',
  ].join('\n');
}
