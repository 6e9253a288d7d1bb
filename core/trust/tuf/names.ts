/**
 * True if a target's name may become part of a URL or a path: one segment of letters, digits, `.`, `_` and `-` that does
 * not begin with a dot. TUF itself allows any string, `../` included (specification §4.5).
 */
export function isPlainName(name: string): boolean {
  return /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/.test(name);
}
