/** Every environment variable that Hallmark reads, and what it does. `hallmark env` and the help texts print this table. */
export const ENV = {
  HOME: 'home directory, where the XDG directories are not set',
  XDG_CONFIG_HOME: 'configuration (default ~/.config): which trust is in use',
  XDG_DATA_HOME: 'data (default ~/.local/share): stored trust material, and the data directory of serve',
  XDG_CACHE_HOME: 'cache (default ~/.cache): the socket of the signing agent, where XDG_RUNTIME_DIR is not set',
  XDG_RUNTIME_DIR: 'runtime files of this session: the socket of the signing agent',
  LISTEN_PID: 'set by systemd for the agent: the process that its socket is for',
  LISTEN_FDS: 'the same: how many sockets there are',
  NO_COLOR: 'any value: no colour',
  TERM: '"dumb": no colour',
  HALLMARK_PASSWORD: 'password of an encrypted private key; may be empty',
  COSIGN_PASSWORD: 'the same, where HALLMARK_PASSWORD is not set',
  SIGSTORE_ID_TOKEN: 'identity token to sign with (GitLab CI sets it by id_tokens)',
  ACTIONS_ID_TOKEN_REQUEST_URL: 'GitHub Actions: where a job gets its identity token',
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'GitHub Actions: what it asks with',
  BUILDKITE_AGENT_ACCESS_TOKEN: 'Buildkite: what a job asks for its identity token with',
  BUILDKITE_AGENT_ENDPOINT: 'Buildkite: where it asks (default https://agent.buildkite.com/v3)',
  BUILDKITE_JOB_ID: 'Buildkite: the job that asks',
  CIRCLE_OIDC_TOKEN_V2: 'CircleCI: identity token of the job',
  CIRCLE_OIDC_TOKEN: 'CircleCI: the same, older form',
  GOOGLE_SERVICE_ACCOUNT_NAME: 'Google Cloud: service account to get an identity token for',
  GCE_METADATA_HOST: 'Google Cloud: host of the metadata server',
  GITHUB_ACTIONS: 'set in GitHub Actions: which remedy is shown when there is no identity token',
  GITLAB_CI: 'the same for GitLab CI',
  CIRCLECI: 'the same for CircleCI',
  BUILDKITE: 'the same for Buildkite',
  SSH_CONNECTION: 'set in a remote session: log in with another device, not with a browser here',
  DISPLAY: 'a graphical session: log in with its browser',
  WAYLAND_DISPLAY: 'the same',
  CI: 'any value: never a prompt, no progress display',
  HALLMARK_PASSED_ON: 'set for the gpg that a signature is passed on to: should that be this program again, it stops',
  HALLMARK_AGENT: 'git signing: false signs without the agent',
  GITSIGN_FULCIO_URL: 'git signing: certificate authority',
  SIGSTORE_FULCIO_URL: 'the same, where the one before is not set',
  GITSIGN_REKOR_URL: 'git signing: transparency log',
  SIGSTORE_REKOR_URL: 'the same, where the one before is not set',
  GITSIGN_REKOR_MODE: 'git signing: offline or online',
  GITSIGN_REKOR_VERSION: 'git signing: 1 or 2',
  SIGSTORE_REKOR_VERSION: 'the same, where the one before is not set',
  GITSIGN_TIMESTAMP_SERVER_URL: 'git signing: timestamp authority',
  SIGSTORE_TIMESTAMP_SERVER_URL: 'the same, where the one before is not set',
  GITSIGN_OIDC_ISSUER: 'git signing: where to log in',
  SIGSTORE_OIDC_ISSUER: 'the same, where the one before is not set',
  GITSIGN_OIDC_CLIENT_ID: 'git signing: client at the issuer',
  SIGSTORE_OIDC_CLIENT_ID: 'the same, where the one before is not set',
  GITSIGN_OIDC_CLIENT_SECRET_FILE: 'git signing: file with the secret of that client',
  SIGSTORE_OIDC_CLIENT_SECRET_FILE: 'the same, where the one before is not set',
  GITSIGN_OIDC_REDIRECT_URL: 'git signing: where the issuer sends the browser back to',
  SIGSTORE_OIDC_REDIRECT_URL: 'the same, where the one before is not set',
  GITSIGN_CONNECTOR_ID: 'git signing: which login the issuer offers first',
  SIGSTORE_CONNECTOR_ID: 'the same, where the one before is not set',
  GITSIGN_TOKEN_PROVIDER: 'git signing: where the identity token comes from',
  SIGSTORE_TOKEN_PROVIDER: 'the same, where the one before is not set',
  GITSIGN_MATCH_COMMITTER: 'git signing: true refuses to sign what another committer made',
} as const;

export type EnvName = keyof typeof ENV;

/** The only place that reads the environment. An empty value counts as unset, but for passwords (see readEnvExact). */
export function readEnv(name: EnvName): string | undefined {
  const value = process.env[name];
  return value === '' ? undefined : value;
}

/** A variable whose empty value means something: a key may have the empty password. */
export function readEnvExact(name: EnvName): string | undefined {
  return process.env[name];
}

/** A variable that is not Hallmark's own: named by the user (`env://NAME`), or handed on to a program that is started. */
export function readEnvReference(name: string): string | undefined {
  return process.env[name];
}

/** The whole environment with one variable more, for a program that is run in our place. */
export const environmentWith = (name: EnvName, value: string): Record<string, string | undefined> => ({
  ...process.env,
  [name]: value,
});

/** The whole environment with other programs' variables beside, for one that is started. */
export const environmentBeside = (variables: Readonly<Record<string, string>>): Record<string, string | undefined> => ({
  ...process.env,
  ...variables,
});

/** The folders on PATH, in order. */
export const searchPath = (): string[] => (process.env['PATH'] ?? '').split(':').filter((folder) => folder !== '');
