import { UsageError } from '../core/errors.ts';
import type { Cli } from './cli.ts';
import type { EnvName } from './env.ts';
import { tryGit } from './git-process.ts';

/** One setting of git signing: `hallmark.NAME`, gitsign's `gitsign.NAME` where it has one, and gitsign's variables. */
interface SettingRow {
  readonly gitsign: boolean;
  /** The first that is set wins, before every file. */
  readonly env: readonly EnvName[];
  /**
   * `user`: a repository must not decide it, so what its own configuration says is passed over. `to turn on`: it may be stricter
   * than the user, so of its configuration that is passed over which turns it off.
   */
  readonly from: 'anywhere' | 'user' | 'anywhere, to turn on';
  readonly what: string;
}

/** Every setting, in the order in which `hallmark git config` prints them. */
export const GIT_SETTINGS = {
  trust: {
    gitsign: false,
    env: [],
    from: 'anywhere',
    what: 'stored trust to sign with and, if it is yours, to verify with',
  },
  policy: {
    gitsign: false,
    env: [],
    from: 'user',
    what: 'policy file that says whose signatures git shows as trusted',
  },
  signer: {
    gitsign: false,
    env: [],
    from: 'user',
    what: 'the same in a word, as email:NAME@DOMAIN or github:OWNER/REPO',
  },
  lookup: { gitsign: false, env: [], from: 'user', what: 'true: look up log entries that signatures do not hold' },
  agent: {
    gitsign: false,
    env: ['HALLMARK_AGENT'],
    from: 'user',
    what: 'false: sign without the agent, with a login for each signature',
  },
  fulcio: {
    gitsign: true,
    env: ['GITSIGN_FULCIO_URL', 'SIGSTORE_FULCIO_URL'],
    from: 'anywhere',
    what: 'certificate authority',
  },
  rekor: {
    gitsign: true,
    env: ['GITSIGN_REKOR_URL', 'SIGSTORE_REKOR_URL'],
    from: 'anywhere',
    what: 'transparency log',
  },
  rekorMode: {
    gitsign: true,
    env: ['GITSIGN_REKOR_MODE'],
    from: 'anywhere',
    what: 'offline: the log entry is in the signature (default); online: in the log alone',
  },
  rekorVersion: {
    gitsign: true,
    env: ['GITSIGN_REKOR_VERSION', 'SIGSTORE_REKOR_VERSION'],
    from: 'anywhere',
    what: '1 (default), or 2, which gitsign cannot verify',
  },
  timestamp: { gitsign: false, env: [], from: 'anywhere', what: "true: add a timestamp of the trust's authority" },
  timestampServerURL: {
    gitsign: true,
    env: ['GITSIGN_TIMESTAMP_SERVER_URL', 'SIGSTORE_TIMESTAMP_SERVER_URL'],
    from: 'anywhere',
    what: 'add a timestamp of this authority',
  },
  issuer: {
    gitsign: true,
    env: ['GITSIGN_OIDC_ISSUER', 'SIGSTORE_OIDC_ISSUER'],
    from: 'anywhere',
    what: 'where to log in',
  },
  clientID: {
    gitsign: true,
    env: ['GITSIGN_OIDC_CLIENT_ID', 'SIGSTORE_OIDC_CLIENT_ID'],
    from: 'user',
    what: 'client at the issuer (default sigstore)',
  },
  clientSecretFile: {
    gitsign: true,
    env: ['GITSIGN_OIDC_CLIENT_SECRET_FILE', 'SIGSTORE_OIDC_CLIENT_SECRET_FILE'],
    from: 'user',
    what: 'file with the secret of that client',
  },
  redirectURL: {
    gitsign: true,
    env: ['GITSIGN_OIDC_REDIRECT_URL', 'SIGSTORE_OIDC_REDIRECT_URL'],
    from: 'user',
    what: 'where the issuer sends the browser back to: a port of this computer (default: any free one)',
  },
  connectorID: {
    gitsign: true,
    env: ['GITSIGN_CONNECTOR_ID', 'SIGSTORE_CONNECTOR_ID'],
    from: 'anywhere',
    what: 'which login the issuer offers first',
  },
  tokenProvider: {
    gitsign: true,
    env: ['GITSIGN_TOKEN_PROVIDER', 'SIGSTORE_TOKEN_PROVIDER'],
    from: 'anywhere',
    what: 'where the identity token comes from: interactive, device, github-actions, ... (default: what is there)',
  },
  matchCommitter: {
    gitsign: true,
    env: ['GITSIGN_MATCH_COMMITTER'],
    from: 'anywhere, to turn on',
    what: 'true: refuse to sign what another committer made',
  },
  gpgProgram: {
    gitsign: false,
    env: [],
    from: 'user',
    what: 'the gpg that OpenPGP signatures go to (default: on PATH)',
  },
  gpgsmProgram: {
    gitsign: false,
    env: [],
    from: 'user',
    what: 'the gpgsm that other X.509 signatures go to (default: on PATH)',
  },
} as const satisfies Record<string, SettingRow>;

