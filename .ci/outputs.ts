/** All that a child whose output is piped says, and its exit code, once it has ended. */
export async function outputsOf(
  child: Bun.Subprocess<Bun.Spawn.Writable, 'pipe', 'pipe'>,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}
