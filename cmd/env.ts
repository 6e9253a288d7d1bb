/** Every environment variable that Hallmark reads, and what it does. `hallmark env` and the help texts print this table. */
export const ENV = {
  HOME: 'home directory, where the XDG directories are not set',
  XDG_CONFIG_HOME: 'configuration (default ~/.config): which trust is in use',
  XDG_DATA_HOME: 'data (default ~/.local/share): stored trust material, and the data directory of serve',
  NO_COLOR: 'any value: no colour',
  TERM: '"dumb": no colour',
  CI: 'any value: never a prompt, no progress display',
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

/** The value of `env://NAME`: the one variable that is named by the user, not by the table. */
export function readEnvReference(name: string): string | undefined {
  return process.env[name];
}