export type GitSettingName = keyof typeof GIT_SETTINGS;

/** A value and where it is from, for people. */
export interface GitSetting {
  readonly value: string;
  readonly source: string;
  /** True if the user or the administrator set it, not a repository. */
  readonly isUsers: boolean;
}

/** Settings in force. */
export interface GitSettings {
  readonly get: (name: GitSettingName) => GitSetting | undefined;
  /** The same without what repositories say. */
  readonly users: (name: GitSettingName) => GitSetting | undefined;
  /** All values of one that may be given several times. */
  readonly all: (name: GitSettingName) => readonly GitSetting[];
  /** What a repository says that only the user may, and what stands for nothing here. */
  readonly ignored: readonly { readonly key: string; readonly setting: GitSetting; readonly reason: string }[];
  /** Any other key of git, last value, lower case but for the middle. */
  readonly git: (key: string) => GitSetting | undefined;
}

interface ConfigEntry {
  readonly scope: string;
  readonly key: string;
  readonly setting: GitSetting;
}

const USER_SCOPES: readonly string[] = ['system', 'global', 'command'];

/** Keys of gitsign that have no meaning here, and why. */
const WITHOUT_MEANING: Readonly<Record<string, string>> = {
  'gitsign.fulcioroot': 'trust comes from the trust store: hallmark trust add',
  'gitsign.timestampcertchain': 'trust comes from the trust store: hallmark trust add',
  'gitsign.autoclose': 'the page after a login is never closed',
  'gitsign.autoclosetimeout': 'the page after a login is never closed',
  'gitsign.urlopener': 'the browser of the desktop is used',
  'gitsign.logpath': 'errors go to the terminal',
  'gitsign.enablesigstorego': 'there is one implementation',
};

/** Reads git's configuration, as git sees it here, and the environment. USAGE for a value that cannot be meant. */
export function readGitSettings(cli: Cli): GitSettings {
  return settingsOf(readConfig(), cli.env);
}

/** What the user's and the administrator's files alone say, wherever this runs: no repository, command line or environment. */
export function readUserGitSettings(): GitSettings {
  const entries = readConfig().filter(({ scope }) => scope === 'system' || scope === 'global');
  return settingsOf(entries, () => undefined);
}

function settingsOf(entries: readonly ConfigEntry[], env: Cli['env']): GitSettings {
  const { values, ignored } = valuesOf(entries, env);
  for (const { key, setting } of entries) {
    const reason = WITHOUT_MEANING[key];
    if (reason !== undefined) ignored.push({ key, setting, reason });
  }
  // Only asked where a repository has something to say.
  let own: ReturnType<typeof valuesOf>['values'] | undefined;
  return {
    get: (name) => values.get(name)?.at(-1),
    users: (name) => {
      own ??= valuesOf(
        entries.filter(({ setting }) => setting.isUsers),
        env,
      ).values;
      return own.get(name)?.at(-1);
    },
    all: (name) => values.get(name) ?? [],
    ignored,
    git: (key) => entries.findLast((entry) => entry.key === key)?.setting,
  };
}

