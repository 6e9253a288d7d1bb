// A program that asks for everything the hostile directory offers, and says what it was given.
const attempt = async (name: string): Promise<boolean> => {
  try {
    await import(name);
    return true;
  } catch {
    return false;
  }
};
// Put together at run time, so that the bundler does not resolve them.
const name = (...parts: string[]): string => parts.join('');
console.log(
  JSON.stringify({
    environment: process.env['TRAP_ENVIRONMENT'] ?? null,
    imports: await attempt(name('#', 'trap')),
    paths: await attempt(name('@trap', '/any')),
  }),
);