function valuesOf(entries: readonly ConfigEntry[], env: Cli['env']) {
  const ignored: { key: string; setting: GitSetting; reason: string }[] = [];
  const values = new Map<GitSettingName, GitSetting[]>();
  for (const name of Object.keys(GIT_SETTINGS) as GitSettingName[]) {
    const row: SettingRow = GIT_SETTINGS[name];
    const keys = [`hallmark.${name}`, ...(row.gitsign ? [`gitsign.${name}`] : [])].map((key) => key.toLowerCase());
    const found = keys.map((key) => entries.filter((entry) => entry.key === key));
    const usable = found.flatMap((list) => {
      const kept = list.filter(({ setting }) => passedOver(row, setting) === undefined);
      for (const { key, setting } of list) {
        const reason = passedOver(row, setting);
        if (reason !== undefined) ignored.push({ key, setting, reason });
      }
      return kept.length > 0 ? [kept.map(({ setting }) => setting)] : [];
    });
    const variable = row.env.find((each) => env(each) !== undefined);
    const fromEnv =
      variable === undefined
        ? undefined
        : [{ value: env(variable) as string, source: `environment variable ${variable}`, isUsers: true }];
    const chosen = fromEnv ?? usable[0];
    if (chosen !== undefined) values.set(name, chosen);
  }
  return { values, ignored };
}

/** Why what a repository says does not count; undefined if it does. */
function passedOver({ from }: SettingRow, { value, isUsers }: GitSetting): string | undefined {
  if (isUsers || from === 'anywhere') return undefined;
  if (from === 'user') return 'a repository may not decide it';
  return isFalse(value) ? 'a repository may not turn it off' : undefined;
}

// `-z` with scope and origin: three parts for each entry; a key without `=` has no line end and means true.
function readConfig(): ConfigEntry[] {
  const { code, stdout } = tryGit(['config', '--list', '--show-scope', '--show-origin', '-z']);
  // Outside of a repository, and without a home directory, there is nothing to read.
  if (code !== 0) return [];
  const parts = Buffer.from(stdout).toString().split('\0');
  const entries: ConfigEntry[] = [];
  for (let i = 0; i + 2 < parts.length; i += 3) {
    const [scope, origin, text] = parts.slice(i, i + 3) as [string, string, string];
    const end = text.indexOf('\n');
    const key = end < 0 ? text : text.slice(0, end);
    const value = end < 0 ? 'true' : text.slice(end + 1);
    const source = `${scope} configuration, ${origin.replace(/^(?:file|blob):/, '')}`;
    entries.push({ scope, key, setting: { value, source, isUsers: USER_SCOPES.includes(scope) } });
  }
  return entries;
}

/** True or false as git spells them; absent is false. USAGE for anything else. */
export function isOn(settings: GitSettings, name: GitSettingName): boolean {
  const setting = settings.get(name);
  if (setting === undefined) return false;
  if (['true', 'yes', 'on', '1'].includes(setting.value.toLowerCase())) return true;
  if (isFalse(setting.value)) return false;
  throw notOneOf(name, setting, 'true or false');
}

const isFalse = (value: string): boolean => ['false', 'no', 'off', '0', ''].includes(value.toLowerCase());

/** True if it is set to false: for what is on by default. USAGE as `isOn`. */
export const isOff = (settings: GitSettings, name: GitSettingName): boolean =>
  settings.get(name) !== undefined && !isOn(settings, name);

/** A setting that is one of these words; absent is the first. USAGE for anything else. */
export function wordOf<T extends string>(settings: GitSettings, name: GitSettingName, words: readonly [T, ...T[]]): T {
  const setting = settings.get(name);
  if (setting === undefined) return words[0];
  const word = words.find((each) => each === setting.value);
  if (word === undefined) throw notOneOf(name, setting, words.join(' or '));
  return word;
}

function notOneOf(name: GitSettingName, { value, source }: GitSetting, wanted: string): UsageError {
  return new UsageError(`${name} is ${JSON.stringify(value.slice(0, 80))} (${source}), expected ${wanted}`, {
    hint: 'hallmark git config shows what is in force and from where',
  });
}
